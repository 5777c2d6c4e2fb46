"""Random configurations of every family, for tests/peer/configs.sh: tiny models whose logits transformers records.

usage: configs.py OUT-DIR COUNT SEED    OUT-DIR/FAMILY_n for n < COUNT: a model, batch.json, expected.json and
                                        expected.safetensors, as `lorikeet verify` reads them
Sizes, groups of heads, biases, windows, ropes, caps, scales, routers: all that a configuration of the family can say
and a model of that family has been published with, in the spelling of transformers 5 or of 4.
"""
import json
import random
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, CONFIG_MAPPING, logging

VOCABULARY, ROWS = 96, (5, 23, 40)
MIXED = ("full_attention", "sliding_attention")


def rope(pick, maybe, kinds, head):
    kind = pick(kinds)
    made = {"rope_type": kind, "rope_theta": pick((1000.0, 10000.0, 500000.0))}
    if kind != "default":
        made["factor"] = pick((2.0, 3.5, 8.0))
    if kind in ("yarn", "llama3"):
        made["original_max_position_embeddings"] = pick((16, 32, 64))
    if kind == "llama3":
        made |= {"low_freq_factor": 1.0, "high_freq_factor": pick((2.0, 4.0))}
    if kind == "yarn" and maybe(0.3):
        made |= {"beta_fast": pick((16, 32)), "beta_slow": pick((1, 2))}
    if kind == "yarn" and maybe(0.3):
        made |= pick(({"attention_factor": 1.2}, {"mscale": 0.7, "mscale_all_dim": 0.5}, {"truncate": False}))
    if kind == "longrope":
        made |= {key: [pick((1.0, 1.3, 2.5, 6.0)) for _ in range(head // 2)] for key in ("short_factor", "long_factor")}
        made["original_max_position_embeddings"] = pick((16, 64))
    return made


def experts(family, pick, maybe, c):
    c["num_experts_per_tok"] = pick((1, 2, 3))
    if family == "mixtral":
        c["num_local_experts"] = pick((4, 8))
    elif family.startswith("qwen"):
        c |= {"num_experts": pick((4, 8)), "moe_intermediate_size": 24, "norm_topk_prob": maybe(0.5),
              "decoder_sparse_step": pick((1, 2)), "mlp_only_layers": pick(([], [1]))}
        if family == "qwen2_moe":
            c |= {"shared_expert_intermediate_size": pick((24, 40)), "qkv_bias": maybe(0.6)}
    else:
        c |= {"n_routed_experts": 8, "moe_intermediate_size": 24, "n_shared_experts": pick((1, 2)),
              "first_k_dense_replace": pick((0, 1)), "norm_topk_prob": maybe(0.5), "routed_scaling_factor": pick((1.0, 2.5)),
              "q_lora_rank": pick((None, 24)), "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": pick((8, 16)),
              "v_head_dim": pick((8, 16)), "num_key_value_heads": c["num_attention_heads"], "n_group": pick((1, 2, 4))}
        c["topk_group"] = pick([n for n in (1, 2, 4) if n <= c["n_group"] and 8 // c["n_group"] * n >= c["num_experts_per_tok"]])
        c |= {"topk_method": pick(("greedy", "group_limited_greedy"))} if family == "deepseek_v2" else \
            {"rope_interleave": maybe(0.7)}


def windows(family, pick, maybe, c):
    layers = c["num_hidden_layers"]
    if family in ("mistral", "ministral3", "mixtral", "starcoder2", "phi3"):
        c["sliding_window"] = pick((4, 8, None, None, None))
    elif family.startswith("gemma"):
        c["sliding_window"] = pick((4, 8, 16))
    elif family in ("qwen2", "qwen3", "qwen2_moe", "qwen3_moe", "smollm3") and maybe(0.5):
        c |= {"use_sliding_window": True, "sliding_window": pick((4, 8))}
        c |= {"max_window_layers": pick((0, 1, 2))} if family != "smollm3" else {}
    if family in ("qwen2", "qwen3", "gemma2", "gemma3_text") and c.get("sliding_window") and maybe(0.4):
        c["layer_types"] = [pick(MIXED) for _ in range(layers)]


def configuration(family, pick, maybe):
    heads, head = pick((1, 2, 3)), pick((8, 12, 16, 24))
    c = {"vocab_size": VOCABULARY, "intermediate_size": pick((48, 56, 80)), "num_hidden_layers": pick((2, 3, 4)),
         "num_key_value_heads": heads, "num_attention_heads": heads * pick((1, 2, 3)), "tie_word_embeddings": maybe(0.5),
         "max_position_embeddings": pick((64, 128, 256)), "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    free = family in ("llama", "mistral", "ministral3", "mixtral", "qwen3", "qwen3_moe", "gemma2", "gemma3_text", "glm", "glm4")
    c["hidden_size"] = c["num_attention_heads"] * (pick((8, 12, 16)) if free else head)
    if free:
        c["head_dim"] = head
    c[{"starcoder2": "norm_epsilon", "gpt_neox": "layer_norm_eps"}.get(family, "rms_norm_eps")] = pick((1e-3, 1e-5, 1e-6))
    if maybe(0.1):
        c["hidden_activation" if family.startswith("gemma") else "hidden_act"] = pick(("silu", "gelu", "gelu_pytorch_tanh"))
    if family in ("llama", "granite", "smollm3", "deepseek_v2", "qwen3", "qwen3_moe", "olmo2", "gemma2", "gemma3_text", "gpt_neox", "glm", "glm4"):
        c["attention_bias"] = maybe(0.3)
    if family in ("llama", "granite", "smollm3", "deepseek_v2"):
        c["mlp_bias"] = maybe(0.3)
    if family == "starcoder2":
        c["use_bias"] = maybe(0.6)
    if family == "gpt_neox":
        del c["num_key_value_heads"]
        c |= {"use_parallel_residual": maybe(0.5), "rotary_pct": pick((0.5, 1.0))}
    if family.startswith("gemma"):
        c |= {"query_pre_attn_scalar": pick((head, head, 17, 64)), "final_logit_softcapping": pick((None, 5.0, 30.0))}
        c |= {"attn_logit_softcapping": pick((None, 4.0, 50.0))} if family == "gemma2" else {}
    if family == "granite":
        c |= {"embedding_multiplier": pick((1.0, 12.0)), "residual_multiplier": pick((1.0, 0.22)),
              "attention_multiplier": pick((1.0, 0.1)), "logits_scaling": pick((1.0, 8.0))}
    if family == "smollm3":
        c |= {"no_rope_layers": [pick((0, 1)) for _ in range(c["num_hidden_layers"])]} if maybe(0.4) else \
            {"no_rope_layer_interval": pick((2, 3, 4))}
    if family in ("mixtral", "qwen2_moe", "qwen3_moe", "deepseek_v2", "deepseek_v3"):
        experts(family, pick, maybe, c)
    windows(family, pick, maybe, c)
    if family != "gpt_neox":
        kinds = ("default", "longrope") if family == "phi3" else ("default", "default", "default", "linear", "yarn", "llama3")
        share = pick((1.0, 1.0, 0.5)) if family == "phi3" else pick((0.5, 0.5, 1.0)) if family.startswith("glm") else 1.0
        c["rope_parameters"] = rope(pick, maybe, kinds, int(head * share))
        if family == "ministral3":
            c["rope_parameters"] |= {"llama_4_scaling_beta": pick((0.0, 0.1, 0.7)), "original_max_position_embeddings": pick((4, 9, 32))}
            c["rope_parameters"] |= pick(({}, {"mscale": 1.0, "mscale_all_dim": 1.0}, {"mscale": 1.0, "mscale_all_dim": 0.5}))
        if share < 1 or family.startswith("glm"):
            c["rope_parameters"]["partial_rotary_factor"] = share
        if c["rope_parameters"]["rope_type"] == "longrope":
            c["original_max_position_embeddings"] = c["rope_parameters"]["original_max_position_embeddings"]
        if family == "gemma3_text":
            local = {"rope_type": "default", "rope_theta": pick((500.0, 10000.0))}
            c["rope_parameters"] = {"full_attention": c["rope_parameters"], "sliding_attention": local}
    return c


def older(path, family):
    """config.json as transformers 4 wrote it."""
    c = json.loads(path.read_text())
    made = c.pop("rope_parameters")
    if family == "gemma3_text":
        c["rope_local_base_freq"], made = made["sliding_attention"]["rope_theta"], made["full_attention"]
    c["rope_theta"], c["torch_dtype"] = made.pop("rope_theta"), c.pop("dtype")
    share = made.pop("partial_rotary_factor", 1.0)
    if family == "gpt_neox":
        c |= {"rotary_emb_base": c.pop("rope_theta"), "rotary_pct": share}
    elif share < 1 or family.startswith("glm"):
        c["partial_rotary_factor"] = share
    if made["rope_type"] == "longrope":
        del made["original_max_position_embeddings"]  # it stands beside
    c["rope_scaling"] = made if len(made) > 1 else None
    path.write_text(json.dumps(c))


def fill(model):
    """Numbers at which nothing that is forgotten goes unseen."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim > 1:
                p.copy_(torch.randn_like(p) / p.shape[-1] ** 0.5)
            elif "norm" in name and "bias" not in name:
                p.copy_(1 + 0.3 * torch.randn_like(p))
            else:
                p.copy_(0.2 * torch.randn_like(p))
        for name, b in model.named_buffers():
            if "e_score_correction" in name:
                b.copy_(0.1 * torch.randn_like(b))


@torch.no_grad()
def record(path):
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()
    rows = [torch.randint(3, VOCABULARY, (n,), generator=torch.Generator().manual_seed(n)) for n in ROWS]
    logits = [model(row[None]).logits[0] for row in rows]
    sums = [torch.nn.functional.cross_entropy(x[:-1].double(), row[1:], reduction="sum").item() for x, row in zip(logits, rows)]
    trained = sum(len(row) - 1 for row in rows)
    save_file({f"logits.base.row{n}": x.contiguous() for n, x in enumerate(logits)}, path / "expected.safetensors")
    (path / "batch.json").write_text(json.dumps({"rows": [{"input_ids": row.tolist(), "labels": row.tolist()} for row in rows]}))
    (path / "expected.json").write_text(json.dumps({"trained_tokens": trained, "base": {"loss": sum(sums) / trained}}))


def make(path, family, pick, maybe):
    model = AutoModelForCausalLM.from_config(CONFIG_MAPPING[family](**configuration(family, pick, maybe)))
    fill(model)
    model.save_pretrained(path)
    if maybe(0.5):
        older(path / "config.json", family)
    record(path)


FAMILIES = ("llama mistral ministral3 qwen2 qwen3 gemma2 gemma3_text phi3 olmo2 smollm3 glm glm4 granite starcoder2 gpt_neox mixtral qwen2_moe "
            "qwen3_moe deepseek_v2 deepseek_v3").split()


def main(out, count, seed):
    logging.set_verbosity_error()
    torch.set_num_threads(1)
    for family in FAMILIES:
        for n in range(count):
            draw = random.Random(f"{family} {seed} {n}")
            torch.manual_seed(n)
            # llama.cpp looks for Phi-3's special tokens where "phi3" is in the name of a model
            make(out / f"{family}_{n}".replace("phi3", "phi_3"), family, draw.choice, lambda p: draw.random() < p)


main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
