"""Small models of every family, made from the golden ones without what GGUF has no place for, and what transformers
computes with them. tests/golden/gguf.c has the same list for our own logits.

usage: families.py make DIR   -> DIR/NAME: a model, its batch.json, expected.safetensors (logits.base.row{n}) and
                                 greedy.json (12 ids after the last row, and the smallest lead among them)
       families.py check DIR back_NAME ...     the logits of other directories against those
       families.py words FOLDER DIR NAME ...   DIR/NAME: a model of one narrow layer around the tokenizer FOLDER/NAME, and
                                               texts.json
"""
import json
import pathlib
import random
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, LlamaConfig, LlamaForCausalLM

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "data"
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 32}
PLAIN = {"layer_types": None, "use_sliding_window": False}
# name: golden model, members of config.json, layers of it, endings of tensors left out. llama.cpp sets marks of its
# own for models called phi3.
CASES = {
    "linear": ("llama_linear",),
    "llama3": ("llama_rope_llama3",),
    "yarn": ("llama_yarn", {"rope_parameters": YARN}),
    "yarn_scaled": ("llama_yarn", {"rope_parameters": YARN | {"attention_factor": 1.5}}),
    "ministral3": ("ministral3",),
    "ministral3_plain": ("ministral3", {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0,
                                                            "llama_4_scaling_beta": 0.5, "original_max_position_embeddings": 8}}),
    "mistral3_images": ("mistral3_images",),
    "gemma3_images": ("gemma3_images",),
    "llava": ("llava",),
    "qwen2": ("qwen2_window", PLAIN),
    "qwen3": ("qwen3_odd", {"attention_bias": False}, None, "_proj.bias"),
    "gemma2": ("gemma2_odd", {"query_pre_attn_scalar": 12}),
    "gemma2_windows": ("gemma2_odd", {"query_pre_attn_scalar": 12,
                                      "layer_types": ["full_attention", "sliding_attention", "full_attention"]}),
    "gemma3": ("gemma3", {"query_pre_attn_scalar": 12}),
    "longrope": ("phi3",),
    "fused": ("phi3_window", {"sliding_window": None}),
    "olmo2": ("olmo2",),
    "smollm3": ("smollm3", PLAIN | {"num_hidden_layers": 4, "no_rope_layers": [1, 1, 1, 0], "attention_bias": False,
                                    "mlp_bias": False}, [0, 1, 2, 1], "_proj.bias"),
    "glm4": ("glm4",),
    "granite": ("granite",),
    "starcoder2": ("starcoder2", {"sliding_window": None}),
    "gptneox": ("neox",),
    "gptneox_sequential": ("neox", {"use_parallel_residual": False}),
    "mixtral": ("mixtral",),
    "qwen3moe": ("qwen3_moe", {"decoder_sparse_step": 1}, [1, 1]),
    "deepseek_v2": ("deepseek_v2", {"topk_method": "greedy"}),
    "deepseek_v3": ("deepseek_v3", {"rope_parameters": YARN | {"mscale": 0.8, "mscale_all_dim": 0.8}}),
}


def make_model(out, golden, config=None, layers=None, drop=None):
    out.mkdir(parents=True)
    settings = json.loads((GOLDEN / golden / "config.json").read_text()) | (config or {})
    (out / "config.json").write_text(json.dumps(settings))
    tensors = {}
    stored = {}
    for shard in (GOLDEN / golden).glob("model*.safetensors"):
        stored |= load_file(shard)
    for name, t in stored.items():
        if drop and name.endswith(drop):
            continue
        if not layers or not name.startswith("model.layers."):
            tensors[name] = t
            continue
        _, _, n, rest = name.split(".", 3)
        tensors |= {f"model.layers.{to}.{rest}": t.clone() for to, n2 in enumerate(layers) if int(n) == n2}
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    (out / "batch.json").write_text((GOLDEN / golden / "batch.json").read_text())


def open_model(path):
    images = hasattr(AutoConfig.from_pretrained(path), "vision_config")
    auto = AutoModelForImageTextToText if images else AutoModelForCausalLM
    return auto.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()


def rows_of(case):
    return [torch.tensor([row["input_ids"]]) for row in json.loads((case / "batch.json").read_text())["rows"]]


@torch.no_grad()
def record(case):
    model, rows = open_model(case), rows_of(case)
    save_file({f"logits.base.row{n}": model(ids).logits[0].contiguous() for n, ids in enumerate(rows)},
              case / "expected.safetensors")
    ids, lead = rows[-1], 9.0
    for _ in range(12):
        best = model(ids).logits[0, -1].softmax(-1).topk(2)
        lead = min(lead, (best.values[0] - best.values[1]).item())
        ids = torch.cat([ids, best.indices[:1].view(1, 1)], 1)
    (case / "greedy.json").write_text(json.dumps({"ids": ids[0, rows[-1].shape[1]:].tolist(), "smallest_lead": lead}))


@torch.no_grad()
def check(path, case):
    model, expected, worst = open_model(path), load_file(case / "expected.safetensors"), 0.0
    for n, ids in enumerate(rows_of(case)):
        worst = max(worst, (model(ids).logits[0] - expected[f"logits.base.row{n}"]).abs().max().item())
    print(f"{path}: largest difference of a logit {worst:.1e}")
    # Weights of 32 bits keep theirs; norms that are stored as 1 + w lose 2^-24, 13 of them, of logits up to 5.
    return worst <= 1e-6


def around_tokenizer(source, out):
    out.mkdir(parents=True)
    tokenizer = json.loads((source / "tokenizer.json").read_text())
    rows = max([*tokenizer["model"]["vocab"].values(), *(t["id"] for t in tokenizer["added_tokens"])]) + 1
    LlamaForCausalLM(LlamaConfig(vocab_size=rows, hidden_size=32, intermediate_size=32, num_hidden_layers=1,
                                 num_attention_heads=2, tie_word_embeddings=True, bos_token_id=None,
                                 eos_token_id=None)).half().save_pretrained(out)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if (source / name).exists():
            (out / name).write_bytes((source / name).read_bytes())
    draw = random.Random(5)
    parts = ["the ", "ing", " ", "  ", "\n", "é", "中", "x", "ab", "123", "'s ", "...", "\t", "Ω", " of", "ation", "🙂",
             "def f(x):\n    return x", "\r\n", "안녕", "こんにちは", "\u00a0", "“q”", "ﬁ", "aaaa"]
    texts = ["".join(draw.choices(parts, k=draw.randint(0, 30))) for _ in range(500)]
    (out / "texts.json").write_text(json.dumps(texts))


torch.set_num_threads(1)
if sys.argv[1] == "make":
    for name, case in CASES.items():
        make_model(pathlib.Path(sys.argv[2]) / name, *case)
        record(pathlib.Path(sys.argv[2]) / name)
    print(" ".join(CASES))
elif sys.argv[1] == "words":
    for name in sys.argv[4:]:
        around_tokenizer(pathlib.Path(sys.argv[2]) / name, pathlib.Path(sys.argv[3]) / name)
else:
    sys.exit(0 if all([check(pathlib.Path(path), pathlib.Path(sys.argv[2]) / path.removeprefix("back_")) for path in sys.argv[3:]]) else 1)
