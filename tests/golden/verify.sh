# Every golden directory, on every instruction set of this machine. How the directories were made:
# tests/golden/README.md.
cases=$SOURCE/tests/golden/data
levels=scalar
grep -qw avx2 /proc/cpuinfo && levels="$levels avx2"
grep -qw avx512bw /proc/cpuinfo && levels="$levels avx512"

for dir in "$cases"/*/; do
    expect_exit 0 "$LORIKEET" verify "$dir"
done
for level in $levels; do
    for name in llama llama_dora llama_gguf_q4_k mistral; do
        LRK_CPU=$level expect_exit 0 "$LORIKEET" verify "$cases/$name"
    done
done

# a feature left out, or almost right, is noticed
without() {
    name=$1
    shift
    for change in "$@"; do
        rm -rf changed
        cp -r "$cases/$name" changed
        chmod -R u+w changed
        sed -i "$change" changed/config.json
        cmp -s "$cases/$name/config.json" changed/config.json && fail "$name: $change changes nothing"
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
    's/"original_max_position_embeddings": 16/"original_max_position_embeddings": 20/'
without olmo2 's/"rms_norm_eps": 1e-06/"rms_norm_eps": 1e-02/'
without smollm3 's/"no_rope_layers": \[1, 1, 0\]/"no_rope_layers": [1, 1, 1]/' \
    's/"sliding_window": 6/"sliding_window": 7/'
without granite 's/"embedding_multiplier": 3.0/"embedding_multiplier": 1.0/' \
    's/"residual_multiplier": 0.4/"residual_multiplier": 1.0/' \
    's/"attention_multiplier": 0.2/"attention_multiplier": 0.25/' \
    's/"logits_scaling": 2.5/"logits_scaling": 1.0/'
without starcoder2 's/"hidden_act": "gelu_pytorch_tanh"/"hidden_act": "gelu"/' \
    's/"norm_epsilon": 1e-05/"norm_epsilon": 1e-02/' 's/"sliding_window": 6/"sliding_window": 7/'
without llama_yarn 's/"beta_fast": 8.0/"beta_fast": 8.0, "beta_slow": 0.1/' 's/"factor": 4.0/"factor": 3.0/' \
    's/"rope_type": "yarn"/"rope_type": "yarn", "attention_factor": 1.0/' \
    's/"rope_type": "yarn"/"rope_type": "linear"/'
without mixtral 's/"num_experts_per_tok": 2/"num_experts_per_tok": 3/'
without qwen3_moe 's/"norm_topk_prob": true/"norm_topk_prob": false/' \
    's/"num_experts_per_tok": 3/"num_experts_per_tok": 2/'
without deepseek_v3 's/"routed_scaling_factor": 1.7/"routed_scaling_factor": 1.0/' \
    's/"norm_topk_prob": true/"norm_topk_prob": false/' 's/"topk_group": 2/"topk_group": 3/' \
    's/"mscale_all_dim": 0.8/"mscale_all_dim": 1.0/' 's/"rope_interleave": true/"rope_interleave": false/'
without deepseek_v2 's/"routed_scaling_factor": 2.0/"routed_scaling_factor": 1.0/' \
    's/"topk_method": "group_limited_greedy"/"topk_method": "greedy"/' 's/"topk_group": 2/"topk_group": 3/'
without llama_linear 's/"factor": 3.0/"factor": 2.0/'

# a changed number is noticed: exit 7, and the table says which
cp -r "$cases/llama" changed
chmod -R u+w changed
sed -i 's/"loss": 8.12045/"loss": 8.12145/' changed/expected.json
expect_error 7 "loss.base" "$LORIKEET" verify changed
grep -q EXCEEDED out || fail "the table does not mark the error"

# ids and labels of a directory are not taken on trust
for wrong in 's/"labels": \[-100, 196,/"labels": [-100, 4000000,/' \
    's/"input_ids": \[93,/"input_ids": [4294967297,/'; do
    sed "$wrong" "$cases/llama/batch.json" >changed/batch.json
    expect_error 3 "outside the vocabulary" "$LORIKEET" verify changed
done

# an empty directory is no golden directory
mkdir empty
expect_error 3 "nothing to verify" "$LORIKEET" verify empty
