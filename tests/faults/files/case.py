"""What a case is: files, a command, an exit code, and what the message must say."""

import copy
import json
import os

SOURCE = os.environ["SOURCE"]
GOLDEN = os.path.join(SOURCE, "tests/golden/data")
LLAMA = os.path.join(GOLDEN, "llama")

RECIPE = """base_model: m
datasets: [{path: rows.jsonl}]
lora_r: 2
max_steps: 1
learning_rate: 1e-2
compute_dtype: f32
threads: 1
output_dir: run
"""
ROWS = '{"prompt": "q", "completion": " and an answer"}\n'

INSPECT = ["inspect", "x"]
PLAN = ["plan", "recipe.yaml"]
TRAIN = ["train", "recipe.yaml", "--quiet"]
GENERATE = ["generate", "--model", "m", "--prompt", "a", "--max-tokens", "2", "--threads", "1"]
MERGE = ["merge", "--model", "m", "--adapter", LLAMA + "/adapter", "--out", "out.d", "--threads", "1"]
TOKENIZE = ["tokenize", "--model", "m"]

BAD, GOOD = [], []


class Link(str):
    """A symbolic link to this path."""


class Sparse(int):
    """A file of this many zero bytes."""


class Directory:
    pass


class Fifo:
    pass


def bad(name, argv, says, files, code=3, rows=False):
    """says: a regular expression for standard error. rows: not even a cache may stay."""
    BAD.append((name, argv, code, says, files, rows))


def good(name, argv, files, says=""):
    """says: a regular expression for standard output or error."""
    GOOD.append(("good/" + name, argv, 0, says, files, False))


def model(where="m", base=LLAMA, **replaced):
    """A model directory of links; model_safetensors=... replaces one, None leaves it out."""
    files = {}
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        if os.path.exists(os.path.join(base, name)):
            files[where + "/" + name] = Link(os.path.join(base, name))
    for key, content in replaced.items():
        name = key.replace("__", "\0").replace("_safetensors", ".safetensors").replace("_json", ".json")
        name = name.replace("_jinja", ".jinja").replace("\0", "-")
        files.pop(where + "/" + name, None)
        if content is not None:
            files[where + "/" + name] = content
    return files


def load(*path):
    return json.load(open(os.path.join(GOLDEN, *path)))


def changed(tree, path, v):
    """A copy of a JSON tree with the value at "a.b.0" replaced; DELETE removes it; v may be a function."""
    tree = copy.deepcopy(tree)
    at = tree
    steps = [int(s) if s.lstrip("-").isdigit() else s for s in path.split(".")]
    for s in steps[:-1]:
        at = at[s]
    if v is DELETE:
        del at[steps[-1]]
    else:
        at[steps[-1]] = v(at[steps[-1]]) if callable(v) else v
    return tree


DELETE = object()


def text(tree):
    return json.dumps(tree)
