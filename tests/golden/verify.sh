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

# A copy of a case, with another config.json.
altered() { # NAME SED
    rm -rf changed
    cp -r "$cases/$1" changed
    chmod -R u+w changed
    sed -i "$2" changed/config.json
    ! cmp -s "$cases/$1/config.json" changed/config.json || fail "$1: $2 changes nothing"
}

# rope_scaling holds where a user has put it beside rope_parameters, in what is written as GGUF too
altered llama_linear 's/"rope_scaling": {/"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}, "rope_scaling": {/'
expect_exit 0 "$LORIKEET" verify changed
tiny_tokenizer tiny
cp -r changed written
rm written/config.json written/model.safetensors
expect_exit 0 "$LORIKEET" convert --model changed --tokenizer tiny --out written/model.gguf
expect_exit 0 "$LORIKEET" verify written

# a feature left out, or almost right, is noticed
without() {
    name=$1
    shift
    for change in "$@"; do
        altered "$name" "$change"
        expect_exit 7 "$LORIKEET" verify changed
    done
    rm -rf changed
}
without qwen2_window 's/"sliding_window": 6/"sliding_window": 7/' \
    's/\["full_attention", "sliding_attention"/["sliding_attention", "full_attention"/'
without gemma2_odd 's/"attn_logit_softcapping": 3.0/"attn_logit_softcapping": null/' \
    's/"final_logit_softcapping": 5.0/"final_logit_softcapping": null/' \
    's/"query_pre_attn_scalar": 20/"query_pre_attn_scalar": 12/' \
    's/"hidden_activation": "gelu_pytorch_tanh"/"hidden_activation": "gelu"/' \
    's/"sliding_window": 6/"sliding_window": 5/'
without gemma3 's/"factor": 4.0/"factor": 1.0/' 's/"rope_theta": 10000\.0/"rope_theta": 1000000.0/' \
    's/"query_pre_attn_scalar": 20/"query_pre_attn_scalar": 12/' 's/"sliding_window": 6/"sliding_window": 7/' \
    's/"sliding_attention", "sliding_attention"/"sliding_attention", "full_attention"/'
without phi3 's/3.0, 6.0/3.0, 5.0/' 's/1.1, 1.3/1.1, 1.0/' \
    's/"original_max_position_embeddings": 16/"original_max_position_embeddings": 20/' \
    's/^ "original_max_position_embeddings": 16,//'
without olmo2 's/"rms_norm_eps": 1e-06/"rms_norm_eps": 1e-02/'
without smollm3 's/"no_rope_layers": \[1, 1, 0\]/"no_rope_layers": [1, 1, 1]/' \
    's/"sliding_window": 6/"sliding_window": 7/'
without glm4 's/"partial_rotary_factor": 0.4/"partial_rotary_factor": 0.5/' 's/"rms_norm_eps": 1e-05/"rms_norm_eps": 1e-02/'
without granite 's/"embedding_multiplier": 3.0/"embedding_multiplier": 1.0/' \
    's/"residual_multiplier": 0.4/"residual_multiplier": 1.0/' \
    's/"attention_multiplier": 0.2/"attention_multiplier": 0.25/' \
    's/"logits_scaling": 2.5/"logits_scaling": 1.0/'
without starcoder2 's/"hidden_act": "gelu_pytorch_tanh"/"hidden_act": "gelu"/' \
    's/"norm_epsilon": 1e-05/"norm_epsilon": 1e-02/' 's/"sliding_window": 6/"sliding_window": 7/'
without neox 's/"use_parallel_residual": true/"use_parallel_residual": false/' 's/"rotary_pct": 0.25/"rotary_pct": 0.5/' \
    's/"hidden_act": "gelu"/"hidden_act": "gelu_new"/' 's/"layer_norm_eps": 1e-05/"layer_norm_eps": 1e-02/' \
    's/"rotary_emb_base": 10000.0/"rotary_emb_base": 5000.0/'
without neox_sequential 's/"use_parallel_residual": false/"use_parallel_residual": true/' \
    's/"partial_rotary_factor": 0.5/"partial_rotary_factor": 0.34/' 's/"hidden_act": "gelu_new"/"hidden_act": "gelu"/'
without llama_yarn 's/"beta_fast": 8.0/"beta_fast": 8.0, "beta_slow": 0.1/' 's/"factor": 4.0/"factor": 3.0/' \
    's/"rope_type": "yarn"/"rope_type": "yarn", "attention_factor": 1.0/' \
    's/"rope_type": "yarn"/"rope_type": "linear"/'
without ministral3 's/"llama_4_scaling_beta": 0.5/"llama_4_scaling_beta": 0.0/' \
    's/"original_max_position_embeddings": 8/"original_max_position_embeddings": 9/' 's/"mscale": 1.0/"mscale": 2.0/'
without mistral3_images 's/"llama_4_scaling_beta": 0.5/"llama_4_scaling_beta": 0.4/'
without gemma3_images 's/"sliding_window": 6/"sliding_window": 7/' 's/"query_pre_attn_scalar": 12/"query_pre_attn_scalar": 20/'
without mixtral 's/"num_experts_per_tok": 2/"num_experts_per_tok": 3/'
without qwen2_moe 's/"norm_topk_prob": false/"norm_topk_prob": true/' \
    's/"sliding_window": 6/"sliding_window": 5/' 's/"num_experts_per_tok": 2/"num_experts_per_tok": 3/'
without qwen3_moe 's/"norm_topk_prob": true/"norm_topk_prob": false/' \
    's/"num_experts_per_tok": 3/"num_experts_per_tok": 2/'
without deepseek_v3 's/"routed_scaling_factor": 1.7/"routed_scaling_factor": 1.0/' \
    's/"norm_topk_prob": true/"norm_topk_prob": false/' 's/"topk_group": 2/"topk_group": 3/' \
    's/"mscale_all_dim": 0.8/"mscale_all_dim": 1.0/' 's/"rope_interleave": true/"rope_interleave": false/'
without deepseek_v2 's/"routed_scaling_factor": 2.0/"routed_scaling_factor": 1.0/' \
    's/"topk_method": "group_limited_greedy"/"topk_method": "greedy"/' 's/"topk_group": 2/"topk_group": 3/'
without deepseek_v2_yarn 's/"mscale": 1.0/"mscale": 0.5/' 's/"mscale_all_dim": 0.5/"mscale_all_dim": 0.8/'
without qwen3_moe_dense 's/"norm_topk_prob": false/"norm_topk_prob": true/'
without smollm3_list 's/"no_rope_layers": \[0, 1, 1\]/"no_rope_layers": [1, 1, 1]/' \
    's/\["full_attention", "sliding_attention"/["sliding_attention", "full_attention"/'
without llama_linear 's/"factor": 3.0/"factor": 2.0/'

# what transformers' classes have by default may be left out
for absent in 'starcoder2 num_key_value_heads' 'mixtral num_experts_per_tok'; do
    set -- $absent
    altered "$1" "/\"$2\"/d"
    expect_exit 0 "$LORIKEET" verify changed
done
rm -rf changed

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
