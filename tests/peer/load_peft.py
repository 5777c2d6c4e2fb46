"""Our adapters in PEFT and our merged directories in transformers, against recorded logits.

usage: load_peft.py adapter BASE-DIR ADAPTER-DIR CASE-DIR | merged MODEL-DIR CASE-DIR
"""
import json
import sys

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

torch.set_num_threads(1)
mode, path, *rest = sys.argv[1:]
case = rest[-1]
model = AutoModelForCausalLM.from_pretrained(path, dtype="auto")
if mode == "adapter":
    from peft import PeftModel

    model = PeftModel.from_pretrained(model, rest[0])
model = model.float().eval()
expected = load_file(case + "/expected.safetensors")
worst = 0.0
for n, row in enumerate(json.load(open(case + "/batch.json"))["rows"]):
    with torch.no_grad():
        got = model(torch.tensor([row["input_ids"]])).logits[0]
    worst = max(worst, (got - expected[f"logits.adapter.row{n}"].float()).abs().max().item())
print(f"{mode} {path}: largest difference of a logit {worst:.2e}")
# bf16 weights round the merge itself
sys.exit(worst > (0.15 if "bf16" in case else 2e-4))
