"""Small tokenizers that each have one step of a pipeline, or one model, for tests against the reference."""
import base64
import struct

META = "\u2581"
LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
PLAIN = [META, " ", *"abcdefghijklmnopqrstuvwxyzABCDE0123456789.,;!?'-_$+=~()|", "\n", "é", "e\u0301"[1:], "è", "ﬁ", "Å", "が", "か", "我", "Ⅷ", "½"]
WORDS = ["ab", "abc", "he", "ll", "llo", "hello", "th", "the", META + "a", META + "he", META + "the", META + "hello", "ing", "in", "33", "333", "!!", ".."]


def byte_table():
    """Characters that stand for bytes 0 to 255."""
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    other = iter(range(256, 512))
    return [chr(b) if b in keep else chr(next(other)) for b in range(256)]


def merges_for(vocab):
    return [[t[:k], t[k:]] for t in vocab for k in range(1, len(t)) if t[:k] in vocab and t[k:] in vocab]


def tokenizer(model, normalizer=None, pre=None, decoder=None, post=None, added=()):
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    size = len(model["vocab"])
    return {"version": "1.0", "truncation": None, "padding": None,
            "added_tokens": [{"id": size + i, "content": t} | flags for i, t in enumerate(added)],
            "normalizer": normalizer, "pre_tokenizer": pre, "post_processor": post, "decoder": decoder, "model": model}


def bpe(**parts):
    vocab = {t: i for i, t in enumerate(["<unk>", *PLAIN, *WORDS])}
    model = {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None, "end_of_word_suffix": None,
             "fuse_unk": False, "byte_fallback": False, "ignore_merges": False, "vocab": vocab, "merges": merges_for(vocab)}
    return tokenizer(model, **{"decoder": {"type": "Fuse"}} | parts)


def level(*steps, normalizer=None):
    names = byte_table()
    words = [w.replace(META, names[32]) for w in WORDS] + [names[32] + names[32], "Ã©", "Ã¨"]
    vocab = {t: i for i, t in enumerate([*names, *dict.fromkeys(words)])}
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
             "fuse_unk": False, "byte_fallback": False, "ignore_merges": False, "vocab": vocab, "merges": merges_for(vocab)}
    return tokenizer(model, normalizer, {"type": "Sequence", "pretokenizers": list(steps)}, LEVEL)


def unigram(byte_fallback=False, **parts):
    bytes_ = [[f"<0x{b:02X}>", -12.0] for b in range(256)] if byte_fallback else []
    vocab = [["<unk>", 0.0], ["<s>", 0.0], *bytes_, *([t, -6.0 - i % 3] for i, t in enumerate(PLAIN) if t != "我"),
             *([t, -5.0 - len(t) % 2 * 2.5] for t in WORDS), ["ta", -7.43201780319213867], ["tah", -9.10837173461914], ["hta", -9.10837173461914]]
    model = {"type": "Unigram", "unk_id": 0, "vocab": vocab, "byte_fallback": byte_fallback}
    meta = {"type": "Metaspace", "replacement": META, "prepend_scheme": "always", "split": True}
    return tokenizer(model, **{"pre": meta, "decoder": meta} | parts)


def charsmap(table):
    """A SentencePiece normalizer: a double array for the beginnings in `table`, then what they map to."""
    texts, value = b"", {}
    for source, target in table.items():
        value[source.encode()] = len(texts)
        texts += target.encode() + b"\0"
    units = [0] * 4096
    used = {0}

    def place(at, prefix):
        after = sorted({key[len(prefix)] for key in value if key.startswith(prefix) and len(key) > len(prefix)})
        leaf = prefix in value
        offset = next(o for o in range(256, 3500) if o != at and not o >> 21 and (o ^ at) not in used | {0} and
                      all((o ^ at ^ at ^ c) not in used for c in after) and (not leaf or o not in used))
        base = offset
        if leaf:
            units[base] = value[prefix] | 1 << 31
            used.add(base)
        for c in after:
            used.add(base ^ c)
        units[at] |= (base ^ at) << 10 | leaf << 8
        for c in after:
            units[base ^ c] = c
            place(base ^ c, prefix + bytes([c]))

    place(0, b"")
    units = units[:max(used) + 257]
    return struct.pack("<I", 4 * len(units)) + struct.pack(f"<{len(units)}I", *units) + texts


TABLE = {"ﬁ": "fi", "e\u0301": "é", "Å": "A", "\u3000": " ", "\t": " ", "½": "1/2", "\r": " ", "\u200b": "", "ｱ": "ア", "a\u0308": "ä"}


def all_small():
    for kind in "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents":
        yield kind, bpe(normalizer={"type": kind})
    for left, right in (True, False), (False, True), (True, True):
        yield f"Strip {left} {right}", bpe(normalizer={"type": "Strip", "strip_left": left, "strip_right": right})
    runs = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": META}
    yield "Replace runs", bpe(normalizer=runs)
    yield "Precompiled", bpe(normalizer={"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap(TABLE)).decode()})
    for name in "Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous":
        for invert in False, True:
            split = {"type": "Split", "pattern": {"String": "l"}, "behavior": name, "invert": invert}
            yield f"Split l {name} {invert}", bpe(pre=split)
            yield f"Split blanks {name} {invert}", bpe(pre=split | {"pattern": {"Regex": r"\s+$"}})
        yield f"Punctuation {name}", bpe(pre={"type": "Punctuation", "behavior": name})
    yield "Whitespace", bpe(pre={"type": "Whitespace"})
    yield "WhitespaceSplit", bpe(pre={"type": "WhitespaceSplit"})
    yield "CharDelimiterSplit", bpe(pre={"type": "CharDelimiterSplit", "delimiter": "e"})
    yield "words with a prefix", bpe(pre={"type": "Sequence", "pretokenizers": [
        {"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": META, "prepend_scheme": "always", "split": True}]})
    falcon = [{"type": "Punctuation", "behavior": "Contiguous"}, LEVEL | {"use_regex": True}, {"type": "Digits", "individual_digits": False},
              {"type": "Split", "pattern": {"Regex": "[0-9][0-9][0-9]"}, "behavior": "Isolated", "invert": False}]
    yield "Falcon", level(*falcon)
    rest = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    short = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
    split = lambda *patterns: [{"type": "Split", "pattern": {"Regex": p}, "behavior": "Isolated", "invert": False} for p in patterns]
    others = r"| ?[^\s\p{L}\p{N}]+[\r\n]*"
    extra = r"[^\r\n\p{L}\p{N}]?"
    named = {
        "bloom": [" ?[^(\\s|[.,!?…。，、।۔،])]+"], "viking": [" ?[^(\\s|[.,!?…。，、।۔،])]+", r"\p{N}"],
        "qwen35": [short + "|" + extra + r"[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*" + rest],
        "seed-coder": [short + "|" + extra + r"\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+" + rest],
        "bailingmoe": [r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"],
        "minicpm5": [r"\p{N}{1,3}", short + "|" + extra + r"\p{L}+|\p{N}+" + others + rest],
        "ufakzeka": [extra + r"\p{L}+|\p{N}" + others + rest],
        "laguna": [r"[^\n]+|[\n]+", short + "|" + extra + r"\p{L}+|\p{N}" + others + rest],
        "llama3, lines spelled out": [(short + "|" + extra + r"\p{L}+|\p{N}{1,3}" + others + rest).replace(r"\r\n", "\r\n")],
    }
    for name, patterns in named.items():
        yield name, level(*split(*patterns), LEVEL)
    for fallback in False, True:
        yield f"Unigram {fallback}", unigram(fallback)
    yield "Unigram split at blanks", unigram(pre={"type": "Sequence", "pretokenizers": [
        {"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": META, "prepend_scheme": "always", "split": True}]})
    yield "Unigram as XLM-R", unigram(normalizer={"type": "Sequence", "normalizers": [
        {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap(TABLE)).decode()},
        {"type": "Strip", "strip_left": False, "strip_right": True}, runs]})
    yield "Metaspace never", unigram(decoder={"type": "Metaspace", "replacement": META, "prepend_scheme": "never", "split": True})
    yield "Roberta", bpe(post={"type": "RobertaProcessing", "sep": ["ab", 60], "cls": ["<unk>", 0], "trim_offsets": True, "add_prefix_space": True})
    yield "Bert", bpe(post={"type": "BertProcessing", "sep": ["</x>", 3], "cls": ["<x>", 5]})
    holes = level(*split(r"\p{N}{1,3}"), LEVEL)
    holes["model"]["vocab"]["<|far|>"] = 400
    holes["added_tokens"] = [{"id": 400, "content": "<|far|>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}]
    yield "ids apart", holes
