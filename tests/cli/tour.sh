# The commands of docs/tour.md, and what the tour says of their output.
mkdir -p tests docs
ln -s "$SOURCE/tests/golden" tests/golden
ln -s "$SOURCE/docs/tour" docs/tour

expect_exit 0 "$LORIKEET" data import docs/tour/row.jsonl --out row.h5
expect_exit 0 "$LORIKEET" data show row.h5 --model tests/golden/data/llama --row 0 --tokens
grep -q '^docs/tour/row.jsonl:1, row 0: 26 tokens, 13 trained (50 %)$' out || { cat out >&2; fail "data show"; }
expect_exit 0 "$LORIKEET" train docs/tour/recipe.yaml compute_dtype=f32
grep -q '"step": 1, "epoch": 1, "loss": 8\.6[0-9]*, "learning_rate": 0.01, "grad_norm": 15\.0' runs/tour/metrics.jsonl &&
    grep -q '"step": 3, "epoch": 3, "loss": 2\.4[0-9]*, "learning_rate": 0.005,' runs/tour/metrics.jsonl ||
    fail "the tour tells other losses: $(cat runs/tour/metrics.jsonl)"
grep -c '"kind": "step"' runs/tour/metrics.jsonl | grep -qx 4 || fail "not four steps"
expect_exit 0 "$LORIKEET" inspect runs/tour/adapter
