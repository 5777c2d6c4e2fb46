"""Adapters beside experts, for tests/peer/experts.sh.

usage: experts.py make TOKENIZER-DIR MODEL-DIR [BASE-DIR OUT-DIR]... -- [BASE-DIR OUT-DIR]...
           MODEL-DIR: a tiny mixture of experts that has a tokenizer; OUT-DIR: an adapter with a module for each expert, as
           PEFT wrote before transformers 5, and PEFT's logits with it, a directory that load_peft.py compares with; and
           in fewer/ the same adapter without one expert's down projection. Behind --, OUT-DIR: a golden directory of that
           base with an adapter beside whole parameters, experts and router: PEFT's logits, loss and gradients
       experts.py same BASE-DIR [ADAPTER-DIR MERGED-DIR]...   one text from PEFT's logits and those of the merged model
"""
import json
import shutil
import sys
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, Qwen3MoeConfig, Qwen3MoeForCausalLM

RANK = 2


def each(base, out):
    config = AutoConfig.from_pretrained(base)
    mixtral = config.model_type == "mixtral"
    block, names = ("block_sparse_moe", "w1 w3 w2") if mixtral else ("mlp", "gate_proj up_proj down_proj")
    width, inner = config.hidden_size, config.intermediate_size if mixtral else config.moe_intermediate_size
    draw, tensors, parameters = torch.Generator().manual_seed(1), {}, []

    def add(path, rows, cols):
        tensors[f"base_model.model.{path}.lora_A.weight"] = torch.randn(RANK, cols, generator=draw) / cols ** 0.5
        tensors[f"base_model.model.{path}.lora_B.weight"] = 0.15 * torch.randn(rows, RANK, generator=draw)

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    for n, layer in enumerate(model.model.layers):
        add(f"model.layers.{n}.self_attn.o_proj", *layer.self_attn.o_proj.weight.shape)
        if not hasattr(layer.mlp, "experts"):  # PEFT takes these names for those of experts
            for name in names.split():
                add(f"model.layers.{n}.mlp.{name}", *getattr(layer.mlp, name).weight.shape)
                parameters.append(f"model.layers.{n}.mlp.{name}.weight")
            continue
        add(f"model.layers.{n}.{block}.gate", layer.mlp.gate.weight.shape[0], width)
        for e in range(layer.mlp.experts.num_experts):
            for name in names.split():
                down = name in ("down_proj", "w2")
                add(f"model.layers.{n}.{block}.experts.{e}.{name}", width if down else inner, inner if down else width)
    (out / "adapter").mkdir(parents=True)
    save_file(tensors, out / "adapter/adapter_model.safetensors", metadata={"format": "pt"})
    (out / "adapter/adapter_config.json").write_text(json.dumps({
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": base.name, "r": RANK, "lora_alpha": 6,
        "target_modules": ["o_proj", "gate", *names.split()], "target_parameters": parameters}))
    model = PeftModel.from_pretrained(model, out / "adapter").eval()
    shutil.copy(base / "batch.json", out)
    with torch.no_grad():
        save_file({f"logits.adapter.row{n}": model(torch.tensor([row["input_ids"]])).logits[0].contiguous()
                   for n, row in enumerate(json.loads((out / "batch.json").read_text())["rows"])},
                  out / "expected.safetensors")
    fewer(out / "adapter", out / "fewer")


def stacks(base, out):
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, attn_implementation="eager")
    model = get_peft_model(model, LoraConfig(
        r=RANK, lora_alpha=6, target_modules=["o_proj"], task_type="CAUSAL_LM",
        target_parameters=["mlp.experts.gate_up_proj", "mlp.experts.down_proj", "mlp.gate.weight"])).eval()
    draw = torch.Generator().manual_seed(1)
    trained = {n.replace(".default", ""): p for n, p in model.named_parameters() if p.requires_grad}
    for n, p in trained.items():
        p.data = torch.randn(p.shape, generator=draw) * (0.15 if "lora_B" in n else p.shape[1] ** -0.5)
    model.save_pretrained(out / "adapter")
    for name in ("config.json", "model.safetensors", "batch.json"):
        shutil.copy(base / name, out)
    tensors = {n: t for n, t in load_file(base / "expected.safetensors").items() if n.startswith("logits.base.")}
    loss, count = 0.0, 0
    for n, row in enumerate(json.loads((out / "batch.json").read_text())["rows"]):
        logits, labels = model(torch.tensor([row["input_ids"]])).logits[0], torch.tensor(row["labels"][1:])
        tensors[f"logits.adapter.row{n}"] = logits.detach().contiguous()
        loss = loss + torch.nn.functional.cross_entropy(logits[:-1], labels, reduction="sum")
        count += (labels != -100).sum()
    (loss / count).backward()
    tensors |= {"grad." + n: p.grad for n, p in trained.items()}
    save_file(tensors, out / "expected.safetensors")
    golden = json.loads((base / "expected.json").read_text())
    (out / "expected.json").write_text(json.dumps({"base": golden["base"], "adapter": {"loss": (loss / count).item()}}))


def fewer(adapter, out):
    out.mkdir()
    tensors = load_file(adapter / "adapter_model.safetensors")
    gone = max(k.rsplit(".lora_", 1)[0] for k in tensors if ".experts.2." in k and k.rsplit(".", 3)[-3] in ("w2", "down_proj"))
    save_file({k: t for k, t in tensors.items() if not k.startswith(gone)}, out / "adapter_model.safetensors",
              metadata={"format": "pt"})
    shutil.copy(adapter / "adapter_config.json", out)


def model(tokenizer, out):
    torch.manual_seed(1)
    made = Qwen3MoeForCausalLM(Qwen3MoeConfig(
        vocab_size=384, hidden_size=32, intermediate_size=48, moe_intermediate_size=24, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=8, num_experts=6, num_experts_per_tok=2,
        mlp_only_layers=[0], max_position_embeddings=256, norm_topk_prob=True, tie_word_embeddings=False))
    made.save_pretrained(out)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tokenizer / name, out)


def make(tokenizer, out, *pairs):
    model(tokenizer, out)
    end = pairs.index(Path("--"))
    for make_one, some in ((each, pairs[:end]), (stacks, pairs[end + 1:])):
        for base, adapted in zip(some[::2], some[1::2]):
            make_one(base, adapted)


def differ(base, adapter, merged):
    ids = torch.arange(3, 60).unsqueeze(0)
    with torch.no_grad():
        plain = AutoModelForCausalLM.from_pretrained(base).eval()
        before = plain(ids).logits
        ours = PeftModel.from_pretrained(plain, adapter).eval()(ids).logits
        whole = AutoModelForCausalLM.from_pretrained(merged).eval()(ids).logits
    worst, change = (ours - whole).abs().max().item(), (ours - before).abs().max().item()
    print(f"{adapter}: PEFT and the merged model differ by {worst:.2e}, the adapter changes logits by {change:.2e}")
    return worst > 1e-4 or change < 100 * worst


def same(base, *pairs):
    sys.exit(any([differ(base, *pair) for pair in zip(pairs[::2], pairs[1::2])]))


torch.set_num_threads(1)
{"make": make, "same": same}[sys.argv[1]](*map(Path, sys.argv[2:]))
