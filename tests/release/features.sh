# Golden cases whose config.json is another, by the program as it is shipped: a feature that is left out is noticed.
cases=$SOURCE/tests/golden/data

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
