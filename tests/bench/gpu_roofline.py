"""Kernels of a measured step beside the least time that the card's own rates allow.

usage: gpu_roofline.py RATES PROFILE SHAPE TOKENS STEPS

RATES: what gpu_rates printed. PROFILE: what `lorikeet bench --profile` printed, seconds of STEPS steps.
SHAPE: of shapes.py. FLOP and bytes of each kernel are those of gpu_model.py: what it must do, with every
operand read once and every result written once.
"""
import json
import re
import sys

from gpu_model import step
from shapes import SHAPES

# (op, direction): rows of gpu_model.step, and which share of them
PARTS = {
    ("linear", "forward"): [("linear, frozen weights, forward", 1), ("linear, adapters, forward", 1)],
    ("linear", "backward"): [("linear, frozen weights, backward", 1), ("linear, adapters, backward", 1)],
    ("attention", "forward"): [("attention, forward", 1)],
    ("attention", "backward"): [("attention, backward", 1)],
    ("rmsnorm", "forward"): [("rmsnorm, forward", 1), ("add and rmsnorm, forward", 1)],
    ("rmsnorm", "backward"): [("rmsnorm and add, backward", 1)],
    ("rope", "forward"): [("rope, both ways", 0.5)],
    ("rope", "backward"): [("rope, both ways", 0.5)],
    ("swiglu", "forward"): [("swiglu, forward", 1)],
    ("swiglu", "backward"): [("swiglu, backward", 1)],
    ("embed", "forward"): [("embed", 1)],
    ("linear_xent", "forward"): [("head and loss", 1)],  # its backward is in its forward
}


def measured(path, steps):
    """{(op, direction): milliseconds of a step}"""
    times = {}
    for line in open(path):
        found = re.match(r"\s+(\w+)\s+forward\s+([0-9.]+) s\s+backward\s+([0-9.]+) s", line)
        if found:
            times[found[1], "forward"] = 1e3 * float(found[2]) / steps
            times[found[1], "backward"] = 1e3 * float(found[3]) / steps
    return times


def main(rates, profile, shape, tokens, steps):
    rates = json.load(open(rates))
    flops, moves = rates["product_tflop_per_s"] * 1e12, rates["copy_gb_per_s"] * 1e9
    rows = {name: (flop, moved) for name, _, flop, moved in step(SHAPES[shape], int(tokens))}
    times = measured(profile, int(steps))
    if not times:
        sys.exit(f"gpu_roofline: {profile}: no times of kernels")
    print("| kernel | GFLOP | MB | least ms | measured ms | share |\n|---|---|---|---|---|---|")
    for (op, way), parts in PARTS.items():
        if times.get((op, way), 0) <= 0:
            continue
        work = [(share * rows[name][0], share * rows[name][1]) for name, share in parts]
        least = sum(1e3 * max(flop / flops, moved / moves) for flop, moved in work)
        print(f"| {op}, {way} | {sum(w[0] for w in work) / 1e9:.1f} | {sum(w[1] for w in work) / 1e6:.1f} | "
              f"{least:.3f} | {times[op, way]:.3f} | {100 * least / times[op, way]:.0f} % |")


if __name__ == "__main__":
    main(*sys.argv[1:])
