# tests/cli/manifest.sh -- what outputs say of themselves: manifest.json and the model card, from a run
# to what is merged and exported of it.
G=$SOURCE/tests/golden/data
cp -r "$G/llama" base && chmod -R u+w base
printf -- '---\nlanguage: en\nlicense: "apache-2.0" # as published\n---\nlicense: none\n' >base/README.md
sed -i 's|"model_type"|"_name_or_path": "owner/Tiny-Llama_1.0", "model_type"|' base/config.json
for i in 1 2 3 4; do printf '{"prompt": "row %d", "completion": " answer %d"}\n' $i $i; done >rows.jsonl
cat >recipe.yaml <<YAML
base_model: base
datasets: [{path: rows.jsonl}]
lora_r: 2
max_steps: 2
val_set_size: 1
learning_rate: 1e-2
compute_dtype: f32
threads: 1
seed: 7
output_dir: run
export: {merged: true, adapter_gguf: true, gguf: [f32], check_rows: 0}
YAML
expect_exit 0 "$LORIKEET" train recipe.yaml --quiet

# has DIR TEXT: in the manifest, blanks aside
has() { tr -d ' \n' <"$1/manifest.json" | grep -qF -- "$2" || fail "$1: no $2 in $(cat "$1/manifest.json")"; }
card() { grep -qxF -- "$2" "$1/README.md" || fail "$1: no line \"$2\" in $(cat "$1/README.md")"; }
expect_exit 0 "$LORIKEET" inspect base --json
base=$(grep -oE '"sha256": "[0-9a-f]{64}"' out | tr -d ' ')
expect_exit 0 "$LORIKEET" inspect rows.jsonl-????????????????.h5 --json
rows=$(grep -oE '"sha256": "[0-9a-f]{64}"' out | tr -d ' ')
expect_exit 0 "$LORIKEET" inspect rows.jsonl-*.tokens-*.h5
grep -qF 'kind: "token cache"' out && grep -qF 'may be deleted' out || fail "cache: $(cat out)"
eval=$(grep '"kind": "eval"' run/metrics.jsonl | tail -n 1 | grep -oE '"eval_loss": [0-9.]+' | tr -d ' ')

known() {
    has "$1" "\"base\":{\"name\":\"owner/Tiny-Llama_1.0\",$base,\"architecture\":\"LlamaForCausalLM\",\"license\":\"apache-2.0\"}"
    has "$1" "\"data\":[{\"path\":\"rows.jsonl\",\"use\":\"training\",\"rows\":4,$rows}]"
    has "$1" '"seed":7'
    has "$1" '"steps":2,"rows":3,"held_out_rows":1,'
    card "$1" '| rows trained on | 3 |'
    has "$1" "${eval%?????}"
    has "$1" '\nseed:7\n'
    card "$1" 'license: "apache-2.0"'
    card "$1" 'base_model: owner/Tiny-Llama_1.0'
    card "$1" '    lora_r: 2'
    card "$1" '- data: not here; named above by its hash'
    [ "$(head -n 1 "$1/README.md")" = --- ] || fail "$1: front matter"
}
known run/adapter
has run/adapter '"output":"PEFTadapter"'
card run/adapter 'base_model_relation: adapter'
card run/adapter 'library_name: peft'
known run/merged
has run/merged '"output":"mergedmodel"'
card run/merged 'base_model_relation: finetune'
card run/merged 'library_name: transformers'

# what is made of the adapter says the same
expect_exit 0 "$LORIKEET" merge --model base --adapter run/adapter --out merged --threads 1
known merged
expect_exit 0 "$LORIKEET" export --adapter run/adapter --peft again
known again
expect_exit 0 "$LORIKEET" merge --model base --adapter run/adapter --out bundle --format ollama --threads 1
known bundle
card bundle 'library_name: gguf'

# one file carries both in itself: key by key what a directory has as files
inside() {
    "$LORIKEET" inspect "$1" --json >keys.json
    rm -rf inside && mkdir inside
    for name in manifest.json README.md; do
        printf '%b' "$(sed -n "s/^ *\"lorikeet\.$name\": \"\(.*\)\",\?$/\1/p" keys.json | sed 's/\\"/"/g')" >inside/$name
    done
    known inside
}
expect_exit 0 "$LORIKEET" merge --model base --adapter run/adapter --out merged.gguf --threads 1
expect_exit 0 "$LORIKEET" export --adapter run/adapter --base base --gguf adapter.gguf
for file in run/merged-f32.gguf merged.gguf run/adapter.gguf adapter.gguf; do inside $file; done
has inside '"output":"GGUFadapter"'
inside merged.gguf
has inside '"output":"mergedGGUFmodel"'
card inside 'library_name: gguf'
# and it goes on from there
expect_exit 0 "$LORIKEET" convert --adapter adapter.gguf --base base --out peft
known peft
expect_exit 0 "$LORIKEET" convert --adapter peft --base base --out peft.gguf
cmp peft.gguf adapter.gguf || fail "another file"

# the same run says the same
expect_exit 0 "$LORIKEET" train recipe.yaml --quiet output_dir=other
cmp <(grep -v yaml run/adapter/manifest.json) <(grep -v yaml other/adapter/manifest.json) || fail "another manifest"

# little is known of a stranger's adapter, and his names make no markup
cp -r "$G/llama/adapter" strange && chmod -R u+w strange
sed -i 's|"base_model_name_or_path": "llama"|"base_model_name_or_path": "a`b\\n# c<d>"|' strange/adapter_config.json
expect_exit 0 "$LORIKEET" export --adapter strange --peft plain
card plain '# a\`b \# c\<d\>, adapted'
card plain '- recipe: not known'
if grep -q '^license\|^base_model' plain/README.md; then fail "invented: $(cat plain/README.md)"; fi
expect_exit 0 "$LORIKEET" merge --model "$G/llama" --out converted --threads 1
card converted '# llama, converted'
if grep -q lora$ converted/README.md; then fail "no adapter, but $(cat converted/README.md)"; fi

# a manifest that is none
echo '{"format": "x"}' >run/adapter/manifest.json
expect_error 3 'run/adapter/manifest.json: format is not lorikeet-manifest' \
    "$LORIKEET" merge --model base --adapter run/adapter --out never
echo '{"format"' >run/adapter/manifest.json
expect_error 3 'run/adapter/manifest.json:' "$LORIKEET" export --adapter run/adapter --peft never
[ ! -e never ] || fail "left: $(ls -R never)"
