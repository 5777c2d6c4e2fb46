# Templates through our renderer and through jinja2, set up as transformers does: equal or refused,
# never different. LRK_PEER_PYTHON names a Python with the package jinja2; LRK_PEER_TEMPLATES a folder
# of .jinja files to try as well, such as those of llama.cpp (models/templates).
python=${LRK_PEER_PYTHON:-$SOURCE/.venv/bin/python}
"$python" -c 'import jinja2, sys; sys.exit(jinja2.__version__ < "3.1")' 2>/dev/null ||
    skip "no Python with jinja2 3.1; tests/peer/setup gets it"
mkdir pairs
files=()
[ -z "${LRK_PEER_TEMPLATES:-}" ] || files=("$LRK_PEER_TEMPLATES"/*.jinja)
"$python" "$SOURCE/tests/peer/template_peer.py" "$LORIKEET" pairs "${files[@]}" || fail "texts differ"
