# A program with GPU kernels, for one chip, on a machine without a driver: it starts, says what is missing,
# trains on the CPU, and ends with 6 where a GPU is asked for. It is built beside the tests and kept.
command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ] || skip "no nvcc"
there=$BUILD/with-cuda
cmake -S "$SOURCE" -B "$there" -G Ninja -DCMAKE_BUILD_TYPE=Release -DLRK_TESTS=OFF -DLRK_CUDA=AUTO \
    -DLRK_CUDA_CHIPS=90 ${CUBLAS:+-DLRK_CUBLAS="$CUBLAS"} >configure 2>&1 || fail "$(cat configure)"
grep -q "GPU kernels: for chips" configure || skip "$(grep 'GPU kernels' configure)"
cmake --build "$there" --target lorikeet -j 2 >log 2>&1 || fail "$(tail -n 30 log)"
program=$there/lorikeet

expect_exit 0 "$program" doctor --json
grep -q '"built_in": true' out || fail "the program has no GPU kernels: $(cat out)"
if grep -q '"ready": true' out; then skip "a GPU answers here"; fi
! ldd "$program" | grep -q 'libcuda\|cublas' || fail "linked with what must be opened at run time"

printf '{"prompt": "a\\n", "completion": "b %d"}\n' 1 2 3 4 >rows.jsonl
cat >recipe.yaml <<EOF
base_model: $SOURCE/tests/golden/data/llama
lora_r: 4
datasets: [{path: rows.jsonl}]
micro_batch_size: 2
max_steps: 2
learning_rate: 1e-3
EOF
expect_error 6 "driver" "$program" train recipe.yaml output_dir=gpu device=cuda
expect_exit 0 "$program" train recipe.yaml output_dir=auto device=auto
grep -q "on the CPU" out || fail "device: auto did not say where it trains: $(cat out)"
