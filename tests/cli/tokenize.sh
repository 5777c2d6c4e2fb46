# lorikeet tokenize: files, standard input, both ways, and what is refused.
data=$SOURCE/tests/golden/data

# golden CASE FIELD: that field of all its cases, as one JSON array
golden() {
    printf '['
    sed -n "s/^  \"$2\": \(.*[^,]\),\{0,1\}\$/\1/p" "$data/$1/text_cases.json" | sed '2,$s/^/, /' | tr -d '\n'
    printf ']\n'
}

for model in llama mistral qwen2 qwen3 gemma2 llama/tokenizer.json llama_gguf_f32/model.gguf; do
    name=${model%%/*}
    golden "$name" text >texts.json
    golden "$name" ids >ids.json
    expect_exit 0 "$LORIKEET" tokenize --model "$data/$model" --texts texts.json
    cmp out <(golden "$name" ids_with_special) || fail "$model: ids with special tokens"
    expect_exit 0 "$LORIKEET" tokenize --model "$data/$model" --texts texts.json --no-special
    cmp out ids.json || fail "$model: ids"
    expect_exit 0 "$LORIKEET" tokenize --model "$data/$model" --ids ids.json
    cmp out <(golden "$name" decoded) || fail "$model: texts"
done

printf 'Hi <|eot_id|>\n' | "$LORIKEET" tokenize --model "$data/llama" --no-special >out
grep -qE '^[0-9]+ "H", .*, 380 "<\|eot_id\|>", [0-9]+ "\\n"$' out || fail "standard input: $(cat out)"
printf '' | "$LORIKEET" tokenize --model "$data/llama" >out
[ "$(cat out)" = '376 "<|begin_of_text|>"' ] || fail "empty input: $(cat out)"

echo a | "$LORIKEET" tokenize --model "$data/llama" --json >out
[ "$(cat out)" = '[{"id": 376, "text": "<|begin_of_text|>"}, {"id": 64, "text": "a"}, {"id": 198, "text": "\n"}]' ] ||
    fail "--json: $(cat out)"

printf 'a\xff' >bad.txt
"$LORIKEET" tokenize --model "$data/llama" <bad.txt >out 2>err && fail "invalid UTF-8 was taken"
grep -q 'byte 1 (0xff) is not valid UTF-8' err || fail "message: $(cat err)"
echo '["a", 1]' >texts.json
expect_error 3 'texts.json: element 1: expected a string' "$LORIKEET" tokenize --model "$data/llama" --texts texts.json
[ ! -s out ] || fail "a failing command printed something"
echo '{}' >texts.json
expect_error 3 'texts.json: expected an array' "$LORIKEET" tokenize --model "$data/llama" --texts texts.json
echo '[[0], [384]]' >ids.json
expect_error 3 'element 1: token id 384 is outside the vocabulary of 384' "$LORIKEET" tokenize --model "$data/llama" --ids ids.json
echo '[[-1]]' >ids.json
expect_error 3 'id 0: expected a number from 0 on' "$LORIKEET" tokenize --model "$data/llama" --ids ids.json
expect_error 2 '--model' "$LORIKEET" tokenize
expect_error 2 'one of them' "$LORIKEET" tokenize --model "$data/llama" --ids ids.json --texts texts.json
expect_error 3 'nowhere' "$LORIKEET" tokenize --model nowhere
expect_error 3 'no tokenizer.json in it' "$LORIKEET" tokenize --model .
expect_exit 0 "$LORIKEET" tokenize --help
grep -q example out || fail "no example in --help"
