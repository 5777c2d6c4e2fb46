# tests/cli/share_prefixes.sh -- rows that begin alike: computed once, and the numbers stay what they were.
G=$SOURCE/tests/golden/data
all=$(printf 'tables have rows %.0s' $(seq 4))
for i in $(seq 24); do
    some='people, and of places too'
    [ $((i % 2)) = 1 ] || some='logs and of spans, as they come'
    printf '{"prompt": "%s of %s ask %d", "completion": " answer %d"}\n' "$all" "$some" "$i" "$i"
done >rows.jsonl
cat >recipe.yaml <<E
base_model: $G/llama
lora_r: 4
lora_alpha: 8
datasets: [{path: rows.jsonl}]
val_set_size: 4
sequence_len: 128
micro_batch_size: 5
gradient_accumulation_steps: 2
compute_dtype: f32
max_steps: 6
num_epochs: 9
learning_rate: 1e-2
warmup_ratio: 0
eval_steps: 3
save_steps: 2
output_dir: run
export: {merged: false}
E
train=("$LORIKEET" train recipe.yaml)

# The values of a member in a run's metrics, one a line, or their sum.
values() { grep -oE "\"$2\": [-+.e0-9]+" "$1/metrics.jsonl" | awk '{ print $2 }'; }
total() { values "$1" "$2" | awk '{ n += $1 } END { print n }'; }

# Within a part in 10^4: the same sums in another order, and six steps.
same() {
    for key in loss eval_loss grad_norm; do
        paste <(values "$1" $key) <(values "$2" $key) |
            awk '{ d = $1 - $2; if (NF != 2 || d * d > 1e-8 * $1 * $1) exit 1; n++ } END { if (n < 2) exit 1 }' ||
            fail "$1: $key: $(values "$1" $key | tr '\n' ' '), each row by itself $(values "$2" $key | tr '\n' ' ')"
    done
}

# Plain, a window that ends inside of what is shared, DoRA where layers are computed again.
for name in plain window dora; do
    case $name in
    plain) options=() ;;
    window) options=("base_model=$G/mistral") ;;
    dora) options=(peft_use_dora=true gradient_checkpointing=layer) ;;
    esac
    expect_exit 0 "${train[@]}" output_dir=$name-once "${options[@]}"
    expect_exit 0 "${train[@]}" output_dir=$name-each share_prefixes=false "${options[@]}"
    same $name-once $name-each
    [ $((2 * $(total $name-once computed_tokens))) -lt "$(total $name-once tokens)" ] || fail "$name: little is shared"
    [ "$(total $name-each computed_tokens)" = "$(total $name-once tokens)" ] || fail "$name: shared unasked"
done

# The plan knows.
expect_exit 0 "$LORIKEET" plan recipe.yaml
grep -qE '^run +6 steps, [0-9]+ tokens \([0-9]+ computed, for rows that begin alike share that\)' out || fail "plan: $(cat out)"
expect_exit 0 "$LORIKEET" plan recipe.yaml --json
grep -q "\"tokens\": $(total plain-once tokens)" out || fail "plan: $(cat out)"
grep -q "\"computed_tokens\": $(total plain-once computed_tokens)" out || fail "plan: $(cat out)"

# One thread, and a run that goes on, give the same bytes.
adapter=adapter/adapter_model.safetensors
expect_exit 0 "${train[@]}" output_dir=one threads=1
cmp plain-once/$adapter one/$adapter || fail "threads change the adapter"
cp -r plain-once halves
rm halves/ckpt-00000006.*
expect_exit 0 "${train[@]}" output_dir=halves --resume
cmp plain-once/$adapter halves/$adapter || fail "resuming changes the adapter"

# Evaluated side by side, with the beginning once, and one by one: the same losses and answers.
expect_exit 0 "$LORIKEET" eval plain-once --dtype f32 --max-tokens 8 --json
grep -vE '"(seconds|.*_per_s)"' out >together
expect_exit 0 "$LORIKEET" eval plain-once --dtype f32 --max-tokens 8 --json --batch 1
grep -vE '"(seconds|.*_per_s)"' out >apart
grep -c '"loss"' together >/dev/null || fail "no loss: $(cat together)"
diff <(sed -E 's/([0-9]\.[0-9]{4})[0-9]*/\1/g' together) <(sed -E 's/([0-9]\.[0-9]{4})[0-9]*/\1/g' apart) || fail "a shared beginning changes an evaluation"

# Dropout draws for each row: nothing is shared, and the resolved recipe says so.
expect_exit 0 "${train[@]}" output_dir=dropout lora_dropout=0.1
[ "$(total dropout computed_tokens)" = "$(total dropout tokens)" ] || fail "shared beside dropout"
grep -qxF 'share_prefixes: false' dropout/recipe.resolved.yaml || fail "resolved: $(cat dropout/recipe.resolved.yaml)"
expect_error 2 'share_prefixes: with lora_dropout each row is computed by itself' "${train[@]}" output_dir=never \
    lora_dropout=0.1 share_prefixes=true
