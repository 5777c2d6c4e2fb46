# tests/cli/merge_image.sh -- LoRA files of image models: what merges, what is refused. Numbers: peer/images.sh.
C=$SOURCE/tests/fuzz/corpus/fuzz_image_adapter

# safetensors FILE NAME SHAPE ELEMENTS ...: zeros in f32
safetensors() {
    local file=$1 header at=0 end parts=()
    shift
    while [ $# -gt 0 ]; do
        end=$((at + 4 * $3))
        parts+=("\"$1\":{\"dtype\":\"F32\",\"shape\":$2,\"data_offsets\":[$at,$end]}")
        at=$end
        shift 3
    done
    header="{$(IFS=,; echo "${parts[*]}")}"
    { printf '%b' "$(printf '\\x%02x\\x%02x' $((${#header} % 256)) $((${#header} / 256)))"; head -c 6 /dev/zero
      printf '%s' "$header"; head -c "$at" /dev/zero; } >"$file"
}
safetensors unet.safetensors down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight '[4,3]' 12 \
    mid_block.resnets.1.conv1.weight '[4,3,3,3]' 108 mid_block.resnets.1.conv1.bias '[4]' 4
merge() { "$LORIKEET" merge --model unet.safetensors --adapter "$1" --out "$2" "${@:3}"; }

expect_exit 0 merge "$C/kohya" merged.safetensors --part unet
grep -qF 'merged.safetensors: 2 tensors merged, 1 unchanged' out || fail "no report: $(cat out)"
expect_exit 0 "$LORIKEET" inspect merged.safetensors
grep -qF 'merged image model' out || fail "no manifest: $(cat out)"
# Manifest and card are in the file, key by key what a directory has as files.
notes() {
    "$LORIKEET" inspect "$1" --json >keys.json
    for name in manifest.json README.md; do
        printf '%b' "$(sed -n "s/^ *\"lorikeet\.$name\": \"\(.*\)\",\?$/\1/p" keys.json | sed 's/\\"/"/g')" >$name
    done
}
has() { grep -qxF -- "$2" "$1" || fail "no line \"$2\" in $(cat "$1")"; }
mkdir -p model/unet && cp unet.safetensors model/unet/weights.safetensors
printf -- '---\nlicense: openrail++\n---\n' >model/README.md
expect_exit 0 "$LORIKEET" merge --model model/unet/weights.safetensors --adapter "$C/kohya" --out noted.safetensors --part unet
notes noted.safetensors
has README.md 'license: "openrail++"' && has README.md 'library_name: diffusers' && has README.md 'pipeline_tag: text-to-image'
has README.md '| base model | weights.safetensors |' && has README.md '| adapter | kohya |'
has README.md "| hash of the adapter | $(sha256sum <"$C/kohya" | cut -d' ' -f1) |"
grep -qE '^\| sampled hash of the base.s weights \| [0-9a-f]{64} \|$' README.md || fail "no hash: $(cat README.md)"
has manifest.json '    "license": "openrail++"'
hash=$(grep -m1 sha256 manifest.json)
# Another base has another hash; of what is merged again only the last merge is noted.
expect_exit 0 "$LORIKEET" merge --model noted.safetensors --adapter "$C/kohya" --out twice.safetensors --part unet
notes twice.safetensors
has manifest.json '    "name": "noted.safetensors",'
[ "$(grep -m1 sha256 manifest.json)" != "$hash" ] || fail "the hash of another base: $hash"
expect_exit 0 merge "$C/kohya" half.safetensors --part unet --dtype f16 --json
grep -qF '"merged": 2' out || fail "no JSON: $(cat out)"

expect_error 2 'exists already' merge "$C/kohya" merged.safetensors --part unet
expect_error 2 "--part: 'vae' is unknown" merge "$C/kohya" x.safetensors --part vae
expect_error 2 'expected the name of a safetensors file' merge "$C/kohya" x
expect_error 2 '--format goes with a language model' merge "$C/kohya" x.safetensors --part unet --format gguf
expect_error 2 'can hold f32, f16 and bf16' merge "$C/kohya" x.safetensors --part unet --dtype q8_0
expect_error 3 'has no tensor for 1 modules of the adapter' merge "$C/kohya" x.safetensors
expect_error 3 'the adapter has no module for text_encoder_2' merge "$C/kohya" x.safetensors --part text_encoder_2
expect_error 2 'for a language model name its directory' merge "$SOURCE/tests/golden/data/llama/adapter" x.safetensors
expect_error 3 'keeps alpha in adapter_config.json' \
    merge "$SOURCE/tests/golden/data/llama/adapter/adapter_model.safetensors" x.safetensors
safetensors dora.safetensors lora_unet_mid_block_resnets_1_conv1.dora_scale '[4]' 4
expect_error 3 "'lora_unet_mid_block_resnets_1_conv1.dora_scale' is no part of a LoRA" merge dora.safetensors x.safetensors
safetensors half.lora lora_unet_mid_block_resnets_1_conv1.lora_up.weight '[4,2,1,1]' 8
expect_error 3 "module 'lora_unet_mid_block_resnets_1_conv1' has no lora_down" merge half.lora x.safetensors
safetensors other.lora lora_unet_mid_block_resnets_1_conv1.lora_up.weight '[5,1,1,1]' 5 \
    lora_unet_mid_block_resnets_1_conv1.lora_down.weight '[1,3,3,3]' 27
expect_error 3 'an adapter for another model' merge other.lora x.safetensors
safetensors zero.lora lora_unet_mid_block_resnets_1_conv1.lora_up.weight '[4,1,1,1]' 4 \
    lora_unet_mid_block_resnets_1_conv1.lora_down.weight '[1,3,3,3]' 27
expect_error 7 'merging changed nothing' merge zero.lora x.safetensors
expect_error 2 '--shard-mb goes with a language model' merge "$C/kohya" x.safetensors --part unet --shard-mb 5
[ ! -e x.safetensors ] || fail "a merge that failed left a file"
