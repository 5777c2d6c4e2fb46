# tests/cli/merge.sh -- lorikeet merge and export: both outputs, and what must be refused.
G=$SOURCE/tests/golden/data

cp -r "$G/llama" base
printf 'Mistral says\n' >base/tekken.json
expect_exit 0 "$LORIKEET" merge --model base --adapter base/adapter --out merged
cmp merged/model.safetensors "$G/llama/merged/model.safetensors" || fail "not what PEFT merges"
for f in config.json generation_config.json tokenizer.json tokenizer_config.json tekken.json; do
    cmp "merged/$f" "base/$f" || fail "$f is not carried over"
done
grep -qF 'merged: 14 tensors merged, 7 unchanged' out || fail "no report: $(cat out)"

expect_exit 0 "$LORIKEET" merge --model "$G/llama" --adapter "$G/llama/adapter" --out t.gguf \
    --dtype q8_0 --threads 1 --json
grep -qF '"merged": 14' out || fail "no JSON: $(cat out)"
expect_exit 0 "$LORIKEET" merge --model "$G/llama" --adapter "$G/llama/adapter" --out u.gguf \
    --dtype q8_0 --threads 2
cmp t.gguf u.gguf || fail "threads change the bytes"

expect_exit 0 "$LORIKEET" merge --model "$G/llama_gguf_f32/model.gguf" \
    --adapter "$G/llama_gguf_f32/adapter" --out from_gguf
cmp from_gguf/model.safetensors "$G/llama_gguf_f32/merged/model.safetensors" || fail "GGUF base"
[ -e from_gguf/tokenizer.json ] || fail "no tokenizer made from the GGUF file"

expect_error 2 'output directory not empty' \
    "$LORIKEET" merge --model "$G/llama" --adapter "$G/llama/adapter" --out merged
expect_error 2 'exists already' \
    "$LORIKEET" merge --model "$G/llama" --adapter "$G/llama/adapter" --out t.gguf
expect_error 2 "--dtype: 'q4_km' is unknown, did you mean q4_k_m? Known are f32" \
    "$LORIKEET" merge --model "$G/llama" --adapter "$G/llama/adapter" --out x --dtype q4_km
expect_error 4 'no/such/x.gguf: cannot create: there is no folder no/such' \
    "$LORIKEET" merge --model "$G/llama" --adapter "$G/llama/adapter" --out no/such/x.gguf
expect_error 2 "--dtype: 'int8' is unknown" \
    "$LORIKEET" merge --model "$G/llama" --adapter "$G/llama/adapter" --out x --dtype int8
expect_exit 0 "$LORIKEET" merge --model "$G/llama_gguf_q4_k/model.gguf" \
    --adapter "$G/llama_gguf_q4_k/adapter" --out k.gguf --dtype q4_k_m
expect_exit 0 "$LORIKEET" inspect k.gguf --tensors
grep -q 'q6_k' out || fail "q4_k_m has no wider tensors: $(cat out)"
expect_exit 0 "$LORIKEET" generate --model k.gguf --prompt "a" --max-tokens 3
expect_error 2 'a model directory can hold f32, f16 and bf16' \
    "$LORIKEET" merge --model "$G/llama" --adapter "$G/llama/adapter" --out x --dtype q8_0
expect_error 3 'an adapter for another base' \
    "$LORIKEET" merge --model "$G/llama" --adapter "$G/mistral/adapter" --out x
expect_error 3 'cannot hold the magnitudes of use_dora; merge the adapter instead' \
    "$LORIKEET" export --adapter "$G/llama_dora/adapter" --base "$G/llama_dora" --gguf x.gguf
expect_error 7 'merging changed nothing' \
    "$LORIKEET" merge --model "$G/llama" --adapter "$G/llama/init" --out x
expect_error 3 'nowhere: cannot open' \
    "$LORIKEET" merge --model nowhere --adapter "$G/llama/adapter" --out x
head -c 100000 "$G/llama/model.safetensors" >cut.safetensors
mkdir cut && mv cut.safetensors cut/model.safetensors && cp "$G/llama/config.json" cut/
expect_error 3 'is the file truncated?' \
    "$LORIKEET" merge --model cut --adapter "$G/llama/adapter" --out x
# a directory has no name of a file, whichever command writes it
named() { expect_error 2 "$1: a directory is written here" "$LORIKEET" "${@:2}"; }
named x.safetensors merge --model "$G/llama" --adapter "$G/llama/adapter" --out x.safetensors
named x.gguf merge --model "$G/llama" --adapter "$G/llama/adapter" --out x.gguf --format hf
named x.gguf merge --model "$G/llama" --adapter "$G/llama/adapter" --out x.gguf --format ollama
named x.safetensors convert --model "$G/llama" --out x.safetensors
named x.safetensors combine "$G/llama/adapter" --out x.safetensors
named x.bin export --adapter "$G/llama/adapter" --peft x.bin
expect_error 2 '--shard-mb: expected a number above 0' \
    "$LORIKEET" merge --model "$G/llama" --adapter "$G/llama/adapter" --out x --shard-mb 0
[ -z "$(ls -d x* 2>/dev/null)" ] || fail "a failed merge left something"

expect_exit 0 "$LORIKEET" export --adapter "$G/llama/adapter" --base "$G/llama" --gguf a.gguf --peft p
cmp p/adapter_model.safetensors "$G/llama/adapter/adapter_model.safetensors" || fail "export --peft"
expect_exit 0 "$LORIKEET" export --adapter "$G/llama/adapter" --base "$G/llama" --gguf b.gguf --peft q --json
grep -qF '"modules": 14' out && grep -qF '"gguf": "b.gguf"' out && grep -qF '"peft": "q"' out || fail "--json: $(cat out)"
rm b.gguf
expect_exit 0 "$LORIKEET" inspect a.gguf --tensors
grep -qF 'blk.1.attn_q.weight.lora_b' out || fail "no such tensor in the GGUF adapter"
expect_error 2 '--gguf needs --base' "$LORIKEET" export --adapter "$G/llama/adapter" --gguf b.gguf
expect_error 2 'exists already' \
    "$LORIKEET" export --adapter "$G/llama/adapter" --base "$G/llama" --gguf a.gguf
expect_error 3 'an adapter for another base' \
    "$LORIKEET" export --adapter "$G/mistral/adapter" --base "$G/llama" --gguf b.gguf
[ ! -e b.gguf ] || fail "a failed export left a file"
[ "$(ls -A | grep -c tmp-)" = 0 ] || fail "a temporary file is left"

# an adapter that parts head and embedding of a model of images and text, which ties them
python3 - <<'END'
import json, pathlib, struct
part, out = "base_model.model.model.language_model.layers.0.self_attn.q_proj.", pathlib.Path("of_head")
numbers = {"base_model.model.lm_head.weight": [96, 32], part + "lora_A.weight": [1, 32], part + "lora_B.weight": [32, 1]}
rows, at = {}, 0
for name, shape in numbers.items():
    rows[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + 4 * shape[0] * shape[1]]}
    at = rows[name]["data_offsets"][1]
head = json.dumps(rows).encode()
out.mkdir()
(out / "adapter_model.safetensors").write_bytes(
    struct.pack("<Q", len(head)) + head + struct.pack(f"<{at // 4}f", *(i % 7 for i in range(at // 4))))
(out / "adapter_config.json").write_text(json.dumps(
    {"peft_type": "LORA", "r": 1, "lora_alpha": 1, "target_modules": ["q_proj"], "modules_to_save": ["lm_head"]}))
END
expect_exit 0 "$LORIKEET" merge --model "$G/llava" --adapter of_head --out parted
! grep -q '"tie_word_embeddings": true' parted/config.json || fail "config.json ties a head of its own"
# a text_config that ties a head that is not the embedding
sed -i 's/\("tie_word_embeddings": \)false/\1true/' parted/config.json
python3 -c 'import json; c = json.load(open("parted/config.json")); del c["tie_word_embeddings"]
json.dump(c, open("parted/config.json", "w"))'
expect_exit 0 "$LORIKEET" inspect parted
grep -qF 'parted: config.json ties the head to the embedding, but the stored lm_head.weight differs from it' err ||
    fail "not said that head and embedding differ: $(cat err)"
