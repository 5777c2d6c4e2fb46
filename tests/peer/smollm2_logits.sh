# SmolLM2's logits beside transformers' (tests/peer/smollm2_logits.py).
model=$(ls "$SOURCE"/models/*[sS]mol[lL][mM]2*.gguf 2>/dev/null | head -1) || true
[ -n "$model" ] || skip "no SmolLM2 under models/; scripts/get-model gets it"
python=${LRK_PEER_PYTHON:-$SOURCE/.venv/bin/python}
[ -x "$python" ] || skip "no virtual environment with transformers; tests/peer/setup gets it"
"$python" "$SOURCE/tests/peer/smollm2_logits.py" "$LORIKEET" "$model" >out 2>err || { cat out err >&2; fail "logits differ"; }
cat out
