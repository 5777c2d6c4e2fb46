# tests/cli/data.sh -- lorikeet data import, show, check.
T=$SOURCE/tests/golden/data/llama/tokenizer.json

cat >train.jsonl <<'ROWS'
{"nl": "how many spans?", "target": "spans | calc count()", "id": 1}
{"nl": "how many logs?", "target": "logs | calc count()", "id": 2}
{"nl": "how many hosts?", "target": "hosts | calc count()", "id": 3}
ROWS
tail -n 1 train.jsonl >test.jsonl

# other members need templates; a file that fails appears nowhere
expect_error 3 'train.jsonl:1: the row has members nl, target, id; expected' \
    "$LORIKEET" data import train.jsonl --out d.h5
expect_error 2 '--prompt and --completion belong together' \
    "$LORIKEET" data import train.jsonl --out d.h5 --prompt '{nl}'
expect_error 3 "train.jsonl:1: no member 'x' in this row" \
    "$LORIKEET" data import train.jsonl --out d.h5 --prompt '{x}' --completion '{target}'
expect_error 3 'no.jsonl: cannot open' "$LORIKEET" data import no.jsonl --out d.h5
expect_error 4 'd.h5: cannot create' "$LORIKEET" data import test.jsonl --out none/d.h5 \
    --prompt '{nl}' --completion '{target}'
expect_error 2 'did you mean messages?' "$LORIKEET" data import train.jsonl --out d.h5 --shape mesages
expect_error 2 'is missing' "$LORIKEET" data import train.jsonl
[ ! -e d.h5 ] || fail "a failed import left a file"
[ "$(ls -A | grep -c tmp-)" = 0 ] || fail "a failed import left a temporary file"

import() {
    "$LORIKEET" data import train.jsonl test=test.jsonl --out "$1" --prompt 'Question: {nl}\nPlume:' \
        --completion ' {target}'
}
expect_exit 0 import d.h5
grep -qF 'members not used: id' out || fail "an unused member is not named"

printf '{"text": "x", "": "y"}\n' >nameless.jsonl
expect_exit 0 timeout 60 "$LORIKEET" data import nameless.jsonl --out nameless.h5
grep -qF 'members not used: ' out || fail "a member without a name: $(cat out)"

printf 'a\n' | gzip >rows.gz
expect_error 3 'rows.gz: is compressed by gzip; unpack it first' "$LORIKEET" data import rows.gz --out gz.h5
printf 'prompt,completion\nx,y\n' >rows.csv
expect_error 3 'rows.csv:1: no JSON, but commas: a CSV file?' "$LORIKEET" data import rows.csv --out csv.h5

# other names of members
"$LORIKEET" data import train.jsonl --out named.h5 --names prompt=nl,completion=target \
    --shape prompt_completion >out || fail "--names is not understood"
printf '{"descr": "how many?", "js": " f()"}\n' >js.jsonl
expect_exit 0 "$LORIKEET" data import js.jsonl --out js.h5 --names prompt=descr,completion=js
grep -qF 'js.jsonl: 1 row, prompt_completion' out || fail "prompt and completion were named: $(cat out)"
expect_error 3 "no row has a member 'talk', which --names" \
    "$LORIKEET" data import test.jsonl --out talk.h5 --prompt '{nl}' --completion '{target}' --names messages=talk
for answer in completion response; do
    { printf '{"prompt": "p", "%s": "c"}\n' $answer; printf '{"prompt": "x"}\n'; } >lacks.jsonl
    expect_error 3 "lacks.jsonl:2: as a row of shape prompt_completion, like the first: $answer: is missing" \
        "$LORIKEET" data import lacks.jsonl --out lacks.h5
done
expect_error 2 "'question' is unknown; there are" \
    "$LORIKEET" data import train.jsonl --out named.h5 --names question=nl

# standard input, and the same bytes again
expect_exit 0 import again.h5
cmp d.h5 again.h5 || fail "equal rows, different files"
"$LORIKEET" data import - --out stdin.h5 --prompt 'Question: {nl}\nPlume:' --completion ' {target}' \
    <train.jsonl >out

# show: the answer and the end token are trained, the question is not
expect_exit 0 "$LORIKEET" data show d.h5 --model "$T" --row 1
grep -qF 'Question: how many logs?' out && grep -qF 'Plume:[[ logs | calc count()<|eot_id|>]]' out ||
    { cat out >&2; fail "the trained part is marked wrongly"; }
expect_exit 0 "$LORIKEET" data show d.h5 --model "$T" --split test --row 0 --json
grep -qF '"where": "test.jsonl:1"' out || fail "a row does not know where it came from"
expect_exit 0 "$LORIKEET" data show d.h5 --model "$T" --tokens --sequence-len 10
grep -qF 'tokens would be cut' out || fail "the cut is not shown"
expect_error 2 'row 4: there are 4' "$LORIKEET" data show d.h5 --model "$T" --row 4
expect_error 3 "no split 'val'" "$LORIKEET" data show d.h5 --model "$T" --split val

# escape sequences of a stranger's text do not reach the terminal
printf '{"text": "red \\u001b[31m"}\n' >escape.jsonl
expect_exit 0 "$LORIKEET" data import escape.jsonl --out escape.h5
expect_exit 0 "$LORIKEET" data show escape.h5 --model "$T"
grep -q "$(printf '\033')" out && fail "an escape character was printed"

# check: leaks are told, rows that are too long or without an answer fail
expect_exit 0 "$LORIKEET" data check d.h5 --model "$T"
grep -qF 'leak: 1 row of test also in train' out || { cat out >&2; fail "a leak was not found"; }
expect_error 3 'd.h5: 4 of 4 rows cannot be trained as they are' \
    "$LORIKEET" data check d.h5 --model "$T" --sequence-len 12
expect_exit 0 "$LORIKEET" data check d.h5 --json
grep -qF '"tokens": null' out || fail "tokens without a model: $(cat out)"
expect_exit 3 "$LORIKEET" data check d.h5 --model "$T" --sequence-len 12
grep -qF 'more than sequence_len 12' out || fail "the long rows are not listed"
expect_exit 0 "$LORIKEET" data check d.h5 --json
tr -d ' \n' <out | grep -qF '"splits":{"test":1,"train":3}' || fail "the figures are wrong: $(cat out)"
expect_error 2 'needs --model' "$LORIKEET" data check d.h5 --sequence-len 12

# a prompt that ends in a space, which the answer's first token takes along
printf '{"prompt": "turn on the%s", "completion": "%slamp"}\n' ' ' '' '' ' ' >space.jsonl
expect_exit 0 "$LORIKEET" data import space.jsonl --out space.h5
expect_exit 0 "$LORIKEET" data check space.h5 --model "$T"
grep -q '^1 row draws the end of the prompt into the first trained token; ' out || fail "no word of it: $(cat out)"
expect_exit 0 "$LORIKEET" data check space.h5 --model "$T" --json
grep -q '"across": 1,' out || fail "$(cat out)"
printf 'base_model: %s\ndatasets: [{path: space.h5}]\nlora_r: 4\nlearning_rate: 1e-3\n' "${T%/*}" >space.yaml
for turn in tokenized cached; do
    expect_exit 0 "$LORIKEET" plan space.yaml
    grep -q 'warning: in 1 of 2 rows the first trained token draws in the end of the prompt' err || fail "$turn: $(cat err)"
done

# files that are no data sets
head -c 10000 d.h5 >cut.h5
expect_error 3 'cut.h5: ' "$LORIKEET" data check cut.h5
cp train.jsonl called.h5
expect_error 3 'called.h5: not an HDF5 file' "$LORIKEET" data check called.h5
expect_error 3 "on the command line --prompt '{...}' --completion '{...}'" "$LORIKEET" data check train.jsonl
expect_error 2 '--prompt and --completion belong together' "$LORIKEET" data check train.jsonl --prompt '{nl}'
expect_error 2 'd.h5: is a data set already' "$LORIKEET" data show d.h5 --model "$T" --prompt '{nl}' --completion '{target}'
# JSON Lines are shown and checked as training takes them, and as the data set that is made of them.
mkdir lines
cp test.jsonl lines/rows.jsonl
"$LORIKEET" data import lines/rows.jsonl --out lines.h5 --prompt 'Q {nl}\n' --completion '{target}' >import.out
for command in "show --tokens" check; do
    expect_exit 0 "$LORIKEET" data $command lines.h5 --model "$T"
    sed 's,lines.h5,lines/rows.jsonl,' out >want
    expect_exit 0 "$LORIKEET" data $command lines/rows.jsonl --model "$T" --prompt 'Q {nl}\n' --completion '{target}'
    cmp out want || fail "data $command of JSON Lines: $(diff out want)"
done
[ "$(ls lines | wc -l)" = 2 ] || fail "not one cached data set: $(ls lines)"
expect_error 3 'none.h5: ' "$LORIKEET" data check none.h5
expect_error 3 'no split' "$LORIKEET" data show d.h5 --model "$T" --split nowhere
# what is there stays, a data set too
cp d.h5 before.h5
for there in train.jsonl d.h5; do
    expect_error 2 "$there: exists already; remove it or name another file" \
        "$LORIKEET" data import test.jsonl --out $there --prompt '{nl}' --completion '{target}'
done
cmp d.h5 before.h5 || fail "the data set has changed"
printf '{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}\n' >chat.jsonl
expect_exit 0 "$LORIKEET" data import chat.jsonl --out chat.h5
expect_exit 0 "$LORIKEET" data show chat.h5 --model "$T"
grep -qF 'assistant' out || fail "turns are not listed"

# content null beside tool calls: a template that cannot put it together is not the only one to blame
printf '%s' '{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": null, "tool_calls": [' \
    '{"type": "function", "function": {"name": "f", "arguments": {}}}]}, {"role": "tool", "content": "1"}, ' \
    '{"role": "assistant", "content": "a"}]}' >calls.jsonl
expect_exit 0 "$LORIKEET" data import calls.jsonl --out calls.h5
expect_error 3 'calls.jsonl:1: messages[1].content is null, and the chat template is not made for that; write ""' \
    "$LORIKEET" data show calls.h5 --model "$T" --chat-template chatml

# every write, sync and rename that fails leaves nothing, or, where it was the folder's sync, all of it
for n in 1 2 3 5 8 12 16 17 18; do
    for kind in write sync rename open kill; do
        got=0
        rm -f new.h5
        LRK_FAULT=$kind:$n import new.h5 >out 2>err || got=$?
        [ "$got" = 0 ] || [ "$got" = 4 ] || [ "$got" = 137 ] || { cat err; fail "$kind:$n: exit $got"; }
        [ "$got" != 0 ] || [ -e new.h5 ] || fail "$kind:$n: fine, and no data set"
        [ ! -e new.h5 ] || cmp -s d.h5 new.h5 || fail "$kind:$n: exit $got, and another data set"
        [ "$kind" = kill ] && rm -f new.h5.tmp-*
        [ "$(ls -A | grep -c tmp-)" = 0 ] || fail "$kind:$n left a temporary file"
    done
done

# Rows that are wrong are told all at once, each with its line; a file whose first row is wrong is another thing.
{
    echo '{"prompt": "a", "completion": "b"}'
    for i in $(seq 12); do echo '{"prompt": "a"}'; done
    echo '{"prompt": "a", "completion": "b"'
} >wrong.jsonl
expect_error 3 'wrong.jsonl: 13 rows are wrong' "$LORIKEET" data import wrong.jsonl --out wrong.h5
grep -qF 'error: wrong.jsonl:2: ' err && grep -qF 'error: wrong.jsonl:9: ' err && [ "$(wc -l <err)" = 9 ] || fail "$(cat err)"
sed 1d wrong.jsonl >first.jsonl
expect_exit 3 "$LORIKEET" data import first.jsonl --out wrong.h5
[ "$(wc -l <err)" = 1 ] || fail "the first row is wrong: $(cat err)"
[ ! -e wrong.h5 ] || fail "a failed import left a data set"
