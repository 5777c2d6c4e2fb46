"""Parse rate and canonical match of answers, with Wilson intervals, by level.

usage: score.py --plume BIN --test examples/plume/test.jsonl NAME=ANSWERS.jsonl ...

ANSWERS.jsonl: {"id","pred","gold"} a line; or what `lorikeet generate --out` wrote, {"id","text"}.
"""
import argparse
import json
import math
import subprocess


def wilson(k, n):
    z = 1.96
    p, d = k / n, 1 + z * z / n
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return 100 * (p + z * z / (2 * n) - half) / d, 100 * (p + z * z / (2 * n) + half) / d


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--plume", required=True)
    a.add_argument("--test", default="examples/plume/test.jsonl")
    a.add_argument("answers", nargs="+")
    o = a.parse_args()
    test = {r["id"]: r for r in map(json.loads, open(o.test, encoding="utf-8"))}
    levels = sorted({r["level"] for r in test.values()})
    print("| | parse | canonical match | " + " | ".join(levels) + " |")
    print("|---|---|---|" + "---|" * len(levels))
    for item in o.answers:
        name, path = item.split("=", 1)
        lines = []
        for row in map(json.loads, open(path, encoding="utf-8")):
            pred = row.get("pred", row.get("text", "")).split("\n")[0]
            lines.append(json.dumps({"id": row["id"], "pred": pred, "gold": test[row["id"]]["target"]}))
        out = subprocess.run([o.plume, "check"], input="\n".join(lines) + "\n", text=True, check=True,
                             stdout=subprocess.PIPE).stdout
        verdicts = [json.loads(line) for line in out.splitlines()]
        n = len(verdicts)
        parsed, equal = sum(v["parse"] for v in verdicts), sum(v["equal"] for v in verdicts)
        low, high = wilson(equal, n)
        plow, phigh = wilson(parsed, n)
        cells = []
        for level in levels:
            those = [v["equal"] for v in verdicts if test[v["id"]]["level"] == level]
            cells.append(f"{sum(those)}/{len(those)}")
        print(f"| {name} | {100 * parsed / n:.1f} % [{plow:.0f}, {phigh:.0f}] | "
              f"{100 * equal / n:.1f} % [{low:.0f}, {high:.0f}] | " + " | ".join(cells) + " |")


main()
