# tests/cli/generate.sh -- lorikeet generate: a prompt, files of prompts, what must be refused.
G=$SOURCE/tests/golden/data/llama
generate=("$LORIKEET" generate --model "$G" --dtype f32)

expect_exit 0 "${generate[@]}" --prompt 'one two' --max-tokens 5
cp out alone
expect_exit 0 "${generate[@]}" --prompt 'one two' --max-tokens 5 --threads 1
cmp out alone || fail "threads change the answer"
expect_exit 0 "${generate[@]}" --message 'hello' --system 'be brief' --max-tokens 3
expect_exit 0 "${generate[@]}" --prompt 'one two' --max-tokens 5 --temperature 1 --seed 7
cp out seven
expect_exit 0 "${generate[@]}" --prompt 'one two' --max-tokens 5 --temperature 1 --seed 7
cmp out seven || fail "the same seed, another answer"

# Many prompts through few slots: in order, each as if alone.
cat >in.jsonl <<'E'
{"id": "z", "prompt": "a rather longer prompt than the others are, so that it ends last"}
{"id": 2, "prompt": "one two"}

{"id": null, "messages": [{"role": "user", "content": "hello"}]}
{"id": "a", "prompt": "one two"}
{"id": [1], "prompt": "x"}
E
expect_exit 0 "${generate[@]}" --prompts in.jsonl --out all.jsonl --max-tokens 5 --batch 2
[ "$(sed -E 's/^\{"id": ([^,]*), .*/\1/' all.jsonl | tr '\n' ' ')" = '"z" 2 null "a" [1] ' ] ||
    fail "order: $(cat all.jsonl)"
[ "$(sed -n 2p all.jsonl | sed 's/"id": 2/X/')" = "$(sed -n 4p all.jsonl | sed 's/"id": "a"/X/')" ] ||
    fail "the same prompt, other answers: $(cat all.jsonl)"
expect_exit 0 "${generate[@]}" --prompts in.jsonl --out one.jsonl --max-tokens 5 --batch 1
cmp all.jsonl one.jsonl || fail "a batch changes the answers"

# What all prompts begin with is computed once, and each answers as if alone.
for i in 1 2 3 4 5 6 7; do
    printf '{"id": %d, "prompt": "%s question %d"}\n' "$i" "$(printf 'tables have rows %.0s' $(seq 6))" "$i"
done >alike.jsonl
expect_exit 0 "${generate[@]}" --prompts alike.jsonl --out shared.jsonl --max-tokens 9 --batch 3
expect_exit 0 "${generate[@]}" --prompts alike.jsonl --out alone.jsonl --max-tokens 9 --batch 1
cmp shared.jsonl alone.jsonl || fail "a shared beginning changes the answers"

expect_exit 0 "${generate[@]}" --prompts in.jsonl --out tuned.jsonl --max-tokens 5 --adapter "$G/adapter"
if cmp -s all.jsonl tuned.jsonl; then fail "the adapter changes nothing"; fi
[ -z "$(ls -d ./*.partial-* 2>/dev/null)" ] || fail "a finished command left $(ls -d ./*.partial-*)"
expect_exit 0 "${generate[@]}" --prompt 'one two' --max-tokens 5 --json
grep -qF '"finished": ' out && grep -qF '"prompt_tokens": ' out && grep -qF '"text": ' out || fail "--json: $(cat out)"
[ "$(grep -cE '^    [0-9]+,?$' out)" = 5 ] || fail "--json, ids: $(cat out)"

# Stopped and killed in the middle: the same command goes on with the rest, other commands do not.
for i in $(seq 200); do printf '{"id": %d, "prompt": "row number %d"}\n' $i $i; done >many.jsonl
long=("${generate[@]}" --prompts many.jsonl --max-tokens 20 --temperature 1 --batch 4)
expect_exit 0 "${long[@]}" --out whole.jsonl
kept() { { cat stopped.jsonl.partial-* 2>/dev/null || true; } | wc -l; }
for how in TERM:75 KILL:137 INT:75; do
    before=$(kept)
    set -m # a shell's background job ignores SIGINT otherwise
    "${long[@]}" --out stopped.jsonl >out 2>err &
    set +m
    for _ in $(seq 600); do
        [ "$(kept)" -le $((before + 3)) ] || break
        sleep 0.05
    done
    kill -${how%:*} $!
    got=0
    wait $! || got=$?
    [ $got = ${how#*:} ] || fail "$how: ended with $got: $(cat err)"
    [ ! -e stopped.jsonl ] || fail "$how: half of the answers look like all of them"
    [ "$(kept)" -gt "$before" ] || fail "$how: nothing is kept"
done
grep -q 'stopped.jsonl.partial-[0-9a-f]*: [0-9]* finished pieces are kept; the same command goes on' err ||
    fail "no word how to go on: $(cat err)"
[ -z "$(grep -o '"number": [0-9]*' stopped.jsonl.partial-* | sort | uniq -d)" ] || fail "answered twice"
expect_exit 0 "${long[@]}" --out stopped.jsonl --seed 9
! grep -q 'going on' err || fail "another seed goes on with these answers: $(cat err)"
expect_exit 0 "${long[@]}" --out stopped.jsonl
grep -q 'going on with the [0-9]* pieces' err || fail "begun anew: $(cat err)"
cmp whole.jsonl stopped.jsonl || fail "stopped thrice, other answers"
[ "$(kept)" = 0 ] || fail "a finished command left its pieces"

: >empty.jsonl
expect_exit 0 "${generate[@]}" --prompts empty.jsonl --out none.jsonl
[ -e none.jsonl ] && [ ! -s none.jsonl ] || fail "no prompts, but $(cat none.jsonl)"

refuse() { expect_error "$1" "$2" "${generate[@]}" --out never.jsonl --max-tokens 5 "${@:3}"; }
row() { printf '%s\n' '{"id": 1, "prompt": "fine"}' "$1" >bad.jsonl; refuse 3 "$2" --prompts bad.jsonl; }
row '{"id": 1}' 'bad.jsonl:2: "prompt" or "messages" is missing; expected {"id": 1, "prompt": "..."}'
row '{"prompt": "x"}' 'bad.jsonl:2: "id" is missing; expected {"id": 1, "prompt": "..."} or {"id": 1, "messages": [...]}'
row '{"id": 1, "prompt": "x", "messages": []}' 'bad.jsonl:2: "prompt" and "messages" both stand there'
row '{"id": 1, "prompt": ' 'bad.jsonl:2'
row '{"id": 1, "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}' \
    "bad.jsonl:2: messages: the last turn is the assistant's"
row '{"id": 1, "prompt": 7}' 'bad.jsonl:2: "prompt" is no text'
row "$(printf '{"id": 1, "prompt": "\377"}')" 'bad.jsonl:2'
row "{\"id\": 1, \"prompt\": \"$(printf 'qz %.0s' $(seq 200))\"}" "128 positions"
refuse 3 nowhere.jsonl --prompts nowhere.jsonl
refuse 3 'an adapter for another base' --prompts in.jsonl --adapter "$G/../mistral/adapter"
refuse 3 nowhere --prompts in.jsonl --adapter nowhere
refuse 2 '--temperature: expected a number of at least 0 and at most 100, got "-1"' --prompts in.jsonl --temperature -1
refuse 2 '--top-p: expected a number above 0' --prompts in.jsonl --top-p 1.5
expect_error 2 '--dtype torch.float16: expected' "$LORIKEET" generate --model "$G" --prompt x --dtype torch.float16
for dtype in float32 FP32 torch.float32; do
    expect_exit 0 "$LORIKEET" generate --model "$G" --prompt 'one two' --max-tokens 5 --dtype $dtype
    cmp out alone || fail "$dtype is not f32"
done
# A prompt is read as `data import --prompt` reads one.
expect_exit 0 "${generate[@]}" --prompt $'one\n\ttwo\\\\' --max-tokens 5
cp out line
expect_exit 0 "${generate[@]}" --prompt 'one\n\ttwo\\' --max-tokens 5
cmp line out || fail "an escape in --prompt: $(cat out)"
expect_error 2 '--prompt: a backslash stands before n, t, r or another backslash' "${generate[@]}" --prompt 'a\d'
expect_error 2 '--dtype f16: expected' "$LORIKEET" generate --model "$G" --prompt x --dtype f16
refuse 2 'did you mean --prompts' --promts in.jsonl
cp in.jsonl kept.jsonl && ln in.jsonl twin.jsonl
for out in in.jsonl ./in.jsonl twin.jsonl; do
    expect_error 2 'input and output are the same file' "${generate[@]}" --prompts in.jsonl --out $out
done
cmp in.jsonl kept.jsonl || fail "the prompts are gone"
expect_error 3 "out: is a file, expected a PEFT adapter directory" "${generate[@]}" --adapter out --prompt x
expect_error 3 "gone: no such directory" "${generate[@]}" --adapter gone --prompt x
expect_error 2 'expected one of --prompt, --message, --prompts' "${generate[@]}"
expect_error 3 'the user message is not UTF-8' "${generate[@]}" --message $'a\xffb'
expect_error 2 '--prompts and --out go together' "${generate[@]}" --prompts in.jsonl
expect_error 3 'cannot open' "$LORIKEET" generate --model nowhere --prompt x
mkdir folder
expect_error 2 'folder: is a directory, expected the name of a file' "${generate[@]}" --prompts in.jsonl --out folder
expect_error 4 'nodir/x: cannot create' "${generate[@]}" --prompts in.jsonl --out nodir/x
mkdir -p run/adapter && cp "$G/adapter"/* run/adapter
expect_error 3 'run: adapter_config.json is missing; did you mean run/adapter?' "${generate[@]}" --adapter run --prompt x
refuse 2 '--json goes with --prompt and --message' --prompts in.jsonl --json
expect_error 2 '--max-tokens: expected a whole number of at least 1' "${generate[@]}" --prompt x --max-tokens 0
expect_error 2 '--batch: expected a whole number of at least 1' "${generate[@]}" --prompt x --batch 0
[ -z "$(ls -d never.jsonl* 2>/dev/null)" ] || fail "a failed command left $(ls -d never.jsonl*)"
[ "$(ls -A | grep -c tmp-)" = 0 ] || fail "a temporary file is left"
