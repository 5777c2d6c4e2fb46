"""Tiny models of images and text, for tests/peer/image_text.sh.

usage: image_text.py TOKENIZER-DIR OUT-DIR   prints the kinds of model; of each
           OUT-DIR/KIND/first, .../below: golden directories of one model under both names of its weights, with PEFT's
           adapter of names that layers for images have too, its logits, loss and gradients. Keys that the class has
           defaults for are absent from text_config
           .../seen, .../pattern, .../dora, .../whole: the same adapter with one that changes a layer for images; one of
           PEFT's with a pattern, with DoRA, with a head or rows of the embedding that are trained
"""
import json
import shutil
import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForImageTextToText

SMALL = {"vocab_size": 96, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3}
VISION = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 16,
          "patch_size": 8}
CLIP = VISION | {"model_type": "clip_vision_model", "projection_dim": 16}
# text_config, vision_config, the rest
KINDS = {
    "gemma3": (SMALL | {"model_type": "gemma3_text", "sliding_window": 8, "sliding_window_pattern": 3,
                        "rope_scaling": {"factor": 8.0, "rope_type": "linear"}},
               VISION | {"model_type": "siglip_vision_model"},
               {"architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "boi_token_index": 93,
                "eoi_token_index": 94, "mm_tokens_per_image": 4, "eos_token_id": [1, 7]}),
    "mistral3": (SMALL | {"model_type": "mistral", "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 12,
                          "sliding_window": None},
                 VISION | {"model_type": "pixtral"},
                 {"architectures": ["Mistral3ForConditionalGeneration"], "model_type": "mistral3"}),
    "llava": (SMALL | {"num_attention_heads": 4, "rms_norm_eps": 1e-5}, CLIP,
              {"architectures": ["LlavaForConditionalGeneration"], "model_type": "llava"}),
    "llava_tied": (SMALL | {"model_type": "qwen2", "num_attention_heads": 4, "num_key_value_heads": 2,
                            "tie_word_embeddings": True}, CLIP, {"model_type": "llava"}),
}
BELOW = {"language_model.model.": "model.language_model.", "language_model.lm_head.": "lm_head."}
HEAD = "language_model.lm_head.weight"
LAYERS = ["q_proj", "v_proj", "out_proj", "o_proj", "down_proj"]  # layers for images have some of these names


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


def adapted(model, out, draw, targets, **kw):
    model = get_peft_model(model, LoraConfig(r=2, lora_alpha=6, target_modules=targets, task_type="CAUSAL_LM",
                                             rank_pattern={"model.language_model.layers.1.self_attn.q_proj": 3}, **kw)).eval()
    randomize([(n, p) for n, p in model.named_parameters() if p.requires_grad and
               ("vision" not in n or "lora_A" in n) and "magnitude" not in n], draw)
    model.save_pretrained(out, save_embedding_layers=False)
    return model


def load(path):
    return AutoModelForImageTextToText.from_pretrained(path, attn_implementation="eager", dtype=torch.float32).eval()


def write_model(folder, kind, tokenizer, draw):
    text, vision, rest = KINDS[kind]
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(
        rest | {"torch_dtype": "float32", "image_token_index": 95, "text_config": text, "vision_config": vision}, indent=2))
    model = AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(folder)).eval()
    randomize(model.named_parameters(), draw)
    model.save_pretrained(folder.parent / "saved")
    tensors = load_file(folder.parent / "saved/model.safetensors")
    if kind == "mistral3":  # published files store a head of its own and say nothing of it
        tensors[HEAD] = torch.randn(96, 32, generator=draw) / 32 ** 0.5
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "preprocessor_config.json").write_text("{}")
    shutil.copy(tokenizer / "tokenizer.json", folder)


def make_kind(tokenizer, out, kind):
    first, below, draw = out / "first", out / "below", torch.Generator().manual_seed(1)
    write_model(first, kind, tokenizer, draw)
    rows = batch(draw)
    (first / "batch.json").write_text(json.dumps(rows))
    model, tensors, expected = load(first), {}, {}
    for which in ("base", "adapter"):
        if which == "adapter":
            model = adapted(model, first / "adapter", draw, LAYERS)
        logits, loss = forward(model, rows["rows"])
        tensors |= {f"logits.{which}.row{n}": x.detach().contiguous() for n, x in enumerate(logits)}
        expected[which] = {"loss": loss.item()}
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
    adapted(load(first), out / "pattern", draw, r".*language_model\.layers\.\d+\.mlp\.(up|gate)_proj|.*\.1\.self_attn\.q_proj")
    adapted(load(first), out / "dora", draw, r".*language_model.*\.(q_proj|down_proj)", use_dora=True)
    whole = {"modules_to_save": ["lm_head"]} if HEAD in stored else {"trainable_token_indices": [3, 40]}
    adapted(load(first), out / "whole", draw, r".*language_model.*\.(q_proj|down_proj)", **whole)


def make(tokenizer, out):
    for kind in KINDS:
        make_kind(tokenizer, out / kind, kind)
    print(*KINDS)


def earlier(adapter):
    """The names that PEFT wrote before transformers 4.52, in the patterns as well."""
    old = lambda text: text.replace("model.language_model.", "language_model.model.")
    (adapter / "adapter_config.json").write_text(old((adapter / "adapter_config.json").read_text()))
    tensors = load_file(adapter / "adapter_model.safetensors")
    save_file({old(n): t for n, t in tensors.items()}, adapter / "adapter_model.safetensors", metadata={"format": "pt"})


torch.set_num_threads(1)
make(*map(Path, sys.argv[1:]))
