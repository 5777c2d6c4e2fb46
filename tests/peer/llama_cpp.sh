# tests/peer/llama_cpp.sh -- llama.cpp loads our GGUF files and computes what transformers and PEFT
# compute. LRK_PEER_NODE_MODULES names a node_modules directory with node-llama-cpp and
# @node-llama-cpp/linux-x64 (npm install --ignore-scripts --omit=optional node-llama-cpp
# @node-llama-cpp/linux-x64); default: node_modules in the source tree.
modules=${LRK_PEER_NODE_MODULES:-$SOURCE/node_modules}
command -v node >/dev/null || skip "no node"
[ -d "$modules/node-llama-cpp" ] || skip "no node-llama-cpp; tests/peer/setup gets it"
G=$SOURCE/tests/golden/data

probe() { node "$SOURCE/tests/peer/llama_cpp.mjs" "$modules" "$@" || fail "llama.cpp differs: $*"; }

# the cache of llama.cpp is f16: differences of 1e-3 in a probability are its own; rows in the wrong
# order make 0.05 and more
for case in llama llama_tied llama_qv llama_rope_llama3; do
    tokenizer=$G/$case
    [ -e "$tokenizer/tokenizer.json" ] || tokenizer=$G/llama_gguf_f32
    "$LORIKEET" merge --model "$G/$case" --tokenizer "$tokenizer" --out base.gguf --dtype f32
    "$LORIKEET" merge --model "$G/$case" --tokenizer "$tokenizer" --adapter "$G/$case/adapter" \
        --out merged.gguf --dtype f32
    "$LORIKEET" export --adapter "$G/$case/adapter" --base "$G/$case" --gguf lora.gguf
    probe base.gguf "$G/$case" base 5e-3
    probe merged.gguf "$G/$case" adapter 5e-3
    probe base.gguf "$G/$case" adapter 5e-3 lora.gguf
    rm -f ./*.gguf
done
"$LORIKEET" merge --model "$G/llama" --adapter "$G/llama/adapter" --out q8.gguf --dtype q8_0
# llama.cpp rounds what it multiplies by q8_0 weights to q8_0 as well
probe q8.gguf "$G/llama" adapter 3e-2
"$LORIKEET" merge --model "$G/llama_gguf_q8_0/model.gguf" --adapter "$G/llama_gguf_q8_0/adapter" \
    --out from_q8.gguf
probe from_q8.gguf "$G/llama_gguf_q8_0" adapter 5e-3
"$LORIKEET" export --adapter "$G/llama_gguf_q8_0/adapter" --base "$G/llama_gguf_q8_0/model.gguf" \
    --gguf lora_q8.gguf
probe "$G/llama_gguf_q8_0/model.gguf" "$G/llama_gguf_q8_0" adapter 3e-2 lora_q8.gguf
