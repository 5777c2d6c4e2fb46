# tests/cli/bad_input.sh -- what bad input gets: a message that names file, finding and remedy, the right
# exit code, and nothing left behind. Parsers have tests of their own (unit, fuzz); here it is the program.
G=$SOURCE/tests/golden/data

printf '{"prompt": "q", "completion": " and an answer"}\n' >rows.jsonl
cat >recipe.yaml <<'YAML'
base_model: m
datasets: [{path: rows.jsonl}]
lora_r: 2
max_steps: 1
learning_rate: 1e-2
output_dir: run
YAML

# a model to damage
model() {
    rm -rf m
    mkdir m
    cp "$G/llama/config.json" "$G/llama/model.safetensors" "$G/llama/tokenizer.json" \
        "$G/llama/tokenizer_config.json" m
    chmod -R u+w m
}

# nothing that looks like a result, whole or half; caches beside the data are no results
nothing_left() {
    local f
    for f in run out.d out.gguf answers.jsonl adapter; do
        [ ! -e "$f" ] || fail "$1: $f was left: $(ls -R "$f")"
    done
    [ "$(find . -name '*tmp-*' | wc -l)" = 0 ] || fail "$1: $(find . -name '*tmp-*')"
}

# refused CODE TEXT [key=value ...]: training
refused() {
    local code=$1 text=$2
    shift 2
    expect_error "$code" "$text" "$LORIKEET" train recipe.yaml "$@"
    nothing_left "$text"
}

# ---- weights ----
model && rm m/model.safetensors
refused 3 'm: neither model.safetensors nor model.safetensors.index.json'
model && rm m/config.json
refused 3 'm: config.json is missing; expected a Hugging Face model directory or a GGUF file'
refused 3 'nowhere' base_model=nowhere
model && truncate -s 300000 m/model.safetensors
refused 3 'm/model.safetensors: tensor '
grep -qF 'is the file truncated?' err || fail "no remedy: $(cat err)"
model && truncate -s 5 m/model.safetensors
refused 3 'm/model.safetensors: 5 bytes are too few for a safetensors file; is it truncated?'
cp "$G/llama_gguf_f32/model.gguf" cut.gguf && chmod u+w cut.gguf && truncate -s 200000 cut.gguf
refused 3 'cut.gguf: ' base_model=cut.gguf
expect_error 3 'cut.gguf: ' "$LORIKEET" generate --model cut.gguf --prompt a --max-tokens 2
model && sed -i 's/layers.1.mlp.up_proj/layers.1.mlp.uq_proj/' m/model.safetensors
refused 3 'm: weight model.layers.1.mlp.up_proj.weight is missing'
model && sed -i 's/"num_hidden_layers": 2/"num_hidden_layers": 1/' m/config.json
refused 3 'm: weight model.layers.1.'
model && sed -i 's/"intermediate_size": 128/"intermediate_size": 100/' m/config.json
refused 3 'm: weight model.layers.0.mlp.gate_proj.weight is (128, 64), the configuration says (100, 64)'
model && sed -i 's/"hidden_act": "silu"/"hidden_act": "mish"/' m/config.json
refused 3 "activation 'mish' is not supported"
model && sed -i 's/"hidden_act"/"quantization_config": {"quant_method": "fp8"}, &/' m/config.json
refused 3 'm: quantization_config: weights of fp8 are not supported; take a directory of the model'
model && echo '{"architectures": ["Mistral3ForConditionalGeneration"], "quantization_config": {"quant_method": "fp8"},
    "text_config": {"model_type": "phi"}}' >m/config.json
refused 3 'm: quantization_config: weights of fp8 are not supported; take a directory of the model'
model && echo '{"architectures": ["Mistral3ForConditionalGeneration"], "quantization_config": null,
    "text_config": {"model_type": "ministral3", "quantization_config": {"quant_method": "fp8"}}}' >m/config.json
refused 3 'm: text_config: quantization_config: weights of fp8 are not supported; take a directory of the model'
model && sed -i 's/"rope_theta"/"llama_4_scaling_beta": 0.1, &/' m/config.json
refused 3 'm: rope_parameters: llama_4_scaling_beta is not supported for LlamaForCausalLM'
model && sed -i 's/LlamaForCausalLM/Ministral3ForCausalLM/; s/"model_type": "llama"/"model_type": "ministral3"/' m/config.json
refused 3 'm: rope_parameters: llama_4_scaling_beta and original_max_position_embeddings must be there for Ministral3ForCausalLM'
model && echo '{"architectures": ["LlavaForConditionalGeneration"], "text_config": {"model_type": "phi"}}' >m/config.json
refused 3 'm: text_config: architecture phi is not supported; known: LlamaForCausalLM'
model && echo '{"architectures": ["LlavaForConditionalGeneration"], "text_config": []}' >m/config.json
refused 3 'm/config.json: text_config: expected an object'
model && echo '{"architectures": ["Qwen2_5_VLForConditionalGeneration"], "text_config": {"model_type": "qwen2_5_vl_text"}}' >m/config.json
refused 3 'm: architecture Qwen2_5_VLForConditionalGeneration is not supported; known: LlamaForCausalLM'
model && echo '{"architectures": []}' >m/config.json
refused 3 'm: neither architectures nor model_type is there'
model && sed -i 's/LlamaForCausalLM/LlambForCausalLM/' m/config.json
refused 3 'architecture LlambForCausalLM is not supported; known: LlamaForCausalLM'
# ... before anything is said of weights, which nobody should convert in vain
mv m/model.safetensors m/pytorch_model.bin
refused 3 'architecture LlambForCausalLM is not supported; known: LlamaForCausalLM'
expect_error 3 'architecture LlambForCausalLM is not supported' "$LORIKEET" generate --model m --prompt a
expect_error 3 'and the language models inside Gemma3ForConditionalGeneration, Mistral3ForConditionalGeneration, Llava' \
    "$LORIKEET" generate --model m --prompt a
model && mv m/model.safetensors m/pytorch_model.bin
refused 3 'm: neither model.safetensors nor model.safetensors.index.json'

# a NaN in the middle of a matrix
model && printf '\x00\x00\xc0\x7f' | dd of=m/model.safetensors bs=1 seek=400000 conv=notrunc status=none
refused 3 "m: tensor 'model.layers.1.mlp.gate_proj.weight': element 5064 is not finite"
expect_error 7 'is not a number: the model or the adapter holds NaN' \
    "$LORIKEET" generate --model m --prompt a --max-tokens 2
printf '{"id": 1, "prompt": "a"}\n' >prompts.jsonl
expect_error 7 'is not a number' \
    "$LORIKEET" generate --model m --prompts prompts.jsonl --out answers.jsonl --max-tokens 2
for out in out.d out.gguf; do
    expect_error 7 "m: tensor 'model.layers.1.mlp.gate_proj.weight': element 5064" \
        "$LORIKEET" merge --model m --adapter "$G/llama/adapter" --out $out
done
nothing_left NaN

# ---- recipe: tests/cli/recipe.sh has them all ----
model
printf 'base_model: m\nlora_rnak: 4\n' >bad.yaml
expect_error 2 'bad.yaml:2:1: lora_rnak: unknown key, did you mean lora_r?' "$LORIKEET" train bad.yaml
expect_error 3 'nowhere.yaml' "$LORIKEET" train nowhere.yaml
nothing_left recipe

# ---- rows ----
refused 3 'datasets: nowhere.jsonl: no such file' datasets.0.path=nowhere.jsonl
row() {
    printf "$1\n" >bad.jsonl
    refused 3 "$2" datasets.0.path=bad.jsonl "${@:3}"
}
row '{"text": "a\xff"}' 'bad.jsonl:1: byte 12 is not UTF-8 (0xff)'
row '{"prompt": "q", "completion": ""}' 'bad.jsonl:1: completion: is empty: nothing to learn from'
row 'GGUF\003\000\000\000\377' 'bad.jsonl: is a GGUF model, no data'
refused 3 'rows.jsonl: not a GGUF file; expected a Hugging Face directory or a GGUF file' base_model=rows.jsonl
row '{"messages": [{"role":"user","content":"x"}]}' 'bad.jsonl:1: no turn of an assistant'
row '{"messages": [{"role":"user","content":"x"},{"role":"assistant","content":"y"}]}' \
    '1 of 1 rows have no trained token: bad.jsonl:1' 'roles_to_train=[tool]'
row '{"prompt": 1, "completion": "a"}' 'bad.jsonl:1: prompt'
row '{"prompt": "q"' 'bad.jsonl:1:'
printf '' >bad.jsonl
refused 3 'bad.jsonl' datasets.0.path=bad.jsonl

# too long: the rows are listed, and the setting
for i in 1 2 3; do printf '{"prompt": "q", "completion": " %0*d"}\n' $((i * 8)) $i; done >long.jsonl
refused 3 '3 rows are longer than sequence_len 12: long.jsonl:2' datasets.0.path=long.jsonl sequence_len=12
grep -qE 'set sequence_len: [0-9]+, or excess_length_strategy: drop or truncate' err ||
    fail "no remedy: $(cat err)"
refused 3 'every row is longer than sequence_len 4' datasets.0.path=long.jsonl sequence_len=4 \
    excess_length_strategy=drop

# ---- a directory that is not empty ----
mkdir full && : >full/mine
refused 2 'full: not empty; give another output_dir' output_dir=full
[ "$(ls -A full)" = mine ] || fail "something was put into the directory: $(ls -A full)"
refused 2 'full: there is no recipe.resolved.yaml in it' output_dir=full --resume
[ "$(ls -A full)" = mine ] || fail "something was put into the directory: $(ls -A full)"

# ---- a tokenizer that does not fit ----
cp "$G/qwen2/tokenizer.json" "$G/qwen2/tokenizer_config.json" m/
refused 3 'm: the tokenizer has 400 tokens, the embedding of the model 384 rows'
expect_error 3 'they do not belong together' "$LORIKEET" generate --model m --prompt a --max-tokens 2
rm m/tokenizer.json
refused 3 'm: no tokenizer.json in it'

# ---- an adapter for another base: other modules, other weights ----
model
refused 3 'an adapter for another base' lora_model_dir="$G/mistral/adapter"
expect_error 3 'an adapter for another base' \
    "$LORIKEET" generate --model m --adapter "$G/mistral/adapter" --prompt a --max-tokens 2
expect_exit 0 "$LORIKEET" train recipe.yaml output_dir=own --quiet
mv own/adapter/adapter_model.safetensors own/whole
printf '\x00\x00\x80\x3f' | dd of=m/model.safetensors bs=1 seek=400000 conv=notrunc status=none
cp own/whole own/adapter/adapter_model.safetensors
# (a page in the middle of a tensor is not part of the hash; the first is)
start=$((8 + $(od -An -tu8 -N8 m/model.safetensors)))
printf '\x00\x00\x80\x3f' | dd of=m/model.safetensors bs=1 seek=$start conv=notrunc status=none
for command in "generate --prompt a --max-tokens 2" "merge --out out.d" "merge --out out.gguf"; do
    expect_error 3 'an adapter for another base: it was trained on weights with hash' \
        "$LORIKEET" ${command%% *} --model m --adapter own/adapter ${command#* }
done
truncate -s 200 own/adapter/adapter_model.safetensors
expect_error 3 'own/adapter/adapter_model.safetensors: ' \
    "$LORIKEET" generate --model m --adapter own/adapter --prompt a --max-tokens 2
nothing_left adapters

# ---- no space: a limit on the size of files stands for a full device ----
model
for blocks in 1 8 64; do # of 1024 bytes
    rm -rf run out.d out.gguf rows.jsonl-* && rm -f d.h5
    for command in "data import rows.jsonl --out d.h5" \
        "merge --model m --adapter $G/llama/adapter --out out.d" \
        "merge --model m --adapter $G/llama/adapter --out out.gguf"; do
        (trap '' XFSZ && ulimit -f $blocks && exec "$LORIKEET" $command >out 2>err) && got=0 || got=$?
        if [ "$blocks" = 64 ] && [ "$got" = 0 ]; then
            rm d.h5 # small enough
            continue
        fi
        [ "$got" = 4 ] || fail "$blocks KiB, $command: exit $got: $(cat err)"
        grep -qE 'File too large|cannot' err || fail "$blocks KiB, $command: $(cat err)"
        [ ! -e d.h5 ] || fail "$blocks KiB: a data set is there"
        nothing_left "$blocks KiB, $command"
    done
done
