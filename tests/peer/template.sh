# Templates through our renderer and through jinja2, set up as transformers does: equal or refused,
# never different. Many small ones, and real ones with conversations of every kind (.texts/templates, by fetch_texts).
# LRK_PEER_PYTHON names a Python with the package jinja2, LRK_TEXTS another folder than .texts.
python=${LRK_PEER_PYTHON:-$SOURCE/.venv/bin/python}
texts=${LRK_TEXTS:-$SOURCE/.texts}
"$python" -c 'import jinja2, sys; sys.exit(jinja2.__version__ < "3.1")' 2>/dev/null ||
    skip "no Python with jinja2 3.1; tests/peer/setup gets it"
files=("$texts"/templates/*.jinja)
[ -e "${files[0]}" ] || { echo "real templates: skipped, none in $texts/templates; tests/peer/setup gets them" && files=(); }
"$python" "$SOURCE/tests/peer/template_peer.py" "$BUILD/tests/peer_render" "${files[@]}" || fail "texts differ"
