"""Makes the corpus of fuzz_adapter, small adapters of each kind: make_adapter.py DIR (numpy, safetensors)."""
import json
import pathlib
import sys

import numpy as np
from safetensors.numpy import save

R, C, P = 2, 4, "base_model.model."
Q, E = "model.layers.0.self_attn.q_proj", "model.layers.0.mlp.experts"


def pair(module, a=R, rows=C, cols=C, dtype=np.float32):
    return {f"{P}{module}.lora_A.weight": np.ones((a, cols), dtype), f"{P}{module}.lora_B.weight": np.ones((rows, a), dtype)}


def config(**more):
    return {"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "b", "r": R, "lora_alpha": 4,
            "lora_dropout": 0.0, "bias": "none", "target_modules": ["q_proj"]} | more


CASES = {
    "plain": (config(), pair(Q)),
    "half": (config(use_rslora=True, target_modules=".*q_proj"), pair(Q, dtype=np.float16)),
    "patterns": (config(rank_pattern={"q_proj": 3}, alpha_pattern={"layers.0": 1}), pair(Q, a=3)),
    "dora": (config(use_dora=True), pair(Q) | {f"{P}{Q}.lora_magnitude_vector": np.ones(C, np.float32)}),
    "head": (config(modules_to_save=["lm_head"]), pair(Q) | {P + "lm_head.weight": np.ones((6, C), np.float32)}),
    "tokens": (config(trainable_token_indices=[5, 1]),
               pair(Q) | {P + "model.embed_tokens.token_adapter.trainable_tokens_delta": np.ones((2, C), np.float32)}),
    "experts": (config(target_parameters=["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]),
                pair(Q) | pair(E + ".base_layer", a=3 * R, rows=6) | pair(E, a=3 * R, cols=3)),
}
out = pathlib.Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
for name, (settings, tensors) in CASES.items():
    (out / name).write_bytes(json.dumps(settings).encode() + b"\0" + save(tensors, {"format": "pt"}))
