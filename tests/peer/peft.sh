# tests/peer/peft.sh -- our adapters load in PEFT, our merged models in transformers, with the logits
# that these recorded. LRK_PEER_PYTHON names a Python with torch, transformers and peft.
peer_python torch transformers peft
G=$SOURCE/tests/golden/data

# check MODE WHERE...: is looked at with all others, at the end
check() { printf '%s\n' "$*" >>checks; }

for case in llama llama_qv llama_bf16 llama_dora llama_patterns mistral llama_bf16_save \
    llama_save_embedding qwen2_save_head gemma2_save llama_tokens gemma2_tokens qwen2_tokens \
    llama_pissa phi3_olora neox neox_sequential neox_save neox_tokens; do
    "$LORIKEET" export --adapter "$G/$case/adapter" --base "$G/$case" --peft "adapter_$case"
    "$LORIKEET" merge --model "$G/$case" --adapter "$G/$case/adapter" --out "merged_$case"
    check adapter "$G/$case" "adapter_$case" "$G/$case"
    check merged "merged_$case" "$G/$case"
done
# patterns, layers and whole modules: PEFT makes the same tensors of the configuration that training writes
printf '{"prompt": "q", "completion": " and an answer"}\n' >rows.jsonl
made() {
    "$LORIKEET" train recipe.yaml --quiet output_dir="$1" "${@:2}" >out || fail "$1: not trained"
    check shapes "$G/llama" "$1/adapter"
}
printf '%s\n' "base_model: $G/llama" 'datasets: [{path: rows.jsonl}]' 'lora_r: 2' 'max_steps: 1' 'learning_rate: 1e-2' >recipe.yaml
made patterns "rank_pattern={'layers\.0\.mlp\..*': 3, down_proj: 4}" 'alpha_pattern={q_proj: 5}'
made layers 'lora_target_modules=[q_proj,up_proj]' 'layers_to_transform=[1]' 'layers_pattern=[layers]'
made last 'layers_to_transform=1' peft_use_dora=true
made whole 'lora_modules_to_save=[embed_tokens,lm_head]' 'lora_target_modules=[q_proj]'
made tokens 'peft_trainable_token_indices=[7, 3, 300]' 'lora_target_modules=[q_proj]'
made more_tokens 'peft_trainable_token_indices={embed_tokens: [3], lm_head: [5, 4]}' 'lora_target_modules=[q_proj]'
made pissa init_lora_weights=pissa "rank_pattern={'layers\.0\.mlp\..*': 3, down_proj: 4}" 'alpha_pattern={q_proj: 5}'
made olora init_lora_weights=olora peft_use_rslora=true
# what a tied GPT-NeoX trains as one, which PEFT knows by the name of its head alone
tiny_tokenizer base_neox
cp "$G/neox_sequential/"{config.json,model.safetensors} base_neox
"$LORIKEET" train recipe.yaml --quiet base_model=base_neox output_dir=tied_neox 'lora_target_modules=[query_key_value]' \
    'lora_modules_to_save=[embed_in]' peft_ensure_weight_tying=true export.merged=true >out || fail "tied_neox: not trained"
check equal "$G/neox_sequential" tied_neox/adapter tied_neox/merged "$G/neox_sequential"
check shapes "$G/neox_sequential" tied_neox/adapter
# combined: rows and whole modules too
for case in llama_tokens gemma2_tokens gemma2_save neox_save; do
    "$LORIKEET" combine --base "$G/$case" "$G/$case/adapter=.7" "$G/$case/final=.5" --out "sum_$case"
    "$LORIKEET" merge --model "$G/$case" --adapter "sum_$case" --out "merged_sum_$case" --dtype f32
    check equal "$G/$case" "sum_$case" "merged_sum_$case" "$G/$case"
done

# an alpha with a fraction
cp -r "$G/llama/adapter" part
chmod -R u+w part
sed -i 's/"lora_alpha": 8,/"lora_alpha": 10.1,/' part/adapter_config.json
"$LORIKEET" export --adapter part --peft fraction
grep -q '"lora_alpha": 10\.[01]' fraction/adapter_config.json || fail "another alpha: $(cat fraction/adapter_config.json)"
"$LORIKEET" merge --model "$G/llama" --adapter part --out merged_fraction
check weights "$G/llama" fraction merged_fraction

"$LORIKEET" merge --model "$G/llama" --adapter "$G/llama/adapter" --out sharded --shard-mb 0.1
[ -e sharded/model.safetensors.index.json ] || fail "no shards"
check merged sharded "$G/llama"
# from a GGUF base, whose config.json is made here
"$LORIKEET" merge --model "$G/llama_gguf_f32/model.gguf" --adapter "$G/llama_gguf_f32/adapter" \
    --out merged_gguf
check merged merged_gguf "$G/llama_gguf_f32"
"$LORIKEET" merge --model "$G/llama_rope_llama3" --adapter "$G/llama_rope_llama3/adapter" --out rope
check merged rope "$G/llama_rope_llama3"
peer load_peft checks
