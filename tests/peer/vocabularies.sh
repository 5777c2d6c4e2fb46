# tests/peer/vocabularies.sh -- real vocabularies as GGUF: the ids of tokenizer.json, of the GGUF file made
# from it, of the tokenizer.json made from that, and of llama.cpp, are the same. LRK_VOCABULARIES: the
# folder that fetch_vocabularies makes; LRK_PEER_PYTHON, LRK_PEER_NODE_MODULES: see families.sh.
python=${LRK_PEER_PYTHON:-$SOURCE/.venv/bin/python}
modules=${LRK_PEER_NODE_MODULES:-$SOURCE/node_modules}
[ -d "${LRK_VOCABULARIES:-}" ] || skip "no vocabularies; LRK_VOCABULARIES names what tests/peer/fetch_vocabularies makes"
"$python" -c 'import torch, transformers' 2>/dev/null ||
    skip "no Python with torch and transformers; LRK_PEER_PYTHON names one"
command -v node >/dev/null || skip "no node"
[ -d "$modules/node-llama-cpp" ] || skip "no node-llama-cpp; LRK_PEER_NODE_MODULES names its node_modules"

for name in llama2 gemma2 gemma3 qwen3 llama3_1 deepseek_v3 mistral_nemo; do
    "$python" "$SOURCE/tests/peer/families.py" words "$LRK_VOCABULARIES/$name" model 2>err || fail "$(tail -n 3 err)"
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
