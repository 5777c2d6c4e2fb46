# SmolLM2's logits beside transformers' (tests/peer/smollm2_logits.py).
model=$(ls "$SOURCE"/models/*[sS]mol[lL][mM]2*.gguf 2>/dev/null | head -1) || true
[ -n "$model" ] || skip "no SmolLM2 under models/; scripts/get-model gets it"
peer_python torch transformers gguf
peer smollm2_logits "$LORIKEET" "$model"
