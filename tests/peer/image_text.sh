# tests/peer/image_text.sh -- the language model inside models of images and text: the logits of transformers and PEFT,
# PEFT's adapters here and ours there, merged directories with the rest of the model as it was, GGUF of the part.
peer_python torch transformers peft
check() { printf '%s\n' "$*" >>checks; }

tiny_tokenizer tiny
kinds=$(peer image_text tiny made)
[ -n "$kinds" ] || fail "no models"
# of what the tiny tokenizer has tokens for
printf '{"prompt": "\\u007f %s", "completion": " \\u007f%s"}\n' '\t' ' \u007f' '  ' '\t\t\u007f' >rows.jsonl

both_names() { # KIND
    for name in first below; do
        expect_exit 0 "$LORIKEET" verify "made/$1/$name"
        [ ! -s err ] || fail "$1/$name: $(cat err)"
        grep -qE '^gradients +24 ' out || fail "$1/$name: not all gradients: $(cat out)"
        "$LORIKEET" export --adapter "made/$1/$name/adapter" --base "made/$1/$name" --peft "again_$1_$name" >out
        "$LORIKEET" merge --model "made/$1/$name" --adapter "made/$1/$name/adapter" --out "merged_$1_$name" >out
        check carried "made/$1/$name" "merged_$1_$name"
        check adapter "made/$1/$name" "again_$1_$name" "made/$1/$name"
        check merged "merged_$1_$name" "made/$1/$name"
    done
    cmp "again_$1_first/adapter_model.safetensors" "again_$1_below/adapter_model.safetensors" ||
        fail "$1: names of weights change the adapter"
    check shapes "made/$1/first" "again_$1_first"
    "$LORIKEET" merge --model "made/$1/below" --adapter "made/$1/first/adapter" --out "sharded_$1" --shard-mb 0.02 >out
    [ -e "sharded_$1/model.safetensors.index.json" ] || fail "$1: no shards"
    check carried "made/$1/below" "sharded_$1"
    check merged "sharded_$1" "made/$1/first"
}

other_adapters() { # KIND
    # those that change what the model makes of images are refused
    expect_error 3 "changes how the model sees images" "$LORIKEET" merge --model "made/$1/first" --adapter "made/$1/seen" --out no
    [ ! -e no ] || fail "a refused model is there"
    for adapter in pattern dora whole; do
        "$LORIKEET" export --adapter "made/$1/$adapter" --base "made/$1/first" --peft "again_$1_$adapter" >out
        "$LORIKEET" merge --model "made/$1/first" --adapter "made/$1/$adapter" --out "merged_$1_$adapter" >out
        check equal "made/$1/first" "made/$1/$adapter" "merged_$1_$adapter" "made/$1/first"
        check equal "made/$1/first" "again_$1_$adapter" "merged_$1_$adapter" "made/$1/first"
    done
}

# GGUF: the language model alone, which comes back as a model of its own class; the adapter too
as_gguf() { # KIND
    expect_exit 0 "$LORIKEET" merge --model "made/$1/first" --adapter "made/$1/first/adapter" --out "$1.gguf"
    grep -qF "tensors for images are left out" err || fail "nothing is said of what is left out: $(cat err)"
    "$LORIKEET" convert --model "$1.gguf" --out "part_$1" >out
    check merged "part_$1" "made/$1/first"
    "$LORIKEET" convert --adapter "again_$1_first" --base "made/$1/first" --out "$1.lora.gguf" >out
    "$LORIKEET" convert --adapter "$1.lora.gguf" --base "made/$1/first" --out "back_$1" >out
    cmp "back_$1/adapter_model.safetensors" "again_$1_first/adapter_model.safetensors" || fail "$1: another adapter from GGUF"
}

trained() { # KIND
    printf '%s\n' "base_model: made/$1/below" 'datasets: [{path: rows.jsonl}]' 'lora_r: 2' 'lora_alpha: 8' 'max_steps: 4' \
        'learning_rate: 5e-2' >recipe.yaml
    "$LORIKEET" plan recipe.yaml >out
    expect_exit 0 "$LORIKEET" train recipe.yaml --quiet output_dir="run_$1" 'rank_pattern={layers.1.mlp.up_proj: 3}' \
        'layers_to_transform=[1,2]' 'layers_pattern=[layers]'
    "$LORIKEET" merge --model "made/$1/below" --adapter "run_$1/adapter" --out "run_$1/merged" >out
    check carried "made/$1/below" "run_$1/merged"
    check shapes "made/$1/below" "run_$1/adapter"
    check equal "made/$1/below" "run_$1/adapter" "run_$1/merged" "made/$1/first"
    expect_exit 0 "$LORIKEET" generate --model "made/$1/below" --adapter "run_$1/adapter" --prompt '   ' --max-tokens 4
    expect_exit 0 "$LORIKEET" eval "run_$1" --data rows.jsonl
    # a head of its own, whatever the configurations say of ties
    "$LORIKEET" train recipe.yaml --quiet output_dir="head_$1" 'lora_modules_to_save=[lm_head]' 'lora_target_modules=[q_proj]'
    "$LORIKEET" merge --model "made/$1/first" --adapter "head_$1/adapter" --any-base --out "head_$1/merged" >out
    ! grep -q '"tie_word_embeddings": true' "head_$1/merged/config.json" || fail "$1: config.json ties a head of its own"
    check equal "made/$1/first" "head_$1/adapter" "head_$1/merged" "made/$1/first"
}

for kind in $kinds; do
    both_names "$kind"
    other_adapters "$kind"
    as_gguf "$kind"
    trained "$kind"
done
peer load_peft checks
