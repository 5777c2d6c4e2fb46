# The plan's peak is the one that a run has: within 1 % and 8 MB. (Sanitizers keep memory of their own.)

for i in $(seq 1 192); do
    words=
    for j in $(seq 1 $((20 + i % 9 * 4))); do words="$words w$((i * j % 97))"; done
    printf '{"prompt": "row %d:%s\\n", "completion": "answer %d%s"}\n' "$i" "$words" "$i" "$words"
done >rows.jsonl
cat >recipe.yaml <<EOF
base_model: $SOURCE/tests/golden/data/llama
lora_r: 4
datasets: [{path: rows.jsonl}]
micro_batch_size: 64
num_epochs: 2
EOF

number() { sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" "$2" | sort -n | tail -1; }

for options in compute_dtype=f32 compute_dtype=bf16 "compute_dtype=f32 gradient_checkpointing=layer" \
               "compute_dtype=f32 micro_batch_size=3"; do
    read -ra settings <<<"$options"
    expect_exit 0 "$LORIKEET" plan recipe.yaml "${settings[@]}" --json
    planned=$(number total out)
    rm -rf run
    expect_exit 0 "$LORIKEET" train recipe.yaml output_dir=run "${settings[@]}"
    measured=$(number peak_bytes run/metrics.jsonl)
    allowed=$((measured / 100 + 8000000)) off=$((measured - planned))
    echo "$options: planned $planned, measured $measured"
    [ "${off#-}" -le "$allowed" ] || fail "$options: planned $planned bytes, measured $measured"
done
