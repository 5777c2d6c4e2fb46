# What test scripts share.

fail() { printf 'FAIL: %s\n' "$*" >&2; exit 1; }
skip() { printf 'SKIP: %s\n' "$*"; exit 77; }

# expect_exit CODE COMMAND...: runs it, keeps its output in ./out and ./err, demands the exit code.
expect_exit() {
    local want=$1 got=0
    shift
    "$@" >out 2>err </dev/null || got=$?
    [ "$got" = "$want" ] || { cat out err >&2; fail "exit $got, expected $want: $*"; }
}

# expect_error CODE TEXT COMMAND...: also demands TEXT (a fixed string) on standard error.
expect_error() {
    local want=$1 text=$2
    shift 2
    expect_exit "$want" "$@"
    grep -qF -- "$text" err || { cat err >&2; fail "no \"$text\" in the message of: $*"; }
}

# peer_python PACKAGE...: sets $python to one that has them, $LRK_PEER_PYTHON or that of tests/peer/setup, or skips.
# (Importing them would take seconds.)
peer_python() {
    python=${LRK_PEER_PYTHON:-$SOURCE/.venv/bin/python}
    "$python" -c 'import importlib.util as u, sys; sys.exit(None in map(u.find_spec, sys.argv[1:]))' "$@" 2>/dev/null ||
        skip "no Python with $*; tests/peer/setup gets it, LRK_PEER_PYTHON names another"
}

# peer NAME ARGUMENT...: tests/peer/NAME.py, in a fork of a Python that has loaded what takes seconds where ctest has
# started one (tests/peer/forked.py).
peer() {
    HF_HUB_OFFLINE=1 "$python" -I -S "$SOURCE/tests/peer/forked.py" "$SOURCE/tests/peer/$1.py" "${@:2}" 2>peer.err ||
        { tail -n 20 peer.err >&2; fail "$*"; }
}

# tiny_tokenizer DIR: makes it, with a tokenizer.json of ninety-six tokens, all that tiny models have rows for.
tiny_tokenizer() {
    mkdir "$1"
    {
        echo '{"added_tokens": [], "decoder": {"type": "ByteLevel"}, "model": {"type": "BPE", "merges": [], "vocab": {'
        for id in $(seq 0 95); do
            printf '"%b": %d%s\n' "\\U$(printf '%x' $((0x100 + id)))" "$id" "$([ "$id" = 95 ] || echo ,)"
        done
        echo '}}, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}}'
    } >"$1/tokenizer.json"
}
