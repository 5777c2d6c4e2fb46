# 20,000 random strings through our tokenizer and the reference's. LRK_PEER_PYTHON names a Python with
# the packages tokenizers and gguf.
python=${LRK_PEER_PYTHON:-python3}
"$python" -c 'import tokenizers, gguf' 2>/dev/null || skip "no Python with tokenizers and gguf; LRK_PEER_PYTHON names one"
"$python" "$SOURCE/tests/peer/tokenizer.py" "$LORIKEET" "$SOURCE" || fail "ids differ from the reference's"
