"""Our adapters in PEFT and our merged directories in transformers, against recorded logits.

usage: load_peft.py CHECKS    a file with a check a line, so that torch is loaded once for all of them:
       adapter BASE-DIR ADAPTER-DIR CASE-DIR    logits of base + adapter
       merged MODEL-DIR CASE-DIR                logits of a merged model
       shapes BASE-DIR ADAPTER-DIR              PEFT makes the tensors of our adapter of its configuration
       equal BASE-DIR ADAPTER-DIR MERGED-DIR CASE-DIR    logits of base + adapter and of the merged model, for the case's rows
       weights BASE-DIR ADAPTER-DIR MERGED-DIR  PEFT merges to the weights that we merged to
       carried MODEL-DIR MERGED-DIR             what is not of the language model has the same bytes, and so have the files
"""
import json
import sys
from filecmp import cmp
from glob import glob

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

torch.set_num_threads(1)


def shapes(base, adapter):
    model = get_peft_model(load(base), LoraConfig.from_pretrained(adapter))
    want = {name: tuple(t.shape) for name, t in get_peft_model_state_dict(model, save_embedding_layers=False).items()}
    got = {name: tuple(t.shape) for name, t in load_file(adapter + "/adapter_model.safetensors").items()}
    return float(got != want), 0.0


def weights(base, adapter, merged):
    want = PeftModel.from_pretrained(load(base), adapter).merge_and_unload().state_dict()
    got = load_file(merged + "/model.safetensors")
    # one rounding of weights below 4, summed in another order
    return max((want[name] - tensor).abs().max().item() for name, tensor in got.items()), 1e-6


def carried(model, merged):
    before, after = load_file(model + "/model.safetensors"), {}
    for shard in glob(merged + "/model*.safetensors"):
        after |= load_file(shard)
    assert before.keys() == after.keys(), before.keys() ^ after.keys()
    beside = [n for n in before if "vision" in n or "projector" in n]
    assert beside
    other = [n for n in beside if before[n].numpy().tobytes() != after[n].numpy().tobytes()]
    other += [n for n in ("config.json", "preprocessor_config.json") if not cmp(f"{model}/{n}", f"{merged}/{n}", shallow=False)]
    return float(len(other)), 0.0


def load(path):
    # f32 holds every stored number, and what is trained whole in f32 stays so
    images = hasattr(AutoConfig.from_pretrained(path), "vision_config")
    auto = AutoModelForImageTextToText if images else AutoModelForCausalLM
    return auto.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()


def logits(model, case):
    with torch.no_grad():
        return [model(torch.tensor([row["input_ids"]])).logits[0]
                for row in json.load(open(case + "/batch.json"))["rows"]]


def furthest(got, want):
    return max((a - b.float()).abs().max().item() for a, b in zip(got, want))


def recorded(case):
    expected = load_file(case + "/expected.safetensors")
    return [expected[f"logits.adapter.row{n}"] for n in range(len(json.load(open(case + "/batch.json"))["rows"]))]


# 2e-4: as tests/golden/README.md has it for f32
def adapter(base, adapter, case):
    return furthest(logits(PeftModel.from_pretrained(load(base), adapter), case), recorded(case)), 2e-4


# A merge into bf16 rounds: there what PEFT merged and saved says what is right.
def merged(path, case):
    bf16 = AutoConfig.from_pretrained(path).dtype == torch.bfloat16
    want = logits(load(case + "/merged"), case) if bf16 else recorded(case)
    return furthest(logits(load(path), case), want), 2e-4


def equal(base, adapter, merged, case):
    return furthest(logits(PeftModel.from_pretrained(load(base), adapter), case), logits(load(merged), case)), 2e-4


failed = 0
for line in open(sys.argv[1]):
    check, *where = line.split()
    error, allowed = {"adapter": adapter, "merged": merged, "shapes": shapes, "equal": equal, "weights": weights,
                      "carried": carried}[check](*where)
    failed += not error <= allowed
    print(f"{'ok  ' if error <= allowed else 'FAIL'} {error:.2e} of {allowed:.2e}  {line.strip()}")
sys.exit(failed > 0)
