# The example's program: the committed rows are what the README's commands make, and the validator
# answers line by line.
plume=$BUILD/examples/plume/plume
[ -x "$plume" ] || skip "examples/plume is not built"
here=$SOURCE/examples/plume

same() { cmp "$1" "$here/$1" || fail "$1 is not what its command in the README makes"; }
"$plume" generate --split train --n 3000 --seed 1 >train.jsonl; same train.jsonl
"$plume" generate --split val --n 200 --seed 1 >val.jsonl; same val.jsonl
"$plume" generate --split test-iid --n 300 --seed 1 >test.jsonl; same test.jsonl

# The first rows are a run of their own.
"$plume" generate --n 100 --seed 1 >few.jsonl
head -n 100 train.jsonl | cmp - few.jsonl || fail "100 rows are not the first 100 of 3000"

# No question and no query is in two splits, and no question is asked twice.
cat train.jsonl val.jsonl test.jsonl >all.jsonl
field() { sed -E "s/.*\"$1\": (\"([^\"\\\\]|\\\\.)*\").*/\1/" "$2"; }
[ -z "$(field nl all.jsonl | sort | uniq -d)" ] || fail "a question is asked twice"
field target train.jsonl | sort -u >a
cat val.jsonl test.jsonl >held.jsonl
field target held.jsonl | sort >b
[ -z "$(uniq -d b)" ] || fail "a query is in val and test twice"
[ -z "$(comm -12 a b)" ] || fail "a query is in train and in val or test"

# Every gold query is canonical, and the validator says so.
field target all.jsonl | sed -E 's/^"|"$//g; s/\\"/"/g' >gold
"$plume" canonical <gold | cmp - gold || fail "a gold query is not canonical"
sed -E 's/.*"id": ("[^"]*").*"target": ("([^"\\]|\\.)*").*/{"id": \1, "pred": \2, "gold": \2}/' held.jsonl |
    "$plume" check >verdicts
[ "$(grep -c '"equal": true, "same": true, "class": "ok"' verdicts)" = 500 ] || fail "gold is not ok"

# One answer for each line, before the next line is sent.
coproc "$plume" check
for pred in "logs | calc count() | last 120m" "logs | calc" "nothing"; do
    printf '{"id": 1, "pred": "%s", "gold": "logs | calc count() | last 2h"}\n' "$pred" >&"${COPROC[1]}"
    IFS= read -r -t 60 line <&"${COPROC[0]}" || fail "no answer for: $pred"
    printf '%s\n' "$line" >>answers
done
printf '%s\n' '"class": "ok"' '"class": "truncated"' '"class": "prose"' >classes
paste -d'|' classes answers | while IFS='|' read -r class answer; do
    case $answer in *"$class"*) ;; *) fail "expected $class: $answer" ;; esac
done

expect_exit 0 "$plume" --help
for command in generate canonical check explain run; do
    expect_exit 0 "$plume" "$command" --help
    grep -q 'Example: ' out || fail "$command has no example"
done
expect_exit 0 "$plume" run 'spans | calc count() | by region | last 2h | sort region asc'
[ "$(head -n 2 out | tail -n 1 | cut -f 1)" = ap-south-1 ] || fail "run: $(cat out)"
expect_exit 0 "$plume" explain 'spans | where not (ok = true or retries > 0) | calc count() | last 120m'
grep -qF 'canonical: spans | where not retries > 0 and ok = false | calc count() | last 2h' out || fail "explain"
expect_error 3 "column 9: expected" "$plume" run 'spans | count() | last 2h'
expect_error 3 "V4: take needs sort" "$plume" run 'spans | calc count() | last 2h | take 3'
expect_error 2 "--splat" "$plume" generate --splat 3
expect_error 2 "no-such" "$plume" generate --split no-such
expect_error 2 "unknown command" "$plume" fly
expect_exit 2 "$plume" explain
printf 'logs | calc count() | last 2h\nlogs | calc\n' >bad
if "$plume" canonical <bad >out 2>err; then fail "a broken query was accepted"; fi
grep -q 'line 2: column 12: expected' err || fail "no place in: $(cat err)"
