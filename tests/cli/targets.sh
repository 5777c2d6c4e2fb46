# tests/cli/targets.sh -- adapter_config.json names exactly the modules that were trained: other loaders
# put adapters on what target_modules says, and nowhere else.
printf '{"prompt": "q", "completion": " and an answer"}\n' >rows.jsonl
cat >recipe.yaml <<YAML
base_model: $SOURCE/tests/golden/data/llama
datasets: [{path: rows.jsonl}]
lora_r: 2
max_steps: 1
learning_rate: 1e-2
YAML

# trained NAME TARGETS [KEY=VALUE]: target_modules of the adapter that this choice gives, in one line
trained() {
    expect_exit 0 "$LORIKEET" train recipe.yaml --quiet "output_dir=$1" "lora_target_modules=$2" "${@:3}"
    sed -n '/"target_modules"/,/\]/p' "$1/adapter/adapter_config.json" | tr -d ' \n'
}

got=$(trained all all-linear)
[ "$got" = '"target_modules":["down_proj","gate_proj","k_proj","o_proj","q_proj","up_proj","v_proj"],' ] ||
    fail "all-linear: $got"
got=$(trained two '[v_proj,q_proj]')
[ "$got" = '"target_modules":["q_proj","v_proj"],' ] || fail "two: $got"
got=$(trained some '[layers.1.mlp.up_proj,q_proj]')
[ "$got" = '"target_modules":["model.layers.0.self_attn.q_proj","model.layers.1.mlp.up_proj","model.layers.1.self_attn.q_proj"],' ] ||
    fail "some layers: $got"
got=$(trained without all-linear 'exclude_modules=[gate_proj,up_proj,down_proj]')
[ "$got" = '"target_modules":["k_proj","o_proj","q_proj","v_proj"],' ] || fail "exclude by name: $got"
got=$(trained layer all-linear 'exclude_modules=.*(layers\.0|mlp|self_attn\.[kvo]_).*')
[ "$got" = '"target_modules":["model.layers.1.self_attn.q_proj"],' ] || fail "exclude by pattern: $got"
expect_error 2 "exclude_modules: 'k_proj' is no linear layer of this model with an adapter" \
    "$LORIKEET" train recipe.yaml output_dir=x lora_target_modules=q_proj 'exclude_modules=[k_proj]'
