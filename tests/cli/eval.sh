# tests/cli/eval.sh -- lorikeet eval: figures, files, validators that misbehave.
G=$SOURCE/tests/golden/data/llama
cat >rows.jsonl <<'E'
{"id": "a", "prompt": "one two", "completion": " three", "level": "L1"}
{"id": "b", "prompt": "two three", "completion": " four", "level": "L2"}
{"id": 3, "prompt": "three four", "completion": " five", "level": "L1"}
E
# Right whenever the id is "b"; writes down what it was asked.
cat >judge.sh <<'E'
while IFS= read -r line; do
    printf '%s\n' "$line" >>asked
    id=${line#*: }
    id=${id%%, \"pred\"*}
    equal=false
    [ "$id" != '"b"' ] || equal=true
    printf '{"id": %s, "parse": true, "equal": %s, "class": "%s", "note": "n"}\n' "$id" $equal $equal
done
E
ask=("$LORIKEET" eval --model "$G" --data rows.jsonl --max-tokens 8 --dtype f32)

expect_exit 0 "${ask[@]}" --adapter "$G/adapter" --validator 'sh judge.sh' --group-by level \
    --examples 2 --failures wrong.jsonl --out report.json
grep -qF 'match          33.3 % [6.1, 79.2]            33.3 % [6.1, 79.2]' out || fail "match: $(cat out)"
grep -qF 'parse         100.0 % [43.9, 100.0]' out || fail "parse: $(cat out)"
grep -qF 'L2 (1)        100.0 % [20.7, 100.0]' out || fail "groups: $(cat out)"
grep -qF 'false 2, true 1' out || fail "classes: $(cat out)"
[ "$(grep -c '^   tuned' out)" = 2 ] || fail "examples: $(cat out)"
[ "$(wc -l <asked)" = 6 ] || fail "asked $(wc -l <asked) times, expected 6"
grep -qF '{"id": "a", "pred": ' asked || fail "the row's own id does not reach the validator"
grep -qF '"gold": "three"}' asked || fail "gold: $(cat asked)"
[ "$(wc -l <wrong.jsonl)" = 2 ] || fail "failures: $(cat wrong.jsonl)"
grep -qF '"id": 3' wrong.jsonl || fail "failures: $(cat wrong.jsonl)"
grep -qF '"low": null' report.json || fail "three rows and an interval: $(cat report.json)"
grep -qF '"mcnemar_p": 1.0' report.json || fail "report: $(cat report.json)"

# Of a long question the end is shown: there it says what is asked.
long=$(printf 'word%.0s ' {1..90})
printf '{"id": 1, "prompt": "%s the very end", "completion": " x"}\n' "$long" >long.jsonl
mkdir wide && cp "$G"/*.json "$G/model.safetensors" wide/
sed -i 's/"max_position_embeddings": 128/"max_position_embeddings": 512/' wide/config.json
expect_exit 0 "$LORIKEET" eval --model wide --data long.jsonl --max-tokens 2 --examples 1
grep -q '^ *\.\.\. question' out && grep -q 'the very end' out || fail "the end of the question is not there: $(cat out)"

cp rows.jsonl kept.jsonl
expect_error 2 'input and output are the same file' "${ask[@]}" --failures rows.jsonl
expect_error 2 'input and output are the same file' "${ask[@]}" --out ./rows.jsonl
expect_error 2 'are the same file' "${ask[@]}" --out x --failures x
cmp rows.jsonl kept.jsonl && [ ! -e x ] || fail "the rows are gone"

# Text, data set and templates are three ways to the same figures.
expect_exit 0 "${ask[@]}" --json
cp out plain.json
expect_exit 0 "$LORIKEET" data import rows.jsonl --out rows.h5
expect_exit 0 "$LORIKEET" eval --model "$G" --data rows.h5 --max-tokens 8 --dtype f32 --json
same() { cmp <(grep -vE '"(data|seconds)"' "$1") <(grep -vE '"(data|seconds)"' "$2") || fail "$3"; }
same plain.json out "a data set gives other figures than its rows"
expect_exit 0 "${ask[@]}" --prompt '{prompt}' --completion '{completion}' --json
same plain.json out "templates give other figures"

# Conversations: the last turn is the answer, in the tokens of training.
cat >chat.jsonl <<'E'
{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "one"}, {"role": "user", "content": "and?"}, {"role": "assistant", "content": "two"}]}
E
expect_exit 0 "$LORIKEET" eval --model "$G" --data chat.jsonl --max-tokens 4 --examples 1
grep -qE '^   gold +two$' out || fail "the last turn is not the answer: $(cat out)"
# What was asked stands at the end of a conversation: the beginning is left out, not the end.
printf '{"messages": [{"role": "system", "content": "one\\ntwo\\nthree\\nfour"}, {"role": "user", "content": "the very question"}, {"role": "assistant", "content": "x"}]}\n' >told.jsonl
expect_exit 0 "$LORIKEET" eval --model "$G" --data told.jsonl --max-tokens 2 --examples 1
grep -q 'the very question' out || fail "the question is not shown: $(cat out)"
# Plain text has no question.
echo '{"text": "one two three"}' >text.jsonl
expect_exit 0 "$LORIKEET" eval --model "$G" --data text.jsonl --max-tokens 4
if grep -q '^exact' out; then fail "plain text was answered"; fi

# Stopped and killed in the middle of losses and answers: the same command goes on.
for i in $(seq 150); do printf '{"prompt": "row %d", "completion": " answer %d"}\n' $i $i; done >many.jsonl
long=("$LORIKEET" eval --model "$G" --adapter "$G/adapter" --data many.jsonl --max-tokens 20 --dtype f32 --batch 4)
expect_exit 0 "${long[@]}" --out whole.json
kept() { { cat stopped.json.partial-* 2>/dev/null || true; } | wc -l; }
stop_after() { # PIECES SIGNAL STATUS
    local got=0
    "${long[@]}" --out stopped.json >out 2>err &
    for _ in $(seq 600); do
        [ "$(kept)" -lt "$1" ] || break
        sleep 0.02
    done
    kill -$2 $!
    wait $! || got=$?
    [ $got = $3 ] || fail "stopped after $1 pieces: ended with $got: $(cat err)"
    [ "$(kept)" -ge "$1" ] && [ ! -e stopped.json ] || fail "stopped after $1 pieces: kept $(kept)"
}
stop_after 3 TERM 75
stop_after 60 KILL 137
rm stopped.json.tmp-* # the process had no time to
stop_after 250 TERM 75
[ -z "$(grep -oE '"part": "[a-z ]*", "number": [0-9]*' stopped.json.partial-* | sort | uniq -d)" ] || fail "done twice"
grep -q 'finished pieces are kept' err || fail "no word how to go on: $(cat err)"
expect_exit 0 "${long[@]}" --out stopped.json
cmp <(grep -v seconds whole.json) <(grep -v seconds stopped.json) || fail "stopped thrice, other figures"
[ "$(kept)" = 0 ] || fail "a finished evaluation left its pieces"
# Without a place for them nothing is kept, and that is said: here a slow validator is at work.
cat >slow.sh <<'E'
while IFS= read -r line; do
    echo . >>begun
    sleep 0.2
    id=${line#*: }
    printf '{"id": %s}\n' "${id%%, \"pred\"*}"
done
E
"${ask[@]}" --validator 'sh slow.sh' >out 2>err &
for _ in $(seq 600); do
    [ ! -e begun ] || break
    sleep 0.02
done
kill -TERM $!
got=0
wait $! || got=$?
[ $got = 75 ] || fail "stopped among verdicts: ended with $got: $(cat err)"
grep -q 'nothing is kept: losses and answers are with --out' err || fail "no word: $(cat err)"
[ -z "$(ls -d ./*.partial-* 2>/dev/null)" ] || fail "kept: $(ls -d ./*.partial-*)"

# Validators that misbehave.
judged() { expect_error 3 "$2" "${ask[@]}" --out never.json --failures never.jsonl --validator "$1"; }
judged true "'true' ended with status 0 without an answer"
judged no-such-program-here 'ended with status 127'
judged 'read -r line; exit 5' 'row "a": '
judged 'kill -9 $$' 'ended by signal 9'
judged 'echo hello; cat >asked' "expected one JSON object in a line, got 'hello'"
judged 'echo "{\"id\": 9}"; cat >asked' "the answer's id is 9"
judged 'echo "{\"parse\": true}"; cat >asked' 'the answer has no id'
judged 'echo "{\"id\": \"a\", \"equal\": 1}"; cat >asked' 'equal: expected true or false'
judged 'read -r line; echo "{\"id\": \"a\"}"' 'row "b"'

# What cannot be evaluated.
expect_error 2 'expected a run directory, or --model and --data' "$LORIKEET" eval --model "$G"
expect_error 3 'is no run directory' "$LORIKEET" eval "$G"
mkdir -p runs/a/adapter
echo >runs/a/recipe.resolved.yaml
for near in runs runs/a/adapter runs/a/adapter/; do
    expect_error 3 'so it is no run directory; did you mean runs/a?' "$LORIKEET" eval $near
done
expect_exit 3 "$LORIKEET" eval --model "$G" --data nowhere.jsonl
grep -qF nowhere.jsonl err || fail "no file named: $(cat err)"
expect_error 2 'no row has a member "colour"' "${ask[@]}" --group-by colour
expect_error 3 'an adapter for another base' "${ask[@]}" --adapter "$G/../mistral/adapter"
expect_error 2 '--no-base goes with an adapter' "${ask[@]}" --no-base
mkdir folder
expect_error 2 'folder: is a directory, expected the name of a file' "${ask[@]}" --failures folder
expect_error 2 '--max-tokens: expected a whole number of at least 1' "$LORIKEET" eval --model "$G" --data rows.jsonl --max-tokens 0
[ ! -e never.json ] && [ ! -e never.jsonl ] || fail "a failed evaluation left a report"
[ "$(ls -A | grep -c tmp-)" = 0 ] || fail "a temporary file is left"
