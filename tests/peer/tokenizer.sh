# Random strings through our tokenizer and the reference's: 200,000 for each of the golden tokenizers and the example's,
# and real vocabularies (.texts, by fetch_texts) with the vectors that come with them. LRK_PEER_PYTHON names a Python with
# the packages tokenizers and gguf, LRK_TEXTS another folder than .texts; LRK_STRINGS=200000 takes so many strings for each
# real vocabulary, GGUF or not.
python=${LRK_PEER_PYTHON:-$SOURCE/.venv/bin/python}
texts=${LRK_TEXTS:-$SOURCE/.texts}
"$python" -c 'import tokenizers, gguf' 2>/dev/null || skip "no Python with tokenizers and gguf; tests/peer/setup gets it"
"$python" "$SOURCE/tests/peer/tokenizer.py" "$LORIKEET" "$SOURCE" || fail "ids differ from the reference's"
if [ -d "$texts" ]; then
    "$python" "$SOURCE/tests/peer/vocabularies.py" "$LORIKEET" "$texts" ${LRK_STRINGS:+"$LRK_STRINGS"} ||
        fail "ids differ from the reference's with real vocabularies"
else
    echo "real vocabularies: skipped, no $texts; tests/peer/setup gets them"
fi
