"""Adapters that PEFT saved unconverted after a PiSSA or OLoRA start, against what was made of them here.

usage: principal.py make DIR           models and adapters, and what PEFT says about them when it loads them
       principal.py check DIR CASE...  adapter_CASE (PEFT, plain) and merged_CASE (transformers) in the working directory
"""
import json
import sys

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, Phi3Config, Phi3ForCausalLM

torch.set_num_threads(1)
IDS = torch.tensor([[1, 5, 9, 20, 33, 4, 7, 61, 2, 90, 17, 44]])
SMALL = dict(vocab_size=96, hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=64)
# of random numbers: no value stands out, the search has the longest way
FLAT = SMALL | dict(hidden_size=256, intermediate_size=320, num_hidden_layers=1)
CASES = {
    "pissa": (LlamaForCausalLM, LlamaConfig, SMALL, dict(init_lora_weights="pissa")),
    "olora": (LlamaForCausalLM, LlamaConfig, SMALL, dict(init_lora_weights="olora", use_rslora=True)),
    "dora": (LlamaForCausalLM, LlamaConfig, SMALL, dict(init_lora_weights="pissa", use_dora=True)),
    "olora_dora": (LlamaForCausalLM, LlamaConfig, SMALL, dict(init_lora_weights="olora", use_dora=True)),
    "patterns": (LlamaForCausalLM, LlamaConfig, SMALL | dict(vocab_size=384, hidden_size=64),
                 dict(init_lora_weights="pissa", rank_pattern={"q_proj": 5}, alpha_pattern={"v_proj": 3},
                      target_modules=["q_proj", "k_proj", "v_proj"])),
    "fused": (Phi3ForCausalLM, Phi3Config, SMALL | dict(pad_token_id=0), dict(init_lora_weights="pissa")),
    "flat": (LlamaForCausalLM, LlamaConfig, FLAT, dict(init_lora_weights="pissa", r=8)),
}


def logits(model):
    with torch.no_grad():
        return model.eval()(IDS).logits[0].float().contiguous()


def load(path):
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager")


def make(where):
    recorded = {}
    for seed, (name, (model, config, shape, lora)) in enumerate(CASES.items()):
        torch.manual_seed(seed)
        base, adapter = f"{where}/{name}", f"{where}/{name}_saved"
        model(config(**shape)).save_pretrained(base)
        lora = LoraConfig(**dict(r=3, lora_alpha=7, target_modules="all-linear", task_type="CAUSAL_LM") | lora)
        peft = get_peft_model(load(base), lora)
        with torch.no_grad():
            for key, tensor in peft.named_parameters():
                if "lora_" in key:
                    tensor.mul_(1.2).add_(0.02 * torch.randn_like(tensor))
        peft.save_pretrained(adapter)
        assert json.load(open(adapter + "/adapter_config.json"))["init_lora_weights"] == lora.init_lora_weights
        # what it computes is what it was: PEFT takes the same part out again
        loaded = logits(PeftModel.from_pretrained(load(base), adapter))
        assert torch.equal(loaded, logits(peft)), name
        recorded[name] = loaded
    save_file(recorded, where + "/logits.safetensors")
    torch.manual_seed(0)
    random = get_peft_model(load(where + "/pissa"), LoraConfig(target_modules=["q_proj"], init_lora_weights="pissa_niter_4"))
    random.save_pretrained(where + "/random_saved")


def check(where, names):
    recorded, failed = load_file(where + "/logits.safetensors"), 0
    for name in names:
        for what in ("adapter", "merged"):
            model = load(f"merged_{name}") if what == "merged" else \
                PeftModel.from_pretrained(load(f"{where}/{name}"), f"adapter_{name}")
            plain = logits(load(f"{where}/{name}"))
            error, largest = [(logits(model) - recorded[name]).abs().max().item(), recorded[name].abs().max().item()]
            # a part is told to some 1e-5 of its matrix's largest value, and a matrix is a part of what is summed
            allowed, moved = 2e-5 * largest, (plain - recorded[name]).abs().max().item()
            failed += not (error <= allowed and moved > 100 * allowed)
            print(f"{'ok  ' if error <= allowed else 'FAIL'} {error:.2e} of {allowed:.2e}  {what} {name}, which moves the base by {moved:.2e}")
    sys.exit(failed > 0)


make(sys.argv[2]) if sys.argv[1] == "make" else check(sys.argv[2], sys.argv[3:])
