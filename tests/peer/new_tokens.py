"""A vocabulary that grew, in PEFT and transformers: the tokenizer beside the adapter, base + adapter, the merged model.

usage: new_tokens.py make DIR       a base without a tokenizer, which has names of its own for embedding and head
       new_tokens.py check (RUN-DIR BASE-DIR TOKEN)...    what tests/peer/new_tokens.sh trained; its tokens are those
           below, and TOKEN where that is not empty
"""
import json
import random
import sys

import torch
from peft import AutoPeftModelForCausalLM
from tokenizers import AddedToken
from transformers import AutoModelForCausalLM, AutoTokenizer, GPTNeoXConfig, GPTNeoXForCausalLM

torch.set_num_threads(1)
PLAIN, FACTORY, SPECIAL, END = ["<|query|>", " pipe", "häufig"], ["<op>", "é x"], ["<|s1|>"], "<|done|>"


def plain(text):
    return AddedToken(text, rstrip=False, lstrip=False, normalized=False)


def reference(base, more):
    """As Axolotl adds them, and LLaMA-Factory."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_special_tokens({"eos_token": plain(END)})
    tokenizer.add_tokens([plain(t) for t in PLAIN])
    tokenizer.add_tokens(FACTORY, special_tokens=False)
    tokenizer.add_tokens(SPECIAL, special_tokens=True)
    tokenizer.add_tokens([plain(t) for t in more])
    return tokenizer


def same_texts(run, want, more):
    got, merged = (AutoTokenizer.from_pretrained(f"{run}/{part}") for part in ("adapter", "merged"))
    assert len(want) == len(got), (len(want), len(got))
    assert got.eos_token == want.eos_token == END
    draw = random.Random(1)
    pieces = PLAIN + FACTORY + SPECIAL + more + [END, " ", "  ", "a", "count", "é", "\n", "<|", "quer", "pipe", "x", "ä", "of 12"]
    for _ in range(2000):
        text = "".join(draw.choice(pieces) for _ in range(draw.randint(1, 9)))
        ids = want.encode(text, add_special_tokens=False)
        for other in (got, merged):
            assert ids == other.encode(text, add_special_tokens=False), text
            for skip in (False, True):
                assert want.decode(ids, skip_special_tokens=skip) == other.decode(ids, skip_special_tokens=skip), text


def error(run, want):
    adapted = AutoPeftModelForCausalLM.from_pretrained(run + "/adapter", dtype=torch.float32).eval()
    merged = AutoModelForCausalLM.from_pretrained(run + "/merged", dtype=torch.float32).eval()
    n = adapted.get_input_embeddings().weight.shape[0]
    assert merged.config.vocab_size == merged.get_input_embeddings().weight.shape[0] == max(n, len(want)), n
    with torch.no_grad():
        ids = torch.tensor([want.encode("how many <|query|> é x of <op>") + [len(want) - 1]])
        a, b = adapted(ids).logits, merged(ids).logits
    largest = (a - b).abs().max().item()
    print(f"{run}: {largest:.2e} of {a.abs().max().item():.2f}")
    return largest


def make(out):
    torch.manual_seed(1)
    config = GPTNeoXConfig(vocab_size=384, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
                           initializer_range=0.3, rotary_pct=0.5, bos_token_id=376, eos_token_id=380)
    GPTNeoXForCausalLM(config).save_pretrained(out)


def check(*runs):
    for run, base, token in zip(*[iter(runs)] * 3, strict=True):
        more = [token] if token else []
        want = reference(base, more)
        same_texts(run, want, more)
        # two orders of summing in f32: as load_peft.py
        if not error(run, want) <= 2e-4:
            sys.exit(run + ": other logits")
        with open(run + "/ids.json", "w") as f:
            print(json.dumps([want.encode("how many <|query|> é x of <op>", add_special_tokens=False)]), file=f)


{"make": make, "check": check}[sys.argv[1]](*sys.argv[2:])
