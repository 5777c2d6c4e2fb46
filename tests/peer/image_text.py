"""A tiny Gemma 3 of images and text, for tests/peer/image_text.sh.

usage: image_text.py make TOKENIZER-DIR OUT-DIR
           OUT-DIR/first, OUT-DIR/below: golden directories of one model under both names of its weights, with PEFT's
           adapter of names that layers for images have too, its logits, loss and gradients. Most keys of text_config are
           absent
       OUT-DIR/seen, .../pattern: the same adapter with one that changes a layer for images; one of PEFT's with a pattern
       image_text.py carried MODEL-DIR MERGED-DIR   what is not of the language model has the same bytes
"""
import json
import shutil
import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, Gemma3ForConditionalGeneration

CONFIG = {
    "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "torch_dtype": "float32",
    "boi_token_index": 93, "eoi_token_index": 94, "image_token_index": 95, "mm_tokens_per_image": 4,
    "eos_token_id": [1, 7],
    "text_config": {"model_type": "gemma3_text", "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48,
                    "num_hidden_layers": 3, "sliding_window": 8, "sliding_window_pattern": 3,
                    "rope_scaling": {"factor": 8.0, "rope_type": "linear"}},
    "vision_config": {"model_type": "siglip_vision_model", "hidden_size": 16, "intermediate_size": 24,
                      "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 16, "patch_size": 8}}
BELOW = {"language_model.model.": "model.language_model.", "language_model.lm_head.": "lm_head."}


def randomize(named, draw):
    for name, p in named:
        p.data = torch.randn(p.shape, generator=draw) * (0.15 if "lora_B" in name or p.dim() == 1 else p.shape[-1] ** -0.5)


def batch(draw):
    rows = [torch.randint(3, 90, (n,), generator=draw).tolist() for n in (7, 19, 33)]
    return {"rows": [{"input_ids": ids, "labels": [-100, -100, *ids[2:]]} for ids in rows]}


def forward(model, rows):
    """Logits of each row, and the loss."""
    logits = [model(torch.tensor([row["input_ids"]])).logits[0] for row in rows]
    labels = [torch.tensor(row["labels"][1:]) for row in rows]
    loss = sum(torch.nn.functional.cross_entropy(x[:-1], y, reduction="sum") for x, y in zip(logits, labels))
    return logits, loss / sum((y != -100).sum() for y in labels)


def adapted(model, out, draw, targets):
    model = get_peft_model(model, LoraConfig(r=2, lora_alpha=6, target_modules=targets, task_type="CAUSAL_LM",
                                             rank_pattern={"model.language_model.layers.1.self_attn.q_proj": 3})).eval()
    randomize([(n, p) for n, p in model.named_parameters() if p.requires_grad and ("vision" not in n or "lora_A" in n)], draw)
    model.save_pretrained(out)
    return model


def make(tokenizer, out):
    first, below, draw = out / "first", out / "below", torch.Generator().manual_seed(1)
    first.mkdir(parents=True)
    (first / "config.json").write_text(json.dumps(CONFIG, indent=2))
    load = lambda: Gemma3ForConditionalGeneration.from_pretrained(first, attn_implementation="eager").eval()
    model = Gemma3ForConditionalGeneration(AutoConfig.from_pretrained(first)).eval()
    randomize(model.named_parameters(), draw)
    model.save_pretrained(out / "saved")
    shutil.copy(out / "saved/model.safetensors", first)
    shutil.copy(tokenizer / "tokenizer.json", first)
    rows = batch(draw)
    (first / "batch.json").write_text(json.dumps(rows))
    model, tensors, expected = load(), {}, {}
    for kind in ("base", "adapter"):
        if kind == "adapter":
            model = adapted(model, first / "adapter", draw, ["q_proj", "v_proj", "out_proj", "o_proj", "down_proj"])
        logits, loss = forward(model, rows["rows"])
        tensors |= {f"logits.{kind}.row{n}": x.detach().contiguous() for n, x in enumerate(logits)}
        expected[kind] = {"loss": loss.item()}
    loss.backward()
    tensors |= {"grad." + n.replace(".default", ""): p.grad for n, p in model.named_parameters()
                if p.requires_grad and "vision" not in n}
    save_file(tensors, first / "expected.safetensors")
    (first / "expected.json").write_text(json.dumps(expected))

    shutil.copytree(first, below)
    stored = load_file(first / "model.safetensors")
    rename = lambda n: next((b + n[len(a):] for a, b in BELOW.items() if n.startswith(a)), "model." + n)
    assert "language_model.model.norm.weight" in stored
    save_file({rename(n): t for n, t in stored.items()}, below / "model.safetensors", metadata={"format": "pt"})

    earlier(below / "adapter")

    shutil.copytree(first / "adapter", out / "seen")
    tensors = load_file(out / "seen/adapter_model.safetensors")
    name = next(n for n in tensors if "vision_tower" in n and "lora_B" in n)
    tensors[name][0, 0] = 0.5
    save_file(tensors, out / "seen/adapter_model.safetensors", metadata={"format": "pt"})
    adapted(load(), out / "pattern", draw, r".*language_model\.layers\.\d+\.mlp\.(up|gate)_proj|.*\.1\.self_attn\.q_proj")


def earlier(adapter):
    """The names that PEFT wrote before transformers 4.52, in the patterns as well."""
    old = lambda text: text.replace("model.language_model.", "language_model.model.")
    (adapter / "adapter_config.json").write_text(old((adapter / "adapter_config.json").read_text()))
    tensors = load_file(adapter / "adapter_model.safetensors")
    save_file({old(n): t for n, t in tensors.items()}, adapter / "adapter_model.safetensors", metadata={"format": "pt"})


def carried(model, merged):
    before, after = load_file(model / "model.safetensors"), load_file(merged / "model.safetensors")
    assert before.keys() == after.keys(), before.keys() ^ after.keys()
    beside = [n for n in before if "language_model" not in n]
    assert beside and all(before[n].numpy().tobytes() == after[n].numpy().tobytes() for n in beside)
    assert (model / "config.json").read_bytes() == (merged / "config.json").read_bytes()


torch.set_num_threads(1)
{"make": make, "carried": carried}[sys.argv[1]](*map(Path, sys.argv[2:]))
