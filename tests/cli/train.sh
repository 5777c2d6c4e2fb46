# tests/cli/train.sh -- lorikeet train: a short run, what it leaves, what it must refuse.
G=$SOURCE/tests/golden/data/llama
words=(one two three four five six seven eight nine ten eleven twelve)
for i in "${!words[@]}"; do
    next=${words[$(((i + 1) % 12))]}
    printf '{"prompt": "after %s comes", "completion": " %s"}\n' "${words[$i]}" "$next" >>rows.jsonl
    printf '{"messages": [{"role": "user", "content": "after %s?"}, {"role": "assistant", "content": "%s"}]}\n' \
        "${words[$i]}" "$next" >>chat.jsonl
done
cat >recipe.yaml <<E
base_model: $G
lora_r: 4
lora_alpha: 8
datasets: [{path: rows.jsonl}]
val_set_size: 2
sequence_len: 64
micro_batch_size: 2
gradient_accumulation_steps: 2
compute_dtype: f32
max_steps: 4
num_epochs: 9
learning_rate: 1e-2
eval_steps: 2
save_steps: 2
output_dir: run
export: {adapter_gguf: true, merged: true, gguf: [q8_0]}
E
train=("$LORIKEET" train recipe.yaml)

# members and turns that are called otherwise, as Axolotl names them
sed 's/"messages"/"talk"/; s/"role": "user"/"who": "human"/; s/"role": "assistant"/"who": "gpt"/; s/"content"/"says"/g' \
    chat.jsonl >talk.jsonl
sed 's/datasets: .*/datasets: [{path: chat.jsonl}]/; /export/d' recipe.yaml >said.yaml
sed 's/datasets: .*/datasets: [{path: talk.jsonl, type: chat_template, field_messages: talk, message_property_mappings: {role: who, content: says}}]/; /export/d' \
    recipe.yaml >talk.yaml
for name in said talk; do # the first kilobyte has the hash of the recipe
    expect_exit 0 "$LORIKEET" train $name.yaml output_dir=$name max_steps=1 save_steps=1
done
cmp -i 1024 said/adapter/adapter_model.safetensors talk/adapter/adapter_model.safetensors || fail "names change the rows"
grep -qF 'message_field_role: who' talk/recipe.resolved.yaml || fail "names: $(cat talk/recipe.resolved.yaml)"
sed 's/"who"/"from"/g; s/"says"/"text"/g; s/"talk"/"conversations"/' talk.jsonl >share.jsonl
expect_exit 0 "$LORIKEET" train talk.yaml output_dir=share max_steps=1 save_steps=1 \
    'datasets=[{path: share.jsonl, type: sharegpt, message_field_content: text}]'
cmp -i 1024 said/adapter/adapter_model.safetensors share/adapter/adapter_model.safetensors || fail "names of sharegpt"
for names in 'type: chat_template, field_messages: messages, message_property_mappings: {role: from, content: value}' \
    'message_property_mappings: {role: from, content: value}' 'type: sharegpt, field_messages: messages'; do
    sed 's/"talk"/"messages"/; s/"who"/"from"/g; s/"says"/"value"/g' talk.jsonl >from.jsonl
    rm -rf from
    expect_exit 0 "$LORIKEET" train talk.yaml output_dir=from max_steps=1 save_steps=1 "datasets=[{path: from.jsonl, $names}]"
    cmp -i 1024 said/adapter/adapter_model.safetensors from/adapter/adapter_model.safetensors || fail "$names"
done
expect_error 3 "no row has a member 'who', which --names or a recipe's field_... names" \
    "$LORIKEET" train said.yaml output_dir=none 'datasets=[{path: rows.jsonl, message_field_role: who}]'

# what plays no part in rows is said when they are read
printf '{"text": "one two three", "id": 1}\n' >noted.jsonl
expect_exit 0 "$LORIKEET" plan said.yaml 'datasets=[{path: noted.jsonl}]' val_set_size=0 evals_per_epoch=0 eval_steps=0
grep -qF 'noted.jsonl: members not used: id' err || fail "no word of it: $(cat err)"

# ten rows, four a step: three steps an epoch
expect_exit 0 "$LORIKEET" plan recipe.yaml max_steps=10 num_epochs=2
grep -q 'warning: max_steps 10 is not reached: num_epochs 2 ends after 6 steps' err || fail "no word of it: $(cat err)"
expect_exit 0 "$LORIKEET" plan recipe.yaml max_steps=1
grep -q '^run  *1 step, ' out || fail "one step: $(cat out)"
# ... and steps alone are steps
sed /num_epochs/d recipe.yaml >steps.yaml
expect_exit 0 "$LORIKEET" plan steps.yaml max_steps=10 --json
grep -q '"steps": 10\b' out || fail "not 10 steps: $(cat out)"
! grep -q 'is not reached' err || fail "$(cat err)"

expect_exit 0 "${train[@]}"
cp err first.err
grep -qF 'data      10 rows + 2 held out, ' out || fail "rows: $(cat out)"
grep -qE '^trained   4 steps: [0-9]+ tokens in 0:[0-9]+, [0-9]+ tok/s$' out || fail "no summary: $(cat out)"
grep -qE '^loss      [0-9.]+ at first, [0-9.]+ in the last step$' out || fail "no losses: $(cat out)"
grep -qE '^eval      [0-9.]+ at the end, best [0-9.]+ after step [24]$' out || fail "no evaluation: $(cat out)"
grep -qF 'outputs   run/adapter, run/adapter.gguf, run/merged, run/merged-q8_0.gguf' out || fail "outputs: $(cat out)"
grep -qF 'next      lorikeet eval run' out && grep -qF -- '--adapter run/adapter --prompt "..."' out || fail "next: $(cat out)"
grep -qE '4/4  mean loss ' err || fail "progress: $(cat err)"
grep -qF '>its mean<' run/loss.svg || fail "the legend names one line"
planned=$(sed -n 's/^disk .* checkpoints \([0-9.]*\), adapter \([0-9.]*\), merged \([0-9.]*\)$/\1 \2 \3/p' out)
[ -n "$planned" ] || fail "no disk: $(cat out)"
for f in recipe.resolved.yaml metrics.jsonl loss.svg best.json adapter/adapter_model.safetensors \
    adapter/adapter_config.json adapter.gguf merged/model.safetensors merged/tokenizer.json \
    merged-q8_0.gguf ckpt-00000004.safetensors; do
    [ -s "run/$f" ] || fail "no run/$f"
done
[ "$(grep -c '"learning_rate"' run/metrics.jsonl)" = 4 ] || fail "steps: $(cat run/metrics.jsonl)"
expect_exit 0 "$LORIKEET" eval run --max-tokens 4
grep -qE '^loss ' out || fail "eval of the run: $(cat out)"

# The plan's figure for the disk is what the writer writes, types that stand in for K-quants too: of two files the
# difference, as both have the same keys but for some characters; and of one it is all but manifest and card.
figure() { "$LORIKEET" plan recipe.yaml 'export={}' "export.gguf=[$1]" --json | sed -n 's/.*"merged": \([0-9]*\).*/\1/p'; }
plain=$(figure f16)
expect_exit 0 "${train[@]}" output_dir=types 'export.gguf=[f16, q4_k_m, q3_k_m, q6_k, q8_0, bf16]' export.merged=false export.check_rows=0
size() { stat -c %s "types/merged-$1.gguf"; }
for type in q4_k_m q3_k_m q6_k q8_0 bf16; do
    off=$((($(figure $type) - plain) - ($(size $type) - $(size f16))))
    [ "${off#-}" -le 1024 ] || fail "$type: the plan is $off bytes off"
    beside=$(($(size $type) - $(figure $type)))
    [ "${beside#-}" -le 65536 ] || fail "$type: planned $(figure $type), written $(size $type)"
done

# The loss that eval finds is the one that training found last.
loss=$(printf '%.3f' "$(grep -o '"eval_loss": [0-9.]*' run/metrics.jsonl | tail -n 1 | cut -c 14-)")
expect_exit 0 "$LORIKEET" eval run --max-tokens 1 --no-base --dtype f32
[ "$(printf '%.3f' "$(awk '$1 == "loss" { print $2 }' out)")" = "$loss" ] || fail "training says $loss: $(cat out)"

# Twice, and on one thread, gives the same bytes.
expect_exit 0 "${train[@]}" output_dir=again threads=1 --json
grep -qF '"steps": 4' out && grep -qE '"best_loss": [0-9.]+' out && ! grep -q '^memory' out || fail "--json: $(cat out)"
cmp run/adapter/adapter_model.safetensors again/adapter/adapter_model.safetensors ||
    fail "the same recipe, another adapter"

# DoRA: killed and resumed, the same bytes as at one go; and with dropout.
dora=("${train[@]}" peft_use_dora=true export.adapter_gguf=false)
expect_exit 0 "${dora[@]}" output_dir=dora
grep -q '"use_dora": true' dora/adapter/adapter_config.json || fail "no DoRA: $(cat dora/adapter/adapter_config.json)"
cp -r dora dora2 && rm -rf dora2/ckpt-00000004.safetensors dora2/adapter dora2/merged dora2/merged-q8_0.gguf
expect_exit 0 "${dora[@]}" output_dir=dora2 --resume
cmp dora/adapter/adapter_model.safetensors dora2/adapter/adapter_model.safetensors ||
    fail "a DoRA run that was resumed has another adapter"
expect_exit 0 "${dora[@]}" output_dir=dora3 lora_model_dir=dora/adapter
expect_exit 0 "${dora[@]}" output_dir=dora6 lora_target_modules=[q_proj,up_proj]
# The adapter it starts from decides rank, scale and modules; a recipe that says otherwise is told.
start=("$LORIKEET" plan recipe.yaml peft_use_dora=true lora_model_dir=dora/adapter)
expect_exit 0 "${start[@]}"
expect_error 2 'lora_r is 16, but the adapter of lora_model_dir, dora/adapter, has 4' "${start[@]}" lora_r=16
expect_error 2 'lora_alpha is 9, but the adapter' "${start[@]}" lora_alpha=9
expect_error 2 'peft_use_dora is false, but the adapter' "${start[@]}" peft_use_dora=false
expect_error 2 'lora_target_modules leaves out model.layers.0.self_attn.k_proj' "${start[@]}" lora_target_modules=q_proj
grep -v lora_ recipe.yaml >bare.yaml
expect_exit 0 "$LORIKEET" recipe check bare.yaml lora_model_dir=dora/adapter --resolved
! grep -q lora_r: out || fail "the resolved recipe says what the adapter decides: $(cat out)"
expect_exit 0 "${dora[@]}" output_dir=dora4 lora_dropout=0.1 gradient_checkpointing=none
expect_exit 0 "${dora[@]}" output_dir=dora5 lora_dropout=0.1 gradient_checkpointing=layer
numbers() { tail -c +$(($(od -An -tu8 -N8 "$1") + 9)) "$1"; } # the header names the recipe, which differs
cmp <(numbers dora4/adapter/adapter_model.safetensors) <(numbers dora5/adapter/adapter_model.safetensors) ||
    fail "DoRA with dropout: checkpointing changes the adapter"

# Embedding and head trained whole: the same bytes twice, resumed, and layer by layer; loaded by the other commands.
whole=("${train[@]}" lora_modules_to_save=[embed_tokens,lm_head] export.adapter_gguf=false)
expect_exit 0 "${whole[@]}" output_dir=whole
grep -q 'embed_tokens' whole/adapter/adapter_config.json || fail "no modules_to_save: $(cat whole/adapter/adapter_config.json)"
cp -r whole whole2 && rm -rf whole2/ckpt-00000004.safetensors whole2/adapter whole2/merged whole2/merged-q8_0.gguf
expect_exit 0 "${whole[@]}" output_dir=whole2 --resume
expect_exit 0 "${whole[@]}" output_dir=whole3 threads=1 gradient_checkpointing=layer export.merged=false export.gguf=[]
for other in whole2 whole3; do
    cmp <(numbers whole/adapter/adapter_model.safetensors) <(numbers $other/adapter/adapter_model.safetensors) ||
        fail "$other: another adapter"
done
loss=$(printf '%.3f' "$(grep -o '"eval_loss": [0-9.]*' whole/metrics.jsonl | tail -n 1 | cut -c 14-)")
expect_exit 0 "$LORIKEET" eval whole --max-tokens 1 --no-base --dtype f32
[ "$(printf '%.3f' "$(awk '$1 == "loss" { print $2 }' out)")" = "$loss" ] || fail "training says $loss: $(cat out)"
expect_exit 0 "${whole[@]}" output_dir=whole4 lora_modules_to_save=[] lora_model_dir=whole/adapter compute_dtype=bf16 \
    export.gguf=[]
grep -q 'lm_head' whole4/adapter/adapter_config.json || fail "went on without the head"
expect_error 2 "'norm' cannot be trained whole; embed_tokens and lm_head can, and linear layers get adapters" "${whole[@]}" output_dir=no \
    lora_modules_to_save=[norm]
expect_error 2 'cannot hold what lora_modules_to_save' "${train[@]}" output_dir=no lora_modules_to_save=[lm_head]

# A run of conversations, and with bf16.
expect_exit 0 "${train[@]}" output_dir=chat datasets.0.path=chat.jsonl compute_dtype=bf16 export.merged=false
[ -s chat/adapter/adapter_model.safetensors ] || fail "no adapter from conversations"
[ ! -e chat/merged ] || fail "merged, though nobody asked"

# Resumed where there is nothing, in the middle, and at the end.
expect_exit 0 "${train[@]}" output_dir=fresh --resume --quiet
[ ! -s out ] && [ ! -s err ] || fail "--quiet says: $(cat out err)"
rm -rf fresh
expect_exit 0 "${train[@]}" output_dir=fresh --resume
grep -qF 'note: no checkpoint in fresh: beginning at step 1' err || fail "no note: $(cat err)"
expect_exit 0 "${train[@]}" output_dir=fresh --resume
grep -qF 'fresh: is finished (4 of 4 steps)' err || fail "no word: $(cat err)"
! grep -q 'fresh/adapter' err || fail "written again: $(cat err)"
rm -r fresh/ckpt-00000004.safetensors fresh/adapter
expect_exit 0 "${train[@]}" output_dir=fresh --resume
grep -qF 'going on after step 2 of 4' err && grep -qE '^trained   4 steps, 2 of them now' out || fail "$(cat out err)"
[ "$(grep -o '4/4  mean loss [0-9.]*' err)" = "$(grep -o '4/4  mean loss [0-9.]*' first.err)" ] ||
    fail "the mean loss jumps: $(cat err)"
"$LORIKEET" plan recipe.yaml warmup_steps=4 2>&1 >/dev/null | grep -qF 'warms up for 4' || fail "no warning of a long warm-up"
"$LORIKEET" plan recipe.yaml val_set_size=0 test_datasets='[{path: rows.jsonl}]' 2>&1 >/dev/null |
    grep -qF 'test_datasets: rows.jsonl holds the rows that are trained on' || fail "no warning of known rows"

# The time comes from one layer, whichever has an adapter.
for layer in 0 1; do
    expect_exit 0 "$LORIKEET" plan recipe.yaml "lora_target_modules=.*layers\.$layer\..*" --json
    grep -qE '"seconds": [0-9.e-]*[1-9]' out || fail "no time: $(cat out)"
done

# A finished run: not over it, resumed without harm, not with another recipe.
expect_error 2 'run: not empty' "${train[@]}"
expect_error 2 'another learning_rate' "${train[@]}" --resume learning_rate=1e-3
# ... also where it was killed while it exported.
rm run/merged/config.json run/merged-q8_0.gguf
before=$(sha256sum <run/adapter/adapter_model.safetensors)
expect_exit 0 "${train[@]}" --resume
[ "$before" = "$(sha256sum <run/adapter/adapter_model.safetensors)" ] || fail "resuming changed a finished run"
cmp run/merged/model.safetensors again/merged/model.safetensors || fail "another merged model"
[ -s run/merged/config.json ] && [ -s run/merged-q8_0.gguf ] || fail "not exported again"
[ "$(grep -c '"learning_rate"' run/metrics.jsonl)" = 4 ] || fail "metrics grew: $(cat run/metrics.jsonl)"

# The summary says how to ask as the rows do; other rows cannot go on; a model is looked for from here.
sed 's/"messages": \[/&{"role": "system", "content": "s"}, /' chat.jsonl >told.jsonl
told=("${train[@]}" output_dir=told datasets.0.path=told.jsonl export.merged=false export.gguf=[])
expect_exit 0 "${told[@]}" max_steps=2
grep -qF -- '/adapter --system "..." --message "..."' out || fail "no --system: $(cat out)"
sed -i '1s/"s"/"t"/' told.jsonl
expect_error 3 'the rows of datasets.0 are other ones' "${told[@]}" max_steps=2 --resume
sed 's/^base_model: .*/base_model: elsewhere/' told/recipe.resolved.yaml >r && mv r told/recipe.resolved.yaml
expect_error 3 'told: its base model elsewhere is not there' "$LORIKEET" eval told

# A second trainer in the same directory; the first one stops when told to, and could go on.
"${train[@]}" output_dir=busy max_steps=1000000 num_epochs=1000000 eval_steps=0 eval_strategy=no \
    save_steps=0 saves_per_epoch=0 2>busy.err >busy.out &
trainer=$!
for _ in $(seq 600); do
    [ ! -s busy/metrics.jsonl ] || break
    sleep 0.1
done
expect_error 8 "$trainer" "${train[@]}" output_dir=busy --resume
kill -TERM $trainer
status=0
wait $trainer || status=$?
[ $status = 75 ] || fail "a stopped run ends with $status: $(cat busy.err)"
grep -qF -- '--resume' busy.err || fail "no word how to go on: $(cat busy.err)"
[ -n "$(ls busy/ckpt-*)" ] || fail "a stopped run left no checkpoint"

# A signal before the first step ends the program at once: here while it imports.
awk 'BEGIN { for (i = 0; i < 200000; i++) printf "{\"prompt\": \"row %d\", \"completion\": \" %d\"}\n", i, i }' >many.jsonl
"${train[@]}" output_dir=early datasets.0.path=many.jsonl >early.out 2>early.err &
trainer=$!
for _ in $(seq 600); do
    [ -z "$(find . -name 'many.jsonl-*')" ] || break
    sleep 0.05
done
kill -TERM $trainer
status=0
wait $trainer || status=$?
[ $status = 143 ] || fail "stopped while it imported, $status: $(cat early.err)"
[ ! -e early ] || fail "stopped while it imported, it left $(ls -A early)"
rm many.jsonl*

# A folder that cannot be written: what is made from the rows is kept elsewhere, and found there again.
as=()
[ "$(id -u)" != 0 ] || as=(setpriv --reuid=65534 --clear-groups)
mkdir base && cp "$G"/*.json "$G/model.safetensors" base/ && chmod -R a+rX base && chmod 755 .
if "${as[@]}" "$LORIKEET" inspect base/model.safetensors >/dev/null 2>&1; then
    mkdir shut shut2 home && cp rows.jsonl shut/ && cp rows.jsonl shut2/ && chmod 555 shut shut2 && chmod 777 home
    for again in 1 2; do
        for folder in shut shut2; do
            XDG_CACHE_HOME=$PWD/home expect_exit 0 "${as[@]}" "$LORIKEET" plan recipe.yaml base_model=base \
                datasets.0.path=$folder/rows.jsonl
            [ "$(grep -c '^note: shut' err)" = $((2 - again)) ] || fail "notes: $(cat err)"
        done
    done
    [ "$(ls home/lorikeet | wc -l)" = 4 ] || fail "caches: $(ls home/lorikeet)"
    XDG_CACHE_HOME= HOME=/nowhere TMPDIR=/nowhere expect_error 4 'no directory for caches' \
        "${as[@]}" "$LORIKEET" plan recipe.yaml base_model=base datasets.0.path=shut/rows.jsonl
    chmod 755 shut shut2
fi

# What must be refused before anything is written.
plain=(val_set_size=0 eval_steps=0 eval_strategy=no)
refuse() { expect_error "$1" "$2" "${train[@]}" output_dir=never "${@:3}"; }
printf '{"prompt": "%s", "completion": " x"}\n' "$(printf 'word %.0s' $(seq 80))" "short" >long.jsonl
refuse 3 'sequence_len' datasets.0.path=long.jsonl "${plain[@]}"
grep -q 'long.jsonl:1' err || fail "the long row is not listed: $(cat err)"
expect_exit 0 "${train[@]}" output_dir=dropped datasets.0.path=long.jsonl "${plain[@]}" \
    excess_length_strategy=drop max_steps=2
refuse 3 nowhere datasets.0.path=nowhere.jsonl
refuse 3 nowhere base_model=nowhere
refuse 2 'did you mean lora_r?' lora_rr=4
refuse 2 'learning_rate' learning_rate=-1
refuse 2 'lora_target_modules' 'lora_target_modules=[no_such_layer]'
expect_error 2 'lora_target_modules' "$LORIKEET" plan recipe.yaml 'lora_target_modules=[q_proj, no_such_layer]'
refuse 6 'device: cuda' device=cuda
printf '{"prompt": "x", "completion": "\377"}\n' >bytes.jsonl
refuse 3 'bytes.jsonl:1' datasets.0.path=bytes.jsonl "${plain[@]}"

# Four bits, made on loading: the plan counts them, the run trains on them; a base that is quantized
# already is told of.
expect_exit 0 "$LORIKEET" plan recipe.yaml load_in_4bit=true --json
grep -qE '"copied": [1-9]' out || fail "NF4 weights are not counted: $(cat out)"
expect_exit 0 "${train[@]}" output_dir=four load_in_4bit=true bnb_4bit_use_double_quant=false "${plain[@]}"
[ -s four/adapter/adapter_model.safetensors ] || fail "no adapter beside NF4 weights"
expect_exit 0 "$LORIKEET" plan recipe.yaml load_in_4bit=true "base_model=$SOURCE/tests/golden/data/llama_gguf_q8_0/model.gguf"
grep -qF 'is quantized already; its weights stay as they are' err || fail "no word: $(cat err)"

# A weight that is NaN: the last four bytes of the file belong to one.
mkdir broken
cp "$G"/*.json broken/
cp "$G/model.safetensors" broken/
size=$(stat -c %s broken/model.safetensors)
printf '\0\0\300\177' | dd of=broken/model.safetensors bs=1 seek=$((size - 4)) conv=notrunc status=none
refuse 3 'element 63 is not finite' base_model=broken
# Dropout that the model's configuration asks for.
cp -r "$G" drops
sed -i 's/"attention_dropout": 0.0/"attention_dropout": 0.1/' drops/config.json
expect_exit 0 "$LORIKEET" plan recipe.yaml base_model=drops
grep -qF 'drops: config.json asks for dropout of 0.1 inside the model while it trains, which is not applied' err || fail "no word: $(cat err)"
# An output_dir that is a file is refused, and stays; so does a link.
cp recipe.yaml thesis.txt && ln -s thesis.txt link
expect_error 2 'thesis.txt: is a file, expected a directory' "${train[@]}" output_dir=thesis.txt
expect_error 2 'link: is a file, expected a directory' "${train[@]}" output_dir=link
cmp recipe.yaml thesis.txt && [ -L link ] || fail "a refused run took the file that was in its place"
[ ! -e never ] || fail "a refused run left its directory: $(ls -A never)"
[ "$(find . -name '*tmp-*' | wc -l)" = 0 ] || fail "a temporary file is left"

# The data set that is wrong is named as it was given, and not the cache that was made of it.
expect_error 3 'rows.jsonl: ' "${train[@]}" output_dir=short sequence_len=16
grep -qE 'error: rows.jsonl: [0-9]+ of [0-9]+ rows are longer than sequence_len 16: rows.jsonl:[0-9]+ ' err ||
    fail "another name: $(cat err)"
# A command that lacks its recipe shows one.
for command in train plan; do
    expect_error 2 "  lorikeet $command recipes/plume.yaml" "$LORIKEET" $command
done
