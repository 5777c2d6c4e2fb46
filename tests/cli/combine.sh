# tests/cli/combine.sh -- lorikeet combine: one adapter of several, and what must be refused.
G=$SOURCE/tests/golden/data
A=$G/llama/adapter
expect_exit 0 "$LORIKEET" combine "$A=0.25" "$A=.75" --out both
grep -q '^both: PEFT adapter of 2, by cat: 14 modules, rank 8$' out || fail "report: $(cat out)"
[ -s both/manifest.json ] && [ -s both/README.md ] || fail "no manifest"
expect_exit 0 "$LORIKEET" generate --model "$G/llama" --adapter both --prompt x --max-tokens 2
# Of a rank above the rows of k_proj, which has 32: sixteen of a sixteenth say what one says.
expect_exit 0 "$LORIKEET" combine $(for i in $(seq 16); do echo "$A=0.0625"; done) --out wide
grep -q '"r": 64' wide/adapter_config.json || fail "no rank of 64: $(cat wide/adapter_config.json)"
for adapter in "$A" wide; do
    expect_exit 0 "$LORIKEET" generate --model "$G/llama" --adapter "$adapter" --prompt 'a b c' --max-tokens 24 --dtype f32
    mv out "${adapter##*/}.out"
done
cmp adapter.out wide.out || fail "another answer: $(cat adapter.out wide.out)"
# An adapter and its negative are nothing.
expect_exit 0 "$LORIKEET" combine "$A" "$A=-1" --out nothing --method svd --rank 2 --json
grep -q '"rank": 2' out && grep -q '"residual": 0' out || fail "JSON: $(cat out)"
# What the rank leaves out is said, and stands in the manifest; unit/combine and peer/combine.sh have the numbers.
expect_exit 0 "$LORIKEET" combine "$A" "$G/llama/final=-.5" --out cut --method svd --rank 2
grep -qE "^residual: the rank leaves out [0-9.]+ % of the sum's Frobenius norm; at worst [0-9.]+ %, of model\.layers\.[01]" out ||
    fail "no residual: $(cat out)"
grep -qE '"residual": 0\.[0-9]+' cut/manifest.json && grep -qE '^\| distance from the plain weighted sum, as a share of it \| 0\.[0-9]+ \|$' cut/README.md ||
    fail "manifest: $(cat cut/manifest.json)"
tr -d ' \n' <cut/manifest.json | grep -qF "\"sha256\":\"$(sha256sum <"$A/adapter_model.safetensors" | cut -d' ' -f1)\",\"weight\":1.0" ||
    fail "the adapters' hashes: $(cat cut/manifest.json)"
# The methods that work on A and B by themselves say how far from the sum that is; one adapter is its own sum.
for method in linear magnitude_prune ties dare_linear dare_ties; do
    expect_exit 0 "$LORIKEET" combine "$A=.5" "$G/llama/final=-.5" --out "by-$method" --method $method
    grep -qE '^residual: the distance from the plain weighted sum is [0-9.e+]+ % of the sum.s Frobenius norm; at worst [0-9.e+]+ %, of model\.layers\.[01]' out ||
        fail "$method: no residual: $(cat out)"
    grep -qE '"residual": [0-9.]+' by-$method/manifest.json || fail "manifest: $(cat by-$method/manifest.json)"
done
expect_exit 0 "$LORIKEET" combine "$A" --out itself --method linear --json
awk -F'[:,]' '/"residual"/ { found = 1; exit !($2 < 1e-6) } END { exit !found }' out || fail "one adapter is not itself: $(cat out)"
[ "$("$LORIKEET" combine "$A" --out exact | grep -c residual)" = 0 ] || fail "a residual of the sum itself"
expect_error 7 'merging changed nothing' "$LORIKEET" merge --model "$G/llama" --adapter nothing --out x
# The same whatever the threads.
for threads in 1 2; do
    expect_exit 0 "$LORIKEET" combine "$A" "$G/llama/final" --out "t$threads" --method svd --threads $threads
    expect_exit 0 "$LORIKEET" combine "$A" "$G/llama/final" --out "d$threads" --method dare_ties --density .5 --threads $threads
done
cmp t1/adapter_model.safetensors t2/adapter_model.safetensors || fail "svd: threads change the bytes"
cmp d1/adapter_model.safetensors d2/adapter_model.safetensors || fail "dare_ties: threads change the bytes"

# A chat template that all have stays; others do not, and that is said.
for name in one two three; do
    cp -r "$A" $name
    chmod -R u+w $name
    echo "{{ messages }}" >$name/chat_template.jinja
done
expect_exit 0 "$LORIKEET" combine one two --out alike
cmp one/chat_template.jinja alike/chat_template.jinja || fail "the template is gone"
[ ! -s err ] || fail "a warning: $(cat err)"
echo "{{ other }}" >three/chat_template.jinja
expect_exit 0 "$LORIKEET" combine one two three --out different
grep -q 'no chat template goes with it, for the adapters have different ones' err || fail "no warning: $(cat err)"
[ ! -e different/chat_template.jinja ] || fail "one of several templates"
expect_exit 0 "$LORIKEET" combine one "$A" --out lacking
grep -q 'for one was trained with one of its own and .* has none, so it is asked through the base.s own' err || fail "no warning: $(cat err)"
[ ! -e lacking/chat_template.jinja ] || fail "the template of one alone"
# One that was trained on plain prompts says nothing of templates, and is asked in another way than the rest.
cp -r "$A" plain
chmod -R u+w plain
echo '{"format": "lorikeet-manifest", "training": {"chat_template": "none"}}' >plain/manifest.json
for other in one "$A"; do
    rm -rf mixed
    expect_exit 0 "$LORIKEET" combine $other plain --out mixed
    grep -qF "mixed: plain was trained on plain prompts (generate --prompt), $other through a chat template" err ||
        fail "no warning: $(cat err)"
    [ "$(grep -c warning err)" = 1 ] || fail "more than one warning: $(cat err)"
done
expect_exit 0 "$LORIKEET" combine one plain --out kept
cmp one/chat_template.jinja kept/chat_template.jinja || fail "the only template there is is gone"
expect_exit 0 "$LORIKEET" combine plain plain --out both-plain
[ ! -s err ] || fail "a warning: $(cat err)"

expect_error 2 'expected 1 to 64 adapters, got 0' "$LORIKEET" combine --out x
expect_error 2 "--method: 'sum' is unknown" "$LORIKEET" combine "$A" --out x --method sum
expect_error 2 'expected ADAPTER or ADAPTER=WEIGHT' "$LORIKEET" combine "$A=much" --out x
expect_error 2 '--rank goes with --method svd' "$LORIKEET" combine "$A" --out x --rank 2
expect_error 2 '--density goes with --method magnitude_prune, ties' "$LORIKEET" combine "$A" --out x --method cat --density 0.5
expect_error 2 '--seed goes with --method dare_linear or dare_ties' "$LORIKEET" combine "$A" --out x --method ties --seed 5
expect_error 2 'every weight is 0' "$LORIKEET" combine "$A=0" "$A=-0" --out x
for method in cat svd linear dare_ties; do
    expect_error 7 'the combination is not finite in f32' "$LORIKEET" combine "$A=1e300" "$A" --out x --method $method
done
echo >file
expect_error 2 'file: is a file, expected a directory' "$LORIKEET" combine "$A" --out file
expect_error 2 '--density: expected a number above 0 and at most 1, got "2"' "$LORIKEET" combine "$A" --out x --method ties --density 2
expect_error 2 'not empty' "$LORIKEET" combine "$A" --out both
expect_error 3 'gone: no such directory' "$LORIKEET" combine "$A" gone --out x
expect_error 3 "adapter 2 ($G/llama_dora/adapter) is DoRA" "$LORIKEET" combine "$A" "$G/llama_dora/adapter" --out x
expect_error 3 'in one adapter and' "$LORIKEET" combine "$A" "$G/llama_gguf_q4_k/adapter" --out x --any-base
# Others than ours note no hash: then the names of the bases count, wherever those lie.
expect_error 3 "adapters 1 ($A) and 2 ($G/mistral/adapter) are of different bases: they call them 'llama' and 'mistral'; --any-base" \
    "$LORIKEET" combine "$A" "$G/mistral/adapter" --out x
cp -r "$A" elsewhere && chmod -R u+w elsewhere
sed -i 's|"base_model_name_or_path": "llama"|"base_model_name_or_path": "/models/llama/"|' elsewhere/adapter_config.json
expect_exit 0 "$LORIKEET" combine "$A" elsewhere --out moved
# Runs on two bases: their hashes are in the adapters.
printf '{"prompt": "a", "completion": " b"}\n' >rows.jsonl
cp -r "$G/llama" llama
expect_exit 0 "$LORIKEET" merge --model llama --adapter "$A" --out other
for base in llama other; do
    printf 'base_model: %s\ndatasets: [{path: rows.jsonl}]\nlora_r: 2\nmax_steps: 1\nlearning_rate: 1e-2\noutput_dir: on-%s\n' \
        $base $base >recipe.yaml
    expect_exit 0 "$LORIKEET" train recipe.yaml --quiet
done
for method in cat svd linear ties; do
    expect_error 3 'adapters 1 (on-llama/adapter) and 2 (on-other/adapter) are of different bases: they were trained on weights with hashes ' \
        "$LORIKEET" combine on-llama/adapter on-other/adapter --out x --method $method
done
expect_exit 0 "$LORIKEET" combine on-llama/adapter on-other/adapter --out any --any-base
expect_exit 0 "$LORIKEET" combine on-llama/adapter on-llama/adapter=-.5 --out same
tr -d ' \n' <same/manifest.json | grep -qF '"base":{"name":"llama"' || fail "no base: $(cat same/manifest.json)"
grep -qF '| rows.jsonl | training | 1 |' same/README.md || fail "no data: $(cat same/README.md)"

# New tokens: rows and tokenizer go along, and what the same tokens are not is refused.
printf 'base_model: llama\ndatasets: [{path: rows.jsonl}]\ntokens: ["<|query|>", "<|pipe|>"]\nlora_r: 2\nmax_steps: 2\nlearning_rate: 1e-2\n' >recipe.yaml
for seed in 1 2; do expect_exit 0 "$LORIKEET" train recipe.yaml --quiet seed=$seed output_dir=tokens-$seed; done
expect_exit 0 "$LORIKEET" train recipe.yaml --quiet output_dir=other-tokens 'tokens=["<|pipe|>", "<|query|>"]'
expect_error 2 'what is summed is how far they are from the base' "$LORIKEET" combine tokens-1/adapter on-llama/adapter --out x
expect_error 3 'tokens-1/adapter and other-tokens/adapter have different tokenizers beside them' \
    "$LORIKEET" combine --base llama tokens-1/adapter other-tokens/adapter --out x
expect_error 3 'an adapter for another base' "$LORIKEET" combine --base other tokens-1/adapter --out x
expect_exit 0 "$LORIKEET" combine --base llama tokens-1/adapter=.6 on-llama/adapter tokens-2/adapter=.4 --out grown
cmp grown/tokenizer.json tokens-1/adapter/tokenizer.json || fail "no tokenizer"
tr -d ' \n' <grown/adapter_config.json | grep -qF '"trainable_token_indices":{"embed_tokens":[384,385],"lm_head":[384,385]}' ||
    fail "rows: $(cat grown/adapter_config.json)"
expect_exit 0 "$LORIKEET" inspect grown
grep -qF 'new tokens: 2, "<|query|>", "<|pipe|>"; vocabulary 384 -> 386' out || fail "not said: $(cat out)"
expect_exit 0 "$LORIKEET" merge --model llama --adapter grown --out grown.gguf --format gguf
expect_exit 0 "$LORIKEET" generate --model grown.gguf --prompt 'a<|query|>' --max-tokens 4
mv out want
expect_exit 0 "$LORIKEET" generate --model llama --adapter grown --prompt 'a<|query|>' --max-tokens 4
cmp out want || fail "merged, it answers otherwise"
# Without such rows a tokenizer beside an adapter changes nothing: one that all share goes along, different ones stay behind.
for name in plain alike-text other-text; do
    cp -r on-llama/adapter $name
    cat llama/tokenizer.json >$name/tokenizer.json
done
echo >>other-text/tokenizer.json
expect_exit 0 "$LORIKEET" combine plain alike-text --out with-text
cmp plain/tokenizer.json with-text/tokenizer.json || fail "the tokenizer is gone"
expect_exit 0 "$LORIKEET" combine plain other-text --out without-text
grep -q 'no tokenizer goes with it, for the adapters have different ones' err || fail "no warning: $(cat err)"
[ ! -e without-text/tokenizer.json ] || fail "one of several tokenizers"
[ ! -e x ] || fail "a refused command left something"
