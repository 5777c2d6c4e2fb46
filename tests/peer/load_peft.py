"""Our adapters in PEFT and our merged directories in transformers, against recorded logits.

usage: load_peft.py adapter BASE-DIR ADAPTER-DIR CASE-DIR | merged MODEL-DIR CASE-DIR
       load_peft.py shapes BASE-DIR ADAPTER-DIR: PEFT makes the tensors of our adapter of its configuration
       load_peft.py weights BASE-DIR ADAPTER-DIR MERGED-DIR: PEFT merges to the weights that we merged to
"""
import json
import math
import sys

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

torch.set_num_threads(1)
mode, path, *rest = sys.argv[1:]
case = rest[-1]
if mode == "shapes":
    from peft import LoraConfig, get_peft_model, get_peft_model_state_dict

    model = get_peft_model(AutoModelForCausalLM.from_pretrained(path), LoraConfig.from_pretrained(case))
    want = {name: tuple(t.shape) for name, t in get_peft_model_state_dict(model, save_embedding_layers=False).items()}
    got = {name: tuple(t.shape) for name, t in load_file(case + "/adapter_model.safetensors").items()}
    print(f"{mode} {case}: {len(got)} tensors")
    sys.exit(got != want)
if mode == "weights":
    from peft import PeftModel

    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    want = PeftModel.from_pretrained(model, rest[0]).merge_and_unload().state_dict()
    got = load_file(case + "/model.safetensors")
    worst = max((want[name] - tensor).abs().max().item() for name, tensor in got.items())
    print(f"{mode} {case}: largest difference of a weight {worst:.2e}")
    sys.exit(worst > 1e-6)  # one rounding of weights below 4, summed in another order
model = AutoModelForCausalLM.from_pretrained(path, dtype="auto", attn_implementation="eager")
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
# As tests/golden/README.md has it for f32. A merge rounds each bf16 matrix once more, by 2^-9 at the most: as many
# independent moves of the logits, none above 2^-9 of the largest.
allowed = 2e-4
if mode == "merged" and "bf16" in case:
    matrices = sum("lora_A" in name for name in load_file(case + "/adapter/adapter_model.safetensors"))
    largest = max(t.abs().max().item() for name, t in expected.items() if name.startswith("logits.adapter"))
    allowed = math.sqrt(matrices) * 2**-9 * largest
print(f"allowed {allowed:.2e}")
sys.exit(worst > allowed)
