# tests/peer/image_text.sh -- the language model inside a Gemma 3 of images and text: the logits of transformers and PEFT,
# PEFT's adapters here and ours there, merged directories with the rest of the model as it was, GGUF of the part.
peer_python torch transformers peft
export HF_HUB_OFFLINE=1
peer() { "$python" "$SOURCE/tests/peer/$1.py" "${@:2}" 2>peer.err || { cat peer.err; fail "$*"; }; }

tiny_tokenizer tiny
peer image_text make tiny made
for name in first below; do
    expect_exit 0 "$LORIKEET" verify "made/$name"
    grep -qE '^gradients +24 ' out || fail "$name: not all gradients: $(cat out)"
    "$LORIKEET" export --adapter "made/$name/adapter" --base "made/$name" --peft "again_$name" >out
    "$LORIKEET" merge --model "made/$name" --adapter "made/$name/adapter" --out "merged_$name" >out
    peer image_text carried "made/$name" "merged_$name"
    printf '%s\n' "adapter made/$name again_$name made/$name" "merged merged_$name made/$name" >>checks
done
cmp again_first/adapter_model.safetensors again_below/adapter_model.safetensors || fail "names of weights change the adapter"
printf 'shapes made/first again_first\n' >>checks

# adapters that change what the model makes of images are refused
expect_error 3 "changes how the model sees images" "$LORIKEET" merge --model made/first --adapter made/seen --out no
[ ! -e no ] || fail "a refused model is there"
"$LORIKEET" export --adapter made/pattern --base made/first --peft again_pattern >out
"$LORIKEET" merge --model made/first --adapter made/pattern --out merged_pattern >out
same=(made/pattern merged_pattern again_pattern merged_pattern)

# GGUF: the language model alone, which comes back as a model of its own class; the adapter too
expect_exit 0 "$LORIKEET" merge --model made/first --adapter made/first/adapter --out part.gguf
grep -qF "tensors for images are left out" err || fail "nothing is said of what is left out: $(cat err)"
"$LORIKEET" convert --model part.gguf --out part >out
printf 'merged part made/first\n' >>checks
"$LORIKEET" convert --adapter again_first --base made/first --out lora.gguf >out
"$LORIKEET" convert --adapter lora.gguf --base made/first --out back >out
cmp back/adapter_model.safetensors again_first/adapter_model.safetensors || fail "another adapter from GGUF"

# of what the tiny tokenizer has tokens for
printf '{"prompt": "\\u007f %s", "completion": " \\u007f%s"}\n' '\t' ' \u007f' '  ' '\t\t\u007f' >rows.jsonl
printf '%s\n' 'base_model: made/below' 'datasets: [{path: rows.jsonl}]' 'lora_r: 2' 'lora_alpha: 8' 'max_steps: 4' \
    'learning_rate: 5e-2' >recipe.yaml
"$LORIKEET" plan recipe.yaml >out
expect_exit 0 "$LORIKEET" train recipe.yaml --quiet output_dir=run 'rank_pattern={layers.1.mlp.up_proj: 3}' \
    'layers_to_transform=[1,2]' 'layers_pattern=[layers]'
"$LORIKEET" merge --model made/below --adapter run/adapter --out run/merged >out
peer image_text carried made/below run/merged
printf 'shapes made/below run/adapter\n' >>checks
expect_exit 0 "$LORIKEET" generate --model made/below --adapter run/adapter --prompt '   ' --max-tokens 4
peer load_peft checks
peer experts same made/below "${same[@]}" run/adapter run/merged
