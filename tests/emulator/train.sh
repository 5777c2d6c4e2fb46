# Twenty steps on the emulated GPU: as on the CPU, the same bytes twice and in another order of threads,
# resumed too; and what happens when the device fails.
model=$SOURCE/tests/golden/data/llama
for i in $(seq 1 20); do
    printf '{"prompt": "row %d asks\\n", "completion": "and %d answers %d"}\n' $i $i $((i * i % 17))
done >rows.jsonl
cat >recipe.yaml <<EOF
base_model: $model
lora_r: 4
lora_dropout: 0.1
datasets: [{path: rows.jsonl}]
val_set_size: 4
micro_batch_size: 2
gradient_accumulation_steps: 2
num_epochs: 5
max_steps: 20
learning_rate: 1e-2
lr_scheduler: constant
evals_per_epoch: 1
save_steps: 6
compute_dtype: f32
EOF
adapter=adapter/adapter_model.safetensors
losses() { grep -o '"loss": [0-9.]*' "$1/metrics.jsonl" | cut -d' ' -f2; }

expect_exit 0 "$LORIKEET" train recipe.yaml output_dir=cpu device=cpu
expect_exit 0 "$LORIKEET" train recipe.yaml output_dir=gpu device=cuda
[ "$(losses gpu | wc -l)" = 20 ] || fail "not twenty steps: $(losses gpu | wc -l)"
paste <(losses cpu) <(losses gpu) | awk '{ d = $1 - $2; if (d < 0) d = -d; if (d > 1e-3 * $1) exit 1 }' ||
    fail "losses differ from the CPU's: $(paste <(losses cpu) <(losses gpu))"
LRK_EMULATOR_ORDER=reverse expect_exit 0 "$LORIKEET" train recipe.yaml output_dir=again device=cuda
cmp gpu/$adapter again/$adapter || fail "other bytes the second time"

expect_exit 0 "$LORIKEET" train recipe.yaml output_dir=gpu16 device=cuda compute_dtype=bf16 max_steps=4
# rounding to bf16 is amplified from step to step, by Adam above all: the first ones must agree
paste <(losses cpu | head -4) <(losses gpu16) |
    awk '{ d = $1 - $2; if (d < 0) d = -d; if (d > 0.02 * $1) exit 1 }' ||
    fail "losses in bf16 differ from the CPU's: $(paste <(losses cpu | head -4) <(losses gpu16))"

# adapters in the borders of weights: always one product, in another order of threads too, and after a fault; never one
expect_exit 0 "$LORIKEET" convert --model "$model" --out bf16 --dtype bf16
bordered=(recipe.yaml base_model=bf16 lora_r=8 lora_dropout=0 compute_dtype=bf16
          max_steps=8 save_steps=3 device=cuda)
LRK_GPU_CACHE=0 expect_exit 0 "$LORIKEET" train "${bordered[@]}" output_dir=one
LRK_GPU_CACHE=0 LRK_EMULATOR_ORDER=reverse expect_exit 0 "$LORIKEET" train "${bordered[@]}" output_dir=one_again
cmp one/$adapter one_again/$adapter || fail "other bytes the second time, with borders"
LRK_GPU_CACHE=0 LRK_EMULATOR_FAIL=launch:1500 expect_error 6 "GPU:" "$LORIKEET" train "${bordered[@]}" output_dir=one_failed
LRK_GPU_CACHE=0 expect_exit 0 "$LORIKEET" train "${bordered[@]}" output_dir=one_failed --resume
cmp one/$adapter one_failed/$adapter || fail "other bytes after the device failed, with borders"
LRK_GPU_CACHE=1000000000000 expect_exit 0 "$LORIKEET" train "${bordered[@]}" output_dir=two
! cmp -s one/$adapter two/$adapter || fail "one product or two: the same bytes"
paste <(losses one | head -4) <(losses two | head -4) | awk '{ d = $1 - $2; if (d < 0) d = -d; if (d > 0.02 * $1) exit 1 }' ||
    fail "losses differ between one product and two: $(paste <(losses one) <(losses two))"

# a checkpoint of the GPU is not one of the CPU
expect_error 2 "another device" "$LORIKEET" train recipe.yaml output_dir=cpu device=cuda --resume

# the device fails in the middle: exit 6 at once, the checkpoint stands and the run can go on
rm -rf failed
LRK_EMULATOR_FAIL=launch:4000 expect_error 6 "GPU:" "$LORIKEET" train recipe.yaml output_dir=failed device=cuda
ls failed/ckpt-* >/dev/null || fail "no checkpoint is left"
expect_exit 0 "$LORIKEET" train recipe.yaml output_dir=failed device=cuda --resume
cmp gpu/$adapter failed/$adapter || fail "other bytes after the device failed"
# no memory for recordings: the steps go on without, which is said once
LRK_EMULATOR_FAIL=instantiate:1+ expect_exit 0 "$LORIKEET" train recipe.yaml output_dir=unrecorded device=cuda
cmp gpu/$adapter unrecorded/$adapter || fail "other bytes where a recording found no memory"
[ "$(grep -c 'none is left to record' err)" = 1 ] || fail "not said once that there is no memory: $(cat err)"
# a GPU without cuBLASLt: an error where it is asked for, else the CPU, and why
LRK_EMULATOR_FAIL=cublaslt:1 expect_error 6 "cuBLASLt" "$LORIKEET" train recipe.yaml output_dir=none device=cuda
LRK_EMULATOR_FAIL=cublaslt:1 expect_exit 0 "$LORIKEET" train recipe.yaml output_dir=fell_back device=auto
grep -q "warning: device: auto takes the CPU.*cuBLASLt" err || fail "no word why the GPU was not taken: $(cat err)"
cmp <(losses cpu) <(losses fell_back) || fail "other losses where the CPU was taken instead"
LRK_EMULATOR_FAIL=cublaslt:1 expect_exit 0 "$LORIKEET" doctor
grep -q "^gpu .*; .*cuBLASLt .* does not start" out || fail "doctor does not say that cuBLASLt does not start: $(cat out)"
LRK_EMULATOR_FAIL=malloc:3 expect_error 6 "GPU memory" "$LORIKEET" train recipe.yaml output_dir=none device=cuda

# answers, by greedy choice: the CPU's
expect_exit 0 "$LORIKEET" generate --model "$model" --adapter cpu/adapter --prompt "row 3 asks" --max-tokens 8 --dtype f32 --device cpu
cp out cpu.txt
expect_exit 0 "$LORIKEET" generate --model "$model" --adapter cpu/adapter --prompt "row 3 asks" --max-tokens 8 --dtype f32 --device cuda
cmp cpu.txt out || fail "the GPU answers differently"

# kernels are timed one by one
expect_exit 0 "$LORIKEET" bench --model "$model" --train 1,16 --device cuda --profile --repeats 2
grep -q attention out || fail "no times of kernels: $(cat out)"
