# tests/cli/convert.sh -- lorikeet convert: there and back is where it began, and what must be refused.
G=$SOURCE/tests/golden/data

# weights: every bit, for each type that both sides have
for case in llama llama_bf16 llama_rope_llama3; do
    tokenizer=$G/$case
    [ -e "$tokenizer/tokenizer.json" ] || tokenizer=$G/llama_gguf_f32
    expect_exit 0 "$LORIKEET" convert --model "$G/$case" --tokenizer "$tokenizer" --out a.gguf
    expect_exit 0 "$LORIKEET" convert --model a.gguf --out back
    cmp back/model.safetensors "$G/$case/model.safetensors" || fail "$case: other weights"
    expect_exit 0 "$LORIKEET" convert --model back --out b.gguf
    cmp a.gguf b.gguf >/dev/null || { # but for what it was converted from
        "$LORIKEET" inspect a.gguf --tensors | grep -v 'converted from\|lorikeet\.\(manifest\|README\)' | tail -n +2 >first
        "$LORIKEET" inspect b.gguf --tensors | grep -v 'converted from\|lorikeet\.\(manifest\|README\)' | tail -n +2 >second
        cmp first second || fail "$case: another file"
    }
    rm -rf back a.gguf b.gguf
done
expect_exit 0 "$LORIKEET" convert --model "$G/llama" --out f16.gguf --dtype f16
expect_exit 0 "$LORIKEET" convert --model f16.gguf --out f16
expect_exit 0 "$LORIKEET" convert --model "$G/llama" --out f16_too --dtype f16 --format hf
cmp f16/model.safetensors f16_too/model.safetensors || fail "f16: other weights"

# text: the same ids out of each
expect_exit 0 "$LORIKEET" convert --model "$G/llama" --out t.gguf --json
grep -q '"needs_tokenizer": false' out || fail "no report: $(cat out)"
expect_exit 0 "$LORIKEET" convert --model t.gguf --out t
echo '["Hello <|eot_id|> wörld'"'"'s  12345", "", " \n\n<|begin_of_text|>x"]' >texts
for model in "$G/llama" t.gguf t; do
    "$LORIKEET" tokenize --model "$model" --texts texts >ids."$(basename "$model")"
done
cmp ids.llama ids.t.gguf && cmp ids.llama ids.t || fail "other ids"
for f in config.json tokenizer.json tokenizer_config.json generation_config.json chat_template.jinja; do
    [ -s "t/$f" ] || fail "$f is not there"
done
expect_exit 0 "$LORIKEET" generate --model t --prompt "a" --max-tokens 4
cp out a
expect_exit 0 "$LORIKEET" generate --model "$G/llama" --prompt "a" --max-tokens 4
cmp a out || fail "the directory made from GGUF generates something else"

# what llama.cpp does not follow is said; a tokenizer larger than the model is refused
mkdir small
echo '{"added_tokens": [], "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
  "decoder": {"type": "ByteLevel"}, "model": {"type": "BPE", "merges": [], "vocab": {"a": 0, "b": 1}}}' >small/tokenizer.json
expect_exit 0 "$LORIKEET" convert --model "$G/gemma3" --tokenizer small --out warned.gguf
grep -qF 'query_pre_attn_scalar is 20, which the file says, but llama.cpp computes gemma3 with 12' err ||
    fail "no warning: $(cat err)"
expect_exit 0 "$LORIKEET" convert --model "$G/phi3" --tokenizer small --out long.gguf
grep -qF 'llama.cpp takes long_factor for every document once its context is above 16 tokens' err || fail "$(cat err)"
expect_error 3 'they do not belong together' \
    "$LORIKEET" convert --model "$G/gemma3" --tokenizer "$G/llama" --out x.gguf

# what llama.cpp does not load, or computes wrong without a word: each was seen there
not_written() { # CASE MESSAGE SED-EXPRESSION
    cp -r "$G/$1" altered
    chmod -R u+w altered
    sed -i "$3" altered/config.json
    ! cmp -s "$G/$1/config.json" altered/config.json || fail "$1: nothing was altered: $3"
    expect_error 3 "$2" "$LORIKEET" convert --model altered --tokenizer small --out x.gguf
    rm -rf altered
}
# what would be written as if it were something else, or not be the weights' at all
not_written llama 'layers.1.input_layernorm.weight does not belong to LlamaForCausalLM' 's/\("num_hidden_layers": \)2/\11/'
not_written llama 'layers.2.input_layernorm.weight is missing' 's/\("num_hidden_layers": \)2/\13/'
not_written llama 'the configuration says (384, 32)' 's/\("hidden_size": \)64/\132/'
not_written phi3 'short_factor: element 1 is not above 0' 's/1.1, 1.3/"1.1", 1.3/'
not_written gemma3 'layer_types: expected a list' 's/"layer_types": \[.*\]/"layer_types": "full"/'
not_written gemma2_odd 'rope_parameters: expected an object' 's/"rope_parameters": {/"rope_parameters": 7, "x": {/'
not_written olmo2 'rope scaling llama3; llama.cpp does not load it for olmo2' \
    's/"rope_type": "default"/"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4/'
not_written deepseek_v2 'rope scaling linear; llama.cpp computes another attention with it for deepseek2' \
    's/"rope_type": "default"/"rope_type": "linear", "factor": 2.0/'
not_written gemma2_odd 'final_logit_softcapping is null; llama.cpp computes gemma2 with one' \
    's/\("final_logit_softcapping": \)5.0/\1null/'
not_written gemma3 'attention_factor is 1.5; llama.cpp computes gemma3 with it in layers that have a window too' \
    's/"factor"/"attention_factor": 1.5, &/'
not_written gemma3 'no layer has a window; llama.cpp loads gemma3 with some only' 's/"sliding_attention",/"full_attention",/g'
# without its head, and tied
cp -r "$G/olmo2" tied
chmod -R u+w tied
sed -i 's/\("tie_word_embeddings": \)false/\1true/' tied/config.json
python3 - tied/model.safetensors <<'END'
import json, struct, sys
data = open(sys.argv[1], "rb").read()
n, = struct.unpack("<Q", data[:8])
head = json.loads(data[8:8 + n])
tensors = {k: data[8 + n + v["data_offsets"][0]:8 + n + v["data_offsets"][1]] for k, v in head.items()
           if k not in ("__metadata__", "lm_head.weight")}
at, rows = 0, {}
for k, v in tensors.items():
    rows[k] = dict(head[k], data_offsets=[at, at + len(v)])
    at += len(v)
text = json.dumps(rows).encode()
open(sys.argv[1], "wb").write(struct.pack("<Q", len(text)) + text + b"".join(tensors.values()))
END
expect_error 3 'the head is tied to the embedding; llama.cpp loads olmo2 with a head of its own only' \
    "$LORIKEET" convert --model tied --tokenizer small --out x.gguf

# what transformers' classes have by default may be left out
for absent in 'starcoder2 num_key_value_heads head_count_kv' 'mixtral num_experts_per_tok expert_used_count'; do
    set -- $absent
    cp -r "$G/$1" absent
    chmod -R u+w absent
    for out in with without; do
        expect_exit 0 "$LORIKEET" convert --model absent --tokenizer small --out $out.gguf
        "$LORIKEET" inspect $out.gguf --json | grep "$3" >$out
        sed -i "/\"$2\"/d" absent/config.json
    done
    [ -s with ] && cmp with without || fail "$1: another $3"
    rm -r absent with.gguf without.gguf
done

# adapters: rows of q and k there and back, both files
for case in llama llama_qv mistral gemma2_odd gemma3 granite olmo2 phi3 qwen2_window qwen3_odd smollm3 smollm3_list starcoder2 \
    neox mixtral_experts qwen3_moe_experts; do
    expect_exit 0 "$LORIKEET" convert --adapter "$G/$case/adapter" --base "$G/$case" --out l.gguf
    expect_exit 0 "$LORIKEET" convert --adapter l.gguf --base "$G/$case" --out l --json
    grep -qF '"peft": "l"' out || fail "$case: --json: $(cat out)"
    expect_exit 0 "$LORIKEET" export --adapter "$G/$case/adapter" --peft p
    cmp l/adapter_model.safetensors "$G/$case/adapter/adapter_model.safetensors" || fail "$case: other adapter"
    cmp l/adapter_config.json p/adapter_config.json || fail "$case: another configuration"
    rm -rf l l.gguf p
done

expect_error 2 '--model is missing' "$LORIKEET" convert --out x
expect_error 2 '--base is missing' "$LORIKEET" convert --adapter l.gguf --out x
expect_error 2 '--out is missing' "$LORIKEET" convert --model "$G/llama"
expect_error 2 'exists already' "$LORIKEET" convert --model "$G/llama" --out t.gguf
expect_error 2 'output directory not empty' "$LORIKEET" convert --model t.gguf --out t
expect_error 2 'are for weights' \
    "$LORIKEET" convert --adapter "$G/llama/adapter" --base "$G/llama" --out x.gguf --dtype f16
expect_error 3 't.gguf: no LoRA adapter but a model; name it with --model' "$LORIKEET" convert --adapter t.gguf --base "$G/llama" --out x
"$LORIKEET" convert --adapter "$G/llama/adapter" --base "$G/llama" --out l.gguf >out
expect_error 3 'an adapter for another base' "$LORIKEET" convert --adapter l.gguf --base "$G/olmo2" --out x
head -c 20000 l.gguf >cut.gguf
expect_error 3 'truncated' "$LORIKEET" convert --adapter cut.gguf --base "$G/llama" --out x
expect_error 3 'its merges are not those that scores give' "$LORIKEET" convert --model "$G/mistral" --out x.gguf
expect_error 3 'tokenizer.json: missing' "$LORIKEET" convert --model "$G/olmo2" --out x.gguf
expect_error 3 "self_attn.kv_b_proj': GGUF holds its matrix as two" \
    "$LORIKEET" convert --adapter "$G/deepseek_v2/adapter" --base "$G/deepseek_v2" --out no.gguf
[ ! -e no.gguf ] || fail "a refused adapter is there"
expect_error 3 "proj.bias' has no name in GGUF of architecture smollm3" \
    "$LORIKEET" convert --model "$G/smollm3" --tokenizer small --out x.gguf
[ ! -e x ] && [ ! -e x.gguf ] || fail "a failed conversion left something"
[ "$(ls -A | grep -c tmp-)" = 0 ] || fail "a temporary file is left"

expect_exit 0 "$LORIKEET" export --adapter "$G/llama/adapter" --model "$G/llama" --gguf only-adapter.gguf
expect_error 3 'is an adapter, expected a model' "$LORIKEET" generate --model only-adapter.gguf --prompt x

# a model's own directory is read, and nothing is written into it; what only begins alike is another place
cp -r "$G/llama" own && chmod -R u+w own
for out in own/x ./own/../own/sub own/; do
    expect_error 2 'would lie in own, which is read' "$LORIKEET" convert --model own --format gguf --out $out
    for format in hf gguf ollama; do
        expect_error 2 'would lie in own, which is read' "$LORIKEET" merge --model own --adapter own/adapter \
            --format $format --out "$out"
    done
done
[ ! -e own/x ] && [ ! -e own/sub ] || fail "written into the model"
expect_exit 0 "$LORIKEET" convert --model own --out own.gguf

# several outputs: none at or inside another, and of a command that fails nothing half-made stays
for names in 'same/x same/x' 'same/x ./same//x/' 'same/x same/x/in' 'same/x/in same/x'; do
    expect_error 2 'one output would lie at or inside the other' "$LORIKEET" export --adapter "$G/llama/adapter" \
        --model "$G/llama" --gguf "${names% *}" --peft "${names#* }"
    [ ! -e same ] || fail "$names: something was written"
done
# by whatever name: through .., a link to a folder, or from the root
mkdir real
ln -s real link
for names in 'real/x link/x' 'none/../same same' 'real/../same same' "same $PWD/same" 'link/x/in real/x' './link/../same same'; do
    expect_error 2 'one output would lie at or inside the other' "$LORIKEET" export --adapter "$G/llama/adapter" \
        --model "$G/llama" --gguf "${names% *}" --peft "${names#* }"
    [ ! -e same ] && [ -z "$(ls real)" ] || fail "$names: something was written"
done
expect_exit 0 "$LORIKEET" export --adapter "$G/llama/adapter" --model "$G/llama" --gguf real/x --peft link/xx
rm -r real link
expect_exit 0 "$LORIKEET" export --adapter "$G/llama/adapter" --model "$G/llama" --gguf x.gguf --peft x.d
rm -r x.gguf x.d
expect_error 2 'nosuch' "$LORIKEET" export --adapter "$G/llama/adapter" --model "$G/llama" --gguf x.gguf --peft x.d \
    --ollama x.o --from llama --chat-template nosuch
grep -q 'x.gguf: is whole and stays' err && grep -q 'x.d: is whole and stays' err || fail "no word of what stays: $(cat err)"
[ -s x.gguf ] && [ -s x.d/manifest.json ] && [ ! -e x.o ] || fail "something else stays: $(ls)"
rm -r x.gguf x.d

# a chat template that is no text is none that could be written
cp -r "$G/llama" odd && chmod -R u+w odd
for value in 5 '{"default": "x"}' true; do
    printf '{"eos_token": "<|eot_id|>", "chat_template": %s}' "$value" >odd/tokenizer_config.json
    expect_error 3 'chat_template: expected text, or a list' "$LORIKEET" convert --model odd --out odd.gguf
done
for value in '"two"' '[1, "2"]' 2.5; do # and neither is an end of texts that is no token
    sed "s/\"eos_token_id\": [^,]*/\"eos_token_id\": $value/" "$G/llama/config.json" >odd/config.json
    cp "$G/llama/tokenizer_config.json" odd
    grep -qF "$value" odd/config.json || fail "config.json names no end"
    expect_error 3 "config.json: eos_token_id: expected a token's id, or a list of them" "$LORIKEET" convert --model odd --out odd.gguf
done
[ ! -e odd.gguf ] || fail "a refused conversion left something"
