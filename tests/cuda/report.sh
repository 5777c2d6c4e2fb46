# The compiler's report on the CUDA kernels against docs/cuda-resources.md: no spill in a kernel of a step, no
# register past the table. The chips of the build at hand; with LRK_ALL_CHIPS=1 every chip, if kernels changed since the
# table was written.

# What is made of figures, without a compiler. row SHARED REGISTERS SPILLED: of a kernel with dynamic shared memory, for
# sm_89, and of one that may spill.
row() {
    local name='void attention_dq<tensor_cores<64, 1, 64>, lrk_takes<'$1'> >(job<lrk_bf16>)'
    printf 'kernels/attention/a.cu\t89\t%s\t%s\t%s\t0\t0\t0\t128%s\n' "$name" "$2" "$3" "$counts"
    printf 'kernels/cache/c.cu\t89\tappend(int)\t40\t8\t8\t0\t0\t256%s\n' "$counts"
}
counts=$(printf '\t0%.0s' 1 2 3 4 5 6 7 8 9 10)
made() { row "$@" | awk -f "$SOURCE/scripts/cuda-report-names.awk" "$SOURCE/base/dtype.def" - >rows; }
table() { awk -f "$SOURCE/scripts/cuda-report-table.awk" -v version=1.2 -v rare='^cache/' -v mode="$1" "${@:2}"; }
printf 'nvcc 1.2\n| `attention/attention_dq<tensor_cores<64,1,64>>` | 200 | 0 |\n| `cache/append` | 40 | 16 |\n' >page
made 36864 200 0
table print rows | grep -qE '^attention/attention_dq<tensor_cores<64,1,64>> +89 +200 +0 +0 +36864 +128 +17 ' ||
    fail "registers allow two blocks of four warps, of 48, and so does shared memory: $(table print rows)"
table check page rows >out || fail "a table that holds: $(cat out)"
made 55296 200 0
table print rows | grep -qE '55296 +128 +8 ' || fail "shared memory leaves room for one block: $(table print rows)"
made 36864 201 0
! table check page rows >out || fail "a register past the table was let through"
grep -q 'sm_89: 201 registers, docs/cuda-resources.md allows 200' out || fail "$(cat out)"
made 36864 200 4
! table check page rows >out || fail "a spill was let through"
grep -q 'attention_dq.*sm_89: spills 4 bytes' out || fail "$(cat out)"
! grep -q cache out || fail "cache may spill: $(cat out)"

# a table that says of a spill, a sum of kernels that were changed since
printf 'nvcc 1.2\nmachine code ab12, a sum\n| `attention/attention_dq<tensor_cores<64,1,64>>` | 200 | 8 |\n' >page
made 36864 200 0
! table check -v sum=ab13 page rows >out || fail "a spill in the table was let through"
grep -q 'attention_dq.*spills 8 bytes, says docs' out || fail "$(cat out)"
grep -q 'kernels changed since .*(machine code ab12, now ab13)' out || fail "$(cat out)"
table check -v sum=ab12 page rows >out || true
! grep -q 'kernels changed' out || fail "kernels did not change: $(cat out)"

# the machine code for one chip tells whether any kernel changed
! grep -rn __CUDA_ARCH__ "$SOURCE/base" "$SOURCE/kernels" --include='*.cu' --include='*.cuh' --include='*.h' ||
    fail "a kernel that asks for its chip: cuda-report's sum must be of each"

command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ] || skip "no nvcc"
report=("$SOURCE/scripts/cuda-report")
expect_exit 2 "${report[@]}" --chips 75
grep -q "expected some of" err || fail "no word about the chips: $(cat err)"
build=$BUILD
[ ! -d "$BUILD/shipped" ] || build=$BUILD/shipped
"$build/lorikeet" doctor --json | grep -q '"built_in": true' || skip "$build has no GPU kernels"
status=0
"${report[@]}" --build "$build" --check >out 2>err || status=$?
if [ $status = 2 ] && grep -q "cannot be fetched" err; then skip "$(grep -m1 'cannot be fetched' err)"; fi
[ $status = 0 ] || fail "$(cat out err)"
cat out
if [ -n "${LRK_ALL_CHIPS:-}" ] && grep -q 'kernels changed' out; then
    expect_exit 0 "${report[@]}" --check
    cat out
fi

# counts of instructions come from the machine code: attention multiplies on tensor cores, inside its loops
expect_exit 0 "${report[@]}" --build "$build" --files attention/attention_cuda
grep -F 'attention_forward<tensor_cores<128,1,48>>' out | grep -qE ' [1-9][0-9]* \([1-9][0-9]*\)' ||
    fail "no tensor-core instructions were counted: $(cat out)"
