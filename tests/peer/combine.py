"""Adapters that lorikeet combined, beside PEFT's own, for tests/peer/combine.sh.

usage: combine.py CASE-DIR DIR   adapter/ and final/ of the case, with weights 0.7 and -0.4, in DIR/METHOD; what
                                 svd printed in DIR/residual.json
"""
import json
import sys
from pathlib import Path

import numpy
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

torch.set_num_threads(1)
case, made = Path(sys.argv[1]), Path(sys.argv[2])
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(case, dtype=torch.float32), case / "adapter", adapter_name="one")
model.load_adapter(case / "final", adapter_name="two")
METHODS = {"cat": {}, "svd": dict(svd_rank=3), "linear": {}, "magnitude_prune": dict(density=0.4),
           "ties": dict(density=0.4), "whole_ties": dict(density=1.0)}
# Sums of two products of f32 in another order: two roundings of numbers of that size. PEFT's svd is in f32, with an
# error of about 1e-6 of the largest singular value.
LIMIT = {"svd": 2e-5}


def residual(paths, rank):
    """Shares of the Frobenius norm that singular values beyond the rank have: overall, the worst module's, its name."""
    files = [load_file(case / d / "adapter_model.safetensors") for d in ("adapter", "final")]
    scales = [json.loads((case / d / "adapter_config.json").read_text()) for d in ("adapter", "final")]
    whole, cut, shares = 0.0, 0.0, {}
    for path in paths:
        a, b = ([f[f"base_model.model.{path}.lora_{k}.weight"].double().numpy() for f in files] for k in "AB")
        w = sum(f * c["lora_alpha"] / c["r"] * y @ x for f, c, x, y in zip((0.7, -0.4), scales, a, b))
        s = numpy.linalg.svd(w, compute_uv=False) ** 2
        whole, cut, shares[path] = whole + s.sum(), cut + s[rank:].sum(), (s[rank:].sum() / s.sum()) ** 0.5
    worst = max(shares, key=shares.get)
    return (cut / whole) ** 0.5, shares[worst], worst


said = json.loads((made / "residual.json").read_text())
paths = [k.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
         for k in load_file(made / "svd" / "adapter_model.safetensors") if k.endswith("lora_A.weight")]
want = residual(paths, 3)
print(f"residual: overall {said['residual']} (numpy {want[0]}), worst {said['worst_residual']} (numpy {want[1]})")
# The weight goes into A before f32 rounds it: half an ulp of each element, averaged over many.
assert abs(said["residual"] - want[0]) < 1e-7 and abs(said["worst_residual"] - want[1]) < 1e-7, said
assert said["worst_module"] == want[2], (said, want)
worst = {}
for name, options in METHODS.items():
    model.add_weighted_adapter(["one", "two"], [0.7, -0.4], name, combination_type=name.removeprefix("whole_"), **options)
    ours = load_file(made / name / "adapter_model.safetensors")
    modules = 0
    for path, module in model.base_model.model.named_modules():
        if not hasattr(module, "lora_A") or name not in module.lora_A:
            continue
        a, b = (ours.pop(f"base_model.model.{path}.lora_{k}.weight") for k in "AB")
        peer_a, peer_b = module.lora_A[name].weight.data, module.lora_B[name].weight.data
        # of a decomposition only the product is one
        pairs = [(b @ a, module.scaling[name] * peer_b @ peer_a)] if name == "svd" else [(a, peer_a), (b, peer_b)]
        for mine, other in pairs:
            error = ((mine - other).abs().max() / other.abs().max()).item()
            worst[name] = max(worst.get(name, 0.0), error)
        modules += 1
    assert modules == 14 and not ours, f"{name}: {modules} modules, left over {list(ours)}"
    again = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(case, dtype=torch.float32), made / name)
    assert again.peft_config["default"].r == {"cat": 8, "svd": 3}.get(name, 4), again.peft_config["default"].r
print(worst)
late = {k: v for k, v in worst.items() if not v <= LIMIT.get(k, 2.5e-7)}
sys.exit(f"too far: {late}" if late else 0)
