"""transformers + PEFT learn Plume from the same rows; greedy answers to held-out rows.

usage: peft_plume.py --model F.gguf --lorikeet BIN [--rows N] [--epochs E] [--dtype f32|bf16]
                     [--threads K] --out ANSWERS.jsonl [--log STEPS.jsonl] [--save ADAPTER-DIR]

ANSWERS.jsonl has {"id","pred","gold"} a line, what `plume check` reads.
"""
import argparse
import json
import math
import tempfile
import time

import peer


def answers(model, context, rows, lorikeet_eos, newline, out):
    """Greedy, 64 tokens, to the end token or a newline; 25 prompts at once, padded on the left."""
    import torch
    from tokenizers import Tokenizer  # noqa: F401  (transformers brings it)

    model.eval()
    model.config.use_cache = True
    order = sorted(range(len(rows)), key=lambda i: len(rows[i][0]))
    got = {}
    with torch.no_grad(), context():
        for at in range(0, len(order), 25):
            part = order[at:at + 25]
            width = max(len(rows[i][0]) for i in part)
            ids = torch.zeros(len(part), width, dtype=torch.long)
            mask = torch.zeros(len(part), width, dtype=torch.long)
            for r, i in enumerate(part):
                prompt = rows[i][0]
                ids[r, width - len(prompt):] = torch.tensor(prompt)
                mask[r, width - len(prompt):] = 1
            made = model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=64,
                                  do_sample=False, use_cache=True, pad_token_id=lorikeet_eos,
                                  eos_token_id=[lorikeet_eos, newline])
            for r, i in enumerate(part):
                got[i] = made[r, width:].tolist()
            print(f"{len(got)} of {len(rows)} answers", flush=True)
    return [got[i] for i in range(len(rows))]


def text_of(ids, model, lorikeet):
    import subprocess

    cut = []
    for row in ids:
        n = row.index(peer.EOS) if peer.EOS in row else len(row)
        cut.append(row[:n])
    with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
        json.dump(cut, f)
        f.flush()
        texts = json.loads(subprocess.run([lorikeet, "tokenize", "--model", model, "--ids", f.name],
                                          check=True, stdout=subprocess.PIPE).stdout)
    return [t.split("\n")[0] for t in texts]


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--model", required=True)
    a.add_argument("--lorikeet", required=True)
    a.add_argument("--train", default="examples/plume/train.jsonl")
    a.add_argument("--test", default="examples/plume/test.jsonl")
    a.add_argument("--rows", type=int, default=0)
    a.add_argument("--epochs", type=int, default=1)
    a.add_argument("--batch", type=int, default=16)
    a.add_argument("--rank", type=int, default=16)
    a.add_argument("--rate", type=float, default=1e-3)
    a.add_argument("--warmup", type=float, default=0.05)
    a.add_argument("--seed", type=int, default=42)
    a.add_argument("--dtype", default="bf16", choices=["f32", "bf16", "bf16-all"])
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--out", required=True)
    a.add_argument("--log")
    a.add_argument("--save")
    o = a.parse_args()

    import torch

    rows = peer.rows_of(o.train, o.model, o.lorikeet, o.rows)
    model, trained, context = peer.load(o.model, o.dtype, o.rank, o.threads, o.seed)
    plan = [b for e in range(o.epochs) for b in peer.batches(rows, o.batch, o.seed + e, True)]
    warmup = math.ceil(o.warmup * len(plan))
    optimizer = torch.optim.AdamW(trained, lr=o.rate, weight_decay=0.0)
    log = open(o.log, "w") if o.log else None
    for s, batch in enumerate(plan):
        for g in optimizer.param_groups:
            g["lr"] = o.rate * peer.cosine(s, warmup, len(plan))
        ids, labels, mask = peer.padded([rows[i] for i in batch])
        seconds, loss = peer.timed(peer.step, model, trained, context, optimizer, ids, labels, mask)
        record = {"step": s + 1, "steps": len(plan), "loss": loss, "tokens": int(mask.sum()),
                  "trained_tokens": int((labels != -100).sum()), "padded_tokens": ids.numel(),
                  "seconds": seconds, "peak_mb": peer.peak_mb()}
        print(json.dumps(record), file=log, flush=True)
        if s % 10 == 0:
            print(time.strftime("%H:%M:%S"), record, flush=True)
    if o.save:
        model.save_pretrained(o.save)
    test = peer.rows_of(o.test, o.model, o.lorikeet)
    newline = peer.ids_of(["\n"], o.model, o.lorikeet)[0][0]
    texts = text_of(answers(model, context, test, peer.EOS, newline, o.out), o.model, o.lorikeet)
    with open(o.out, "w", encoding="utf-8") as f:
        for (_, _, row), pred in zip(test, texts):
            f.write(json.dumps({"id": row["id"], "pred": pred, "gold": row["target"]}) + "\n")


main()
