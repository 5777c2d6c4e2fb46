# tests/cli/bench.sh -- lorikeet bench: rows for each thing timed, and what is refused.
model=$SOURCE/tests/golden/data/llama
bench=("$LORIKEET" bench --model "$model" --repeats 1 --threads 1 --device cpu)

expect_exit 0 "${bench[@]}" --train 2,9 --prefill 7 --decode 3 --rank 2 --dtype f32
for what in 'train 2x9 r2 f32' 'prefill 7 f32' 'decode 3 f32'; do
    grep -q "^$what" out || fail "no row '$what': $(cat out)"
done
expect_exit 0 "${bench[@]}" --train 2,9 --profile
grep -q 'linear .*forward' out || fail "no profile: $(cat out)"
expect_exit 0 "${bench[@]}" --decode 3 --json
grep -q '"tok_per_s": ' out || fail "no JSON: $(cat out)"

expect_error 2 'expected rows and tokens' "${bench[@]}" --train 2
expect_error 2 'at most 16777216 tokens in all' "${bench[@]}" --train 60000,1000
expect_error 2 '--prefill: expected a whole number of at least 1 and at most 16777216' "${bench[@]}" --prefill 4294967297
expect_error 2 '--profile' "${bench[@]}" --profile --json
