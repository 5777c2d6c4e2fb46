# tests/peer/families.sh -- a GGUF file of every family: llama.cpp computes what transformers computes
# with the directory it was made from, and the directory made from it loads in transformers again.
# LRK_PEER_PYTHON: a Python with torch and transformers; LRK_PEER_NODE_MODULES: see llama_cpp.sh.
modules=${LRK_PEER_NODE_MODULES:-$SOURCE/node_modules}
peer_python torch transformers

tiny_tokenizer tiny
names=$(peer families make cases)
for name in $names; do
    "$LORIKEET" convert --model "cases/$name" --tokenizer tiny --out "$name.gguf" >out || fail "$name: to GGUF"
    "$LORIKEET" convert --model "$name.gguf" --out "back_$name" >out || fail "$name: from GGUF"
    # 2e-3: the f16 cache of llama.cpp (llama_cpp.sh)
    # rows of fewer tokens than longrope was trained on have other factors in transformers
    first=0
    [ "$name" != longrope ] || first=1
    printf '%s\n' "$name.gguf cases/$name base 2e-3 - $first" >>checks
done
peer families check cases back_*

# adapters of families whose golden model GGUF has a place for; rows shorter than a window see no other
G=$SOURCE/tests/golden/data
for name in llama_linear ministral3 olmo2 granite mixtral mixtral_experts neox; do
    "$LORIKEET" convert --model "$G/$name" --tokenizer tiny --out "base_$name.gguf" >out || fail "$name: to GGUF"
    "$LORIKEET" convert --adapter "$G/$name/adapter" --base "$G/$name" --out "$name.lora.gguf" >out || fail "$name: adapter"
    printf '%s\n' "base_$name.gguf $G/$name adapter 2e-3 $name.lora.gguf" >>checks
done
command -v node >/dev/null && [ -d "$modules/node-llama-cpp" ] || {
    echo "no node-llama-cpp: what llama.cpp computes is not checked; LRK_PEER_NODE_MODULES names it"
    exit 0
}
node "$SOURCE/tests/peer/llama_cpp.mjs" "$modules" checks || fail "llama.cpp differs"
