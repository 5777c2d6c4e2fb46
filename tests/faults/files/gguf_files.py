"""GGUF: header, keys, arrays, tensor infos, vocabulary; alone, as a model, as an adapter, split."""

import itertools
import struct

from case import GOLDEN, INSPECT, Sparse, bad
from formats import ARRAY, BOOL, F32, I32, STRING, U8, U16, U32, U64, Raw, gguf, read_gguf

KEYS = [
    ("general.architecture", STRING, "llama"),
    ("a.b", U32, 7),
    ("a.list", ARRAY, (U32, [1, 2, 3])),
    ("a.words", ARRAY, (STRING, ["x", "yy"])),
]
T = ("t", [4, 2], 0, bytes(32))  # f32
WHOLE = gguf(KEYS, [T, ("u", [32], 8, bytes(34))])


def alone(name, says, content):
    bad("gguf/" + name, INSPECT, "^error: x: .*(" + says + ")", {"x": content})


def keyed(name, says, *keys, **more):
    alone("key_" + name, says, gguf(list(keys), [T], **more))


def tensor(name, says, *tensors, **more):
    alone("tensor_" + name, says, gguf(KEYS, list(tensors), **more))


for n in (0, 3, 4, 8, 12, 16, 23, 24, 31, 60, 100, 130, 150, 170, 200, 230, len(WHOLE) - 64, len(WHOLE) - 33):
    alone("cut_%03d" % n, "truncated|not a GGUF|not a safetensors|do not fit|more than the file can hold", WHOLE[:n])
alone("magic_lower", "not a", gguf(KEYS, [T], magic=b"gguf"))
alone("magic_ggml", "not a", gguf(KEYS, [T], magic=b"lmgg"))
alone("magic_reversed", "not a", gguf(KEYS, [T], magic=b"FUGG"))
for v in (0, 1, 4, 0x03000000, 2**32 - 1):
    alone("version_%d" % v, "version %d.* is not supported" % v, gguf(KEYS, [T], version=v))
for n in (5, 100, 2**31, 2**63, 2**64 - 1):
    alone("n_keys_%d" % n, "keys do not fit|truncated|unknown type|1 to|UTF-8|needs", gguf(KEYS, [T], n_keys=n))
    alone("n_tensors_%d" % n, "tensors do not fit|truncated|axes|1 to|needs", gguf(KEYS, [T], n_tensors=n))
keyed("twice", "key 'a' occurs twice", ("a", U32, 1), ("a", U32, 1))
keyed("empty", "a key of 0 bytes", ("", U32, 1))
keyed("long", "a key of 70000 bytes", ("k" * 70000, U32, 1))
keyed("utf8", "not valid UTF-8", (b"\xff\xfe", U32, 1))
for kind in (13, 255, 2**31, 2**32 - 1):
    keyed("type_%d" % kind, "key 'a': unknown type %d" % kind, ("a", kind, Raw(4)))
keyed("bool_2", "key 'a': 2 is no truth value", ("a", BOOL, 2))
keyed("bools_2", "key 'a': 7 is no truth value", ("a", ARRAY, (BOOL, [0, 1, 7])))
keyed("nested", "key 'a': an array of arrays", ("a", ARRAY, (ARRAY, [(U32, [1]), (U32, [2])])))
keyed(
    "nested_deep",
    "key 'a': an array of arrays",
    ("a", ARRAY, Raw(struct.pack("<IQ", 9, 1) * 5000 + struct.pack("<IQ", 4, 0))),
)
keyed("array_type", "key 'a': unknown type 99", ("a", ARRAY, Raw(struct.pack("<IQ", 99, 1))))
for n in (4, 2**24, 2**24 + 1, 2**32, 2**61, 2**62, 2**63, 2**64 - 1):
    keyed("array_%d" % n, "key 'a': .*elements|truncated|a tensor name of", ("a", ARRAY, (U64, [1, 2, 3], n)))
    keyed("strings_%d" % n, "key 'a'.*(strings|elements|bytes)|truncated", ("a", ARRAY, (STRING, ["x", "y"], n)))
for n in (100000, 2**31, 2**63, 2**64 - 1):
    keyed("string_%d" % n, "truncated|at most", ("a", STRING, Raw(struct.pack("<Q", n) + b"abc")))
for v in (0, 1, 4, 7, 12, 8192, 2**31):
    keyed("alignment_%d" % v, "general.alignment is %d" % v, ("general.alignment", U32, v))
keyed("alignment_u64", "general.alignment is not a u32", ("general.alignment", U64, 32))
keyed("alignment_text", "general.alignment is not a u32", ("general.alignment", STRING, "32"))
keyed("alignment_list", "general.alignment is not a u32", ("general.alignment", ARRAY, (U32, [32])))
tensor("twice", "tensor 't' occurs twice", T, T)
tensor("name_empty", "name of 0 bytes", ("", [4], 0, bytes(16)))
tensor("name_long", "name of 100 bytes", ("n" * 100, [4], 0, bytes(16)))
tensor("name_utf8", "not valid UTF-8", (b"\xc0\x80", [4], 0, bytes(16)))
tensor("axes_0", "'t': 0 axes", ("t", [], 0, bytes(4)))
tensor("axes_5", "'t': 5 axes", ("t", [1, 1, 1, 1, 4], 0, bytes(16)))
tensor("axes_many", "'t': 200 axes", ("t", [1] * 200, 0, bytes(16)))
tensor("axis_0", "'t': an axis of 0", ("t", [0, 4], 0, b""))
tensor("axis_sign", "'t': an axis of", ("t", [2**63], 0, bytes(16)))
tensor("axis_max", "'t': an axis of", ("t", [2**64 - 1], 0, bytes(16)))
tensor("product", "'t': more", ("t", [2**32, 2**32, 2**32], 0, bytes(16)))
tensor("product_wrap", "'t': more", ("t", [4, 2**62, 4], 0, bytes(64)))
tensor("bytes_wrap", "'t': more|truncated|beyond", ("t", [2**62], 0, bytes(16)))
for kind, says in (
    (4, "Q4_2"),
    (5, "Q4_3"),
    (24, "I8"),
    (25, "I16"),
    (31, "Q4_0_4_4"),
    (36, "IQ4_NL_4_4"),
    (200, "unknown type"),
    (99, "unknown type"),
    (2**32 - 1, "unknown type"),
):
    tensor("type_%d" % kind, "'t': .*" + says, ("t", [256], kind, bytes(512)))
for kind, n in ((2, 31), (8, 33), (12, 128), (14, 255), (10, 300), (20, 48)):
    tensor(
        "row_%d_%d" % (kind, n), "'t': rows of %d elements are no whole number" % n, ("t", [n, 4], kind, bytes(2000))
    )
tensor("offset_4", "'t' lies at offset 4", T, offset={0: 4})
tensor("offset_far", "'t' lies at offset", T, offset={0: 2**63})
tensor("offset_overlap", "'u' lies at offset 0", T, ("u", [8], 0, bytes(32)), offset={1: 0})
tensor("offset_gap", "'u' lies at offset 64", T, ("u", [8], 0, bytes(32)), offset={1: 64})
tensor("offset_swapped", "'t' lies at offset 32", T, ("u", [8], 0, bytes(32)), offset={0: 32, 1: 0})
tensor("data_cut", "truncated", T, cut=8)

# ---- a model: the golden one with one key or tensor changed ----
GKEYS, GTENSORS = read_gguf(GOLDEN + "/llama_gguf_f32/model.gguf")
COMMANDS = itertools.cycle(
    [
        ["generate", "--model", "m.gguf", "--prompt", "a", "--max-tokens", "2", "--threads", "1"],
        ["plan", "recipe.yaml", "base_model=m.gguf"],
        ["train", "recipe.yaml", "--quiet", "base_model=m.gguf"],
    ]
)
TEXT = ["tokenize", "--model", "m.gguf"]


def model(name, says, keys=None, tensors=None, argv=None, code=3, **more):
    bad(
        "gguf_model/" + name,
        argv or next(COMMANDS),
        r"m\.gguf.*(" + says + ")",
        {"m.gguf": gguf(GKEYS if keys is None else keys, GTENSORS if tensors is None else tensors, **more)},
        code,
    )


def put(name, kind=None, v=None):
    """The golden keys with one replaced, put in, or (no kind) left out."""
    rest = [k for k in GKEYS if k[0] != name]
    return rest if kind is None else rest + [(name, kind, v)]


L = "llama."
for name in (
    "general.architecture",
    L + "block_count",
    L + "embedding_length",
    L + "attention.head_count",
    L + "feed_forward_length",
    L + "attention.layer_norm_rms_epsilon",
):
    model("no_" + name.split(".")[-1], "key '%s' is missing" % name, put(name))
for i, (name, kind, v, says) in enumerate(
    (
        ("general.architecture", STRING, "mamba", "architecture 'mamba' is not supported"),
        ("general.architecture", STRING, "", "architecture '' is not supported"),
        ("general.architecture", U32, 7, "general.architecture' is u32, expected a string"),
        ("general.architecture", STRING, b"\xff", "not valid UTF-8"),
        (L + "block_count", U32, 0, "block_count' is 0"),
        (L + "block_count", U32, 1, "blk.1|layers.1"),
        (L + "block_count", U32, 3, "layers.2.*missing"),
        (L + "block_count", U32, 2**31, "block_count' is"),
        (L + "block_count", STRING, "2", "block_count' is string, expected an integer"),
        (L + "block_count", F32, 2.0, "block_count' is f32, expected an integer"),
        (L + "block_count", U64, 2**63, "block_count' is -"),
        (L + "embedding_length", U32, 96, "heads of 24"),
        (L + "embedding_length", I32, -64, "embedding_length' is -64"),
        (L + "attention.head_count", U32, 3, "heads|head"),
        (L + "attention.head_count", U32, 0, "head_count' is 0"),
        (L + "attention.head_count", ARRAY, (U32, [4, 4]), "head_count' is an array"),
        (L + "attention.head_count_kv", U32, 3, "head"),
        (L + "attention.layer_norm_rms_epsilon", F32, float("nan"), "not finite"),
        (L + "attention.layer_norm_rms_epsilon", F32, -1.0, "eps"),
        (L + "attention.layer_norm_rms_epsilon", STRING, "1e-5", "expected a number"),
        (L + "rope.freq_base", F32, float("inf"), "not finite"),
        (L + "rope.freq_base", F32, 0.0, "theta|freq_base"),
        (L + "rope.freq_base", F32, -5.0, "theta|freq_base"),
        (L + "rope.scaling.type", STRING, "magic", "magic"),
        (L + "rope.dimension_count", U32, 6, "6 .rotary"),
        (L + "expert_count", U32, 8, "expert"),
        (L + "wibble", U32, 8, "key 'llama.wibble' is not supported"),
        (L + "vocab_size", U32, 300, "vocab|tokens"),
        ("split.count", U16, 3, "one of 3 files of a split model"),
        ("split.count", STRING, "3", "split.count' is string"),
    )
):
    model("%s_%d" % (name.split(".")[-1], i), says, put(name, kind, v))
for i, (name, kind, v, says) in enumerate(
    (
        ("model", STRING, "magic", "tokenizer.ggml.model.*magic|magic"),
        ("model", U32, 1, "tokenizer.ggml.model"),
        ("pre", STRING, "magic", "magic"),
        ("pre", U32, 1, "tokenizer.ggml.pre"),
        ("tokens", ARRAY, (STRING, []), "token_type has 320 elements, expected one a token: 0"),
        ("tokens", ARRAY, (U32, [1, 2]), "tokenizer.ggml.tokens"),
        ("tokens", STRING, "a", "tokenizer.ggml.tokens"),
        ("tokens", ARRAY, (STRING, ["a"] * 320), "ids 0 and 1 are both 'a'"),
        ("token_type", ARRAY, (I32, [1, 1]), "token_type"),
        ("token_type", ARRAY, (I32, [99] * 320), "type"),
        ("token_type", ARRAY, (U8, [1] * 320), "token_type"),
        ("merges", ARRAY, (STRING, ["a"]), "merge"),
        ("merges", ARRAY, (STRING, ["zzzz yyyy"]), "merge"),
        ("merges", ARRAY, (U32, [1]), "merges"),
        ("merges", ARRAY, (STRING, [b"\xff \xff"]), "merge|UTF-8"),
        ("bos_token_id", U32, 99999, "bos_token_id"),
        ("eos_token_id", U32, 99999, "eos_token_id"),
        ("eos_token_id", STRING, "2", "eos_token_id"),
        ("bos_token_id", I32, -1, "bos_token_id"),
        ("add_bos_token", U32, 1, "add_bos_token"),
    )
):
    model("vocab_%s_%d" % (name, i), says, put("tokenizer.ggml." + name, kind, v), argv=TEXT)
model("no_tokenizer", "tokenizer", [k for k in GKEYS if not k[0].startswith("tokenizer")], argv=TEXT)
model("no_tokens", "tokens", put("tokenizer.ggml.tokens"), argv=TEXT)
model("no_merges", "merges", put("tokenizer.ggml.merges"), argv=TEXT)
model(
    "template",
    "chat template|template|jinja",
    put("tokenizer.chat_template", STRING, "{% for x in %}"),
    argv=["generate", "--model", "m.gguf", "--message", "a", "--max-tokens", "2"],
)
model("missing", "up_proj.weight is missing", None, [t for t in GTENSORS if t[0] != "blk.1.ffn_up.weight"])
model(
    "unknown",
    "tensor 'blk.1.ffn_uq.weight' is not known",
    None,
    [(t[0].replace("blk.1.ffn_up", "blk.1.ffn_uq"),) + t[1:] for t in GTENSORS],
)
model(
    "layer",
    "up_proj.weight is missing",
    None,
    [(t[0].replace("blk.1.ffn_up", "blk.7.ffn_up"),) + t[1:] for t in GTENSORS],
)
model(
    "transposed",
    "up_proj.weight is",
    None,
    [(n, a[::-1] if n == "blk.1.ffn_up.weight" else a, k, d) for n, a, k, d in GTENSORS],
)
model(
    "numbers_i32",
    "ffn_up|up_proj",
    None,
    [(n, a, 26 if n == "blk.1.ffn_up.weight" else k, d) for n, a, k, d in GTENSORS],
)
NAN = [(n, a, k, struct.pack("<I", 0x7FC00000) + d[4:] if n == "blk.1.ffn_up.weight" else d) for n, a, k, d in GTENSORS]
model(
    "nan_train",
    "up_proj.weight': element 0 is not finite",
    None,
    NAN,
    ["train", "recipe.yaml", "--quiet", "base_model=m.gguf"],
)
model(
    "nan_merge",
    "up_proj.weight': element 0|ffn_up.weight': element 0",
    None,
    NAN,
    ["merge", "--model", "m.gguf", "--adapter", GOLDEN + "/llama_gguf_f32/adapter", "--out", "out.gguf"],
    7,
)
model("vocabulary_only", "weight .* is missing|no tensor", None, [])
model("merge_cut", "truncated", argv=["merge", "--model", "m.gguf", "--out", "out.d"], cut=5000)
bad("gguf_model/terabyte", next(COMMANDS), "m.gguf: not a GGUF", {"m.gguf": Sparse(1 << 40)})
bad("gguf_model/empty", next(COMMANDS), "m.gguf: not a GGUF", {"m.gguf": b""})
Q = read_gguf(GOLDEN + "/llama_gguf_q8_0/model.gguf")
SCALE = next(t for t in Q[1] if t[2] == 8)
bad(
    "gguf_model/scale_nan",
    ["train", "recipe.yaml", "--quiet", "base_model=m.gguf"],
    "m.gguf.*is not finite",
    {"m.gguf": gguf(Q[0], [(n, a, k, b"\x00\x7e" + d[2:] if n == SCALE[0] else d) for n, a, k, d in Q[1]])},
)
