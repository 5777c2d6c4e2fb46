"""Random strings through `lorikeet tokenize` and through the reference, which must agree.

    python tokenizer.py LORIKEET SOURCE [strings]

The golden tokenizers, variants of them and small ones that cover each known step and flag, and the GGUF under models/.
"""
import copy
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
total = int(sys.argv[3]) if len(sys.argv) > 3 else 20000
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
    for name in ["llama", "mistral", "qwen2", "gemma2"]:
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


def ours(model, *options):
    done = subprocess.run([lorikeet, "tokenize", "--model", model, *options], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def compare(name, model, reference, texts):
    Path("texts.json").write_text(json.dumps(texts, ensure_ascii=False))
    wrong = 0
    for special in True, False:
        got = ours(model, "--texts", "texts.json", *([] if special else ["--no-special"]))
        want = [e.ids for e in reference.encode_batch(texts, add_special_tokens=special)]
        for t, g, w in zip(texts, got, want):
            if g != w:
                wrong += 1
                if wrong < 6:
                    print(f"{name}: {t!r}\n  got    {g}\n  wanted {w}")
    size = reference.get_vocab_size()
    ids = want + [[draw.randrange(size) for _ in range(draw.randrange(12))] for _ in range(len(texts))]
    ids = [[i for i in row if reference.id_to_token(i) is not None] for row in ids]
    Path("ids.json").write_text(json.dumps(ids))
    for i, g, w in zip(ids, ours(model, "--ids", "ids.json"), reference.decode_batch(ids, skip_special_tokens=False)):
        if g != w:
            wrong += 1
            if wrong < 6:
                print(f"{name}: {i}\n  got    {g!r}\n  wanted {w!r}")
    print(f"{name}: {len(texts)} texts, {wrong} wrong")
    return wrong


def main():
    cases = list(variants())
    wrong = 0
    for name, data in cases:
        Path("tokenizer.json").write_text(json.dumps(data, ensure_ascii=False))
        reference = Tokenizer.from_str(json.dumps(data))
        wrong += compare(name, "tokenizer.json", reference, [text(draw) for _ in range(total // len(cases))])
    for path in glob.glob(str(source / "models/*.gguf"))[:1]:
        reference = Tokenizer.from_str(json.dumps(from_gguf(path)))
        wrong += compare("SmolLM2", path, reference, [text(draw) for _ in range(total // 4)])
    sys.exit(wrong > 0)


main()
