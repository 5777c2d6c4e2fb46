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

# compare RECIPE NAME [KEY=VALUE]...
compare() {
    expect_exit 0 "$LORIKEET" plan "$1" "${@:3}" --json
    planned=$(number total out)
    rm -rf run
    expect_exit 0 "$LORIKEET" train "$1" output_dir=run "${@:3}"
    measured=$(number peak_bytes run/metrics.jsonl)
    allowed=$((measured / 100 + 8000000)) off=$((measured - planned))
    echo "$2: planned $planned, measured $measured"
    [ "${off#-}" -le "$allowed" ] || fail "$2: planned $planned bytes, measured $measured"
}

# Three steps are an epoch, where micro-batches are small 64: the fourth is the next one's.
for options in "compute_dtype=f32 max_steps=4" "compute_dtype=bf16 max_steps=4" \
               "compute_dtype=f32 gradient_checkpointing=layer max_steps=4" "compute_dtype=f32 micro_batch_size=3"; do
    read -ra settings <<<"$options"
    compare recipe.yaml "$options" "${settings[@]}"
done

# A vocabulary that grows: a longer copy of the embedding beside the one in the file, larger
# than all else of the model.
tokens=120000 width=64
tensors= at=0
tensor() { # NAME SHAPE ELEMENTS
    tensors+="${tensors:+, }\"$1\": {\"dtype\": \"F32\", \"shape\": [$2], \"data_offsets\": [$at, $((at + 4 * $3))]}"
    at=$((at + 4 * $3))
}
tensor model.embed_tokens.weight "$tokens, $width" $((tokens * width))
for name in q k v o; do tensor "model.layers.0.self_attn.${name}_proj.weight" "$width, $width" $((width * width)); done
for name in gate up down; do tensor "model.layers.0.mlp.${name}_proj.weight" "$width, $width" $((width * width)); done
for name in layers.0.input_layernorm layers.0.post_attention_layernorm norm; do tensor "model.$name.weight" "$width" "$width"; done
mkdir large
header="{$tensors}"
n=${#header}
{
    printf '%b' "$(printf '\\x%02x\\x%02x\\0\\0\\0\\0\\0\\0' $((n % 256)) $((n / 256)))"
    printf '%s' "$header"
    seq 1000000 $((1000000 + at / 8 - 1)) | tr '0123456789\n' ';<=;<=;<=;<' # eight bytes each, as floats 0.003 to 0.05
} >large/model.safetensors
cat >large/config.json <<EOF
{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": $width, "intermediate_size": $width,
 "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 4, "vocab_size": $tokens, "rms_norm_eps": 1e-5,
 "max_position_embeddings": 512, "tie_word_embeddings": true, "bos_token_id": 0, "eos_token_id": 1}
EOF
tiny_tokenizer letters
{
    sed '/^}}/,$d' letters/tokenizer.json
    seq 96 $((tokens - 1)) | sed 's/.*/, "token &": &/'
    sed -n '/^}}/,$p' letters/tokenizer.json
} >large/tokenizer.json
sed 's|^base_model: .*|base_model: large|' recipe.yaml >large.yaml
few=(compute_dtype=f32 micro_batch_size=4 max_steps=2)
compare large.yaml "as it is" "${few[@]}"
as_it_is=$planned
compare large.yaml "grown" "${few[@]}" 'tokens=["<|a|>", "<|b|>"]'
[ $((planned - as_it_is)) -gt $((tokens * width * 4)) ] || fail "a copy of the embedding is not planned: $as_it_is, $planned"
