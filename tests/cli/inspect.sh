# tests/cli/inspect.sh -- lorikeet inspect on each kind, and what it refuses.
G=$SOURCE/tests/golden/data

expect_exit 0 "$LORIKEET" inspect "$G/llama_gguf_q8_0/model.gguf"
grep -qF 'llama.embedding_length: 64' out || fail "no metadata"
grep -qE 'q8_0 +\[320, 64\] +token_embd.weight' out || fail "no tensor"
grep -qF '21 tensors, ' out || fail "no sum"
# FILE NAME...: tensors of one byte
bytes_of_names() {
    local file=$1 header= at=0 name
    shift
    for name; do header="$header\"$name\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[$at,$((++at))]},"; done
    header="{${header%,}}"
    printf "\\x$(printf %02x $((${#header} % 256)))\\x$(printf %02x $((${#header} / 256)))\0\0\0\0\0\0%s%*s" \
        "$header" $at '' >"$file"
}
# layers stand by their number, not by its first digit
bytes_of_names layers.safetensors layers.0.w layers.1.w layers.10.w layers.11.w layers.2.w
expect_exit 0 "$LORIKEET" inspect layers.safetensors
grep -qE '^  U8 +\[1\] +layers\.\{0-2,10-11\}\.w  5, 0\.0 MB$' out || fail "not one line for all layers: $(cat out)"
grep -qF '5 tensors, 5 parameters, 0.0 MB; --tensors lists each' out || fail "sum: $(cat out)"
expect_exit 0 "$LORIKEET" inspect layers.safetensors --tensors
! grep -qF -- --tensors out || fail "a hint at what was asked for"
[ "$(grep -o 'layers\.[0-9][0-9]*' out | tr '\n' ' ')" = 'layers.0 layers.1 layers.2 layers.10 layers.11 ' ] ||
    fail "order: $(cat out)"
expect_exit 0 "$LORIKEET" inspect layers.safetensors --json
[ "$(grep -o '"layers\.[0-9][0-9]*' out | tail -n 1)" = '"layers.11' ] || fail "order in JSON: $(cat out)"
# a name may hold any character
c='\u0001'
bytes_of_names odd.safetensors "$c.$c.$c.$c.0" "$c.$c.$c.$c.1"
expect_exit 0 "$LORIKEET" inspect odd.safetensors
grep -qF '{0-1}  2, 0.0 MB' out || fail "control characters: $(cat out)"
expect_exit 0 "$LORIKEET" inspect "$G/llama" --json
grep -qF '"kind": "Hugging Face model"' out || fail "kind of a directory"
grep -qE '"sha256": "[0-9a-f]{64}"' out || fail "no hash"
grep -qF '"sha256 of": "a sample of every tensor' out || fail "hash of what: $(cat out)"
expect_exit 0 "$LORIKEET" inspect "$G/llama/adapter"
grep -qF 'modules: 14' out || fail "modules of an adapter"
expect_exit 0 "$LORIKEET" inspect "$G/llama_bf16/model.safetensors"
grep -qE 'BF16 +\[64\] +model.norm.weight' out || fail "types of safetensors"
printf '{"text": "a"}\n' >x.jsonl
expect_exit 0 "$LORIKEET" data import x.jsonl --out x.h5
expect_exit 0 "$LORIKEET" inspect x.h5
grep -qF 'kind: "HDF5"' out && grep -qF 'train: 1' out || fail "HDF5: $(cat out)"
printf '{"text":{"a": 1}}\n\n{"text": "b"}' >rows # what safetensors have in their ninth byte
for rows in 'x.jsonl 1' 'rows 2'; do
    expect_exit 0 "$LORIKEET" inspect ${rows% *}
    grep -qF 'kind: "JSON Lines"' out && grep -qxF "rows: ${rows#* }" out && grep -qF 'data show' out || fail "rows: $(cat out)"
done
printf '{\n  "format": "x"\n}\n' >other.json
expect_error 3 'other.json: format is not lorikeet-manifest' "$LORIKEET" inspect other.json
printf '\x89HDF\r\n\x1a\n' >x.h5
expect_error 3 'x.h5: cannot be read; is it a complete file?' "$LORIKEET" inspect x.h5

mkdir run
printf 'r: 4\n' >run/recipe.resolved.yaml
printf '{"step": 1}\n{"step": 2, "loss": 0.5}\n' >run/metrics.jsonl
expect_exit 0 "$LORIKEET" inspect run
grep -qF 'kind: "run"' out && grep -qF 'step: 2' out || fail "run: $(cat out)"
cat >run/certificate.json <<'JSON'
{
  "format": "lorikeet-certificate",
  "outputs": [{"path": "m", "kl": {"mean": 2e-5, "p99": 3e-4}, "top1": {"value": 0.995, "of": 200}, "loss": 1.5,
               "reference_loss": 1.25, "kept": true}, {"path": "n", "kept": false}]
}
JSON
for path in run run/certificate.json; do
    expect_exit 0 "$LORIKEET" inspect $path
    grep -qF '"m": KL mean 2e-05, 99 % 0.0003; same top token 99.50 % of 200; loss 1.5000, of base + adapter 1.2500' out &&
        grep -qF '"n": not measured' out || fail "certificate: $(cat out)"
done
echo '{"format": 1}' >run/certificate.json # of somebody else
expect_exit 0 "$LORIKEET" inspect run
! grep -q '^certificate:' out || fail "another certificate: $(cat out)"

expect_error 3 'nothing.gguf: cannot open' "$LORIKEET" inspect nothing.gguf
expect_error 3 'not a safetensors, GGUF or HDF5 file' "$LORIKEET" inspect "$SOURCE/CMakeLists.txt"
expect_error 3 'neither an adapter' "$LORIKEET" inspect "$SOURCE/tests"
: >empty
expect_error 3 'not a safetensors' "$LORIKEET" inspect empty
expect_error 2 'expected one PATH' "$LORIKEET" inspect
# a name with an escape sequence does not reach the terminal
printf '\x40\0\0\0\0\0\0\0{"a\\u001b[31m":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}\0\0\0\0' >evil
expect_exit 0 "$LORIKEET" inspect evil
grep -qiF '\u001b[31m' out || fail "escape: $(cat -v out)"
