# tests/faults/merge.sh -- every allocation, open, write, sync and rename of a merge fails once: the
# exit code says what, and nothing is left; or the program can do without, and the result is right.
G=$SOURCE/tests/golden/data

merge() {
    rm -rf out.d out.gguf
    LRK_FAULT=$1 "$LORIKEET" merge --model "$G/llama" --adapter "$G/llama/adapter" --out "$2" \
        --threads 1 >out 2>err
}

try() {
    local got=0 want
    merge "$1" "$2" || got=$?
    case $got in
    0)
        [ "$2" != out.d ] || cmp -s out.d/model.safetensors "$G/llama/merged/model.safetensors" ||
            fail "$1: fine, and another model"
        [ "$2" != out.gguf ] || cmp -s out.gguf good.gguf || fail "$1: fine, and another model"
        return 1
        ;;
    3 | 4 | 5)
        [ -s err ] || fail "$1: exit $got without a word"
        [ ! -e "$2" ] || fail "$1: exit $got, and $2 is there: $(ls -R "$2")"
        ;;
    *) fail "$1: exit $got: $(cat err)" ;;
    esac
}

# $1: kind, $2: output, $3: how many to try at most, $4: step
sweep() {
    local n failures=0 fine=0
    for ((n = 1; n <= $3; n += $4)); do
        if try "$1:$n" "$2"; then
            failures=$((failures + 1))
            fine=0
        else
            fine=$((fine + 1))
            [ "$fine" -lt 6 ] || break
        fi
    done
    [ "$failures" -ge 1 ] || fail "no $1 failed; is LRK_FAULTS built in?"
    echo "$2: $failures failures of $1"
}

expect_exit 0 "$LORIKEET" merge --model "$G/llama" --adapter "$G/llama/adapter" --out good.gguf
for o in out.d out.gguf; do
    sweep open $o 60 1
    sweep write $o 60 1
    sweep sync $o 60 1
    sweep rename $o 60 1
    sweep alloc $o 300 11
done
[ "$(ls -A | grep -c tmp-)" = 0 ] || fail "a temporary file is left: $(ls -A)"

# killed at any of them: an unfinished directory says so, a GGUF file is whole or not there
for n in $(seq 1 3 40); do
    got=0
    merge "kill:$n" out.gguf || got=$?
    [ "$got" != 0 ] || break
    [ ! -e out.gguf ] || cmp -s out.gguf good.gguf || fail "kill:$n: half a file"
done
