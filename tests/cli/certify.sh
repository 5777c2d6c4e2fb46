# tests/cli/certify.sh -- merged models against base + adapter: at the end of a run, and by themselves.
G=$SOURCE/tests/golden/data/llama
for i in 1 2 3 4 5 6; do printf '{"prompt": "after %d comes", "completion": " %d"}\n' "$i" "$((i + 1))"; done >rows.jsonl
cat >recipe.yaml <<E
base_model: $G
lora_r: 4
datasets: [{path: rows.jsonl}]
val_set_size: 2
compute_dtype: f32
max_steps: 3
warmup_ratio: 0
learning_rate: 1e-2
output_dir: run
export: {merged: true, gguf: [q4_0], ollama: [q8_0]}
E
expect_exit 0 "$LORIKEET" train recipe.yaml
grep -q 'against base + adapter (loss [0-9.]*) on 2 rows' err || fail "no table: $(cat err)"
for what in '"format": "lorikeet-certificate"' '"rows": 2' '"path": "merged"' '"path": "merged-q4_0.gguf"' '"path": "ollama-q8_0/model.gguf"' \
    '"layer": 1' '"largest": ' '"kept": true'; do
    grep -qF "$what" run/certificate.json || fail "no $what: $(cat run/certificate.json)"
done
# Once more, from the files alone: the same figures. What is no whole bundle is passed over.
mkdir run/ollama-q4_0
expect_exit 0 "$LORIKEET" certify run --json
figures() { grep -E '"(path|mean|p99|max|count|loss|reference_loss)"' "$1"; }
cmp <(figures out) <(figures run/certificate.json) || fail "certify finds other figures: $(cat out)"
expect_exit 0 "$LORIKEET" certify run run/merged
grep -qE '^run/merged +[0-9.e-]+ +[0-9.e-]+ +100.00 %' out || fail "no row: $(cat out)"
[ "$(grep -c gguf out)" = 0 ] || fail "one was named: $(cat out)"
expect_exit 0 "$LORIKEET" certify run run/ollama-q8_0
grep -q '^run/ollama-q8_0/model.gguf ' out || fail "no row for a bundle: $(cat out)"

# A base that training held in NF4 is the reference as it was held: its loss is that of the run's last evaluation,
# and the merged model, which is made of what is stored, is some way from it.
expect_exit 0 "$LORIKEET" train recipe.yaml output_dir=four load_in_4bit=true 'export.gguf=[]'
grep -q 'against base in NF4 + adapter' err || fail "no word of NF4: $(cat err)"
grep -qF '"held_in": "nf4"' four/certificate.json || fail "certificate: $(cat four/certificate.json)"
number() { sed -n "s/.*\"$1\": \([0-9.e-]*\).*/\1/p" "$2" | tail -n 1; }
last=$(grep '"kind": "eval"' four/metrics.jsonl | tail -n 1 >eval.json && number eval_loss eval.json)
# printed with six digits behind the point; f32 sums of 2 rows differ by less
awk -v a="$last" -v b="$(number reference_loss four/certificate.json)" 'BEGIN { exit !(a - b < 2e-6 && b - a < 2e-6) }' ||
    fail "the reference has loss $(number reference_loss four/certificate.json), the run had $last"
awk -v kl="$(number mean four/certificate.json)" 'BEGIN { exit !(kl > 1e-5) }' || fail "no way from NF4: $(cat four/certificate.json)"
expect_exit 0 "$LORIKEET" certify four --json
cmp <(figures out) <(figures four/certificate.json) || fail "certify finds other figures: $(cat out)"

# A limit: the output does not stay, the adapter does, and the certificate says why.
expect_error 7 'nats a token away from base + adapter, the limit is 1e-05' \
    "$LORIKEET" train recipe.yaml output_dir=strict export.max_kl=1e-5
[ ! -e strict/merged-q4_0.gguf ] || fail "an output past the limit stayed"
[ -s strict/merged/model.safetensors ] && [ -s strict/adapter/adapter_model.safetensors ] || fail "the others are gone"
grep -qF '"kept": false' strict/certificate.json || fail "certificate: $(cat strict/certificate.json)"
# a model with fewer rows than the tokenizer has tokens: nothing is computed
cp -r "$SOURCE/tests/golden/data/llama_new_tokens" few
cp "$SOURCE"/tests/golden/data/llama/tokenizer*.json few
"$LORIKEET" merge --model few --adapter few/adapter --out few_merged >out
printf '{"prompt": "a b", "completion": " c"}\n' >few.jsonl
expect_error 3 'tokenizer and model do not belong together' \
    "$LORIKEET" certify --model few --adapter few/adapter --data few.jsonl few_merged

expect_error 7 'the limit is 1e-05' "$LORIKEET" certify run --max-kl 1e-5
expect_error 2 'export.max_kl: there are no held-out rows' \
    "$LORIKEET" train recipe.yaml output_dir=blind export.max_kl=1 val_set_size=0

# Nothing to measure on, or not wanted: the ledger alone.
expect_exit 0 "$LORIKEET" train recipe.yaml output_dir=plain export.check_rows=0
grep -qF '"merged": 14' plain/certificate.json || fail "no ledger"
[ "$(grep -c '"kl"' plain/certificate.json)" = 0 ] || fail "measured, though nobody asked"

expect_error 2 'expected a run directory, or --model' "$LORIKEET" certify
expect_error 3 'so it is no run directory' "$LORIKEET" certify "$G"
expect_exit 0 "$LORIKEET" certify --model "$G" --adapter run/adapter --data rows.jsonl --rows 0 run/merged
expect_error 2 'expected a run directory, or --model' "$LORIKEET" certify --model "$G" --data rows.jsonl

# What can be missing is missed before anything is computed.
C=("$LORIKEET" certify --model "$G" --adapter run/adapter --data rows.jsonl)
expect_error 3 'gone: no such file or directory' "$LORIKEET" certify --model gone --data rows.jsonl run/merged
expect_error 3 'gone: no such directory' "$LORIKEET" certify --model "$G" --adapter gone --data rows.jsonl run/merged
expect_error 3 'gone.jsonl: no such file' "$LORIKEET" certify --model "$G" --data gone.jsonl run/merged
expect_error 3 'gone.gguf: no such file or directory' "${C[@]}" run/merged gone.gguf
head -c 3000 run/merged-q4_0.gguf >cut.gguf
expect_error 3 'cut.gguf' "${C[@]}" run/merged cut.gguf
! grep -q 'against base' err || fail "something was measured first: $(cat err)"
# A model that another adapter was merged into, by its manifest: in a directory, in a file, in a bundle.
expect_exit 0 "$LORIKEET" train recipe.yaml output_dir=another seed=9
for merged in merged merged-q4_0.gguf ollama-q8_0; do
    expect_error 3 'by its manifest it was made of another adapter, with hash ' "${C[@]}" another/$merged
    expect_exit 0 "${C[@]}" --any-adapter another/$merged
done
expect_exit 0 "$LORIKEET" certify another
# The same adapter in another form is the same adapter.
expect_exit 0 "$LORIKEET" export --adapter run/adapter --model "$G" --peft again --gguf again.gguf
expect_exit 0 "$LORIKEET" convert --adapter again.gguf --base "$G" --out back
for adapter in again back; do
    expect_exit 0 "$LORIKEET" certify --model "$G" --adapter $adapter --data rows.jsonl run/merged
done
# A certificate replaces one, and says so; one that fails does not, and another file is not one.
expect_exit 0 "${C[@]}" --out c.json run/merged
! grep -q replaces err || fail "nothing was there: $(cat err)"
expect_exit 0 "${C[@]}" --out c.json --rows 1 run/merged run/merged-q4_0.gguf
grep -q 'c.json: replaces the certificate of an earlier call' err || fail "no word of it: $(cat err)"
grep -q ' on 1 row, [0-9]* token' out || fail "one row: $(cat out)"
cp c.json before.json
expect_error 7 'the limit is 1e-05' "${C[@]}" --out c.json --max-kl 1e-5 run/merged-q4_0.gguf
grep -q 'c.json: is of an earlier call and stays' err && cmp c.json before.json || fail "a good certificate is gone: $(cat err)"
expect_error 2 'rows.jsonl: is there and no certificate' "${C[@]}" --out rows.jsonl run/merged
# The ledger of a merge that was done before stays known, and bytes are a number.
cp run/certificate.json first.json
expect_exit 0 "$LORIKEET" certify run --out run/certificate.json
cmp <(grep -E '"(merged|carried|bytes|largest)"' first.json) <(grep -E '"(merged|carried|bytes|largest)"' run/certificate.json) ||
    fail "the ledger is another: $(cat run/certificate.json)"
rm run/certificate.json run/merged-q4_0.gguf
expect_exit 0 "$LORIKEET" train recipe.yaml --resume
[ "$(grep -cE '^ *"bytes": [1-9][0-9]*' run/certificate.json)" = 3 ] || fail "bytes: $(cat run/certificate.json)"

# Past the limit: which output went, and how to keep it.
expect_exit 7 "$LORIKEET" train recipe.yaml output_dir=kept export.max_kl=1e-5
grep -q 'kept/merged-q4_0.gguf: was past the limit and is removed' err && grep -q -- '--resume.* export.max_kl' err ||
    fail "no word of what is gone: $(cat err)"
expect_exit 0 "$LORIKEET" train recipe.yaml --resume output_dir=kept export.max_kl=0
[ -s kept/merged-q4_0.gguf ] || fail "what is wanted again is not made: $(cat err)"
