# tests/peer/llama_cpp.sh -- llama.cpp loads our GGUF files and computes what transformers and PEFT
# compute. LRK_PEER_NODE_MODULES names a node_modules directory with node-llama-cpp and
# @node-llama-cpp/linux-x64 (npm install --ignore-scripts --omit=optional node-llama-cpp
# @node-llama-cpp/linux-x64); default: node_modules in the source tree.
modules=${LRK_PEER_NODE_MODULES:-$SOURCE/node_modules}
command -v node >/dev/null || skip "no node"
[ -d "$modules/node-llama-cpp" ] || skip "no node-llama-cpp; tests/peer/setup gets it"
G=$SOURCE/tests/golden/data

probe() { printf '%s\n' "$*" >>checks; } # llama_cpp.mjs looks at all of them, at the end

# What llama.cpp rounds that we do not. n roundings of relative size r (their root mean square) in a row move a logit
# by sqrt(n) r z, z the size of logits; a probability p moves by p (1 - p) <= 1/4 of the difference of two logits.
# Ten rows have one probability near 1/2 each, the largest of ten moves is 2.5 times the usual one:
#   2.5 / 4 * sqrt(2) * sqrt(n) * r * z
# f16 cache: keys and values of 4 layers at the most, n = 8, r = 2^-11 / sqrt(3), z <= 2.6: 2e-3.
# q8_0 factors: r = 2.2 sigma / 127 / sqrt(12) = 5e-3, z = 2.2: activations of 2 sublayers in 2 layers and of the head,
# n = 5: 2.2e-2; weights that were rounded here as well, n = 10: 3e-2; the head alone, n = 1: 1e-2, of which rows without a
# probability near 1/2 make half. Rows in the wrong order make 0.05 and more.
for case in llama llama_tied llama_qv llama_rope_llama3; do
    tokenizer=$G/$case
    [ -e "$tokenizer/tokenizer.json" ] || tokenizer=$G/llama_gguf_f32
    "$LORIKEET" merge --model "$G/$case" --tokenizer "$tokenizer" --out "$case.gguf" --dtype f32
    "$LORIKEET" merge --model "$G/$case" --tokenizer "$tokenizer" --adapter "$G/$case/adapter" \
        --out "$case.merged.gguf" --dtype f32
    "$LORIKEET" export --adapter "$G/$case/adapter" --base "$G/$case" --gguf "$case.lora.gguf"
    probe "$case.gguf" "$G/$case" base 2e-3
    probe "$case.merged.gguf" "$G/$case" adapter 2e-3
    probe "$case.gguf" "$G/$case" adapter 2e-3 "$case.lora.gguf"
done
"$LORIKEET" merge --model "$G/llama" --adapter "$G/llama/adapter" --out q8.gguf --dtype q8_0
probe q8.gguf "$G/llama" adapter 3e-2
"$LORIKEET" merge --model "$G/llama_gguf_q8_0/model.gguf" --adapter "$G/llama_gguf_q8_0/adapter" \
    --out from_q8.gguf
probe from_q8.gguf "$G/llama_gguf_q8_0" adapter 5e-3
"$LORIKEET" export --adapter "$G/llama_gguf_q8_0/adapter" --base "$G/llama_gguf_q8_0/model.gguf" \
    --gguf lora_q8.gguf
probe "$G/llama_gguf_q8_0/model.gguf" "$G/llama_gguf_q8_0" adapter 2.2e-2 lora_q8.gguf
node "$SOURCE/tests/peer/llama_cpp.mjs" "$modules" checks || fail "llama.cpp differs"
