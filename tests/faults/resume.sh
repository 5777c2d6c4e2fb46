# Killed and resumed equals never killed: the adapter's bytes are the same after kill -9 at many
# places of a run, and with one thread and with two.
model=$SOURCE/tests/golden/data/llama

for i in $(seq 1 40); do
    printf '{"prompt": "row %d asks %d\\n", "completion": "and %d answers %d"}\n' $i $((i * 7 % 13)) $i $((i * i % 17))
done >rows.jsonl

cat >recipe.yaml <<EOF
base_model: $model
lora_r: 4
lora_dropout: 0.1
datasets: [{path: rows.jsonl}]
val_set_size: 0.2
micro_batch_size: 2
gradient_accumulation_steps: 2
num_epochs: 2
learning_rate: 1e-2
evals_per_epoch: 2
save_steps: 3
load_best_model_at_end: true
compute_dtype: f32
EOF
adapter=adapter/adapter_model.safetensors

expect_exit 0 "$LORIKEET" train recipe.yaml output_dir=whole threads=1
expect_exit 0 "$LORIKEET" train recipe.yaml output_dir=threads threads=2
cmp whole/$adapter threads/$adapter || fail "two threads give other bytes than one"

# bf16 the same
expect_exit 0 "$LORIKEET" train recipe.yaml output_dir=whole16 threads=1 compute_dtype=bf16
expect_exit 0 "$LORIKEET" train recipe.yaml output_dir=threads16 threads=2 compute_dtype=bf16
cmp whole16/$adapter threads16/$adapter || fail "two threads give other bytes than one in bf16"

# evaluating must not touch training
expect_exit 0 "$LORIKEET" train recipe.yaml output_dir=final load_best_model_at_end=false
expect_exit 0 "$LORIKEET" train recipe.yaml output_dir=noeval load_best_model_at_end=false evals_per_epoch=0 eval_strategy=no
# (the header names the recipe, which differs; the numbers after it must not)
numbers() { tail -c +$((9 + $(od -An -tu8 -N8 "$1"))) "$1"; }
cmp <(numbers final/$adapter) <(numbers noeval/$adapter) || fail "evaluation changes what is trained"

# the process dies at its n-th open, write, sync or rename; then it goes on, dying again and again
for n in 3 8 14 21 27 34 48 61 75; do
    rm -rf killed
    for attempt in 1 2 3 4 5 6 7 8 9 10; do
        got=0
        LRK_FAULT=kill:$n "$LORIKEET" train recipe.yaml output_dir=killed --resume --quiet >out 2>err || got=$?
        [ $got = 137 ] || break
        [ $attempt -gt 3 ] && n=$((n + 40))
    done
    [ $got = 137 ] && got=0 && { "$LORIKEET" train recipe.yaml output_dir=killed --resume --quiet >out 2>err || got=$?; }
    [ $got = 0 ] || { cat err >&2; fail "exit $got after being killed at operation $n"; }
    cmp whole/$adapter killed/$adapter || fail "other bytes after being killed at operation $n"
done

# SIGTERM: saves and says so with exit code 75
rm -rf stopped
"$LORIKEET" train recipe.yaml output_dir=stopped num_epochs=50 >out 2>err &
pid=$!
for i in $(seq 1 200); do
    [ -s stopped/metrics.jsonl ] && break
    sleep 0.05
done
kill -TERM $pid
got=0
wait $pid || got=$?
[ $got = 75 ] || { cat err >&2; fail "exit $got after SIGTERM, expected 75"; }
ls stopped/ckpt-*.safetensors >/dev/null || fail "nothing was saved after SIGTERM"
