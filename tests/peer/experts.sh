# tests/peer/experts.sh -- adapters beside experts and routers, a module for each expert and stacks beside whole
# parameters: PEFT's load here, ours load in PEFT, and merged models give PEFT's logits.
peer_python torch transformers peft
G=$SOURCE/tests/golden/data

# there_and_back BASE CASE: the adapter of the case, written again and merged
there_and_back() {
    local name=${2##*/}
    "$LORIKEET" export --adapter "$2/adapter" --base "$1" --peft "again_$name"
    "$LORIKEET" merge --model "$1" --adapter "$2/adapter" --out "merged_$name"
    printf '%s\n' "adapter $1 again_$name $2" "merged merged_$name $2" >>checks
}
peer experts make "$G/llama" moe "$G/mixtral" each_mixtral "$G/qwen3_moe" each_qwen3_moe -- \
    "$G/deepseek_v2" stacks_deepseek_v2 "$G/deepseek_v3" stacks_deepseek_v3
for case in mixtral qwen3_moe; do
    there_and_back "$G/$case" "each_$case"
    # as GGUF: one tensor of all experts, and a module for each again
    "$LORIKEET" convert --adapter "each_$case/adapter" --base "$G/$case" --out "$case.gguf"
    "$LORIKEET" convert --adapter "$case.gguf" --base "$G/$case" --out "back_$case"
    cmp "again_each_$case/adapter_model.safetensors" "back_$case/adapter_model.safetensors" || fail "$case: another adapter"
    expect_error 3 "GGUF holds those of all experts in one tensor; merge the adapter instead" \
        "$LORIKEET" convert --adapter "each_$case/fewer" --base "$G/$case" --out no.gguf
    [ ! -e no.gguf ] || fail "a refused adapter is there"
done
for case in mixtral_experts qwen3_moe_experts; do there_and_back "$G/$case" "$G/$case"; done
for case in deepseek_v2 deepseek_v3; do # routers with groups, a bias, shared experts beside: gradients too
    expect_exit 0 "$LORIKEET" verify "stacks_$case"
    grep -qE '^gradients +10 ' out || fail "$case: not all gradients: $(cat out)"
    there_and_back "$G/$case" "stacks_$case"
done
peer load_peft checks

# trained here: every linear layer; stacks and a router; a dense layer's feed-forward block alone
printf '{"prompt": "q", "completion": " and an answer"}\n{"prompt": "a", "completion": " b c d"}\n' >rows.jsonl
cat >recipe.yaml <<YAML
base_model: moe
datasets: [{path: rows.jsonl}]
lora_r: 2
lora_alpha: 8
max_steps: 4
learning_rate: 5e-2
YAML
same=()
trained() {
    expect_exit 0 "$LORIKEET" train recipe.yaml --quiet "output_dir=$1" "${@:2}"
    "$LORIKEET" merge --model moe --adapter "$1/adapter" --out "$1/merged"
    same+=("$1/adapter" "$1/merged")
}
trained all export.adapter_gguf=true
"$LORIKEET" convert --adapter all/adapter.gguf --base moe --out all/back
cmp all/back/adapter_model.safetensors all/adapter/adapter_model.safetensors || fail "another adapter from GGUF"
trained stacks 'lora_target_modules=[q_proj,gate]' \
    'lora_target_parameters=[mlp.experts.gate_up_proj,mlp.experts.down_proj]'
trained dense 'lora_target_modules=[layers.0.mlp.gate_proj,layers.0.mlp.down_proj]' lora_dropout=0.1
peer experts same moe "${same[@]}"
expect_error 3 "lora_dropout is 0.1, but model.layers.1.mlp.experts" "$LORIKEET" train recipe.yaml \
    output_dir=refused lora_dropout=0.1
expect_error 2 "known: q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj, gate" "$LORIKEET" train recipe.yaml \
    output_dir=refused 'lora_target_modules=[q_proj,w1]'
expect_error 2 "lora_target_parameters: 'experts.w1' holds no experts of this model" "$LORIKEET" train recipe.yaml \
    output_dir=refused 'lora_target_modules=[q_proj]' 'lora_target_parameters=[experts.w1]'
