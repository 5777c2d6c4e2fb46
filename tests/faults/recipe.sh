# Every allocation of `recipe check` fails, once or from there on: exit 5 and one line that says so, or
# the same recipe as ever where the program can do without. The same for opening and reading the file.

recipe=$SOURCE/recipes/chat.yaml
expect_exit 0 "$LORIKEET" recipe check "$recipe" --resolved lora_r=8
cp out good

for mode in '' +; do
    failures=0
    for n in $(seq 30); do
        got=0
        LRK_FAULT=alloc:$n$mode "$LORIKEET" recipe check "$recipe" --resolved lora_r=8 >out 2>err || got=$?
        case $got in
        0) cmp -s out good || fail "alloc:$n$mode: fine, and another recipe" ;;
        5)
            failures=$((failures + 1))
            grep -q memory err || fail "alloc:$n$mode: $(cat err)"
            [ ! -s out ] || fail "alloc:$n$mode: failed and printed something"
            ;;
        *) fail "alloc:$n$mode: exit $got: $(cat err)" ;;
        esac
    done
    [ "$failures" -ge 4 ] || fail "only $failures allocations failed; is LRK_FAULTS built in?"
done

for kind in open read; do
    got=0
    LRK_FAULT=$kind:1 "$LORIKEET" recipe check "$recipe" >out 2>err || got=$?
    case $got in
    3 | 4) grep -q chat.yaml err || fail "$kind: no file in $(cat err)" ;;
    *) fail "$kind: exit $got: $(cat err)" ;;
    esac
done
