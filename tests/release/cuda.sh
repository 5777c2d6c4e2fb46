# A program with GPU kernels on a machine without a driver: it starts, says what is missing, trains on the CPU, ends
# with 6 where a GPU is asked for, and finds in the real cuBLASLt every function that its products call.
expect_exit 0 "$LORIKEET" doctor --json
grep -q '"built_in": true' out || skip "the program has no GPU kernels: no nvcc, or no cuBLAS"
if grep -q '"ready": true' out; then skip "a GPU answers here"; fi
! ldd "$LORIKEET" | grep -q 'libcuda\|cublas' || fail "linked with what must be opened at run time"

printf '{"prompt": "a\\n", "completion": "b %d"}\n' 1 2 3 4 >rows.jsonl
cat >recipe.yaml <<EOF
base_model: $SOURCE/tests/golden/data/llama
lora_r: 4
datasets: [{path: rows.jsonl}]
micro_batch_size: 2
max_steps: 2
learning_rate: 1e-3
EOF
expect_error 6 "driver" "$LORIKEET" train recipe.yaml output_dir=gpu device=cuda
expect_exit 0 "$LORIKEET" train recipe.yaml output_dir=auto device=auto
grep -q "on the CPU" out || fail "device: auto did not say where it trains: $(cat out)"

cublas=$("$SOURCE/scripts/cublas")
LD_LIBRARY_PATH=$cublas/lib:$cublas/lib64 expect_exit 0 "$LORIKEET" doctor
version=$(sed -nE 's/^cuBLASLt +//p' out)
[[ $version =~ ^1[2-9]\.[0-9]+\.[0-9]+$ ]] || fail "the version of cuBLASLt is '$version'"
