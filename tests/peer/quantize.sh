# tests/peer/quantize.sh -- our GGUF files are those of llama.cpp's own quantizer, tensor by tensor and
# byte by byte: a small model, one as deep as the mixes look at, one with few key heads, SmolLM2.
# LRK_PEER_NODE_MODULES names a node_modules directory with @node-llama-cpp/linux-x64,
# LRK_PEER_PYTHON a Python with the package gguf.
modules=${LRK_PEER_NODE_MODULES:-$SOURCE/node_modules}
[ -d "$modules/@node-llama-cpp/linux-x64" ] ||
    skip "no @node-llama-cpp/linux-x64; tests/peer/setup gets it"
peer_python gguf
types="q4_0 q4_1 q5_0 q5_1 q8_0 q2_k q3_k_s q3_k_m q3_k_l q4_k_s q4_k_m q5_k_s q5_k_m q6_k iq4_nl iq4_xs"

# compare MODEL SHAPE TYPES...
compare() {
    "$python" "$SOURCE/tests/peer/quantize.py" "$LORIKEET" "$modules" "$@" >out 2>err ||
        { tail -n 5 err >&2; cat out >&2; fail "not as llama.cpp quantizes: $1 $2"; }
}

"$LORIKEET" merge --model "$SOURCE/tests/golden/data/llama_gguf_q4_k/model.gguf" --out base.gguf --dtype f32
compare base.gguf - $types
compare base.gguf 24,4 q2_k q3_k_m q4_k_s q4_k_m q5_k_m iq4_xs
compare base.gguf 17,1,tied $types
"$LORIKEET" merge --model "$SOURCE/tests/golden/data/llama_gguf_f32/model.gguf" --out narrow.gguf --dtype f16
compare narrow.gguf - q4_0 q8_0 q4_k_m q6_k iq4_xs # rows of 64: types that stand in
model=$(ls "$SOURCE"/models/*[sS]mol[lL][mM]2*.gguf 2>/dev/null | head -1) || true
[ -n "$model" ] || exit 0
"$LORIKEET" merge --model "$model" --out f16.gguf --dtype f16
compare f16.gguf - q4_k_m q5_k_m # q6_k is in both
