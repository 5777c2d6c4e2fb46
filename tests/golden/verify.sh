# Every golden directory, on every instruction set of this machine. How the directories were made:
# tests/golden/README.md.
cases=$SOURCE/tests/golden/data
levels=scalar
grep -qw avx2 /proc/cpuinfo && levels="$levels avx2"
grep -qw avx512bw /proc/cpuinfo && levels="$levels avx512"
grep -qw avx512_bf16 /proc/cpuinfo && levels="$levels avx512_bf16"

for dir in "$cases"/*/; do
    expect_exit 0 "$LORIKEET" verify "$dir"
done
for level in $levels; do
    for name in llama llama_dora llama_gguf_q4_k mistral; do
        LRK_CPU=$level expect_exit 0 "$LORIKEET" verify "$cases/$name"
    done
done

# a changed number is noticed: exit 7, and the table says which
cp -r "$cases/llama" changed
chmod -R u+w changed
sed -i 's/"loss": 8.12045/"loss": 8.12145/' changed/expected.json
expect_error 7 "loss.base" "$LORIKEET" verify changed
grep -q EXCEEDED out || fail "the table does not mark the error"

# twice the recorded f32 error is the tolerance; where none is recorded, a fixed one
sed 's/"loss": 8.120457/"loss": 8.120461/' "$cases/llama/expected.json" >changed/expected.json
expect_error 7 "loss.base: error" "$LORIKEET" verify changed
expect_exit 7 "$LORIKEET" verify changed --json
grep -q '"f32_error": 4.384' out || fail "what is recorded is not said: $(cat out)"
sed -i 's/"f32_error"/"elsewhere"/' changed/expected.json
expect_exit 0 "$LORIKEET" verify changed

# ids and labels of a directory are not taken on trust
for wrong in 's/"labels": \[-100, 196,/"labels": [-100, 4000000,/' \
    's/"input_ids": \[93,/"input_ids": [4294967297,/'; do
    sed "$wrong" "$cases/llama/batch.json" >changed/batch.json
    expect_error 3 "outside the vocabulary" "$LORIKEET" verify changed
done

# an empty directory is no golden directory
mkdir empty
expect_error 3 "nothing to verify" "$LORIKEET" verify empty

# what is missing, or compared with nothing, is no silent pass; numbers may lie at any address
command -v python3 >/dev/null || skip "python3 is not here; changed files are not tried"
python3 - "$cases" <<'E'
import json, os, shutil, struct, sys


def read(path):
    data = open(path, "rb").read()
    n = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + n]), data[8 + n :]


def write(path, header, data, pad=0):
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8 + pad)
    open(path, "wb").write(struct.pack("<Q", len(text)) + text + data)


def copy(name, case="llama"):
    shutil.copytree(sys.argv[1] + "/" + case, name)
    for root, _, files in os.walk(name):
        os.chmod(root, 0o755)
        for f in files:
            os.chmod(os.path.join(root, f), 0o644)
    return read(name + "/expected.safetensors")


h, d = copy("odd")
write("odd/expected.safetensors", h, d, 1)
h, d = copy("renamed")
h["hidden.base.row9.0"] = h.pop("hidden.base.row1.0")
write("renamed/expected.safetensors", h, d)
h, d = copy("more")
h["mystery"] = {"dtype": "U8", "shape": [0], "data_offsets": [len(d), len(d)]}
write("more/expected.safetensors", h, d)
copy("long")
e = json.load(open("long/expected.json"))
e["greedy"]["prompt"] = e["greedy"]["prompt"] * 60
json.dump(e, open("long/expected.json", "w"))
copy("unmerged")
os.remove("unmerged/merged/config.json")
copy("wrong")
h, d = read("wrong/merged/model.safetensors")
at = h["model.layers.0.self_attn.q_proj.weight"]["data_offsets"][0]
value = struct.unpack("<f", d[at : at + 4])[0]
write("wrong/merged/model.safetensors", h, d[:at] + struct.pack("<f", value + 2e-6) + d[at + 4 :])
copy("fewer")
h, d = read("fewer/final/adapter_model.safetensors")
for side in "AB":
    at = h.pop(f"base_model.model.model.layers.1.mlp.down_proj.lora_{side}.weight")["data_offsets"]
    d = d[: at[0]] + d[at[1] :]
    for other in h.values():
        if "data_offsets" in other and other["data_offsets"][0] > at[0]:
            other["data_offsets"] = [x - at[1] + at[0] for x in other["data_offsets"]]
write("fewer/final/adapter_model.safetensors", h, d)
for key in "rope_theta", "rope_local_base_freq":
    copy(key, "gemma3")
    c = json.load(open(key + "/config.json"))
    del c["rope_parameters"]
    c[key] = -10000.0
    json.dump(c, open(key + "/config.json", "w"))

# more types than a report holds, and numbers of a type at an odd address
os.mkdir("vectors")
n = 130
header = {f"T{i}.bytes": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for i in range(n)}
write("vectors/vectors.safetensors", header, b"")
json.dump({f"T{i}": {"ggml_type": 900} for i in range(n)}, open("vectors/index.json", "w"))
os.mkdir("odd_vectors")
floats = struct.pack("<4f", 1, 2, 3, 4)
header = {
    "F32.bytes": {"dtype": "U8", "shape": [16], "data_offsets": [0, 16]},
    "F32.values": {"dtype": "F32", "shape": [4], "data_offsets": [16, 32]},
    "F32.quantize_input": {"dtype": "F32", "shape": [4], "data_offsets": [32, 48]},
    "F32.quantize_bytes": {"dtype": "U8", "shape": [16], "data_offsets": [48, 64]},
}
write("odd_vectors/vectors.safetensors", header, floats * 4, 1)
json.dump({"F32": {"ggml_type": 0}}, open("odd_vectors/index.json", "w"))
E
expect_exit 0 "$LORIKEET" verify odd
expect_error 3 "tensor 'hidden.base.row1.0' is missing" "$LORIKEET" verify renamed
expect_error 3 "tensor 'mystery' is compared with nothing" "$LORIKEET" verify more
expect_error 3 "greedy: expected a prompt and ids, 256 together at most" "$LORIKEET" verify long
expect_error 3 "unmerged/merged: config.json is missing" "$LORIKEET" verify unmerged
expect_error 7 "merged.weights" "$LORIKEET" verify wrong
expect_error 3 "final: 13 modules, 14 in init" "$LORIKEET" verify fewer
for key in rope_theta rope_local_base_freq; do
    expect_error 3 "must be positive" "$LORIKEET" verify $key
done
expect_error 3 "not supported" "$LORIKEET" verify vectors
grep -q '^more ' out || fail "130 types, and no word: $(cat out)"
expect_exit 0 "$LORIKEET" verify odd_vectors
mkdir scratch
TMPDIR=$PWD/scratch expect_exit 0 "$LORIKEET" verify "$cases/llama"
[ -z "$(ls scratch)" ] || fail "a merge is left: $(ls scratch)"
