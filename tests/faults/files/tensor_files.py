"""safetensors: alone, as the weights of a model, in shards, as an adapter."""

import itertools
import json
import struct

from case import (
    DELETE,
    GENERATE,
    INSPECT,
    LLAMA,
    MERGE,
    PLAN,
    TRAIN,
    Directory,
    Fifo,
    Link,
    Sparse,
    bad,
    changed,
    load,
    model,
    text,
)
from formats import read_safetensors, safetensors

# ---- alone ----
A = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
B = {"dtype": "F32", "shape": [1, 3], "data_offsets": [8, 20]}
TWO = {"a": A, "b": B}
DATA = bytes(20)


def alone(name, says, content):
    bad("safetensors/" + name, INSPECT, r"^error: x(:\d+:\d+)?: .*(" + says + ")", {"x": content})


WHOLE = safetensors(TWO, DATA)
for n in (0, 1, 4, 7, 8, 9, 20, 60, len(WHOLE) - 20, len(WHOLE) - 12, len(WHOLE) - 1):
    alone("cut_%03d" % n, "truncated|outside|not a safetensors", WHOLE[:n])
for name, length in (
    ("one_more", None),
    ("max", 2**64 - 1),
    ("sign", 2**63),
    ("wrap", 2**64 - 8),
    ("million", 10**6),
    ("zero", 0),
    ("one", 1),
    ("short", 30),
):
    alone(
        "length_" + name,
        "header|JSON",
        safetensors(TWO, DATA, length=len(json.dumps(TWO)) + 21 if length is None else length),
    )
alone("header_huge", "a header of .* bytes", struct.pack("<Q", 17 << 20) + b"{" + bytes(17 << 20))
for name, header in (
    ("list", '["a"]'),
    ("number", "7"),
    ("word", "hello world"),
    ("blank_first", " " + json.dumps(TWO)),
    ("open", json.dumps(TWO)[:-1]),
    ("comma", json.dumps(TWO)[:-1] + ",}"),
    ("nan", '{"a": NaN}'),
    ("comment", '{/* */"a": 1}'),
    ("two", json.dumps(TWO) + json.dumps(TWO)),
    ("deep", '{"a":' + "[" * 100000),
    ("deep_closed", '{"a":' + "[" * 5000 + "]" * 5000 + "}"),
    ("nul", '{"a\\u0000b": 1}'),
    ("surrogate", '{"a\\ud800": 1}'),
    ("single", str(TWO)),
):
    alone("header_" + name, "JSON|not a safetensors", safetensors(header, DATA))
alone("header_utf8", "JSON|UTF-8", safetensors(b'{"a\xff": 1}', DATA))
alone("header_twice", "duplicate", safetensors('{"a": %s, "a": %s}' % (json.dumps(A), json.dumps(B)), DATA))
alone(
    "key_twice",
    "duplicate",
    safetensors('{"a": {"dtype": "F32", "dtype": "F16", "shape": [2], ' '"data_offsets": [0, 8]}}', bytes(8)),
)
for i, (path, v, says) in enumerate(
    (
        ("a.dtype", "F33", "'a': unknown dtype 'F33'"),
        ("a.dtype", "f32", "'a': unknown dtype"),
        ("a.dtype", 7, "'a': dtype"),
        ("a.dtype", None, "'a': dtype"),
        ("a.dtype", DELETE, "'a': expected dtype"),
        ("a.dtype", "F16", "'a': 8 bytes, but"),
        ("a.dtype", "F" * 1000, "'a': unknown dtype"),
        ("a.shape", DELETE, "'a': expected"),
        ("a.shape", 2, "'a': shape"),
        ("a.shape", {"0": 2}, "'a': shape"),
        ("a.shape", [3], "'a': 8 bytes, but"),
        ("a.shape", [-2], "'a': axis 0"),
        ("a.shape", [2.0], "'a': axis 0"),
        ("a.shape", ["2"], "'a': axis 0"),
        ("a.shape", [None], "'a': axis 0"),
        ("a.shape", [True, 2], "'a': axis 0"),
        ("a.shape", [[2]], "'a': axis 0"),
        ("a.shape", [1] * 9 + [2], "'a': shape .* more than 8"),
        ("a.shape", [2**32, 2**32], "'a': the shape has more"),
        ("a.shape", [2**62, 4], "'a': the shape has more"),
        ("a.shape", [2**61], "'a': .* no whole|'a': 8 bytes|'a': the shape"),
        ("a.shape", [2**63], "axis|more|JSON"),
        ("a.shape", [0, 2**63 - 1], "'a': 8 bytes, but"),
        ("a.shape", [2**40, 2**40, 0], "'a'"),
        ("a.data_offsets", DELETE, "'a': expected"),
        ("a.data_offsets", [0], "'a': data_offsets"),
        ("a.data_offsets", [0, 8, 8], "'a': data_offsets"),
        ("a.data_offsets", 8, "'a': data_offsets"),
        ("a.data_offsets", [-8, 0], "'a': data_offsets"),
        ("a.data_offsets", [0.0, 8.0], "'a': data_offsets"),
        ("a.data_offsets", ["0", "8"], "'a': data_offsets"),
        ("a.data_offsets", [8, 0], "'a': bytes 8 to 0"),
        ("a.data_offsets", [0, 2**63 - 1], "'a': bytes .* outside"),
        ("a.data_offsets", [2**64, 8], "'a': data_offsets"),
        ("a.data_offsets", [4, 12], "overlap|expected 0"),
        ("b.data_offsets", [4, 16], "'b' begins .* overlap"),
        ("b.data_offsets", [0, 12], "overlap"),
        ("a.extra", 1, "'a': expected dtype, shape and data_offsets"),
        ("a", [], "'a': expected"),
        ("a", None, "'a': expected"),
        ("a", "x", "'a': expected"),
        ("__metadata__", [], "__metadata__"),
        ("__metadata__", {"a": 1}, "__metadata__.*'a'"),
        ("__metadata__", {"a": {"b": "c"}}, "__metadata__.*'a'"),
        ("__metadata__", None, "__metadata__"),
    )
):
    tree = changed(dict(TWO, __metadata__={}), path, v)
    if path != "__metadata__":
        del tree["__metadata__"]
    alone("%s_%d" % (path, i), says, safetensors(tree, DATA))
alone("gap", "gap", safetensors(changed(TWO, "b.data_offsets", [12, 24]), bytes(24)))
alone("gap_first", "gap", safetensors({"a": dict(A, data_offsets=[4, 12])}, bytes(12)))
alone("rest", "end at byte 20 .* has 21", safetensors(TWO, bytes(21)))
alone("no_tensor_rest", "end at byte 0", safetensors({}, bytes(4)))
alone("name_empty", "name of 0 bytes", safetensors({"": A}, bytes(8)))
alone("name_long", "name of 5000 bytes", safetensors({"n" * 5000: A}, bytes(8)))
alone(
    "nibble",
    "no whole number of bytes",
    safetensors({"a": {"dtype": "F4", "shape": [3], "data_offsets": [0, 2]}}, bytes(2)),
)
alone(
    "many",
    "tensors, at most",
    safetensors({"t%d" % i: {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for i in range(70000)}),
)

# ---- the weights of a model: the same finding by whichever command ----
HEADER, NUMBERS = read_safetensors(LLAMA + "/model.safetensors")
COMMANDS = itertools.cycle([PLAN, TRAIN, GENERATE, MERGE])
UP = "model.layers.1.mlp.up_proj.weight"


def weights(name, says, header=HEADER, data=NUMBERS, argv=None, code=3):
    content = header if isinstance(header, bytes) else safetensors(header, data)
    bad("weights/" + name, argv or next(COMMANDS), r"^error: .*" + says, model(model_safetensors=content), code)


def renamed(old, new):
    return {new if k == old else k: v for k, v in HEADER.items()}


def placed(names):
    """The tensors with their bytes in this order."""
    header, data = {}, b""
    for n in names:
        begin, end = HEADER[n]["data_offsets"]
        header[n] = dict(HEADER[n], data_offsets=[len(data), len(data) + end - begin])
        data += NUMBERS[begin:end]
    return header, data


names = [n for n in HEADER if n != "__metadata__"]
whole = safetensors(HEADER, NUMBERS)
for n in (0, 8, 1000, len(whole) // 2, len(whole) - 1):
    weights("cut_%d" % n, "too few|truncated|claims", whole[:n])
weights("missing", "weight %s is missing" % UP, *placed([n for n in names if n != UP]))
weights("unknown", "model.layers.1.mlp.uq_proj.weight|up_proj.weight is missing", renamed(UP, UP.replace("up", "uq")))
weights(
    "more",
    "model.layers.2.mlp.up_proj.weight",
    *[dict(HEADER, **{UP.replace("1", "2"): {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}), NUMBERS],
    argv=PLAN
)
weights("transposed", "up_proj.* \\(64, 128\\)", dict(HEADER, **{UP: dict(HEADER[UP], shape=[64, 128])}))
weights("flat", "up_proj.weight is \\(1, 8192\\)", dict(HEADER, **{UP: dict(HEADER[UP], shape=[8192])}))
for kind in ("I32", "U32", "F8_E4M3", "F8_E5M2", "I64"):
    size = {"I32": 4, "U32": 4, "I64": 8}.get(kind, 1)
    head = {k: dict(v) for k, v in HEADER.items()}
    head[UP]["dtype"], head[UP]["shape"] = kind, [128, 64 * 4 // size]
    weights("dtype_" + kind, "up_proj.*(%s|i32|i64|\\(128)" % kind, head)
NORM = "model.norm.weight"
for kind, count in (("I32", 64), ("U8", 256)):
    weights(
        "norm_" + kind,
        "norm.weight'? is (%s|\\()" % kind.lower(),
        dict(HEADER, **{NORM: dict(HEADER[NORM], dtype=kind, shape=[count])}),
    )
SPOT = HEADER[UP]["data_offsets"][0] + 4000
for name, bits in (("nan", 0x7FC00000), ("inf", 0x7F800000), ("minus_inf", 0xFF800000)):
    spoilt = NUMBERS[:SPOT] + struct.pack("<I", bits) + NUMBERS[SPOT + 4 :]
    weights(name + "_train", "'%s': element 1000 is not finite" % UP, HEADER, spoilt, TRAIN)
    weights(name + "_merge", "'%s': element 1000 does not fit f32: it is NaN" % UP, HEADER, spoilt, MERGE, 7)
    weights(name + "_generate", "is not a number: the model or the adapter holds NaN", HEADER, spoilt, GENERATE, 7)
bad("weights/directory", PLAN, "m: neither model.safetensors", model(model_safetensors=Directory()))
bad("weights/fifo", PLAN, "m: neither model.safetensors", model(model_safetensors=Fifo()))
bad("weights/dangling", PLAN, "m: neither model.safetensors", model(model_safetensors=Link("nowhere")))
bad("weights/loop", PLAN, "m: neither model.safetensors", model(model_safetensors=Link("model.safetensors")))
bad(
    "weights/pickle",
    PLAN,
    "m: neither .* must be converted",
    model(model_safetensors=None, **{"pytorch_model.bin": b"PK"}),
)
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 269060552\n" % (b"4d" * 32)
bad("weights/git_lfs", PLAN, "model.safetensors: not the file, but Git LFS", model(model_safetensors=LFS))
bad("weights/terabyte", PLAN, "model.safetensors: .*header", model(model_safetensors=Sparse(1 << 40)))

# ---- shards ----
HALF = len(names) // 2
ONE, TWO_ = (safetensors(*placed(part)) for part in (names[:HALF], names[HALF:]))
FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
INDEX = {
    "metadata": {"total_size": len(NUMBERS)},
    "weight_map": {**{n: FIRST for n in names[:HALF]}, **{n: SECOND for n in names[HALF:]}},
}


def shards(name, says, index=INDEX, first=ONE, second=TWO_, **more):
    files = model(
        model_safetensors=None,
        **{"model.safetensors.index.json": index if not isinstance(index, dict) else text(index), **more}
    )
    files.update({"m/" + n: c for n, c in ((FIRST, first), (SECOND, second)) if c is not None})
    bad("shards/" + name, next(COMMANDS), says, files)


ABOUT = r"index\.json.*"
shards("index_cut", ABOUT + "JSON", text(INDEX)[:300])
shards("index_list", ABOUT + "weight_map", "[]")
shards("index_empty", ABOUT + "weight_map names 0", {"weight_map": {}})
shards("map_missing", ABOUT + "weight_map is missing", {"metadata": {}})
shards("map_list", ABOUT + "weight_map is missing or no object", {"weight_map": []})
for name, target in (
    ("up", "../" + FIRST),
    ("absolute", "/etc/passwd"),
    ("hidden", "." + FIRST),
    ("other", "x.bin"),
    ("slash", "sub/" + FIRST),
    ("empty", ""),
    ("number", 7),
    ("null", None),
    ("long", "n" * 300 + ".safetensors"),
    ("control", "a\x1b[2J.safetensors"),
    ("only_ending", ".safetensors"),
):
    shards(
        "name_" + name,
        ABOUT + "no name of a .safetensors",
        changed({"weight_map": {}}, "weight_map", {**INDEX["weight_map"], UP: target}),
    )
shards("shard_missing", SECOND + ".*cannot open", second=None)
shards("shard_cut", SECOND + ".*truncated", second=TWO_[:-40])
shards("shard_swapped", FIRST + "|" + SECOND, first=TWO_, second=ONE)
shards("shard_twice", "tensor '.*' is not what", second=ONE)
shards("map_more", "tensor 'ghost' is missing", {"weight_map": dict(INDEX["weight_map"], ghost=FIRST)})
shards("map_less", "no such tensor", {"weight_map": {k: v for k, v in INDEX["weight_map"].items() if k != UP}})
shards("map_wrong", "is not what .* says", {"weight_map": dict(INDEX["weight_map"], **{UP: FIRST})})
shards(
    "map_third",
    "model-00003.*cannot open",
    {"weight_map": dict(INDEX["weight_map"], **{UP: "model-00003.safetensors"})},
)
shards("index_huge", ABOUT + "bytes, at most", Sparse(17 << 20))

# ---- adapters ----
CONFIG = load("llama/adapter/adapter_config.json")
AH, AD = read_safetensors(LLAMA + "/adapter/adapter_model.safetensors")
USES = itertools.cycle(
    [
        ["generate", "--model", LLAMA, "--adapter", "a", "--prompt", "a", "--max-tokens", "2", "--threads", "1"],
        ["merge", "--model", LLAMA, "--adapter", "a", "--out", "out.d", "--threads", "1"],
        ["export", "--adapter", "a", "--base", LLAMA, "--gguf", "out.gguf"],
        ["inspect", "a"],
        ["train", "recipe.yaml", "--quiet", "base_model=" + LLAMA, "lora_model_dir=a", "lora_r=4", "lora_alpha=8"],
    ]
)


def adapter(name, says, config=CONFIG, tensors=None, argv=None, code=3):
    files = {
        "a/adapter_model.safetensors": (
            tensors if tensors is not None else Link(LLAMA + "/adapter/adapter_model.safetensors")
        )
    }
    if config is not None:
        files["a/adapter_config.json"] = text(config) if isinstance(config, dict) else config
    bad("adapter/" + name, argv or next(USES), says, files, code)


adapter("config_missing", "adapter_config.json is missing", None)
adapter("config_cut", "adapter_config.json.*JSON", text(CONFIG)[:100])
adapter("config_empty", "adapter_config.json.*JSON", "")
adapter("config_list", "adapter_config.json: expected an object", "[]")
adapter("config_huge", "adapter_config.json: .* at most", Sparse(2 << 20))
for i, (path, v, says) in enumerate(
    (
        ("r", 0, "r: 0 is out"),
        ("r", -4, "r: -4 is out"),
        ("r", 1 << 40, "r: "),
        ("r", "4", "r: expected an integer"),
        ("r", 4.0, "r: expected an integer"),
        ("r", None, "r is missing"),
        ("lora_alpha", 0, "lora_alpha is 0"),
        ("lora_alpha", -1, "lora_alpha is -1"),
        ("lora_alpha", "8", "lora_alpha: expected a number"),
        ("lora_alpha", 1e300, "lora_alpha"),
        ("lora_dropout", 1, "lora_dropout is 1"),
        ("lora_dropout", -0.5, "lora_dropout"),
        ("peft_type", "IA3", "peft_type: 'IA3'"),
        ("peft_type", DELETE, "peft_type is missing"),
        ("peft_type", 3, "peft_type: expected a string"),
        ("task_type", "SEQ_CLS", "task_type: 'SEQ_CLS'"),
        ("bias", "all", "bias: 'all'"),
        ("bias", "lora_only", "bias: 'lora_only'"),
        ("use_rslora", "yes", "use_rslora: expected a boolean"),
        ("fan_in_fan_out", True, "fan_in_fan_out"),
        ("lora_bias", True, "lora_bias"),
        ("layer_replication", [[0, 2]], "layer_replication"),
        ("use_qalora", True, "use_qalora"),
        ("megatron_config", {"a": 1}, "megatron_config"),
        ("init_lora_weights", "magic", "init_lora_weights"),
        ("target_modules", 7, "target_modules: expected"),
        ("target_modules", [1], "target_modules: entry 0"),
        ("target_modules", [""], "target_modules: entry 0"),
        ("rank_pattern", [], "rank_pattern: expected an object"),
        ("rank_pattern", {"q_proj": "8"}, "rank_pattern: 'q_proj'"),
        ("rank_pattern", {"q_proj": -1}, "rank_pattern: 'q_"),
        ("rank_pattern", {"(a|b": 4}, "rank_pattern: pattern .*\\(a"),
        ("alpha_pattern", {"q_proj": 0}, "alpha_pattern: 'q_proj'"),
        ("exclude_modules", 7, "exclude_modules: expected a text or a list of texts"),
        ("exclude_modules", ["q_proj", 7], "exclude_modules: expected a text or a list of texts"),
        ("layers_pattern", {}, "layers_pattern: expected a text or a list of texts"),
        ("layers_to_transform", "0", "layers_to_transform: expected a number of a layer or a list of them"),
        ("layers_to_transform", [0, 1.5], "layers_to_transform: expected a number of a layer or a list of them"),
        ("lora_rank", 4, "lora_rank: unknown key"),
        ("lora_alhpa", 4, "lora_alhpa: unknown key, did you mean lora_alpha"),
    )
):
    adapter("config_%s_%d" % (path, i), r"adapter_config\.json: " + says, changed(CONFIG, path, v))
anames = [n for n in AH if n != "__metadata__"]
aw = safetensors(AH, AD)
for n in (0, 7, 100, len(aw) // 2, len(aw) - 1):
    adapter("cut_%d" % n, "adapter_model.safetensors: .*(too few|truncated|claims)", tensors=aw[:n])
a0, b0 = anames[0], anames[0].replace("lora_A", "lora_B")
adapter("tensors_none", "no adapter inside", tensors=safetensors({}))
adapter(
    "half",
    "'%s' is missing" % b0.replace("lora_B", "lora_[AB]"),
    tensors=safetensors({k.replace("lora_B", "lora_C") if k == b0 else k: v for k, v in AH.items()}, AD),
)
adapter(
    "strange",
    "neither lora_A nor lora_B|magnitude",
    tensors=safetensors(dict(AH, extra={"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}), AD),
)
adapter("rank", "the rank in adapter_config.json is 8|rank", changed(CONFIG, "r", 8))
adapter("targets", "is not among target_modules", changed(CONFIG, "target_modules", ["q_proj"]))
adapter("targets_pattern", "is not among target_modules", changed(CONFIG, "target_modules", r".*\.[kv]_proj"))
adapter("targets_excluded", "'.*q_proj' is among exclude_modules", changed(CONFIG, "exclude_modules", ["q_proj"]))
adapter("targets_layers", "'.*layers.1.*' is not in layers_to_transform", changed(CONFIG, "layers_to_transform", [0]))
adapter(
    "module",
    "an adapter for another base|has no such",
    tensors=safetensors({k.replace("layers.0.mlp.up_proj", "layers.0.mlp.uq_proj"): v for k, v in AH.items()}, AD),
    config=changed(CONFIG, "target_modules", None),
    argv=["merge", "--model", LLAMA, "--adapter", "a", "--out", "out.d"],
)
adapter(
    "layer",
    "an adapter for another base|has no such",
    tensors=safetensors({k.replace("layers.1.", "layers.7."): v for k, v in AH.items()}, AD),
    argv=["merge", "--model", LLAMA, "--adapter", "a", "--out", "out.d"],
)
for kind, size in (("I32", 4), ("U8", 1), ("F8_E4M3", 1)):
    h = {
        k: dict(v, dtype=kind, shape=[v["shape"][0], v["shape"][1] * 4 // size]) if k == a0 else v
        for k, v in AH.items()
    }
    adapter("dtype_" + kind, "lora_A.*F32, F16 or BF16", tensors=safetensors(h, AD))
for name, bits in (("nan", 0x7FC00000), ("inf", 0x7F800000)):
    adapter(
        name,
        "lora_A.weight': element 100 is not finite",
        tensors=safetensors(AH, AD[:400] + struct.pack("<I", bits) + AD[404:]),
    )
WITH_HEAD = {
    **AH,
    "base_model.model.lm_head.lora_A.weight": {
        "dtype": "F32",
        "shape": [4, 64],
        "data_offsets": [len(AD), len(AD) + 1024],
    },
    "base_model.model.lm_head.lora_B.weight": {
        "dtype": "F32",
        "shape": [384, 4],
        "data_offsets": [len(AD) + 1024, len(AD) + 7168],
    },
}
HEAD = {
    "a/adapter_config.json": text(dict(CONFIG, target_modules=CONFIG["target_modules"] + ["lm_head"])),
    "a/adapter_model.safetensors": safetensors(WITH_HEAD, AD + struct.pack("<f", 0.5) * 1792),
}
bad(
    "adapter/head",
    ["generate", "--model", LLAMA, "--adapter", "a", "--prompt", "a", "--max-tokens", "2", "--threads", "1"],
    "factors for 'lm_head', .*lorikeet merge",
    HEAD,
)
bad("adapter/not_there", ["inspect", "a"], "\\ba: ", {})
bad(
    "adapter/tensors_missing",
    ["export", "--adapter", "a", "--peft", "out.d"],
    "adapter_model.safetensors.*cannot open",
    {"a/adapter_config.json": text(CONFIG)},
)
bad(
    "adapter/bin_only",
    ["export", "--adapter", "a", "--peft", "out.d"],
    "adapter_model.safetensors: cannot open: there is only adapter_model.bin",
    {"a/adapter_config.json": text(CONFIG), "a/adapter_model.bin": b"PK"},
)
