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
