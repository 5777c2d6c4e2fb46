# tests/cli/provenance.sh -- what is made of an output says what that said: bases, adapters, data, recipe, license, through
# merges, combinations, exports and conversions.
G=$SOURCE/tests/golden/data
for name in one two; do
    cp -r "$G/llama" $name && chmod -R u+w $name && rm -r $name/adapter $name/final
done
printf -- '---\nlicense: other\nlicense_name: tiny-1 # own\nlicense_link: "LICENSE"\nbase_model:\n- owner/Origin\n- plain\n---\n' >one/README.md
sed -i 's|"model_type"|"_name_or_path": "owner/Tiny-Llama_1.0", "model_type"|' one/config.json
expect_exit 0 "$LORIKEET" merge --model two --adapter "$G/llama/adapter" --out other # the same shapes, other weights
rm other/manifest.json other/README.md
printf '{"prompt": "row 1", "completion": " answer"}\n' >rows.jsonl
printf '{"prompt": "row 2", "completion": " result"}\n' >more.jsonl
run() { # DIR BASE ROWS SEED
    cat >recipe.yaml <<YAML
base_model: $2
datasets: [{path: $3}]
lora_r: 2
max_steps: 1
learning_rate: 1e-2
threads: 1
seed: $4
output_dir: $1
YAML
    expect_exit 0 "$LORIKEET" train recipe.yaml --quiet
}
run first one rows.jsonl 1
run second one rows.jsonl 2
run third one more.jsonl 3
run strange other more.jsonl 4
hash_of() { "$LORIKEET" inspect "$1" --json >json && sed -n 's/^  "sha256": "\([0-9a-f]*\)".*/\1/p' json; }
one=$(hash_of one) other=$(hash_of other)

# The manifest and the card of an output, of any form, as manifest.json and README.md in said/.
said() {
    rm -rf said && mkdir said
    if [ -d "$1" ]; then
        cp "$1/manifest.json" "$1/README.md" said
    else
        "$LORIKEET" inspect "$1" --json >keys.json
        for name in manifest.json README.md; do
            printf '%b' "$(sed -n "s/^ *\"lorikeet\.$name\": \"\(.*\)\",\?$/\1/p" keys.json | sed 's/\\"/"/g')" >said/$name
        done
    fi
    of=$1
}
has() { tr -d ' \n' <said/manifest.json | grep -qF -- "$1" || fail "$of: no $1 in $(cat said/manifest.json)"; }
hasnt() { ! tr -d ' \n' <said/manifest.json | grep -qF -- "$1" || fail "$of: $1 in $(cat said/manifest.json)"; }
card() { grep -qF -- "$1" said/README.md || fail "$of: no \"$1\" in $(cat said/README.md)"; }
times() { [ "$(grep -cF -- "$2" said/README.md)" = "$1" ] || fail "$of: not $1 lines \"$2\" in $(cat said/README.md)"; }

# ---- another base: said at once, and of all that is made of it
foreign() {
    said "$1"
    has "\"trained_for\":[{\"name\":\"other\",\"sha256\":\"$other\"}]"
    has "\"name\":\"owner/Tiny-Llama_1.0\",\"sha256\":\"$one\""
    card '## Trained for another base'
    card "| other | $other |"
}
merge() { "$LORIKEET" merge --model one --adapter "$@"; }
expect_error 3 'an adapter for another base' merge strange/adapter --out no
expect_exit 0 merge strange/adapter --any-base --out foreign
foreign foreign
expect_exit 0 "$LORIKEET" convert --model foreign --out foreign.gguf
foreign foreign.gguf
has '"output":"convertedGGUFmodel"'
expect_exit 0 "$LORIKEET" convert --model foreign.gguf --out back
foreign back
has "\"source\":{\"name\":\"foreign.gguf\",\"sha256\":\"$(hash_of foreign.gguf)\"}"
expect_exit 0 "$LORIKEET" export --adapter strange/adapter --base one --any-base --peft exported --gguf exported.gguf
foreign exported
foreign exported.gguf
expect_exit 0 "$LORIKEET" convert --adapter exported.gguf --base one --any-base --out peft
foreign peft
expect_exit 0 "$LORIKEET" merge --model other --adapter peft --out home # where it came from
said home
hasnt trained_for
expect_exit 0 "$LORIKEET" combine first/adapter strange/adapter=-.5 --any-base --out mixed
both="\"trained_for\":[{\"name\":\"owner/Tiny-Llama_1.0\",\"sha256\":\"$one\"},{\"name\":\"other\",\"sha256\":\"$other\"}]"
for step in 'true mixed' 'merge mixed --out mixed-merged' 'merge mixed --out mixed.gguf' \
    "$LORIKEET export --adapter mixed --peft mixed-peft" "$LORIKEET combine mixed=2 first/adapter --out mixed-again"; do
    expect_exit 0 $step
    said "${step##* }"
    has "$both"
    card "| other | $other |"
done
said first/adapter
hasnt trained_for
# (without a hash of its base in it, as from PEFT, nobody knows: another name may be the same model's)
mkdir unsaid && cp strange/adapter/adapter_* unsaid
sed -i 's/lorikeet\.base\.sha256/lorikeet.base.unsaid/' unsaid/adapter_model.safetensors
expect_exit 0 merge unsaid --any-base --out unsaid-merged
said unsaid-merged
hasnt trained_for

# ---- a combination: method, adapters and weights, recipes and each set of data once
expect_exit 0 "$LORIKEET" combine first/adapter=.5 second/adapter=-.25 third/adapter --method ties --density .5 --out three
parts() {
    said "$1"
    has '"method":"ties"'
    has '"weight":-0.25'
    has 'seed:2\n'
    has 'seed:3\n'
    hasnt trained_for
    card '| combined by | ties |'
    card '| first/adapter | 0.5 |'
    card '| second/adapter | -0.25 |'
    card '| third/adapter | 1 |'
    times 1 '| rows.jsonl | training |'
    times 1 '| more.jsonl | training |'
    card '    seed: 2'
    card '- recipe: above and in manifest.json'
    card '| license of the base | other |'
}
parts three
expect_exit 0 merge three --out three-merged
parts three-merged
expect_exit 0 merge three --out three.gguf
parts three.gguf
expect_exit 0 "$LORIKEET" export --adapter three --base one --peft three-peft --gguf three-adapter.gguf
parts three-peft
parts three-adapter.gguf
expect_exit 0 "$LORIKEET" convert --adapter three-adapter.gguf --base one --out three-back
parts three-back
expect_exit 0 "$LORIKEET" convert --model three-merged --out three-converted.gguf
parts three-converted.gguf
# what is one adapter's alone is not said of the combination; what all have is
expect_exit 0 "$LORIKEET" inspect three/adapter_model.safetensors --json
! grep -qE 'lorikeet\.(recipe|steps)' out || fail "the first adapter's: $(grep lorikeet out)"
grep -qF "\"lorikeet.base.sha256\": \"$one\"" out && grep -q lorikeet.tokenizer.sha256 out || fail "notes: $(grep lorikeet out)"

# ---- license and name go where the model goes
expect_exit 0 "$LORIKEET" convert --model one --out model.gguf
expect_exit 0 "$LORIKEET" inspect model.gguf
keys() {
    for line in "$@"; do grep -qxF "  general.$line" out || fail "no general.$line in $(grep general out)"; done
}
keys 'name: "Tiny-Llama_1.0"' 'organization: "owner"' 'license: "other"' 'license.name: "tiny-1"' 'license.link: "LICENSE"' \
    'base_model.count: 2' 'base_model.0.name: "Origin"' 'base_model.0.organization: "owner"' \
    'base_model.0.repo_url: "https://huggingface.co/owner/Origin"' 'base_model.1.name: "plain"'
expect_exit 0 "$LORIKEET" inspect three.gguf
keys 'license: "other"' 'base_model.count: 1' 'base_model.0.repo_url: "https://huggingface.co/owner/Tiny-Llama_1.0"'
expect_exit 0 "$LORIKEET" convert --model model.gguf --out folder
said folder
card 'license_name: "tiny-1"'
card 'base_model_relation: quantized'
run fourth folder rows.jsonl 1
said fourth/adapter
card '# owner/Tiny-Llama\_1.0, adapted'
card 'license_link: "LICENSE"'
has '"made_from":{"output":"convertedmodel",'
has "\"sha256\":\"$(hash_of folder)\""
# a GGUF of another program, with keys and no manifest
"$LORIKEET" convert --model two --out bare.gguf
expect_exit 0 "$LORIKEET" inspect bare.gguf
keys 'name: "two"'
! grep -q general.license out || fail "a license from nowhere"

# ---- an adapter as a GGUF file names its license and its base too
expect_exit 0 "$LORIKEET" inspect three-adapter.gguf
keys 'license: "other"' 'license.name: "tiny-1"' 'base_model.count: 1' \
    'base_model.0.repo_url: "https://huggingface.co/owner/Tiny-Llama_1.0"'

# ---- training that began from an adapter says so, and what that one was
cat >recipe.yaml <<YAML
base_model: one
datasets: [{path: more.jsonl}]
lora_model_dir: mixed
max_steps: 1
learning_rate: 1e-2
seed: 6
output_dir: onward
YAML
expect_exit 0 "$LORIKEET" train recipe.yaml --quiet
expect_exit 0 merge onward/adapter --out onward-merged
for of in onward/adapter onward-merged; do
    said $of
    has '"start":{"name":"mixed","sha256":"'
    has "$both"
    has 'seed:6\n'
    has '"weight":-0.5'
    card '| training began from the adapter | mixed |'
done
expect_exit 0 "$LORIKEET" inspect onward
grep -qF 'begun from: "mixed", sha256 ' out || fail "inspect: $(cat out)"

# ---- an adapter on a model that was merged: what is in that base stays known
run fifth three-merged more.jsonl 5
expect_exit 0 "$LORIKEET" merge --model three-merged --adapter fifth/adapter --out deep
said deep
card '## The base'
card "| owner/Tiny-Llama\\_1.0 | $one |"
has '"method":"ties"'
has 'seed:5\n'
# another program's manifest.json beside a base is no error
echo '{"name": "x"}' >two/manifest.json
expect_exit 0 "$LORIKEET" convert --model two --out again.gguf

# ---- inspect says all that in a few lines, of whatever form
shows() {
    expect_exit 0 "$LORIKEET" inspect "$1"
    shift
    for line in "$@"; do grep -qF -- "$line" out || fail "$of: inspect has no \"$line\": $(cat out)"; done
}
base="base: \"owner/Tiny-Llama_1.0\", sampled sha256 $one, license \"other\""
for of in three three.gguf three-merged three-adapter.gguf three-converted.gguf three/manifest.json; do
    shows $of "$base" 'combined by: "ties", ' ' 0.5 of: "first/adapter", sha256 ' '-0.25 of: "second/adapter"' ', recipe ' \
        'data: "rows.jsonl", for "training", rows 1, sha256 '
done
for of in foreign foreign.gguf exported; do
    shows $of "$base" "trained for another base (--any-base): \"other\", sampled sha256 $other"
done
shows first 'kind: "run"' "$base" 'training: steps 1, rows 1, tokens ' 'recipe: sha256 '
shows deep 'which was made of: "owner/Tiny-Llama_1.0"'
expect_exit 0 merge first/adapter --out bundle --format ollama
shows bundle 'kind: "Ollama bundle"' "$base" 'FROM ./model.gguf' 'token_embd.weight' 'sha256: "'
of=three.gguf
shows three.gguf "sha256: \"$(hash_of three.gguf)\""
[ "$(hash_of three.gguf)" != '' ] || fail "no hash of a GGUF file"
