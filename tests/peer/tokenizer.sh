# 20,000 random strings through our tokenizer and the reference's. LRK_PEER_PYTHON names a Python with
# the packages tokenizers and gguf. LRK_VOCABULARIES names a folder with real vocabularies, which
# tests/peer/fetch_vocabularies fetches: then 3,000 more for each, or LRK_STRINGS of them.
python=${LRK_PEER_PYTHON:-$SOURCE/.venv/bin/python}
"$python" -c 'import tokenizers, gguf' 2>/dev/null || skip "no Python with tokenizers and gguf; tests/peer/setup gets it"
"$python" "$SOURCE/tests/peer/tokenizer.py" "$LORIKEET" "$SOURCE" || fail "ids differ from the reference's"
if [ -n "${LRK_VOCABULARIES:-}" ]; then
    "$python" "$SOURCE/tests/peer/vocabularies.py" "$LORIKEET" "$LRK_VOCABULARIES" "${LRK_STRINGS:-3000}" ||
        fail "ids differ from the reference's with real vocabularies"
else
    echo "real vocabularies: skipped, LRK_VOCABULARIES names no folder (tests/peer/fetch_vocabularies makes one)"
fi
