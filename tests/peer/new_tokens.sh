# tests/peer/new_tokens.sh -- tokens that a recipe adds: PEFT's AutoPeftModel loads the adapter as it lies there, the
# tokenizers give the ids and the text of transformers' own that was given these tokens, the merged model the same logits.
# LRK_PEER_PYTHON names a Python with torch, transformers and peft; where node-llama-cpp is there (LRK_PEER_NODE_MODULES),
# llama.cpp gives the same ids.
peer_python torch transformers peft
G=$SOURCE/tests/golden/data
modules=${LRK_PEER_NODE_MODULES:-$SOURCE/node_modules}

printf '{"prompt": "how many <|query|> é x of <op> ", "completion": " pipe count <|s1|> %s"}\n' 1 2 3 >rows.jsonl
printf '["how many <|query|> é x of <op>"]' >texts.json
# of no golden case: names of its own for embedding and head, with a tokenizer
peer new_tokens make base_neox
cp "$G/llama/tokenizer.json" "$G/llama/tokenizer_config.json" base_neox

cases="llama mistral padded neox" runs=()
for case in $cases; do # padded: more rows than tokens, which are used first
    gguf=[f32]
    [ "$case" != mistral ] || gguf=[] # GGUF has no place for its merges
    [ "$case" = neox ] || cp -r "$G/${case/padded/llama}" "base_$case"
    chmod -R u+w "base_$case"
    [ "$case" != padded ] || cp "$G/llama_gguf_f32/tokenizer.json" "base_$case"
    cat >"$case.yaml" <<YAML
base_model: base_$case
datasets: [{path: rows.jsonl}]
special_tokens: {eos_token: "<|done|>"}
tokens: ["<|query|>", " pipe", "häufig"]
add_tokens: "<op>,é x"
add_special_tokens: "<|s1|>"
lora_r: 2
max_steps: 6
learning_rate: 1e-2
compute_dtype: f32
export: {merged: true, gguf: $gguf}
output_dir: $case
YAML
    "$LORIKEET" train "$case.yaml" --quiet >out || fail "$case: not trained"
    runs+=("$case" "base_$case" "")
    # from there on, with one more
    sed '/^special_tokens\|^tokens\|^add_\|^lora_r/d; s/gguf: .*}/gguf: []}/' "$case.yaml" >further.yaml
    "$LORIKEET" train further.yaml --quiet output_dir="further_$case" lora_model_dir="$case/adapter" 'tokens=["<|third|>"]' >out ||
        fail "$case: not trained further"
    runs+=("further_$case" "base_$case" '<|third|>')
done
peer new_tokens check "${runs[@]}"

for case in $cases; do
    forms="adapter merged"
    [ "$case" = mistral ] || forms+=" merged-f32.gguf"
    if [ "$case" != mistral ] && [ -d "$modules/node-llama-cpp" ]; then
        node "$SOURCE/tests/peer/llama_ids.mjs" "$modules" "$case/merged-f32.gguf" texts.json | tr -d ' ' >ids
        tr -d ' ' <"$case/ids.json" | cmp - ids || fail "$case: ids of llama.cpp"
    fi
    # in Lorikeet, from all of its forms
    for form in $forms; do
        "$LORIKEET" tokenize --model "$case/$form" --texts texts.json --no-special >ids || fail "$case: $form"
        cmp ids "$case/ids.json" || fail "$case: ids of $form"
    done
done
