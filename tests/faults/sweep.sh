# tests/faults/sweep.sh -- the n-th allocation, open, read, write, sync, rename of a command fails, once
# and from there on, for n = 1, 2, 3 and then ever longer strides, until the command succeeds. It must end
# with the right exit code and a word, leave nothing half-written and lose nothing that was there; leaks
# and other reports of the sanitizers count. Other commands: merge.sh, recipe.sh, tokenize.sh, resume.sh.
G=$SOURCE/tests/golden/data

# START is files/start.c, and so is where the commands print to.
mkdir here
cd here
ln -s ../here.out out
ln -s ../here.err err
exec 3>&2
coproc starting { exec "$START" 120; }
program() {
    local LC_ALL=C word n=0 status kib # lengths are in bytes
    set -- ${LRK_FAULT:+"LRK_FAULT=$LRK_FAULT"} "$PWD" "$@"
    for word; do n=$((n + ${#word} + 1)); done
    { printf %08d "$n" && printf '%s\0' "$@"; } >&"${starting[1]}"
    read -r status kib <&"${starting[0]}" || fail "$START ended" 2>&3
    [ $((status & 127)) = 0 ] || return $((128 + (status & 127)))
    return $((status >> 8))
}

for i in $(seq 1 6); do
    printf '{"prompt": "row %d asks\\n", "completion": "and %d answers"}\n' $i $((i * i))
done >rows.jsonl
printf '{"id": 1, "prompt": "row 1 asks\\n"}\n{"id": 2, "prompt": "row"}\n' >prompts.jsonl
cat >recipe.yaml <<YAML
base_model: $G/llama
datasets: [{path: rows.jsonl}]
lora_r: 2
micro_batch_size: 2
max_steps: 2
save_steps: 1
val_set_size: 2
eval_steps: 1
learning_rate: 1e-2
compute_dtype: f32
threads: 1
output_dir: run
export: {merged: true, adapter_gguf: true, gguf: [q8_0]}
YAML

# Each command: how it runs, what must be true after a failure, what after a success.
import_run() {
    rm -f rows.h5
    program data import rows.jsonl --out rows.h5
}
# (the sync of the directory comes last: by then the file is whole and in its place)
import_failed() { [ ! -e rows.h5 ] || cmp -s rows.h5 before.h5 || fail "$1: a data set is left, and not whole"; }
import_fine() { cmp -s rows.h5 before.h5 || fail "$1: fine, and another data set"; }

# Imports the rows and tokenizes them, into two caches that appear whole or not at all.
plan_run() {
    rm -f rows.jsonl-*
    program plan recipe.yaml
}
plan_failed() {
    local f
    for f in rows.jsonl-*; do
        [ ! -e "$f" ] || cmp -s "$f" "caches/$f" || fail "$1: $f is there, and not whole"
    done
}
plan_fine() { plan_failed "$1"; }

generate_run() {
    program generate --model "$G/llama" --adapter "$G/llama/adapter" --prompts prompts.jsonl \
        --out answers.jsonl --max-tokens 3 --temperature 0 --dtype f32 --threads 1
}
# (the second sync is that of the directory: by then the file is whole and in its place)
generate_failed() {
    [ ! -e answers.jsonl ] || { [[ $1 = *sync:2* ]] && cmp -s answers.jsonl good.jsonl; } ||
        fail "$1: answers were left"
    rm -f answers.jsonl answers.jsonl.partial-*
}
generate_fine() {
    cmp -s answers.jsonl good.jsonl || fail "$1: fine, and other answers"
    rm answers.jsonl
}

# The base, an adapter and a Modelfile: all or nothing.
bundle_run() {
    rm -rf bundle
    program export --adapter "$G/llama/adapter" --base "$G/llama_gguf_f32/model.gguf" --any-base \
        --chat-template chatml --ollama bundle
}
bundle_failed() { [ ! -e bundle ] || fail "$1: left $(ls bundle)"; }
bundle_fine() { diff -rq bundle bundled >&2 || fail "$1: fine, and another bundle"; }

# An adapter with tokenizer and template beside it: all of them or nothing.
peft_run() {
    rm -rf peft
    program export --adapter texted --peft peft
}
peft_failed() { [ ! -e peft ] || fail "$1: left $(ls peft)"; }
peft_fine() { diff -rq peft pefted >&2 || fail "$1: fine, and another adapter"; }
combine_run() {
    rm -rf both
    program combine texted texted=-0.5 --out both --threads 1
}
combine_failed() { [ ! -e both ] || fail "$1: left $(ls both)"; }
combine_fine() { diff -rq both combined >&2 || fail "$1: fine, and another adapter"; }

# A conversation whose thinking is taken out. (Without memory for the row's source the data set is named.)
show_run() { program data show thinking.h5 --model "$G/llama" --chat-template chatml --thinking-blocks strip; }
show_failed() { [ ! -s out ] || fail "$1: failed and printed something"; }
show_fine() { cmp -s <(sed '1s/[^,]*//' out) shown || fail "$1: fine, and another text"; }

# Starts after step 1, whose checkpoint must survive everything: resuming gives the bytes of `whole`.
train_run() { program train recipe.yaml --resume --quiet; }
train_failed() {
    cmp -s run/ckpt-00000001.safetensors begun/ckpt-00000001.safetensors ||
        fail "$1: the checkpoint that was there has changed"
    local f
    for f in adapter/adapter_model.safetensors adapter.gguf merged/model.safetensors merged-q8_0.gguf; do
        [ ! -e run/$f ] || cmp -s run/$f whole/$f || fail "$1: $f is there, and not whole"
    done
    [ ! -e run/adapter ] || diff -rq run/adapter whole/adapter >&2 || fail "$1: half an adapter is left"
    rm -rf run && cp -r begun run
}
train_fine() {
    cmp -s run/adapter/adapter_model.safetensors whole/adapter/adapter_model.safetensors ||
        fail "$1: fine, and another adapter"
    rm -rf run && cp -r begun run
}

# try COMMAND FAULT: true when it failed
shopt -s globstar nullglob dotglob
try() {
    local got=0 left
    LRK_FAULT=$2 "$1_run" >out 2>err || got=$?
    [[ ! $(<err) =~ Sanitizer|"runtime error" ]] || fail "$1, $2: $(cat err)"
    left=(**/*.tmp-*)
    [ ${#left[@]} = 0 ] || fail "$1, $2: exit $got, left ${left[*]}"
    case $got in
    0) "$1_fine" "$1, $2" && return 1 ;;
    3) [ "${2%%:*}" = read ] || [ "${2%%:*}" = open ] || fail "$1, $2: exit 3: $(cat err)" ;;
    4) [ "${2%%:*}" != alloc ] || fail "$1, $2: exit 4: $(cat err)" ;;
    5) [ "${2%%:*}" = alloc ] || fail "$1, $2: exit 5: $(cat err)" ;;
    *) fail "$1, $2: exit $got: $(cat err)" ;;
    esac
    [ -s err ] || fail "$1, $2: exit $got without a word"
    "$1_failed" "$1, $2"
}

# sweep COMMAND K [KIND...]: one kind after the other (KIND+: from there on), the number grows by a K-th; three in a row
# that change nothing end it
sweep() {
    local command=$1 part=$2 kind mode n fine failures
    shift 2
    [ $# -gt 0 ] || set -- open open+ read write write+ sync rename alloc alloc+
    for kind; do
        mode=${kind##*[a-z]} kind=${kind%+} n=1 fine=0 failures=0
        while [ "$fine" -lt 3 ] && [ "$n" -lt 20000 ]; do
            if try "$command" "$kind:$n$mode"; then
                failures=$((failures + 1)) fine=0
            else
                fine=$((fine + 1))
            fi
            if [ "$n" -lt 6 ]; then n=$((n + 1)); else n=$((n + n / part)); fi
        done
        echo "$command: $kind$mode: $failures failures, up to number $n"
        [ "$failures" -ge 1 ] || fail "$command: no $kind failed; is LRK_FAULTS built in?"
    done
}

expect_exit 0 import_run
cp rows.h5 before.h5
expect_exit 0 bundle_run
mv bundle bundled
cp -r "$G/llama/adapter" texted && chmod -R u+w texted
cp "$G/llama/tokenizer.json" "$G/llama/tokenizer_config.json" texted
echo '{{ messages }}' >texted/chat_template.jinja
expect_exit 0 peft_run
mv peft pefted
expect_exit 0 combine_run
mv both combined
cat >thinking.jsonl <<'JSON'
{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "<think>why</think>b"}, {"role": "user", "content": "c"}, {"role": "assistant", "reasoning_content": "why", "content": "d"}]}
JSON
expect_exit 0 program data import thinking.jsonl --out thinking.h5
expect_exit 0 show_run
! grep -q why out || fail "thinking is left: $(cat out)"
sed '1s/[^,]*//' out >shown
expect_exit 0 generate_run
mv answers.jsonl good.jsonl
expect_exit 0 program train recipe.yaml --quiet # under the same name: GGUF files hold the recipe
mv run whole
got=0 # the process dies where it would go on after the first checkpoint
for n in $(seq 5 60); do
    rm -rf run
    LRK_FAULT=kill:$n train_run >out 2>err || got=$?
    [ -e run/ckpt-00000001.safetensors ] && break
done
[ -e run/ckpt-00000001.safetensors ] || fail "no first checkpoint: $(cat err)"
rm -f run/*.tmp-*
cp -r run begun

mkdir caches
cp rows.jsonl-* caches

sweep import 3
sweep plan 2
sweep generate 2
sweep train 2
sweep bundle 1 write alloc alloc+
sweep peft 1 open write sync rename alloc alloc+
sweep combine 1 open write sync rename alloc alloc+

# Every second allocation of the row, those before it in strides: they are swept elsewhere.
n=1 fine=0 failures=0
while [ "$fine" -lt 3 ]; do
    if ! try show "alloc:$n"; then
        fine=$((fine + 1)) n=$((n + 1))
    elif grep -q 'thinking.jsonl:1: ' err; then
        failures=$((failures + 1)) fine=0 n=$((n + 2))
    else
        fine=0 n=$((n + 8))
    fi
done
echo "show: alloc: $failures failures in the row, up to number $n"
[ "$failures" -ge 10 ] || fail "only $failures allocations of a row failed"
