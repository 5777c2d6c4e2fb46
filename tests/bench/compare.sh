#!/usr/bin/env bash
# tests/bench/compare.sh -- Lorikeet and its peers by turns, on this machine; a table with ratios.
#
#   tests/bench/compare.sh MODEL.gguf [step|plume|prompt|decode|start ...]
#
# LORIKEET (build/release/lorikeet), PYTHON (.venv/bin/python), NODE_MODULES (node_modules), TURNS
# (2), THREADS (2). LEVEL=avx2 holds both sides to AVX2. See tests/bench/README.md.
set -euo pipefail
cd "$(dirname "$0")/../.."
model=$1
shift
[ $# -gt 0 ] || set -- step plume prompt decode start
lorikeet=${LORIKEET:-build/release/lorikeet} python=${PYTHON:-.venv/bin/python}
modules=${NODE_MODULES:-node_modules} turns=${TURNS:-2} threads=${THREADS:-2}
export TQDM_DISABLE=1
if [ "${LEVEL:-}" = avx2 ]; then
    export LRK_CPU=avx2 ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

ours() { # NAME FIELD... : one bench run, appended as {"side","tok_per_s","peak_memory_mb"}
    local name=$1
    shift
    "$lorikeet" bench --model "$model" --threads "$threads" --json "$@" >"$out/bench.json"
    python3 - "$name" "$out/bench.json" >>"$out/rows" <<'PY'
import json, sys
for r in json.load(open(sys.argv[2]))["results"]:
    print(json.dumps({"side": sys.argv[1] + " " + r["what"].split()[0] if "lorikeet" == sys.argv[1] else
                      sys.argv[1], "tok_per_s": r["tok_per_s"], "peak_memory_mb": r["peak_memory_mb"]}))
PY
}

peer() { # NAME ARGUMENT...
    local name=$1
    shift
    "$python" tests/bench/peft_step.py --model "$model" --threads "$threads" "$@" 2>/dev/null |
        sed "s/^{/{\"side\": \"$name\", /" >>"$out/rows"
}

# A few steps on the rows of examples/plume, after one that warms up.
ours_plume() { # NAME DTYPE [KEY=VALUE ...]
    local name=$1 dtype=$2
    shift 2
    rm -rf "$out/run"
    "$lorikeet" train recipes/plume.yaml base_model="$model" output_dir="$out/run" threads="$threads" \
        compute_dtype="$dtype" micro_batch_size=16 gradient_checkpointing=mlp max_steps=7 warmup_ratio=0 evals_per_epoch=0 load_best_model_at_end=false export.merged=false \
        export.adapter_gguf=false 'export.gguf=[]' "$@" --verbose >"$out/log" 2>&1
    python3 - "$name" "$out/run/metrics.jsonl" "$out/log" >>"$out/rows" <<'PY'
import json, re, sys
steps = [r for r in map(json.loads, open(sys.argv[2])) if r["kind"] == "step"][1:]
total = sum(r["seconds"] for r in steps)
begun = re.search(r"first step begins ([0-9.]+) s", open(sys.argv[3]).read())
print(json.dumps({"side": sys.argv[1], "tok_per_s": sum(r["tokens"] for r in steps) / total,
                  "trained_per_s": sum(r["trained_tokens"] for r in steps) / total,
                  "peak_memory_mb": steps[-1]["peak_bytes"] / 1e6,
                  "first_step_s": float(begun.group(1))}))
PY
}

llama() {
    node tests/bench/llama_bench.mjs "$modules" "$model" "$out/ids.json" 64 "$threads" 5 >"$out/llama.json"
    python3 - "$out/llama.json" >>"$out/rows" <<'PY'
import json, sys
r = json.loads(open(sys.argv[1]).read().splitlines()[-1])
for what in ("prefill", "decode"):
    print(json.dumps({"side": "llama.cpp " + what, "tok_per_s": r[what + "_tok_per_s"]}))
PY
}

table() { # the first side named is what the ratios are over
    python3 - "$out/rows" "$1" <<'PY'
import collections, json, sys
rows = collections.defaultdict(list)
for r in map(json.loads, open(sys.argv[1])):
    rows[r["side"]].append(r)
def median(side, key):
    x = sorted(r[key] for r in rows[side] if r.get(key) is not None)
    return x[len(x) // 2] if x else None
def show(x, digits=1):
    return "" if x is None else f"{x:.{digits}f}"
base = sys.argv[2]
print("| | tokens/s | trained tokens/s | over | peak MB | share | first step begins, s |")
print("|---|---|---|---|---|---|---|")
for side in rows:
    speed, peak = median(side, "tok_per_s"), median(side, "peak_memory_mb")
    trained, begun = median(side, "trained_per_s"), median(side, "first_step_s")
    b = base if base in rows else base + " " + side.split()[-1]
    key = "trained_per_s" if trained else "tok_per_s"
    ratio = median(side, key) / median(b, key)
    share = peak / median(b, "peak_memory_mb") if peak and median(b, "peak_memory_mb") else None
    print(f"| {side} | {show(speed)} | {show(trained)} | {ratio:.2f} | {show(peak, 0)} | "
          f"{show(share, 2)} | {show(begun, 2)} |")
PY
    : >"$out/rows"
}

echo "$(sed -n 's/^model name.*: //p;T;q' /proc/cpuinfo), ${LEVEL:-all instructions}, $threads threads, $(date +%F), load $(cut -d' ' -f1 /proc/loadavg)"
for what; do
    : >"$out/rows"
    case $what in
    step)
        for _ in $(seq "$turns"); do
            ours "lorikeet f32" --train 1,512 --dtype f32
            peer "PEFT f32" --dtype f32
            if [ "${LEVEL:-}" != avx2 ]; then
                ours "lorikeet bf16" --train 1,512 --dtype bf16
                peer "PEFT bf16, adapters f32" --dtype bf16
                peer "PEFT bf16" --dtype bf16-all
            fi
        done
        table "PEFT f32" ;;
    plume)
        dtypes=f32
        [ "${LEVEL:-}" = avx2 ] || dtypes="f32 bf16"
        for _ in $(seq "$turns"); do
            for d in $dtypes; do
                ours_plume "lorikeet $d" "$d"
                peer "PEFT $d grouped" --rows examples/plume/train.jsonl --lorikeet "$lorikeet" --dtype "$d"
                peer "PEFT $d random" --rows examples/plume/train.jsonl --lorikeet "$lorikeet" --dtype "$d" \
                    --order random
            done
        done
        table "PEFT f32 grouped" ;;
    prompt) # every prompt begins with the page that describes the language; 4 rows a step, for PEFT's memory
        page=$(awk '/^## The language/ { on = 1; next } /^Two queries/ { exit } on' examples/plume/README.md)
        printf '%s\n\n' "$page" >"$out/page"
        d=$([ "${LEVEL:-}" = avx2 ] && echo f32 || echo bf16)
        for _ in $(seq "$turns"); do
            for shared in true false; do
                ours_plume "lorikeet $d, share_prefixes: $shared" "$d" micro_batch_size=4 share_prefixes=$shared \
                    sequence_len=2048 "datasets.0.prompt=${page//\\/\\\\}"$'\n\nQuestion: {nl}\nPlume:\n'
            done
            peer "PEFT $d" --rows examples/plume/train.jsonl --lorikeet "$lorikeet" --dtype "$d" --batch 4 --order random --steps 8 \
                --before "$out/page"
        done
        table "PEFT $d" ;;
    decode)
        "$python" -c 'import json, sys; sys.path.insert(0, "tests/bench"); import peer
print(json.dumps(peer.synthetic(512, 49152)))' >"$out/ids.json"
        for _ in $(seq "$turns"); do
            ours "lorikeet" --prefill 512 --decode 64
            llama
        done
        table "llama.cpp" ;;
    start)
        for _ in $(seq "$turns"); do
            ours_plume "lorikeet" auto
        done
        table "lorikeet" ;;
    *) echo "unknown: $what" >&2; exit 2 ;;
    esac
done
