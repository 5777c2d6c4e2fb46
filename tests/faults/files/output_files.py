"""What makes outputs of several files: adapters to combine, LoRA files of image models, models to certify."""

import json
import struct

from case import GOLDEN, LLAMA, ROWS, Directory, Link, Sparse, bad, good, load, model, text
from formats import gguf, read_safetensors, safetensors

ADAPTER = LLAMA + "/adapter"
CONFIG = load("llama/adapter/adapter_config.json")
HEADER, DATA = read_safetensors(ADAPTER + "/adapter_model.safetensors")
WHOLE = open(ADAPTER + "/adapter_model.safetensors", "rb").read()
FIRST = min(n for n in HEADER if n != "__metadata__")


def tensors(**named):
    """A safetensors file: name = (shape, floats, or bytes of a type), other types by a third member."""
    header, data = {}, b""
    for name, (shape, values, *kind) in named.items():
        raw = values if isinstance(values, bytes) else struct.pack("<%df" % len(values), *values)
        header[name] = {
            "dtype": (kind or ["F32"])[0],
            "shape": shape,
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    return header, data


# ---- combine ----
def adapter(where, config=CONFIG, weights=None):
    files = {}
    if config is not None:
        files[where + "/adapter_config.json"] = config if isinstance(config, (str, bytes)) else text(config)
    if weights is not False:
        files[where + "/adapter_model.safetensors"] = WHOLE if weights is None else weights
    return files


def combined(name, says, config=CONFIG, weights=None, argv=(), code=3, first=None, more=None):
    """A good adapter and this one."""
    files = {**adapter("one", weights=first), **adapter("two", config, weights), **(more or {})}
    bad("combine/" + name, ["combine", "one", "two=0.5", "--out", "out", *argv], says, files, code)


def noted(hash):
    return safetensors({**HEADER, "__metadata__": {"format": "pt", "lorikeet.base.sha256": hash}}, DATA)


def with_first(raw):
    b, e = HEADER[FIRST]["data_offsets"]
    return safetensors(HEADER, DATA[:b] + (raw + DATA[b:e][len(raw) :]) + DATA[e:])


def renamed(change):
    return safetensors({change(n): v for n, v in HEADER.items()}, DATA)


for method in ("cat", "svd", "linear", "magnitude_prune", "ties", "dare_linear", "dare_ties"):
    combined(
        "bases_" + method,
        r"adapters 1 \(one\) and 2 \(two\) are of different bases",
        weights=noted("b" * 64),
        first=noted("a" * 64),
        argv=["--method", method],
    )


def packed(shapes):
    """The adapter with these tensors alone, or with fewer numbers of them."""
    header, at = {}, 0
    for n, shape in shapes.items():
        header[n] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + 4 * shape[0] * shape[1]]}
        at += 4 * shape[0] * shape[1]
    return safetensors(header, DATA[:at])


SHAPES = {n: v["shape"] for n, v in HEADER.items() if n != "__metadata__"}
HALF = packed({n: [a // 2, b] if ".lora_A" in n else [a, b // 2] for n, (a, b) in SHAPES.items()})
for method in ("linear", "magnitude_prune", "ties", "dare_linear", "dare_ties"):
    combined(
        "ranks_" + method,
        "rank 4 in one adapter and 2 in another: only cat and svd",
        {**CONFIG, "r": 2},
        HALF,
        ["--method", method],
    )
for n in (0, 4, 8, 100, len(WHOLE) // 2, len(WHOLE) - 1):
    combined("cut_%d" % n, r"two/adapter_model\.safetensors", weights=WHOLE[:n])
    combined("config_cut_%d" % n, r"two/adapter_config\.json", text(CONFIG)[: min(n, 200)])
for name, bits in (("nan", 0x7FC00000), ("infinite", 0x7F800000)):
    combined(name, "two.*not finite", weights=with_first(struct.pack("<I", bits)))
for end, other in (("lora_A", "lora_B"), ("lora_B", "lora_A")):
    gone = FIRST.rsplit(".lora_", 1)[0] + "." + end + ".weight"
    rest = packed({n: shape for n, shape in SHAPES.items() if n != gone})
    combined("without_" + end, r"two/adapter_model\.safetensors.*" + end, weights=rest)
combined(
    "unknown", r"two.*(lora_C|not)", weights=renamed(lambda n: n.replace(FIRST, FIRST.replace("lora_A", "lora_C")))
)
INTEGERS = {n: v if n == "__metadata__" else {**v, "dtype": "I32"} for n, v in HEADER.items()}
combined("numbers", "two.*expected a matrix of F32", weights=safetensors(INTEGERS, DATA))
combined("no_tensors", r"two", weights=safetensors({}))
combined("sparse", r"two", weights=Sparse(1 << 40))
combined("gguf", r"two", weights=gguf([]))
combined("weights_missing", r"two", weights=False)
combined("config_missing", r"two", None)
combined("both_missing", r"two", None, False)
for name, key, v in (
    ("rank_0", "r", 0),
    ("rank_negative", "r", -1),
    ("rank_huge", "r", 1 << 40),
    ("rank_other", "r", 3),
    ("alpha_word", "lora_alpha", "x"),
    ("alpha_huge", "lora_alpha", 1e300),
    ("alpha_0", "lora_alpha", 0),
    ("kind", "peft_type", "IA3"),
    ("save", "modules_to_save", ["lm_head"]),
    ("pissa", "init_lora_weights", "pissa"),
):
    combined(name, r"two|adapter 2", {**CONFIG, key: v})
combined(
    "dora",
    r"adapter 2 \(two\) is DoRA",
    load("llama_dora/adapter/adapter_config.json"),
    Link(GOLDEN + "/llama_dora/adapter/adapter_model.safetensors"),
)
combined(
    "experts",
    r"adapter 2 \(two\) has adapters beside stacks",
    load("mixtral_experts/adapter/adapter_config.json"),
    Link(GOLDEN + "/mixtral_experts/adapter/adapter_model.safetensors"),
)
combined(
    "tokens",
    r"adapter 2 \(two\) brings",
    load("llama_tokens/adapter/adapter_config.json"),
    Link(GOLDEN + "/llama_tokens/adapter/adapter_model.safetensors"),
    code=2,
)
combined(
    "shapes",
    "in one adapter and .* in another",
    load("llama_gguf_q4_k/adapter/adapter_config.json"),
    Link(GOLDEN + "/llama_gguf_q4_k/adapter/adapter_model.safetensors"),
    ["--any-base"],
)
combined("bases_named", r"adapters 1 \(one\) and 2 \(two\) are of different bases", {**CONFIG, "base_model_name_or_path": "some/other"})
combined("manifest", r"two/manifest\.json", more={"two/manifest.json": '{"format"'})
combined("manifest_other", r"two/manifest\.json: format", more={"two/manifest.json": '{"format": "x"}'})
for name, argv in (
    ("density_0", ["--method", "ties", "--density", "0"]),
    ("density_2", ["--method", "ties", "--density", "2"]),
    ("method", ["--method", "mean"]),
    ("rank_cat", ["--rank", "2"]),
    ("svd_rank", ["--method", "svd", "--rank", "0x"]),
    ("seed", ["--seed", "-1"]),
):
    combined("option_" + name, "--" + name.split("_")[0].replace("svd", "rank"), argv=argv, code=2)
for name, word in (("nan", "two=nan"), ("infinite", "two=1e999"), ("word", "two=x"), ("empty", "two=")):
    bad(
        "combine/weight_" + name,
        ["combine", "one", word, "--out", "out"],
        "expected ADAPTER or ADAPTER=WEIGHT",
        {**adapter("one"), **adapter("two")},
        2,
    )
bad("combine/out_file", ["combine", "one", "--out", "out"], "out", {**adapter("one"), "out": "mine"}, 2)
bad("combine/out_full", ["combine", "one", "--out", "out"], "out: .*not empty", {**adapter("one"), "out/mine": "x"}, 2)
bad("combine/file", ["combine", "one/adapter_model.safetensors", "--out", "out"], "one", adapter("one"))
good(
    "combine/half_rank",
    ["combine", "one", "two=-1", "--out", "out"],
    {**adapter("one"), **adapter("two", {**CONFIG, "r": 2}, HALF)},
)
good(
    "combine/same_base",
    ["combine", "one", "two", "--out", "out", "--method", "ties"],
    {**adapter("one", weights=noted("a" * 64)), **adapter("two", weights=noted("a" * 64))},
)
good(
    "combine/one_knows_its_base",
    ["combine", "one", "two", "--out", "out"],
    {**adapter("one", weights=noted("a" * 64)), **adapter("two")},
)
good(
    "combine/base_elsewhere",
    ["combine", "one", "two", "--out", "out"],
    {**adapter("one"), **adapter("two", {**CONFIG, "base_model_name_or_path": "/models/llama/"})},
)
good(
    "combine/alone",
    ["combine", "one=0.5", "--out", "out", "--method", "svd", "--rank", "64"],
    adapter("one"),
    "residual",
)

# ---- LoRA files of image models ----
Q, CONV = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q", "mid_block.resnets.1.conv1"
UNET = {
    Q + ".weight": ([4, 3], [0.1] * 12),
    CONV + ".weight": ([4, 3, 3, 3], [0.1] * 108),
    CONV + ".bias": ([4], [0.0] * 4),
}
KEY, CKEY = "lora_unet_" + Q.replace(".", "_"), "lora_unet_" + CONV.replace(".", "_")
UP, DOWN, ALPHA = ([4, 2], [0.5] * 8), ([2, 3], [0.5] * 6), ([], [1.0])
GOOD_LORA = {KEY + ".lora_up.weight": UP, KEY + ".lora_down.weight": DOWN, KEY + ".alpha": ALPHA}
IMAGE = ["merge", "--model", "u.safetensors", "--adapter", "l.safetensors", "--out", "out.safetensors"]


def st(named, **metadata):
    header, data = tensors(**named)
    return safetensors({"__metadata__": metadata, **header} if metadata else header, data)


def image(name, says, lora=None, base=None, argv=(), code=3):
    """lora: changes to a good one (None removes), or a file."""
    if isinstance(lora, dict) or lora is None:
        lora = st({k: v for k, v in {**GOOD_LORA, **(lora or {})}.items() if v is not None})
    bad(
        "image/" + name,
        IMAGE + list(argv),
        says,
        {"u.safetensors": st(UNET) if base is None else base, "l.safetensors": lora},
        code,
    )


NAN, INF = float("nan"), float("inf")
for name, v in (
    ("nan", ([], [NAN])),
    ("infinite", ([], [INF])),
    ("two", ([2], [1.0, 1.0])),
    ("none", ([0], [])),
    ("integer", ([], struct.pack("<q", 4), "I64")),
    ("double", ([], struct.pack("<d", 4.0), "F64")),
    ("matrix", ([2, 2], [1.0] * 4)),
):
    image("alpha_" + name, r"l\.safetensors.*alpha", {KEY + ".alpha": v})
image("alpha_alone", r"l\.safetensors.*" + CKEY, {CKEY + ".alpha": ALPHA})
for end in (
    "hada_w1_a",
    "hada_w1_b",
    "hada_t1",
    "lokr_w1",
    "lokr_w2_a",
    "dora_scale",
    "diff",
    "diff_b",
    "w_norm",
    "b_norm",
    "on_input",
    "oft_blocks",
    "lora_up",
    "lora_up.bias",
    "lora_C.weight",
    "weight",
    "a1.weight",
    "scale",
):
    image(
        "unknown_" + end.replace(".", "_"), r"l\.safetensors.*" + end.split(".")[0], {KEY + "." + end: ([4], [0.0] * 4)}
    )
for key in (
    "bundle_emb.x.string_to_param",
    "emb_params",
    "lora_unet_.lora_up.weight",
    ".lora_up.weight",
    "alpha",
    "lora_unet_" + "x" * 250,
):
    image("key_" + key[:24].strip("."), r"l\.safetensors", {key: ([4, 2], [0.0] * 8)})
image(
    "not_there",
    "no tensor for 1 modules.*attn9",
    {k.replace("attn1", "attn9"): v for k, v in GOOD_LORA.items()} | {k: None for k in GOOD_LORA},
)
image("without_up", "has no lora_up", {KEY + ".lora_up.weight": None})
image("without_down", "has no lora_down", {KEY + ".lora_down.weight": None})
image("twice", "are the same|both", {KEY + ".lora_A.weight": DOWN})
for name, what in (
    ("rank", {"lora_up": ([4, 3], [0.5] * 12)}),
    ("inputs", {"lora_down": ([2, 5], [0.5] * 10)}),
    ("outputs", {"lora_up": ([5, 2], [0.5] * 10)}),
    ("turned", {"lora_up": ([2, 4], [0.5] * 8), "lora_down": ([3, 2], [0.5] * 6)}),
    ("vector", {"lora_up": ([8], [0.5] * 8)}),
    ("empty", {"lora_up": ([4, 0], []), "lora_down": ([0, 3], [])}),
    ("five", {"lora_down": ([2, 3, 1, 1, 1], [0.5] * 6)}),
    ("kernel", {"lora_down": ([2, 3, 3, 3], [0.5] * 54)}),
    ("middle", {"lora_mid": ([2, 2, 3, 3], [0.5] * 36)}),
):
    image("shape_" + name, "l.safetensors|another model", {KEY + "." + k + ".weight": v for k, v in what.items()})
CONV_UP, CONV_DOWN = ([4, 2, 1, 1], [0.5] * 8), ([2, 3, 3, 3], [0.5] * 54)
for name, up, down, mid in (
    ("kernel_5", CONV_UP, ([2, 3, 5, 5], [0.5] * 150), None),
    ("kernel_1", CONV_UP, ([2, 3, 1, 1], [0.5] * 6), None),
    ("up_kernel", ([4, 2, 3, 3], [0.5] * 72), CONV_DOWN, None),
    ("channels", CONV_UP, ([2, 4, 3, 3], [0.5] * 72), None),
    ("mid_rank", CONV_UP, ([2, 3, 1, 1], [0.5] * 6), ([3, 2, 3, 3], [0.5] * 54)),
    ("mid_flat", CONV_UP, ([2, 3, 1, 1], [0.5] * 6), ([2, 2], [0.5] * 4)),
    ("mid_kernel", CONV_UP, ([2, 3, 1, 1], [0.5] * 6), ([2, 2, 5, 5], [0.5] * 100)),
):
    image(
        "conv_" + name,
        "l.safetensors|another model",
        {
            CKEY + ".lora_up.weight": up,
            CKEY + ".lora_down.weight": down,
            **({CKEY + ".lora_mid.weight": mid} if mid else {}),
        },
    )
for name, v in (("nan", NAN), ("infinite", INF), ("minus_infinite", -INF)):
    image("up_" + name, "not finite", {KEY + ".lora_up.weight": ([4, 2], [v] * 8)})
    image("down_" + name, "not finite", {KEY + ".lora_down.weight": ([2, 3], [0.0] * 5 + [v])})
image("half_nan", "not finite", {KEY + ".lora_up.weight": ([4, 2], b"\x00\x7e" * 8, "F16")})
image("brain_nan", "not finite", {KEY + ".lora_up.weight": ([4, 2], b"\xc0\x7f" * 8, "BF16")})
for kind, size in (("F64", 8), ("I32", 4), ("I8", 1), ("U8", 1), ("BOOL", 1), ("F8_E4M3", 1)):
    image(
        "type_" + kind,
        r"l\.safetensors.*(lora_up|" + kind + ")",
        {KEY + ".lora_up.weight": ([4, 2], bytes(8 * size), kind)},
    )
image("zero", "merging changed nothing", {KEY + ".lora_up.weight": ([4, 2], [0.0] * 8)}, code=7)
LORA, UFILE = st(GOOD_LORA), st(UNET)
for n in (0, 7, 8, 50, len(LORA) // 2, len(LORA) - 1):
    image("cut_%d" % n, r"l\.safetensors", LORA[:n])
    image("base_cut_%d" % n, r"u\.safetensors", base=UFILE[: n * len(UFILE) // len(LORA)])
image("longer", r"l\.safetensors", LORA + b"x")
image("header_huge", r"l\.safetensors", struct.pack("<Q", 1 << 62) + LORA[8:])
image("sparse", r"l\.safetensors", Sparse(1 << 40))
image("gguf", r"l\.safetensors", gguf([]))
image("nothing", r"l\.safetensors.*no tensors", st({}))
h, d = tensors(**GOOD_LORA)
over = {k: {**v, "data_offsets": [0, v["data_offsets"][1] - v["data_offsets"][0]]} for k, v in h.items()}
image("overlap", r"l\.safetensors", safetensors(over, d))
for name, meta in (
    ("cut", '{"unet.lora_alpha": '),
    ("list", "[1"),
    ("alpha_0", '{"unet.lora_alpha": 0}'),
    ("alpha_negative", '{"unet.lora_alpha": -4}'),
    ("alpha_word", '{"unet.lora_alpha": "x"}'),
    ("dora", '{"unet.use_dora": true}'),
    ("rslora_word", '{"unet.use_rslora": "yes"}'),
    ("ranks", '{"unet.rank_pattern": {"x": 3}}'),
    ("alphas", '{"unet.alpha_pattern": {"x": 3}}'),
):
    image("notes_" + name, r"l\.safetensors", st(GOOD_LORA, lora_adapter_metadata=meta))
image("base_nothing", "no tensor for 1 modules", base=st({}))
image("base_integer", "is i8|I8|merges into", base=st({**UNET, Q + ".weight": ([4, 3], bytes(12), "I8")}))
image("base_unreadable", r"u\.safetensors|F8", base=st({**UNET, Q + ".weight": ([4, 3], bytes(12), "F8_E4M3")}))
image("base_same", "two weights are", base=st({**UNET, Q.replace(".attn1", "_attn1") + ".weight": UNET[Q + ".weight"]}))
image("base_nan", "NaN", base=st({**UNET, Q + ".weight": ([4, 3], [NAN] * 12)}), code=7)
image("base_gguf", r"u\.safetensors", base=gguf([]))
image("base_sparse", r"u\.safetensors", base=Sparse(1 << 40))
for name, argv in (
    ("part", ["--part", "vae"]),
    ("dtype", ["--dtype", "q8_0"]),
    ("format", ["--format", "gguf"]),
    ("shard-mb", ["--shard-mb", "5"]),
    ("chat-template", ["--chat-template", "llama3"]),
):
    image("option_" + name, "--%s|%s" % (name, argv[1]), argv=argv, code=2)
image("part_other", "no module for text_encoder", argv=["--part", "text_encoder"])
for name, files in (("out_there", {"out.safetensors": "mine"}), ("out_directory", {"out.safetensors": Directory()})):
    bad("image/" + name, IMAGE, r"out\.safetensors", {"u.safetensors": UFILE, "l.safetensors": LORA, **files}, 2)
good("image/whole", IMAGE, {"u.safetensors": UFILE, "l.safetensors": LORA}, "1 tensors merged")
good(
    "image/alpha_vector",
    IMAGE,
    {"u.safetensors": UFILE, "l.safetensors": st({**GOOD_LORA, KEY + ".alpha": ([1], [2.0])})},
)
good(
    "image/no_alpha",
    IMAGE,
    {"u.safetensors": UFILE, "l.safetensors": st({k: v for k, v in GOOD_LORA.items() if "alpha" not in k})},
)
good(
    "image/notes",
    IMAGE,
    {"u.safetensors": UFILE, "l.safetensors": st(GOOD_LORA, ss_seed="7", ss_steps="x", lora_adapter_metadata="{}")},
)
good(
    "image/three_axes",
    IMAGE,
    {"u.safetensors": UFILE, "l.safetensors": st({**GOOD_LORA, KEY + ".lora_down.weight": ([2, 3, 1], [0.5] * 6)})},
)
good(
    "image/types",
    IMAGE,
    {
        "u.safetensors": UFILE,
        "l.safetensors": st(
            {
                **GOOD_LORA,
                KEY + ".lora_up.weight": ([4, 2], b"\x00\x38" * 8, "F16"),
                KEY + ".lora_down.weight": ([2, 3], b"\x00\x3f" * 6, "BF16"),
            }
        ),
    },
)

# queries, keys and values as one matrix
IN_PROJ = "conditioner.embedders.1.model.transformer.resblocks.0.attn.in_proj_weight"
TE2 = "lora_te2_text_model_encoder_layers_0_self_attn_%s_proj.lora_%s.weight"
THIRDS = {TE2 % (x, end): v for x in "qv" for end, v in (("up", UP), ("down", DOWN))}
for name, rows in (("whole", 4), ("odd", 13), ("two", 2)):
    image(
        "third_" + name,
        "for queries, keys and values: an adapter for another model",
        st(THIRDS),
        st({IN_PROJ: ([rows, 3], [0.1] * 3 * rows)}),
    )
image(
    "third_other_layer",
    "no tensor for 4 modules|no tensor for 2 modules",
    st(THIRDS),
    st({IN_PROJ.replace("resblocks.0", "resblocks.1"): ([12, 3], [0.1] * 36)}),
)
image(
    "third_and_whole",
    "are both for tensor",
    st(
        {
            **THIRDS,
            "lora_te2_resblocks_0_attn_in_proj.lora_up.weight": ([12, 2], [0.5] * 24),
            "lora_te2_resblocks_0_attn_in_proj.lora_down.weight": DOWN,
        }
    ),
    st({IN_PROJ: ([12, 3], [0.1] * 36)}),
)
good(
    "image/thirds",
    IMAGE,
    {"u.safetensors": st({IN_PROJ: ([12, 3], [0.1] * 36)}), "l.safetensors": st(THIRDS)},
    "1 tensors merged",
)

# ---- certify ----
MERGED = {
    "g/config.json": Link(LLAMA + "/config.json"),
    "g/model.safetensors": Link(LLAMA + "/merged/model.safetensors"),
    "g/tokenizer.json": Link(LLAMA + "/tokenizer.json"),
    "g/tokenizer_config.json": Link(LLAMA + "/tokenizer_config.json"),
}
CERTIFY = [
    "certify",
    "--model",
    "m",
    "--adapter",
    "a",
    "--data",
    "rows.jsonl",
    "g",
    "--threads",
    "1",
    "--out",
    "c.json",
]
MODEL_HEADER, MODEL_DATA = read_safetensors(LLAMA + "/model.safetensors")
RUN = {
    "run/recipe.resolved.yaml": "base_model: m\ndatasets: [{path: rows.jsonl}]\ntest_datasets: [{path: rows.jsonl}]\n"
    "lora_r: 2\noutput_dir: run\n",
    **adapter("run/adapter"),
}


def certified(name, says, code=3, argv=CERTIFY, **files):
    """Changes to a good set of base m, adapter a, model g and rows; None leaves a file out."""
    every = {
        **model(),
        **adapter("a"),
        **MERGED,
        **{
            k.replace("__", "/").replace("_json", ".json").replace("_safetensors", ".safetensors"): v
            for k, v in files.items()
        },
    }
    bad("certify/" + name, argv, says, {k: v for k, v in every.items() if v is not None}, code)


for n in (0, 8, 1000, 100000):
    certified(
        "model_cut_%d" % n,
        r"g/model\.safetensors",
        g__model_safetensors=open(LLAMA + "/model.safetensors", "rb").read()[:n],
    )
    certified(
        "adapter_cut_%d" % n,
        r"a/adapter_model\.safetensors",
        a__adapter_model_safetensors=WHOLE[: min(n, len(WHOLE) - 1)],
    )
certified("model_missing", r"g", g__model_safetensors=None)
certified("config_missing", r"g", g__config_json=None)
certified("config_cut", r"g/config\.json", g__config_json='{"model_type"')
certified(
    "model_nan",
    "g: its logits are not finite",
    7,
    g__model_safetensors=safetensors(MODEL_HEADER, MODEL_DATA[:-4] + b"\x00\x00\xc0\x7f"),
)
certified(
    "base_nan",
    "m: its logits are not finite",
    7,
    m__model_safetensors=safetensors(MODEL_HEADER, MODEL_DATA[:-4] + b"\x00\x00\xc0\x7f"),
)
certified(
    "model_other",
    r"g.*(vocab|ids|logits)",
    g__config_json=Link(GOLDEN + "/mistral/config.json"),
    g__model_safetensors=Link(GOLDEN + "/mistral/model.safetensors"),
)
certified(
    "model_family",
    r"g",
    g__config_json=text({**json.load(open(LLAMA + "/config.json")), "architectures": ["Mamba"], "model_type": "mamba"}),
)
certified(
    "adapter_other",
    "another base",
    a__adapter_model_safetensors=Link(GOLDEN + "/mistral/adapter/adapter_model.safetensors"),
    a__adapter_config_json=Link(GOLDEN + "/mistral/adapter/adapter_config.json"),
)
certified("adapter_nan", "not finite", a__adapter_model_safetensors=with_first(b"\x00\x00\xc0\x7f"))
certified("adapter_missing", "a", a__adapter_config_json=None, a__adapter_model_safetensors=None)
certified("adapter_as_model", "a", argv=["a" if x == "g" else x for x in CERTIFY])
certified("nowhere", "nowhere", argv=["nowhere" if x == "g" else x for x in CERTIFY])
bad("certify/rows_empty", CERTIFY, "rows.jsonl", {**model(), **adapter("a"), **MERGED, "rows.jsonl": ""})
bad("certify/rows_cut", CERTIFY, "rows.jsonl", {**model(), **adapter("a"), **MERGED, "rows.jsonl": ROWS[:9]})
bad("certify/rows_binary", CERTIFY, "rows.jsonl", {**model(), **adapter("a"), **MERGED, "rows.jsonl": b"\xff\xfe\x00"})
for name, argv in (
    ("max-kl", ["--max-kl", "0"]),
    ("min-top1", ["--min-top1", "2"]),
    ("rows", ["--rows", "-1"]),
    ("device", ["--device", "tpu"]),
):
    certified("option_" + name, name if name != "device" else "tpu", 2, CERTIFY + argv)
certified(
    "past_limit",
    "the limit is",
    7,
    [x for x in CERTIFY if x not in ("--out", "c.json")] + ["--max-kl", "1e-30"],
    g__model_safetensors=Link(LLAMA + "/model.safetensors"),
)
BUNDLE = "run/ollama-q8_0/"
certified("run_nothing", "no merged model in it", 2, ["certify", "run"], **RUN)
certified(
    "run_bundle_part",
    "no merged model in it",
    2,
    ["certify", "run"],
    **RUN,
    **{BUNDLE + "Modelfile": "FROM ./model.gguf\n"}
)
certified(
    "run_bundle_cut",
    r"run/ollama-q8_0/model\.gguf",
    3,
    ["certify", "run"],
    **RUN,
    **{BUNDLE + "Modelfile": "FROM ./model.gguf\n", BUNDLE + "model.gguf": b"GGUF\x03"}
)
certified("run_merged_empty", "run/merged", 3, ["certify", "run"], **RUN, **{"run/merged": Directory()})
certified(
    "run_unfinished", "no adapter yet", 3, ["certify", "run"], **{k: v for k, v in RUN.items() if "adapter" not in k}
)
certified(
    "run_recipe_cut",
    r"recipe\.resolved\.yaml",
    2,
    ["certify", "run"],
    **{**RUN, "run/recipe.resolved.yaml": "base_model: ["}
)
certified("run_file", "rows.jsonl", 3, ["certify", "rows.jsonl"])
good("certify/whole", CERTIFY, {**model(), **adapter("a"), **MERGED}, "100.00 %")
good(
    "certify/run",
    ["certify", "run", "--json"],
    {**model(), **RUN, **{k.replace("g/", "run/merged/"): v for k, v in MERGED.items()}},
)
