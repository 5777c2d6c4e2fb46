# A GPU that is not there: it can be planned for, not trained on, and auto does without it.
printf '{"prompt": "row %d asks\\n", "completion": "and answers"}\n' 1 2 3 4 5 6 7 8 >rows.jsonl
cat >recipe.yaml <<EOF
base_model: $SOURCE/tests/golden/data/llama
lora_r: 4
datasets: [{path: rows.jsonl}]
micro_batch_size: 8
EOF

expect_exit 0 "$LORIKEET" plan recipe.yaml device=cuda
grep -q "bf16 on the GPU" out || fail "the plan does not say where: $(cat out)"
note=0
! "$LORIKEET" doctor | grep -q 'built without GPU kernels' || note=1
[ "$(grep -c 'built without GPU kernels' err)" = $note ] || fail "who trains on the GPU: $(cat err)"
grep -q "memory of the GPU, everything kept" out || fail "no memory of the GPU: $(cat out)"
expect_exit 0 "$LORIKEET" plan recipe.yaml device=cuda gpu_memory_limit=0.0001
grep -q "layers computed again, their results put aside" out || fail "the limit changes nothing: $(cat out)"
expect_exit 0 "$LORIKEET" plan recipe.yaml device=cuda gradient_checkpointing=layer --json
grep -q '"host": 0' out || fail "results are put aside that need not be: $(cat out)"
# auto keeps as much as fits: with the bytes that a policy takes, that one, and with one less the next
words=("everything kept" "norms and SwiGLU computed again" "layers computed again" "layers computed again, their results put aside")
policies=(none mlp layer)
for i in 0 1 2; do
    expect_exit 0 "$LORIKEET" plan recipe.yaml device=cuda gradient_checkpointing=${policies[i]} --json
    total=$(sed -n 's/.*"total": \([0-9]*\).*/\1/p' out)
    for less in 0 1; do
        limit=$(printf '0.%09d5' $((total - less)))
        expect_exit 0 "$LORIKEET" plan recipe.yaml device=cuda gpu_memory_limit=$limit
        grep -qx "memory of the GPU, ${words[i + less]}" out || fail "${policies[i]}, $limit GB: $(cat out)"
    done
done
expect_exit 0 "$LORIKEET" plan recipe.yaml device=cuda --json
grep -q '"device": "CUDA"' out || fail "no device: $(cat out)"
grep -qE '"copied": [1-9][0-9]+' out || fail "no weights on the GPU: $(cat out)"
expect_exit 0 "$LORIKEET" plan recipe.yaml device=cpu --json
grep -q '"copied": 0' out || fail "weights are copied on the CPU: $(cat out)"

"$LORIKEET" doctor --json | grep -q '"ready": true' && skip "there is a GPU here"
expect_error 6 "device: cuda" "$LORIKEET" train recipe.yaml output_dir=run device=cuda
grep -q "^  peak" out || fail "no memory before the end: $(cat out)"
expect_error 2 "device gpu: expected auto, cpu or cuda; did you mean cuda?" \
    "$LORIKEET" generate --model "$SOURCE/tests/golden/data/llama" --prompt x --device gpu
expect_error 6 "device: cuda" "$LORIKEET" generate --model "$SOURCE/tests/golden/data/llama" --prompt x --device cuda
expect_error 2 "expected auto, cpu or cuda" "$LORIKEET" verify "$SOURCE/tests/golden/data/llama" --device tpu
expect_exit 0 "$LORIKEET" plan recipe.yaml device=auto
grep -q "on the CPU" out || fail "auto plans for: $(cat out)"

# more than may be used: said, and in figures
expect_exit 0 "$LORIKEET" plan recipe.yaml device=cuda gpu_memory_limit=0.0001
grep -q "it does not fit: .* MB are needed, 0.1 MB may be used (gpu_memory_limit" err || fail "nothing is said: $(cat err)"
expect_exit 0 "$LORIKEET" plan recipe.yaml device=cuda gpu_memory_limit=0.0001 --json
grep -q '"fits": false' out || fail "no figure"
expect_exit 0 "$LORIKEET" plan recipe.yaml device=cuda gpu_memory_limit=80
! grep -q "does not fit" err || fail "80 GB are too few: $(cat err)"
