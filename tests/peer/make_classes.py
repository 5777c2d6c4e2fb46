"""Writes data/tokenizer/classes.def, lower.def, mark.def and word.def: what the reference tokenizer takes each code point for.

    python tests/peer/make_classes.py data/tokenizer

Asked of the installed `tokenizers` itself, so that its Unicode version is ours.
"""
import sys
from tokenizers import AddedToken, Regex, Tokenizer, __version__, models, normalizers, pre_tokenizers

POINTS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
CLASSES = {"UPPER": r"[\p{Lu}\p{Lt}]", "LOWER": r"\p{Ll}", "LETTER": r"[\p{Lm}\p{Lo}]", "MARK": r"\p{M}",
           "NUMBER": r"\p{N}", "PUNCT": r"\p{P}", "SYMBOL": r"\p{S}", "SPACE": r"\s"}


def members(pre):
    """Code points that the pre-tokenizer removes."""
    out = set()
    for i in range(0, len(POINTS), 5000):
        part = POINTS[i:i + 5000]
        left = {ord(c) for piece, _ in pre.pre_tokenize_str("".join(map(chr, part))) for c in piece}
        out |= set(part) - left
    return out


def digits():
    """What Digits takes for a digit: pieces of their own between letters."""
    pre = pre_tokenizers.Digits(individual_digits=True)
    return {c for c in POINTS if len(pre.pre_tokenize_str("a" + chr(c) + "a")) > 1}


def words():
    """What keeps a single_word token from matching."""
    t = Tokenizer(models.BPE({"a": 0}, []))
    t.add_tokens([AddedToken("<w>", single_word=True, normalized=False)])
    texts = [chr(c) + "<w>" for c in POINTS]
    return {c for c, e in zip(POINTS, t.encode_batch(texts, add_special_tokens=False)) if 1 not in e.ids}


def stripped():
    """What lstrip swallows."""
    t = Tokenizer(models.BPE({"a": 0}, []))
    t.add_tokens([AddedToken("<w>", lstrip=True, normalized=False)])
    texts = [chr(c) + "<w>" for c in POINTS]
    return {c for c, e in zip(POINTS, t.encode_batch(texts, add_special_tokens=False)) if e.offsets[0][0] == 0}


def changed(normalizer):
    """Code points with what the normalizer makes of each, where that is something else."""
    out = ((c, normalizer.normalize_str(chr(c))) for c in POINTS)
    return {c: made for c, made in out if made != chr(c)}


def rows(values, digits):
    line = ""
    for v in values:
        item = f"0x{v:0{digits}x}, "
        if len(line) + len(item) > 99:
            yield line.rstrip()
            line = ""
        line += item
    yield line.rstrip()


def main(folder):
    kind = [0] * 0x110000
    for n, (name, pattern) in enumerate(CLASSES.items(), 1):
        for c in members(pre_tokenizers.Split(Regex(pattern), "removed")):
            assert kind[c] == 0, (name, hex(c))
            kind[c] = n
    space, number = list(CLASSES).index("SPACE") + 1, list(CLASSES).index("NUMBER") + 1
    print("lstrip and \\s differ in", sorted(map(hex, stripped() ^ {c for c in POINTS if kind[c] == space})))
    extra = digits() ^ {c for c in POINTS if kind[c] == number}
    print("Digits and \\p{N} differ in", sorted(map(hex, extra)))
    starts = [c << 4 | kind[c] for c in range(0x110000) if c == 0 or kind[c] != kind[c - 1]]
    with open(folder + "/classes.def", "w") as f:
        f.write(f"/* Written by tests/peer/make_classes.py from tokenizers {__version__}: (first << 4 | class) of each run of code\n"
                " * points; classes 0 other, " + ", ".join(f"{n} {name.lower()}" for n, name in enumerate(CLASSES, 1)) + ". */\n")
        f.write("\n".join(rows(starts, 1)) + "\n")
    lower = changed(normalizers.Lowercase())
    print("Lowercase makes several of", [hex(c) for c, made in lower.items() if len(made) > 1])
    with open(folder + "/lower.def", "w") as f:
        f.write(f"/* Written by tests/peer/make_classes.py from tokenizers {__version__}: upper case, lower case. */\n")
        pairs = [f"{{0x{c:x}, 0x{ord(made[0]):x}}}, " for c, made in lower.items()]
        f.write("\n".join("".join(pairs[i:i + 5]).rstrip() for i in range(0, len(pairs), 5)) + "\n")
    marks = set(changed(normalizers.StripAccents()))
    with open(folder + "/mark.def", "w") as f:
        f.write(f"/* Written by tests/peer/make_classes.py from tokenizers {__version__}: where accents begin, end, begin, ... */\n")
        f.write("\n".join(rows([c for c in range(0x110000) if (c in marks) != (c > 0 and c - 1 in marks)], 1)) + "\n")
    word = words()
    edges = [c for c in range(0x110000) if (c in word) != (c > 0 and c - 1 in word)]
    with open(folder + "/word.def", "w") as f:
        f.write(f"/* Written by tests/peer/make_classes.py from tokenizers {__version__}: where \\w begins, ends, begins, ... */\n")
        f.write("\n".join(rows(edges, 1)) + "\n")


main(sys.argv[1])
