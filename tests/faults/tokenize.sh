# Every third allocation of `tokenize` fails, once: exit 5 and nothing printed, or the same ids as ever
# where the program can do without.

data=$SOURCE/tests/golden/data
printf 'Hello e\xcc\x81, <|im_end|> <s> and %0100d' 5 >text

for model in mistral qwen2/tokenizer.json llama_gguf_f32/model.gguf; do
    "$LORIKEET" tokenize --model "$data/$model" <text >good
    failures=0
    fine=0
    for n in $(seq 1 3 600); do
        got=0
        LRK_FAULT=alloc:$n "$LORIKEET" tokenize --model "$data/$model" <text >out 2>err || got=$?
        case $got in
        0)
            cmp -s out good || fail "$model, alloc:$n: fine, and other ids"
            fine=$((fine + 1))
            [ "$fine" -lt 3 ] || break
            ;;
        5)
            failures=$((failures + 1))
            grep -q memory err || fail "$model, alloc:$n: $(cat err)"
            [ ! -s out ] || fail "$model, alloc:$n: failed and printed something"
            ;;
        *) fail "$model, alloc:$n: exit $got: $(cat err)" ;;
        esac
    done
    [ "$failures" -ge 20 ] || fail "$model: only $failures allocations failed; is LRK_FAULTS built in?"
done
