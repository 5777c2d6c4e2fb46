"""The true shapes of the models that figures are given for, and a checkpoint of random weights of one.

usage: shapes.py NAME OUT    writes OUT/config.json and OUT/model.safetensors, bf16; NAME as below

Weights are normal with deviation 0.02, norms 1; a step costs the same as with trained ones. No tokenizer is
written: `lorikeet bench` and peft_step.py make their ids themselves.
"""
import json
import math
import os
import struct
import sys
from collections import namedtuple

Shape = namedtuple("Shape", "layers width heads kv_heads head ff vocabulary tied")

SHAPES = {
    "SmolLM2-135M": Shape(30, 576, 9, 3, 64, 1536, 49152, True),
    "Llama-3.2-1B": Shape(16, 2048, 32, 8, 64, 8192, 128256, True),
    "Llama-3.1-8B": Shape(32, 4096, 32, 8, 128, 14336, 128256, False),
    "tiny": Shape(2, 64, 4, 2, 16, 128, 512, True),
}


def linears(s):
    """(name, inputs, outputs) of a layer."""
    q, k = s.heads * s.head, s.kv_heads * s.head
    return [("self_attn.q_proj", s.width, q), ("self_attn.k_proj", s.width, k),
            ("self_attn.v_proj", s.width, k), ("self_attn.o_proj", q, s.width),
            ("mlp.gate_proj", s.width, s.ff), ("mlp.up_proj", s.width, s.ff),
            ("mlp.down_proj", s.ff, s.width)]


def tensors(s):
    """(name, dimensions) in the order of the file."""
    out = [("model.embed_tokens.weight", (s.vocabulary, s.width))]
    for i in range(s.layers):
        layer = f"model.layers.{i}."
        out += [(f"{layer}{name}.weight", (n_out, n_in)) for name, n_in, n_out in linears(s)]
        out += [(f"{layer}{name}.weight", (s.width,))
                for name in ("input_layernorm", "post_attention_layernorm")]
    out.append(("model.norm.weight", (s.width,)))
    if not s.tied:
        out.append(("lm_head.weight", (s.vocabulary, s.width)))
    return out


def config(s):
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "dtype": "bfloat16",
        "hidden_size": s.width, "intermediate_size": s.ff, "num_hidden_layers": s.layers,
        "num_attention_heads": s.heads, "num_key_value_heads": s.kv_heads, "head_dim": s.head,
        "vocab_size": s.vocabulary, "max_position_embeddings": 131072, "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0, "hidden_act": "silu", "attention_bias": False, "mlp_bias": False,
        "tie_word_embeddings": s.tied, "bos_token_id": 1, "eos_token_id": 2}


def write(s, folder):
    import numpy as np

    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as f:
        json.dump(config(s), f, indent=1)
    header, end = {}, 0
    for name, dims in tensors(s):
        start, end = end, end + 2 * math.prod(dims)
        header[name] = {"dtype": "BF16", "shape": list(dims), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    rng = np.random.default_rng(1)
    with open(os.path.join(folder, "model.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for name, dims in tensors(s):
            left = math.prod(dims)
            while left:
                n = min(left, 1 << 24)
                values = (np.ones(n, np.float32) if len(dims) == 1 else
                          rng.standard_normal(n, np.float32) * np.float32(0.02))
                f.write((values.view(np.uint32) >> 16).astype("<u2").tobytes())
                left -= n


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in SHAPES:
        sys.exit(__doc__ + "\nnames: " + ", ".join(SHAPES))
    write(SHAPES[sys.argv[1]], sys.argv[2])
