# tests/release/merge_memory.sh -- a merge holds a tensor at a time: a model of 130 MB, whose largest tensor has 4 MiB,
# within 16 MiB of data. (Sanitizers do not fit into that.)

# safetensors FILE BYTE NAME ROWS COLUMNS ...: f32, every byte BYTE (octal); one of zeros takes no room on the disk. The
# header is a multiple of 8 and $askew
askew=0
safetensors() {
    local file=$1 byte=$2 header at=0 end parts=() shape
    shift 2
    while [ $# -gt 0 ]; do
        end=$((at + 4 * $2 * $3))
        [ "$3" = 1 ] && shape=$2 || shape=$2,$3
        parts+=("\"$1\":{\"dtype\":\"F32\",\"shape\":[$shape],\"data_offsets\":[$at,$end]}")
        at=$end
        shift 3
    done
    header="{$(IFS=,; echo "${parts[*]}")}"
    while [ $((${#header} % 8)) != $askew ]; do header+=' '; done # as the reference aligns what follows
    { printf '%b' "$(printf '\\x%02x\\x%02x' $((${#header} % 256)) $((${#header} / 256)))"; head -c 6 /dev/zero
      printf '%s' "$header"; } >"$file"
    if [ "$byte" = 0 ]; then truncate -s +$at "$file"; else head -c $at /dev/zero | tr '\0' "\\$byte" >>"$file"; fi
}
width=512 middle=2048 layers=8
base=(model.embed_tokens.weight 384 $width model.norm.weight $width 1 lm_head.weight 384 $width) lora=()
for ((i = 0; i < layers; i++)); do
    at=model.layers.$i
    for m in q k v o; do base+=($at.self_attn.${m}_proj.weight $width $width); done
    for m in gate up; do base+=($at.mlp.${m}_proj.weight $middle $width); done
    base+=($at.mlp.down_proj.weight $width $middle $at.input_layernorm.weight $width 1
        $at.post_attention_layernorm.weight $width 1)
    at=base_model.model.$at
    lora+=($at.mlp.down_proj.lora_A.weight 2 $middle $at.mlp.down_proj.lora_B.weight $width 2
        $at.self_attn.q_proj.lora_A.weight 2 $width $at.self_attn.q_proj.lora_B.weight $width 2)
done
mkdir base adapter askew
safetensors base/model.safetensors 0 "${base[@]}"
askew=1
safetensors askew/model.safetensors 0 "${base[@]}"
askew=0
safetensors adapter/adapter_model.safetensors 074 "${lora[@]}" # 0.0115
tee base/config.json >askew/config.json <<E
{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": $width, "intermediate_size": $middle,
 "num_hidden_layers": $layers, "num_attention_heads": 8, "num_key_value_heads": 8, "vocab_size": 384,
 "max_position_embeddings": 128, "rms_norm_eps": 1e-05, "hidden_act": "silu", "tie_word_embeddings": false}
E
echo '{"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj", "down_proj"]}' >adapter/adapter_config.json

bound() { (ulimit -d 16384 && exec "$@"); }
merged() { expect_exit 0 bound "$LORIKEET" merge --adapter adapter --model "$1" --out "$2" --threads 1 "${@:3}"; }
merged base hf
grep -qE '^hf: 16 tensors merged, 59 unchanged, 13[0-9]\.[0-9] MB' out || fail "report: $(cat out)"
merged base half --dtype bf16 --shard-mb 20
merged base m.gguf --dtype q8_0 --tokenizer "$SOURCE/tests/golden/data/llama"
# a header of any length is legal; what it puts at odd addresses is read row by row
merged askew askew-hf
cmp hf/model.safetensors askew-hf/model.safetensors || fail "other weights"
merged askew askew-half --dtype bf16
expect_exit 0 bound "$LORIKEET" convert --model m.gguf --out back --threads 1
# Where the whole model is held the bound is felt.
if bound awk 'BEGIN { s = sprintf("%100000000s", ""); exit !s }' 2>/dev/null; then fail "ulimit -d bounds nothing here"; fi
