"""The peer: transformers and PEFT on the same GGUF file, the same rows, the same step."""
import json
import math
import os
import random
import subprocess
import tempfile
import time

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
EOS = 2  # <|im_end|>
SITE_TEST = 5 << 24


def since_start():
    """Seconds since this process was started, as the kernel has it."""
    ticks = int(open("/proc/self/stat").read().rsplit(")", 1)[1].split()[19])
    up = float(open("/proc/uptime").read().split()[0])
    return up - ticks / os.sysconf("SC_CLK_TCK")


def peak_mb():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def cpu():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown"


def load(gguf, dtype, rank, threads, seed, checkpointing=False, device="cpu"):
    """gguf: a file, or a Hugging Face directory.
    dtype f32; bf16: base in bf16, adapters in f32, autocast (PEFT's default);
    bf16-all: adapters in bf16 too. Returns model, trained parameters, context of a step."""
    import contextlib

    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    base = torch.float32 if dtype == "f32" else torch.bfloat16
    folder, file = (gguf, None) if os.path.isdir(gguf) else os.path.split(gguf)
    model = AutoModelForCausalLM.from_pretrained(folder or ".", dtype=base, attn_implementation="sdpa",
                                                 **({"gguf_file": file} if file else {}))
    model.to(device)
    model.config.use_cache = False
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
        model.enable_input_require_grads()
    config = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules=TARGETS,
                        task_type="CAUSAL_LM")
    model = get_peft_model(model, config, autocast_adapter_dtype=dtype != "bf16-all")
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    context = contextlib.nullcontext
    if dtype == "bf16":
        context = lambda: torch.autocast(device, torch.bfloat16)
    return model, trained, context


def ids_of(texts, gguf, lorikeet):
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".json") as f:
        json.dump(texts, f)
        f.flush()
        out = subprocess.run([lorikeet, "tokenize", "--model", gguf, "--texts", f.name,
                              "--no-special"], check=True, stdout=subprocess.PIPE).stdout
    return json.loads(out)


def rows_of(path, gguf, lorikeet, limit=0, before=""):
    """[(prompt ids, completion ids with the end token, row)]; ids are those Lorikeet trains on. before: a text
    that every prompt begins with."""
    rows = [json.loads(line) for line in open(path, encoding="utf-8")]
    rows = rows[:limit] if limit else rows
    prompts = ids_of([f"{before}Question: {r['nl']}\nPlume:\n" for r in rows], gguf, lorikeet)
    targets = ids_of([r["target"] for r in rows], gguf, lorikeet)
    return [(p, t + [EOS], r) for p, t, r in zip(prompts, targets, rows)]


def batches(rows, size, seed, grouped):
    """Indices of an epoch. grouped: as transformers' group_by_length, sorted within 50 batches."""
    order = list(range(len(rows)))
    random.Random(seed).shuffle(order)
    if grouped:
        span = 50 * size
        parts = [order[i:i + span] for i in range(0, len(order), span)]
        key = lambda i: -len(rows[i][0]) - len(rows[i][1])
        order = [i for part in parts for i in sorted(part, key=key)]
    cut = [order[i:i + size] for i in range(0, len(order), size)]
    if grouped:
        random.Random(seed + 1).shuffle(cut)
    return cut


def padded(rows):
    import torch

    width = max(len(p) + len(c) for p, c, _ in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    labels = torch.full((len(rows), width), -100)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for r, (prompt, completion, _) in enumerate(rows):
        n = len(prompt) + len(completion)
        ids[r, :n] = torch.tensor(prompt + completion)
        labels[r, len(prompt):n] = torch.tensor(completion)
        mask[r, :n] = 1
    return ids, labels, mask


def step(model, trained, context, optimizer, ids, labels, mask):
    """One optimizer step; the loss is the mean over the trained tokens of the batch."""
    import torch

    n = int((labels[:, 1:] != -100).sum())
    with context():
        loss = model(input_ids=ids, attention_mask=mask, labels=labels,
                     num_items_in_batch=torch.tensor(n, device=ids.device)).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(loss.detach())


def cosine(s, warmup, total):
    if s < warmup:
        return s / warmup
    return 0.5 * (1 + math.cos(math.pi * (s - warmup) / max(total - warmup, 1)))


def median(x):
    x = sorted(x)
    return x[len(x) // 2]


def timed(f, *args):
    start = time.perf_counter()
    out = f(*args)
    return time.perf_counter() - start, out


def synthetic(n, vocabulary):
    """The ids of `lorikeet bench`: Philox 4x32-10, seed 1, the site of tests."""
    mask = 0xFFFFFFFF
    ids = []
    for element in range(n):
        c = [element & mask, element >> 32, SITE_TEST, 0]
        k = [1, 0]
        for _ in range(10):
            a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
            c = [b >> 32 ^ c[1] ^ k[0], b & mask, a >> 32 ^ c[3] ^ k[1], a & mask]
            k = [(k[0] + 0x9E3779B9) & mask, (k[1] + 0xBB67AE85) & mask]
        ids.append((c[0] << 32 | c[1]) * vocabulary >> 64)
    return ids
