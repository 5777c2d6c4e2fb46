"""A LoRA step of transformers + PEFT, timed; one line of JSON.

usage: peft_step.py --model F.gguf [--length T] [--dtype f32|bf16|bf16-all] [--steps N] [--threads K]
       peft_step.py --model F.gguf --rows F.jsonl --lorikeet BIN [--batch B] [--order grouped|random] [--before F.txt]

F.gguf may also be a Hugging Face directory. On a GPU (--device cuda) products are torch's, attention sdpa;
--compile adds torch.compile.

--before: every prompt begins with the text of that file.

Without --rows: one row of T synthetic ids, those of `lorikeet bench --train 1,T`. With: batches of B
rows of a data set, padded to their longest. Rank 16 on all linear layers, AdamW, clipping at 1.
`first_step_s` is the time from the start of the process until its first step begins.
"""
import argparse
import json

import peer


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--model", required=True)
    a.add_argument("--length", type=int, default=512)
    a.add_argument("--dtype", default="f32", choices=["f32", "bf16", "bf16-all"])
    a.add_argument("--steps", type=int, default=3)
    a.add_argument("--warm-up", type=int, default=1)
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--rank", type=int, default=16)
    a.add_argument("--rows")
    a.add_argument("--lorikeet")
    a.add_argument("--batch", type=int, default=16)
    a.add_argument("--order", default="grouped", choices=["grouped", "random"])
    a.add_argument("--before")
    a.add_argument("--checkpointing", action="store_true")
    a.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    a.add_argument("--compile", action="store_true")
    o = a.parse_args()

    import torch

    if o.rows:
        before = open(o.before, encoding="utf-8").read() if o.before else ""
        rows = peer.rows_of(o.rows, o.model, o.lorikeet, before=before)
        plan = peer.batches(rows, o.batch, 42, o.order == "grouped")
        data = [peer.padded([rows[i] for i in b]) for b in plan[:o.steps + o.warm_up]]
    model, trained, context = peer.load(o.model, o.dtype, o.rank, o.threads, 1, o.checkpointing,
                                        o.device)
    if o.compile:
        model.compile()
    if not o.rows:
        ids = torch.tensor([peer.synthetic(o.length, model.config.vocab_size)])
        data = [(ids, ids, torch.ones_like(ids))] * (o.steps + o.warm_up)
    data = [[x.to(o.device) for x in batch] for batch in data]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.0, fused=o.device == "cuda" or None)
    begun = peer.since_start()
    seconds, losses, tokens, targets = [], [], 0, 0
    for s, (ids, labels, mask) in enumerate(data):
        took, loss = peer.timed(peer.step, model, trained, context, optimizer, ids, labels, mask)
        losses.append(loss)
        if s >= o.warm_up:
            seconds.append(took)
            tokens += int(mask.sum())
            targets += int((labels[:, 1:] != -100).sum())
    # steps differ in size on rows of a data set: all tokens by all seconds; else the median step
    total = sum(seconds) if o.rows else peer.median(seconds) * len(seconds)
    print(json.dumps({
        "what": f"peft {o.order + ' x' + str(o.batch) if o.rows else '1x' + str(o.length)} {o.dtype}",
        "cpu": peer.cpu(), "level": torch.backends.cpu.get_cpu_capability(), "threads": o.threads,
        "tok_per_s": tokens / total, "trained_per_s": targets / total,
        "seconds": [round(x, 3) for x in seconds], "loss": losses,
        "peak_memory_mb": torch.cuda.max_memory_allocated() / 1e6 if o.device == "cuda" else peer.peak_mb(),
        "first_step_s": begun}))


main()
