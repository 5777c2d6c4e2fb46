"""Logits of SmolLM2 beside transformers, from the same GGUF file.

    python smollm2_logits.py LORIKEET MODEL.gguf

Writes a golden directory with the logits that transformers (float32, weights dequantized from the
file) gives for 20 prompts, lets `lorikeet verify` recompute them, and demands a largest error of 1e-3
of the largest logit and the same most likely token wherever that is not a closer call than the error.
"""
import functools
import json
import os
import subprocess
import sys
import tempfile

import gguf as gguf_files
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

PROMPTS = [
    "The capital of France is", "Once upon a time", "def fibonacci(n):", "SELECT name FROM",
    "Question: how many errors in checkout\nPlume:\n", "2 + 2 =", "The quick brown fox",
    "In 1969, humans first", "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    "Water boils at", "import numpy as np\n", "To be, or not to be,", "Liebe Grüße aus", "日本の首都は",
    "{\"id\": 1, \"name\":", "Dear Sir or Madam,\n\n", "a b c d e f g", "The derivative of x^2 is",
    "HTTP/1.1 404", "    indented text",
]


def main():
    lorikeet, gguf = sys.argv[1:3]
    torch.manual_seed(0)
    torch.set_num_threads(1)
    # transformers reads the file four times, and each time all names of its vocabulary, and makes all names of tensors for
    # each of the model's modules
    gguf_files.GGUFReader = functools.cache(gguf_files.GGUFReader)
    gguf_files.get_tensor_name_map = functools.cache(gguf_files.get_tensor_name_map)
    folder, name = os.path.split(os.path.abspath(gguf))
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32).eval()
    rows, tensors, largest, leads, loss = [], {}, 0.0, [], 0.0
    with torch.no_grad():
        for n, prompt in enumerate(PROMPTS):
            ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
            logits = model(torch.tensor([ids])).logits[0].float()
            loss += torch.nn.functional.cross_entropy(logits[:-1].double(), torch.tensor(ids[1:]), reduction="sum").item()
            top = logits.topk(2).values
            leads += (top[:, 0] - top[:, 1]).tolist()
            largest = max(largest, logits.abs().max().item())
            rows.append({"input_ids": ids, "labels": [-100] + ids[1:]})
            tensors[f"logits.base.row{n}"] = logits.contiguous()
    base = {"loss": loss / sum(len(row["input_ids"]) - 1 for row in rows)}
    with tempfile.TemporaryDirectory() as out:
        os.symlink(os.path.abspath(gguf), f"{out}/model.gguf")
        json.dump({"rows": rows}, open(f"{out}/batch.json", "w"))
        json.dump({"case": "smollm2", "base": base}, open(f"{out}/expected.json", "w"))
        save_file(tensors, f"{out}/expected.safetensors", metadata={"format": "pt"})
        done = subprocess.run([lorikeet, "verify", out, "--json"], capture_output=True, text=True)
    checks = {c["what"]: c for c in json.loads(done.stdout)} if done.stdout else {}
    if "logits.base" not in checks:
        sys.exit(f"no logits were compared: {done.stderr}")
    error = checks["logits.base"]["error"]
    close = sum(lead < 2 * error for lead in leads)
    print(f"{len(PROMPTS)} prompts, {len(leads)} positions: largest logit {largest:.3f}, "
          f"largest error {error:.3g} ({error / largest:.2g} of it), {close} positions too close to call")
    if error > 1e-3 * largest or close > len(leads) // 20:
        sys.exit("the logits differ")


main()
