"""Random texts of the kinds that part tokenizers: many scripts, blanks, marks, broken words, texts of special tokens."""
META = "\u2581"
ALPHABETS = ["abcdefghij ", "ABCDE abc", "0123456789 ", " \t\n\r\u00a0\u3000\u2028\u0085\u180e\u200b", ".,;:!?-_/\\()[]{}<>|@#$%^&*+=~`\"'",
             "éèüßñçøåÀÉ\u017f\u212a\u01c5", "\u0301\u0308\u0327\u20dd\ufe0f", "aeo\u0301\u0308\u0323\u07fd\u0345\u0334\u3099か\U0001133b", "ⅣⅧ½²٣०", "我想在工作アイウのがは", "кириллица ВСЕ", "กำ្តែ", "😀🚀👩\u200d🔬🇩🇪",
             "\u1100\u1161\u11a8각힣", "\U00020000\U0001f9ff\U000e0041\ue000\U0010fffd\x01\x7f\x06", "ʰªºǅᾈ", META + " "]
WORDS = ["'s", "'S", "'re", "'LL", "'\u017f", "'ve", "don't", " the", "hello", "Hello", "WORLD", "x = 1;", "\r\n", "\n\n", "  ", "\t\t",
         "3.14", "2026-11-22", "http://a.b/c?d=e", "<|im_end|>", "<|im_start|>", "<s>", "</s>", "<0x0A>", "e\u0301", "A\u030a", "ﬁ", "\u0958",
         "\u2126", "<think>", "<w>", "<left>", "<right>", "<both>", "ab", "abc", "Caf\u00e9!"]


def text(draw, words=()):
    """One text; `words` are texts that the tokenizer itself knows."""
    out = ""
    for _ in range(draw.randrange(12)):
        kind = draw.randrange(8)
        if words and draw.randrange(6) == 0:
            out += draw.choice(words)
        elif kind == 0:
            out += chr(draw.choice([draw.randrange(1, 0x250), draw.randrange(1, 0x3100), draw.randrange(1, 0xD800), draw.randrange(0xE000, 0x20000)]))
        elif kind < 4:
            out += draw.choice(WORDS)
        else:
            letters = draw.choice(ALPHABETS)
            out += "".join(draw.choice(letters) for _ in range(draw.randrange(1, 9)))
    return out


