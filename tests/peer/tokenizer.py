"""Random strings through `lorikeet tokenize` and through the reference, which must agree.

    python tokenizer.py LORIKEET SOURCE [strings]

`strings` (200,000) for each of the golden tokenizers and the GGUF under models/; some for each variant of them, and for small
ones that cover each known step and flag.
"""
import copy
import gc
import glob
import json
import random
import subprocess
import sys
from pathlib import Path

from small import all_small
from texts import META, text
from tokenizers import Tokenizer

lorikeet, source = sys.argv[1], Path(sys.argv[2])
total = int(sys.argv[3]) if len(sys.argv) > 3 else 200000
GOLDEN = ["llama", "mistral", "qwen2", "gemma2"]
FEW = 250           # for a variant
BATCH = 5000        # what the reference takes at once
SOME = total // 20  # through what is the same for all tokenizers: special tokens around a text, and back to text
draw = random.Random(20261122)

HEADS, TAILS, EXTRA = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]", r"[^\r\n\p{L}\p{N}]?"
REST = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
SUFFIX = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
PATTERNS = {
    "gpt2": [r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"],
    "tekken": [EXTRA + HEADS + "*" + TAILS + "+|" + EXTRA + HEADS + "+" + TAILS + r"*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + REST],
    "o200k": [EXTRA + HEADS + "*" + TAILS + "+" + SUFFIX + "?|" + EXTRA + HEADS + "+" + TAILS + "*" + SUFFIX
              + r"?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + REST],
    "deepseek-v3": [r"\p{N}{1,3}", "[一-龥\u3040-ゟ゠-ヿ]+",
                    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"""
                    + REST],
    "deepseek-coder": [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-\ud7ff]+"],
}
def split(pattern):
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def added(data, content, **flags):
    ids = list(data["model"]["vocab"].values()) + [t["id"] for t in data["added_tokens"]]
    base = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    data["added_tokens"].append({"id": max(ids) + 1, "content": content} | base | flags)


def variants():
    def load(name):
        return json.loads((source / "tests/golden/data" / name / "tokenizer.json").read_text())
    for name in GOLDEN:
        yield name, load(name)
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    for name, patterns in PATTERNS.items():
        data = load("llama")
        data["model"]["ignore_merges"] = False
        digits = [{"type": "Digits", "individual_digits": True}] if name == "deepseek-coder" else []
        data["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [*map(split, patterns), *digits, level]}
        yield name, data
    for individual in True, False:
        data = load("llama")
        data["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [
            {"type": "Digits", "individual_digits": individual}, level | {"use_regex": True}]}
        yield f"digits {individual}", data
    data = load("qwen2")
    data["pre_tokenizer"] = level | {"use_regex": True, "add_prefix_space": True}
    yield "prefix space", data
    for scheme in "always", "first", "never":
        for cut in True, False:
            data = load("mistral")
            data["normalizer"] = None
            data["pre_tokenizer"] = {"type": "Metaspace", "replacement": META, "prepend_scheme": scheme, "split": cut}
            yield f"metaspace {scheme} {cut}", data
    for name in "qwen2", "mistral":
        for normalized in True, False:
            data = load(name)
            added(data, "<w>", single_word=True, normalized=normalized)
            added(data, "<left>", lstrip=True, normalized=normalized)
            added(data, "<right>", rstrip=True, normalized=normalized, special=True)
            added(data, "<both>", lstrip=True, rstrip=True, normalized=normalized)
            added(data, "\n\n", normalized=normalized)
            added(data, "ab", normalized=normalized)
            added(data, "abc", normalized=normalized, single_word=True)
            added(data, "Cafe\u0301", normalized=True)
            yield f"added {name} {normalized}", data
    data = load("mistral")
    for token in list(data["model"]["vocab"]):
        if token.startswith("<0x8"):
            data["model"]["vocab"][token.replace("<", "[")] = data["model"]["vocab"].pop(token)
    for fuse in True, False:
        data = copy.deepcopy(data)
        data["model"]["fuse_unk"] = fuse
        yield f"unknown {fuse}", data
    yield from all_small()


def from_gguf(path):
    import gguf
    import unmapped  # noqa: F401
    fields = gguf.GGUFReader(path).fields
    tokens, types = (fields["tokenizer.ggml." + k].contents() for k in ("tokens", "token_type"))
    merges = fields["tokenizer.ggml.merges"].contents()
    assert fields["tokenizer.ggml.pre"].contents() == "smollm"
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"version": "1.0", "truncation": None, "padding": None,
            "added_tokens": [{"id": i, "content": tokens[i]} | flags for i, t in enumerate(types) if t == 3],
            "normalizer": None,
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, level]},
            "post_processor": None, "decoder": level,
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                      "vocab": {t: i for i, t in enumerate(tokens)}, "merges": merges}}


def start(model, *options):
    return subprocess.Popen([lorikeet, "tokenize", "--model", model, *options], stdout=subprocess.PIPE)


def answer(process):
    out = process.communicate()[0]
    assert process.returncode == 0
    return json.loads(out)


def differences(name, asked, got, want):
    if got == want:
        return 0
    wrong = [(a, g, w) for a, g, w in zip(asked, got, want, strict=True) if g != w]
    for a, g, w in wrong[:5]:
        print(f"{name}: {a!r}\n  got    {g!r}\n  wanted {w!r}")
    return len(wrong)


def compare(name, model, reference, texts, path):
    """All texts without special tokens, some with them, and the ids of some and random ones back to text."""
    some = texts[:max(SOME, FEW)]
    Path("some.json").write_text(json.dumps(some))
    plain, special = start(model, "--texts", path, "--no-special"), start(model, "--texts", "some.json")
    want = []
    for n in range(0, len(texts), BATCH):
        want += [e.ids for e in reference.encode_batch_fast(texts[n:n + BATCH], add_special_tokens=False)]
    wrong = differences(name, texts, answer(plain), want)
    wrong += differences(name, some, answer(special), [e.ids for e in reference.encode_batch_fast(some)])
    size = reference.get_vocab_size()
    ids = want[:len(some)] + [[draw.randrange(size) for _ in range(draw.randrange(12))] for _ in some]
    ids = [[i for i in row if reference.id_to_token(i) is not None] for row in ids]
    Path("ids.json").write_text(json.dumps(ids))
    back = start(model, "--ids", "ids.json")
    wrong += differences(name, ids, answer(back), reference.decode_batch(ids, skip_special_tokens=False))
    print(f"{name}: {len(texts)} texts, {wrong} wrong")
    return wrong


def main():
    gc.disable()  # millions of lists of ids, none in a circle
    texts = [text(draw) for _ in range(total)]
    Path("texts.json").write_text(json.dumps(texts))
    wrong = 0
    for n, (name, data) in enumerate(variants()):
        Path("tokenizer.json").write_text(json.dumps(data, ensure_ascii=False))
        reference = Tokenizer.from_str(json.dumps(data))
        if n < len(GOLDEN):
            wrong += compare(name, "tokenizer.json", reference, texts, "texts.json")
        else:
            part = n * FEW % max(total - FEW, 1)
            few = texts[part:part + FEW]
            Path("few.json").write_text(json.dumps(few))
            wrong += compare(name, "tokenizer.json", reference, few, "few.json")
    for path in glob.glob(str(source / "models/*.gguf"))[:1]:
        reference = Tokenizer.from_str(json.dumps(from_gguf(path)))
        wrong += compare("SmolLM2", path, reference, texts, "texts.json")
    sys.exit(wrong > 0)


main()
