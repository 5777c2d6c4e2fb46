"""Writes tests/unit/data/tokenizers.json: the small tokenizers of small.py, with what the reference makes of random texts.

    python tests/peer/make_tokenizers.py tests/unit/data/tokenizers.json
"""
import json
import random
import sys

from small import all_small
from texts import text
from tokenizers import Tokenizer, __version__

CASES = 16
draw = random.Random(20261128)
words = ["hello", " the", "  hello", "l", "ll ", "e", "333", "12345", "ﬁ", "½", "e\u0301", "<s>", "<|far|>", "我我", "!!", "a.b", " \t "]
out = []
for name, data in all_small():
    reference = Tokenizer.from_str(json.dumps(data))
    cases = []
    for _ in range(CASES):
        t = text(draw, words)
        plain, full = reference.encode(t, add_special_tokens=False), reference.encode(t)
        cases.append({"text": t, "ids": plain.ids, "ids_with_special": full.ids,
                      "decoded": reference.decode(plain.ids, skip_special_tokens=False),
                      "decoded_skip_special": reference.decode(full.ids, skip_special_tokens=True)})
    out.append({"name": name, "tokenizer": data, "cases": cases})
with open(sys.argv[1], "w", encoding="utf-8") as f:
    f.write(f'{{"made_by": "tokenizers {__version__}", "tokenizers": [\n')
    f.write(",\n".join(json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in out))
    f.write("\n]}\n")
