"""Random strings through `lorikeet tokenize` and through the reference with real vocabularies, which must agree.

    python vocabularies.py LORIKEET FOLDER [strings [name ...]]

Every tokenizer.json below FOLDER, and every GGUF with its vectors (X.gguf.inp, X.gguf.out) where it has them. For a GGUF the
reference is what its model's tokenizer.json says, put together here from the metadata; that takes a minute and is left out
where no number of strings is given.
"""
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from texts import META, text
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

lorikeet, folder = sys.argv[1], Path(sys.argv[2])
total, whole = (int(sys.argv[3]), True) if len(sys.argv) > 3 else (3000, False)
names = sys.argv[4:]
BATCH = 20000

REST = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*" + REST
QWEN35 = QWEN.replace(r"?\p{L}+", r"?[\p{L}\p{M}]+").replace(r"[^\s\p{L}\p{N}]", r"[^\s\p{L}\p{M}\p{N}]")
LLAMA3 = QWEN.replace(r"\p{N}|", r"\p{N}{1,3}|")
LETTERS = ("\\s?[A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373\u0376\u0377"
           "\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5"
           "\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-"
           "\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc"
           "\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126"
           "\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee"
           "\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-"
           "\uff3a\uff41-\uff5a\U00010400-\U0001044f\U000104b0-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2"
           "\U000118a0-\U000118df\U0001e900-\U0001e943]+")
PUNCT = "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+"
CJK = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"


def split(*patterns):
    return [pre_tokenizers.Split(Regex(p), "isolated") for p in patterns]


def steps(pre):
    """Normalizer and pre-tokenizer behind a name of tokenizer.ggml.pre."""
    level = lambda regex: pre_tokenizers.ByteLevel(False, use_regex=regex)
    digits = pre_tokenizers.Digits(True)
    if pre in ("gpt-2", "mpt"):
        return normalizers.NFC() if pre == "mpt" else None, [level(True)]
    if pre in ("smollm", "starcoder", "refact", "command-r"):
        return normalizers.NFC() if pre == "command-r" else None, [digits, level(True)]
    if pre == "llama-bpe":
        return None, split(LLAMA3) + [level(False)]
    if pre in ("qwen2", "qwen35"):
        return normalizers.NFC() if pre == "qwen2" else None, split(QWEN if pre == "qwen2" else QWEN35) + [level(False)]
    if pre == "deepseek-coder":
        return None, split(r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", CJK) + [digits, level(False)]
    if pre == "deepseek-llm":
        return None, split(r"[\r\n]", LETTERS, PUNCT, r"\s+$", CJK) + [digits, level(False)]
    if pre == "falcon":
        return None, [pre_tokenizers.Punctuation("contiguous"), level(True), pre_tokenizers.Digits(False), *split("[0-9][0-9][0-9]")]
    return None


def merges_of(tokens, scores, types):
    """The merges of a SentencePiece BPE, as transformers makes them for a tokenizer.json."""
    ids = {t: i for i, t in enumerate(tokens)}
    out = []
    for i, token in enumerate(tokens):
        if types[i] in (2, 3):
            continue
        local = [(token[:k], token[k:], scores[i]) for k in range(1, len(token)) if token[:k] in ids and token[k:] in ids]
        out += sorted(local, key=lambda m: (ids[m[0]], ids[m[1]]))
    return [m[:2] for m in sorted(out, key=lambda m: (m[2], len(m[0]), len(m[1])), reverse=True)]


def from_gguf(path):
    """The reference for a GGUF, or why there is none."""
    import gguf
    import unmapped  # noqa: F401
    fields = gguf.GGUFReader(path).fields
    get = lambda key: fields["tokenizer.ggml." + key].contents() if "tokenizer.ggml." + key in fields else None
    model, pre, tokens, types = get("model"), get("pre"), get("tokens"), get("token_type")
    ids = {t: i for i, t in enumerate(tokens)}
    if model == "gpt2":
        known = steps(pre) if pre else None
        if not known:
            return f"no pipeline for tokenizer.ggml.pre {pre}"
        t = Tokenizer(models.BPE(ids, [tuple(m.split(" ", 1)) for m in get("merges")], ignore_merges=pre == "llama-bpe"))
        if known[0]:
            t.normalizer = known[0]
        t.pre_tokenizer, t.decoder = pre_tokenizers.Sequence(known[1]), decoders.ByteLevel()
    elif model in ("llama", "gemma4"):
        merges = ([tuple(m.split(" ", 1)) for m in get("merges")] if model == "gemma4" else merges_of(tokens, get("scores"), types))
        unk = tokens[get("unknown_token_id")] if get("unknown_token_id") is not None else tokens[types.index(2)]
        t = Tokenizer(models.BPE(ids, merges, unk_token=unk, fuse_unk=True, byte_fallback=True))
        prefix = model == "llama" and get("add_space_prefix") is not False
        t.normalizer = normalizers.Sequence([normalizers.Prepend(META)] * prefix + [normalizers.Replace(" ", META)])
        t.decoder = decoders.Sequence([decoders.Replace(META, " "), decoders.ByteFallback(), decoders.Fuse()]
                                      + [decoders.Strip(" ", 1, 0)] * prefix)
    elif model == "t5":
        used = [(token, score) for token, score in zip(tokens, get("scores"))]
        while types[len(used) - 1] == 5:                      # rows that only fill the embedding
            used.pop()
        t = Tokenizer(models.Unigram(used, get("unknown_token_id"), False))
        charsmap = bytes(b & 255 for b in get("precompiled_charsmap"))
        t.normalizer = normalizers.Sequence([normalizers.Precompiled(charsmap), normalizers.Strip(False, True),
                                             normalizers.Replace(Regex(" {2,}"), META)])
        t.pre_tokenizer, t.decoder = pre_tokenizers.Metaspace(META, "always"), decoders.Metaspace(META, "always")
    else:
        return f"tokenizer.ggml.model {model} is refused"
    phi3 = fields["general.architecture"].contents() == "phi3" and model == "llama"
    for token, kind in zip(tokens, types):        # not through JSON, which changes the last bit of a score
        if kind in (2, 3, 4):
            behind = phi3 and token not in ("<unk>", "<s>", "<|endoftext|>")
            one = [AddedToken(token, normalized=False, rstrip=behind, special=kind != 4)]
            t.add_tokens(one) if kind == 4 else t.add_special_tokens(one)
    return t


def ours(model, option, values):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(values, file)
        file.flush()
        done = subprocess.run([lorikeet, "tokenize", "--model", model, option, file.name] + ["--no-special"] * (option == "--texts"),
                              capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def show(name, what, got, wanted):
    print(f"{name}: {what!r}\n  got    {got}\n  wanted {wanted}", flush=True)


def vectors(name, path):
    """The vectors beside a GGUF, which the model's own tokenizer gave."""
    inputs = Path(str(path) + ".inp").read_bytes().decode().split("\n__ggml_vocab_test__\n")
    outputs = [[int(i) for i in line.split()] for line in Path(str(path) + ".out").read_text().split("\n")]
    wrong = 0
    for what, got, wanted in zip(inputs, ours(path, "--texts", inputs), outputs):
        if got != wanted:
            wrong += 1
            show(name, what, got, wanted)
    print(f"{name}: {len(inputs)} vectors, {wrong} wrong", flush=True)
    return wrong


def compare(name, path, reference):
    draw = random.Random(20261128)
    added = [t.content for t in reference.get_added_tokens_decoder().values()]
    vocabulary = list(reference.get_vocab())
    words = added + [draw.choice(vocabulary).replace("Ġ", " ").replace(META, " ").replace("\0", " ") for _ in range(1000)]
    size, wrong = reference.get_vocab_size(), 0
    for done in range(0, total, BATCH):
        texts = [text(draw, words) for _ in range(min(BATCH, total - done))]
        want = [e.ids for e in reference.encode_batch(texts, add_special_tokens=False)]
        for what, got, wanted in zip(texts, ours(path, "--texts", texts), want):
            if got != wanted:
                wrong += 1
                if wrong < 6:
                    show(name, what, got, wanted)
        ids = want[: len(want) // 2] + [[draw.randrange(size) for _ in range(draw.randrange(9))] for _ in range(len(want) // 2)]
        ids = [[i for i in row if reference.id_to_token(i) is not None] for row in ids]
        for what, got, wanted in zip(ids, ours(path, "--ids", ids), reference.decode_batch(ids, skip_special_tokens=False)):
            if got != wanted:
                wrong += 1
                if wrong < 6:
                    show(name, what, repr(got), repr(wanted))
    print(f"{name}: {total} texts, {wrong} wrong", flush=True)
    return wrong


def main():
    wrong = 0
    for path in sorted(folder.rglob("tokenizer.json")) + sorted(folder.rglob("*.gguf")):
        name = path.name if path.suffix == ".gguf" else str(path.parent.relative_to(folder)).split(os.sep)[0]
        if names and not any(n in name for n in names):
            continue
        if path.suffix == ".gguf" and Path(str(path) + ".inp").exists() and "bert" not in name:
            wrong += vectors(name, path)
        if path.suffix == ".gguf" and not whole:
            continue
        reference = from_gguf(path) if path.suffix == ".gguf" else Tokenizer.from_file(str(path))
        if isinstance(reference, str):
            print(f"{name}: not compared: {reference}", flush=True)
        else:
            wrong += compare(name, path, reference)
    sys.exit(wrong > 0)


main()
