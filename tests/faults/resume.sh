# Killed and resumed equals never killed: the adapter's bytes are the same after kill -9 at many
# places of a run, and with one thread and with two.
model=$SOURCE/tests/golden/data/llama

rows() {
    for i in $(seq "$1" "$2"); do
        printf '{"prompt": "%d asks %d\\n", "completion": "%d"}\n' $i $((i * 7 % 13)) $((i * i % 17))
    done
}
rows 1 40 >rows.jsonl

cat >recipe.yaml <<EOF
base_model: $model
lora_r: 4
lora_dropout: 0.1
datasets: [{path: rows.jsonl}]
val_set_size: 0.2
micro_batch_size: 2
gradient_accumulation_steps: 2
num_epochs: 2
learning_rate: 1e-2
evals_per_epoch: 2
save_steps: 3
load_best_model_at_end: true
compute_dtype: f32
threads: 1
EOF
adapter=adapter/adapter_model.safetensors

expect_exit 0 "$LORIKEET" train recipe.yaml output_dir=whole
expect_exit 0 "$LORIKEET" train recipe.yaml output_dir=threads threads=2
cmp whole/$adapter threads/$adapter || fail "two threads give other bytes than one"

# bf16 the same
expect_exit 0 "$LORIKEET" train recipe.yaml output_dir=whole16 compute_dtype=bf16
expect_exit 0 "$LORIKEET" train recipe.yaml output_dir=threads16 threads=2 compute_dtype=bf16
cmp whole16/$adapter threads16/$adapter || fail "two threads give other bytes than one in bf16"

# evaluating must not touch training
expect_exit 0 "$LORIKEET" train recipe.yaml output_dir=final load_best_model_at_end=false
expect_exit 0 "$LORIKEET" train recipe.yaml output_dir=noeval load_best_model_at_end=false evals_per_epoch=0 eval_strategy=no
# (the header names the recipe, which differs; the numbers after it must not)
numbers() { tail -c +$((9 + $(od -An -tu8 -N8 "$1"))) "$1"; }
cmp <(numbers final/$adapter) <(numbers noeval/$adapter) || fail "evaluation changes what is trained"

# the process dies at its n-th open, write, sync or rename; then it goes on, with one thread more or less, dying again
# and again
for n in 3 8 14 21 27 34 48 61 75; do
    rm -rf killed
    again=("$LORIKEET" train recipe.yaml output_dir=killed --resume --quiet)
    for attempt in 1 2 3 4 5 6 7 8 9 10; do
        got=0
        LRK_FAULT=kill:$n "${again[@]}" threads=$((1 + attempt % 2)) >out 2>err || got=$?
        [ $got = 137 ] || break
        [ $attempt -gt 3 ] && n=$((n + 40))
    done
    [ $got = 137 ] && got=0 && { "${again[@]}" threads=2 >out 2>err || got=$?; }
    [ $got = 0 ] || { cat err >&2; fail "exit $got after being killed at operation $n"; }
    cmp whole/$adapter killed/$adapter || fail "other bytes after being killed at operation $n"
done

# SIGTERM: saves and says so with exit code 75
rm -rf stopped
"$LORIKEET" train recipe.yaml output_dir=stopped num_epochs=50 >out 2>err &
pid=$!
for i in $(seq 1 200); do
    [ -s stopped/metrics.jsonl ] && break
    sleep 0.05
done
kill -TERM $pid
got=0
wait $pid || got=$?
[ $got = 75 ] || { cat err >&2; fail "exit $got after SIGTERM, expected 75"; }
ls stopped/ckpt-*.safetensors >/dev/null || fail "nothing was saved after SIGTERM"

# what a run says of its steps and evaluations, without what the clock says
said() { grep -oE '"step": [0-9]+|"(eval_)?loss": [0-9.e+-]+' "$1/metrics.jsonl"; }

# same A B: two runs left the same adapter, numbers and newest checkpoint
same() {
    cmp "$1/$adapter" "$2/$adapter" || fail "$2: other bytes than $1"
    [ "$(said "$1")" = "$(said "$2")" ] || { diff <(said "$1") <(said "$2") >&2; fail "$2: other numbers"; }
    cmp "$1/best.json" "$2/best.json" || fail "$2: another best step than $1"
    [ "$(ls "$1" | grep ckpt | tail -n 1)" = "$(ls "$2" | grep ckpt | tail -n 1)" ] ||
        fail "$2 ends with another step: $(ls "$1" "$2")"
}

# stop_when FILE PATTERN COUNT COMMAND...: SIGTERM once FILE has COUNT lines that match
stop_when() {
    local file=$1 pattern=$2 count=$3 seen got=0
    shift 3
    rm -f err # what the run before it said counts for nothing
    "$@" >out 2>err &
    local pid=$!
    for _ in $(seq 2000); do
        seen=$(grep -scE "$pattern" "$file") || true # it may not be there yet
        [ "${seen:-0}" -ge "$count" ] && break
        sleep 0.01
    done
    kill -TERM $pid
    wait $pid || got=$?
    [ $got = 75 ] || { cat err >&2; fail "exit $got after SIGTERM, expected 75"; }
}
newest() { ls "$1"/ckpt-* | tail -n 1; }
cut_short() { grep -aqF 'eval_pending\": true' "$1"; } # the evaluation of this checkpoint's step

# ... and goes on to the same bytes, wherever it came: over and over, and in the middle of an evaluation
# (much longer than a step), which is then made again, and of one made again
rows 41 200 >held.jsonl
long=(recipe.yaml test_datasets.0.path=held.jsonl val_set_size=0 max_steps=4 num_epochs=9 eval_steps=1
    evals_per_epoch=0 save_steps=4)
expect_exit 0 "$LORIKEET" train "${long[@]}" output_dir=unstopped
rm -rf stopped
pending=0
for n in 1 2 3; do
    stop_when stopped/metrics.jsonl '"kind": "step"' $n "$LORIKEET" train "${long[@]}" output_dir=stopped --resume
    cut_short "$(newest stopped)" || continue
    pending=$((pending + 1))
    step=$(newest stopped)
    stop_when err 'going on after' 1 "$LORIKEET" train "${long[@]}" output_dir=stopped --resume
    [ "$(newest stopped)" = "$step" ] || fail "stopped while it evaluated again, and yet a step further"
    cut_short "$step" || fail "the evaluation of $step is forgotten"
done
[ $pending -ge 1 ] || fail "no evaluation was cut short"
expect_exit 0 "$LORIKEET" train "${long[@]}" output_dir=stopped --resume
same unstopped stopped

# A run that ended early has ended: killed while it exports, it goes on with that and takes no step more.
early=(recipe.yaml early_stopping_patience=2 eval_steps=1 evals_per_epoch=0 save_steps=0 saves_per_epoch=0
    num_epochs=50 learning_rate=0.3 export.merged=true)
expect_exit 0 "$LORIKEET" train "${early[@]}" output_dir=early
grep -q 'ending here' err || { cat err >&2; fail "the run did not end early"; }
cp -r early ended
rm -r ended/adapter ended/merged/config.json
expect_exit 0 "$LORIKEET" train "${early[@]}" output_dir=ended --resume
same early ended
cmp early/merged/model.safetensors ended/merged/model.safetensors || fail "another merged model"

# Ctrl-C while outputs are made ends that, and the next run makes those that are missing.
many=(recipe.yaml max_steps=1 export.merged=true 'export.gguf=[f32, bf16, q8_0, q4_0, q4_1, q5_0, q5_1, q4_k_m, q6_k]'
    'export.ollama=[q8_0, q4_k_m]' export.check_rows=0)
expect_exit 0 "$LORIKEET" train "${many[@]}" output_dir=exported
stop_when err 'adapter for PEFT' 1 "$LORIKEET" train "${many[@]}" output_dir=half
grep -q 'stopped; the adapter is written, the same command with --resume makes the rest' err || fail "$(cat err)"
[ ! -e half/ollama-q4_k_m ] || fail "outputs were made to the last in spite of SIGTERM"
expect_exit 0 "$LORIKEET" train "${many[@]}" output_dir=half --resume
cmp exported/merged/model.safetensors half/merged/model.safetensors || fail "another merged model"
diff <(cd exported && find . -name '*.gguf' | sort) <(cd half && find . -name '*.gguf' | sort) || fail "outputs are missing"

# A run with a constant rate goes on to a longer one: the same bytes as one that was long from the start.
open=(recipe.yaml lr_scheduler=constant warmup_steps=2 load_best_model_at_end=false)
expect_exit 0 "$LORIKEET" train "${open[@]}" output_dir=long num_epochs=2.5
for epochs in 0.5 1 2 2.5; do
    expect_exit 0 "$LORIKEET" train "${open[@]}" output_dir=grown num_epochs=$epochs --resume
done
cmp long/$adapter grown/$adapter || fail "in four parts, other bytes"
# ... in steps, where it is killed as soon as it has become longer
expect_exit 0 "$LORIKEET" train "${open[@]}" output_dir=steps max_steps=3
sed -i 's/^max_steps: 3$/max_steps: 9/' steps/recipe.resolved.yaml
expect_exit 0 "$LORIKEET" train "${open[@]}" output_dir=steps max_steps=9 --resume
expect_exit 0 "$LORIKEET" train "${open[@]}" output_dir=nine max_steps=9
cmp nine/$adapter steps/$adapter || fail "in steps, other bytes"
# ... and all that is made of its adapter is made again, also where it is killed behind its last checkpoint (the first
# operation that finds it there is looked for), while the shorter run's outputs still lie there or some are replaced
outputs=(max_steps=3 save_steps=9 export.merged=true 'export.gguf=[q8_0]' export.adapter_gguf=true export.check_rows=2)
expect_exit 0 "$LORIKEET" train "${open[@]}" "${outputs[@]}" output_dir=three
outputs[0]=max_steps=9
expect_exit 0 "$LORIKEET" train "${open[@]}" "${outputs[@]}" output_dir=at_once
measured() { grep -E '"(path|tokens|mean|p99|max|value|loss|reference_loss|kept)"' "$1/certificate.json"; }
killed_at() {
    rm -rf resumed
    cp -r three resumed
    got=0
    LRK_FAULT=kill:$1 "$LORIKEET" train "${open[@]}" "${outputs[@]}" output_dir=resumed --resume >out 2>err || got=$?
}
like_outputs() {
    for f in $adapter adapter.gguf merged/model.safetensors merged-q8_0.gguf adapter/manifest.json adapter/README.md \
        merged/manifest.json merged/README.md; do
        cmp <(sed s/at_once/resumed/ at_once/$f) resumed/$f || fail "$f: of the shorter run $1"
    done
    cmp <(measured at_once) <(measured resumed) || fail "certificate.json: of the shorter run $1"
}
killed_at 1000000
[ $got = 0 ] || { cat err >&2; fail "exit $got"; }
like_outputs "when it has become longer"
low=1 high=256 # killed at the first there is no last checkpoint, at the second there is
while [ $((high - low)) -gt 1 ]; do
    n=$(((low + high) / 2))
    killed_at $n
    if [ -e resumed/ckpt-00000009.safetensors ]; then high=$n; else low=$n; fi
done
times=0
for ((n = high; ; n += 9)); do
    killed_at $n
    [ $got = 137 ] || break
    expect_exit 0 "$LORIKEET" train "${open[@]}" "${outputs[@]}" output_dir=resumed --resume
    like_outputs "after being killed at operation $n"
    times=$((times + 1))
done
[ $times -gt 5 ] || fail "killed $times times behind the last checkpoint"
# ... also without a limit of steps, and to an end that is not behind it
expect_exit 0 "$LORIKEET" train "${open[@]}" output_dir=steps max_steps=0 num_epochs=2.5 --resume
cmp long/$adapter steps/$adapter || fail "without a limit of steps, other bytes"
stop_when stopped9/metrics.jsonl '"kind": "step"' 1 "$LORIKEET" train "${open[@]}" output_dir=stopped9 max_steps=900 num_epochs=900
if [ "$(newest stopped9)" \< stopped9/ckpt-00000010 ]; then
    expect_exit 0 "$LORIKEET" train "${open[@]}" output_dir=stopped9 max_steps=9 num_epochs=9 --resume
    cmp <(numbers nine/$adapter) <(numbers stopped9/$adapter) || fail "with an earlier end, other bytes"
fi
cp nine/recipe.resolved.yaml before.yaml
expect_error 2 'the run in it is at step 9, behind the end of this recipe, which is step 8: a run can become longer, not' \
    "$LORIKEET" train "${open[@]}" output_dir=nine max_steps=8 --resume
cmp before.yaml nine/recipe.resolved.yaml || fail "a refused recipe is written"
# ... but none whose steps or weights depend on where it ends
expect_error 2 'only one with lr_scheduler: constant and without warmup_ratio' \
    "$LORIKEET" train recipe.yaml output_dir=whole num_epochs=3 --resume
expect_exit 0 "$LORIKEET" train recipe.yaml lr_scheduler=constant warmup_ratio=.5 load_best_model_at_end=false output_dir=share max_steps=3
expect_error 2 'only one with lr_scheduler: constant and without warmup_ratio' \
    "$LORIKEET" train recipe.yaml lr_scheduler=constant warmup_ratio=.5 load_best_model_at_end=false output_dir=share max_steps=4 --resume
