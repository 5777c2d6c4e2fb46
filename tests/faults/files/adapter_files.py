"""Adapters as GGUF files."""

import os
import struct
import subprocess
import tempfile

from case import GOLDEN, LLAMA, bad, good
from formats import F32, STRING, U32, gguf, read_gguf

with tempfile.TemporaryDirectory() as d:
    whole = os.path.join(d, "a.gguf")
    argv = ["export", "--adapter", LLAMA + "/adapter", "--base", LLAMA, "--gguf", whole]
    subprocess.run([os.environ["LORIKEET"]] + argv, check=True, stdout=subprocess.DEVNULL)
    KEYS, TENSORS = read_gguf(whole)
    WHOLE = open(whole, "rb").read()

CONVERT = ["convert", "--adapter", "a.gguf", "--base", LLAMA, "--out", "out.d"]


def put(name, kind=None, v=None):
    rest = [k for k in KEYS if k[0] != name]
    return rest if kind is None else rest + [(name, kind, v)]


def adapter(name, says, keys=None, tensors=None, argv=CONVERT):
    content = gguf(KEYS if keys is None else keys, TENSORS if tensors is None else tensors)
    bad(
        "gguf_adapter/" + name,
        argv,
        says if says.startswith("an adapter for") else r"a\.gguf.*(" + says + ")",
        {"a.gguf": content},
    )


def each(change):
    return [change(*t) for t in TENSORS]


for n in (0, 10, 100, 400, len(WHOLE) // 2, len(WHOLE) - 1):
    bad("gguf_adapter/cut_%d" % n, CONVERT, r"a\.gguf: .*(truncated|not a GGUF|do not fit)", {"a.gguf": WHOLE[:n]})
adapter("type_missing", "general.type|not an adapter|no adapter", put("general.type"))
adapter("type_model", "general.type|not an adapter|no adapter", put("general.type", STRING, "model"))
adapter("kind", "adapter.type", put("adapter.type", STRING, "control_vector"))
adapter("kind_missing", "adapter.type|lora", put("adapter.type"))
adapter("arch", "architecture", put("general.architecture", STRING, "gemma2"))
adapter("arch_unknown", "architecture", put("general.architecture", STRING, "mamba"))
for name, kind, v in (
    ("nan", F32, float("nan")),
    ("negative", F32, -8.0),
    ("infinite", F32, float("inf")),
    ("huge", F32, 1e30),
    ("word", STRING, "8"),
):
    adapter("alpha_" + name, "alpha", put("adapter.lora.alpha", kind, v))
adapter("none", "no adapter|lora_a|nothing", None, [])
adapter("half", "lora_b|lora_a", None, TENSORS[:-1])
adapter("other_half", "lora_b|lora_a", None, TENSORS[1:])
adapter(
    "unknown",
    "ffn_uq|not known|no such",
    None,
    each(lambda n, a, k, d: (n.replace("blk.1.ffn_up", "blk.1.ffn_uq"), a, k, d)),
)
adapter(
    "layer",
    "an adapter for another base: it adapts .model.layers.7",
    None,
    each(lambda n, a, k, d: (n.replace("blk.1.", "blk.7."), a, k, d)),
)
adapter("suffix", "lora", None, each(lambda n, a, k, d: (n.replace(".lora_a", ".lora_c"), a, k, d)))
adapter("turned", "another base|lora|\\(", None, each(lambda n, a, k, d: (n, a[::-1], k, d)))
adapter(
    "rank",
    "rank|lora|\\(",
    None,
    each(lambda n, a, k, d: (n, [a[0] * 2, a[1] // 2], k, d) if n.endswith("lora_a") else (n, a, k, d)),
)
adapter("numbers", "whole numbers", None, each(lambda n, a, k, d: (n, a, 26, d)))
adapter("nan", "not finite", None, each(lambda n, a, k, d: (n, a, k, struct.pack("<I", 0x7FC00000) + d[4:])))
adapter("infinite", "not finite", None, each(lambda n, a, k, d: (n, a, k, struct.pack("<I", 0x7F800000) + d[4:])))
bad(
    "gguf_adapter/model",
    CONVERT,
    r"a\.gguf.*(adapter|general.type)",
    {"a.gguf": open(GOLDEN + "/llama_gguf_f32/model.gguf", "rb").read()},
)
bad(
    "gguf_adapter/as_model",
    ["generate", "--model", "a.gguf", "--prompt", "a", "--max-tokens", "1"],
    r"a\.gguf",
    {"a.gguf": WHOLE},
)
good("gguf_adapter/whole", CONVERT, {"a.gguf": WHOLE})
for name, v in (("zero", 0.0), ("part", 0.3)):  # 0: B A as it is, as llama.cpp has it
    good("gguf_adapter/alpha_" + name, CONVERT, {"a.gguf": gguf(put("adapter.lora.alpha", F32, v), TENSORS)})
good("gguf_adapter/alpha_missing", CONVERT, {"a.gguf": gguf(put("adapter.lora.alpha"), TENSORS)})
good("gguf_adapter/order", CONVERT, {"a.gguf": gguf(KEYS[::-1], TENSORS[::-1])})
good(
    "gguf_adapter/more_keys",
    CONVERT,
    {"a.gguf": gguf(KEYS + [("general.name", STRING, "x"), ("my.key", U32, 7)], TENSORS)},
)
