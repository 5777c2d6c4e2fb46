# tests/peer/vocabularies.sh -- real vocabularies as GGUF: the ids of tokenizer.json, of the GGUF file made
# from it, of the tokenizer.json made from that, and of llama.cpp, are the same. Those that are in .texts (by fetch_texts),
# or in another folder that LRK_TEXTS names; LRK_PEER_PYTHON, LRK_PEER_NODE_MODULES: see families.sh.
peer_python torch transformers
modules=${LRK_PEER_NODE_MODULES:-$SOURCE/node_modules}
texts=${LRK_TEXTS:-$SOURCE/.texts}
command -v node >/dev/null || skip "no node"
[ -d "$modules/node-llama-cpp" ] || skip "no node-llama-cpp; LRK_PEER_NODE_MODULES names its node_modules"
names=()
for name in llama2 gpt4o gptoss gpt35turbo gemma2 gemma3 qwen3 llama3_1 deepseek_v3 mistral_nemo; do
    [ ! -e "$texts/$name/tokenizer.json" ] || names+=("$name")
done
[ ${#names[@]} -gt 0 ] || skip "no tokenizer.json in $texts; tests/peer/setup gets some where there is npm"

peer families words "$texts" models "${names[@]}"
for name in "${names[@]}"; do
    mv "models/$name" model
    "$LORIKEET" convert --model model --out model.gguf >out || fail "$name: to GGUF"
    "$LORIKEET" convert --model model.gguf --out back >out || fail "$name: from GGUF"
    for path in model model.gguf back; do
        "$LORIKEET" tokenize --model "$path" --texts model/texts.json --no-special >"ids.$path"
    done
    cmp ids.model ids.model.gguf && cmp ids.model ids.back || fail "$name: other ids"
    node "$SOURCE/tests/peer/llama_ids.mjs" "$modules" model.gguf model/texts.json >ids.peer || fail "$name: llama.cpp"
    "$python" -c 'import json; a, b = (json.load(open(f)) for f in ("ids.model", "ids.peer")); assert a == b' ||
        fail "$name: llama.cpp has other ids"
    echo "$name: $(wc -c <ids.model) bytes of ids, the same"
    rm -rf model model.gguf back
done
