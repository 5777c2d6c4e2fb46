# The compiler's report on the CUDA kernels against docs/cuda-resources.md: no spill in a kernel of a step, no
# register past the table. sm_80 and sm_90; LRK_ALL_CHIPS=1 takes every chip.
command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ] || skip "no nvcc"
chips=80,90
[ -z "${LRK_ALL_CHIPS:-}" ] || chips=80,89,90,100,120
report=("$SOURCE/scripts/cuda-report" ${CUBLAS:+--cublas "$CUBLAS"})

expect_exit 2 "${report[@]}" --chips 75
grep -q "expected some of" err || fail "no word about the chips: $(cat err)"
status=0
"${report[@]}" --chips "$chips" --check >out 2>err || status=$?
if [ $status = 2 ] && grep -q "cannot be fetched" err; then skip "$(grep -m1 'cannot be fetched' err)"; fi
[ $status = 0 ] || fail "$(cat out err)"
cat out

# counts of instructions come from the machine code: attention multiplies on tensor cores, inside its loops
expect_exit 0 "${report[@]}" --chips 80 --files attention/attention_cuda
grep -F 'attention_forward<tensor_cores<128,1,64>>' out | grep -qE ' [1-9][0-9]* \([1-9][0-9]*\)' ||
    fail "no tensor-core instructions were counted: $(cat out)"
