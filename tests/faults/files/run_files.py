"""Data sets in HDF5, checkpoints and directories of runs, golden directories."""

import functools
import json
import os
import subprocess
import tempfile

from case import LLAMA, RECIPE, ROWS, SOURCE, TRAIN, Directory, Fifo, Link, Sparse, bad, changed, load, model, text
from formats import read_safetensors, safetensors


@functools.lru_cache(None)
def made():
    """A data set, and the directory of a run of three steps: {name: bytes}."""
    with tempfile.TemporaryDirectory() as d:
        rows = "".join('{"prompt": "row %d asks", "completion": " and %d answers"}\n' % (i, i) for i in range(6))
        for name, content in (("rows.jsonl", rows), ("recipe.yaml", RUN)):
            open(os.path.join(d, name), "w").write(content)
        for argv in (["data", "import", "rows.jsonl", "--out", "d.h5"], ["train", "recipe.yaml", "--quiet"]):
            subprocess.run(
                [os.environ["LORIKEET"]] + argv, cwd=d, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        files = {"rows.jsonl": rows.encode(), "d.h5": open(os.path.join(d, "d.h5"), "rb").read()}
        for top, _, names in os.walk(os.path.join(d, "run")):
            for n in names:
                path = os.path.join(top, n)
                files[os.path.relpath(path, d)] = open(path, "rb").read()
        return files


RUN = RECIPE.replace("base_model: m", "base_model: " + LLAMA).replace("max_steps: 1", "max_steps: 3\nsave_steps: 1")

# ---- HDF5 ----
H5 = made()["d.h5"]


def data(name, says, content, argv=("data", "check", "d.h5")):
    bad("hdf5/" + name, list(argv), r"^error: (datasets: )?d\.h5.*(" + says + ")", {**model(), "d.h5": content})


for k, n in enumerate(
    [0, 1, 7, 8, 9, 47, 48, 95, 96, 500, 800, 1000] + [len(H5) * i // 16 for i in range(2, 16)] + [len(H5) - 1]
):
    data(
        "cut_%05d" % n,
        "",
        H5[:n],
        [
            ("data", "check", "d.h5"),
            ("data", "show", "d.h5", "--model", LLAMA),
            ("inspect", "d.h5"),
            ("train", "recipe.yaml", "--quiet", "datasets.0.path=d.h5"),
        ][k % 2 if n < 8 else k % 4],
    )
for old, new in (
    (b"lorikeet-dataset", b"lorikeet-datasex"),
    (b"text", b"tuxt"),
    (b"offsets", b"offsetz"),
    (b"bytes", b"bites"),
    (b"splits", b"splitz"),
    (b"segments", b"segmentz"),
    (b"role", b"rolf"),
    (b"rows", b"rowz"),
    (b"OHDR", b"OHDX"),
    (b"lrk.complete", b"lrk.complexe"),
    (b"lrk.version", b"lrk.versiom"),
    (b"lrk.kind", b"lrk.kine"),
    (b"lrk.content_sha256", b"lrk.content_sha257"),
    (b"TREE", b"TREF"),
    (b"OCHK", b"OCHX"),
    (b"\x89HDF", b"xHDF"),
):
    assert old in H5
    data("renamed_" + new.decode(), "", H5.replace(old, new))
for i in range(4):
    data("zeros_%d" % i, "", H5[: 64 * i] + bytes(64) + H5[64 * i + 64 :])
data("halves_swapped", "", H5[len(H5) // 2 :] + H5[: len(H5) // 2])
data("sparse", "", Sparse(1 << 38))
data("directory", "", Directory(), ("data", "show", "d.h5", "--model", LLAMA))
data("fifo", "not a regular file|HDF5", Fifo())
data("jsonl", "HDF5", ROWS)
data("missing", "", Link("nowhere"))
bad(
    "hdf5/split", ["data", "show", "d.h5", "--model", LLAMA, "--split", "ghost"], "d.h5: no split 'ghost'", {"d.h5": H5}
)
bad("hdf5/row", ["data", "show", "d.h5", "--model", LLAMA, "--row", "99"], "99", {"d.h5": H5}, 2)
bad("hdf5/long", ["data", "check", "d.h5", "--model", LLAMA, "--sequence-len", "4"], "", {"d.h5": H5})
bad("hdf5/recipe_split", TRAIN + ["datasets.0.path=d.h5", "datasets.0.split=ghost"], "ghost", {**model(), "d.h5": H5})
bad(
    "hdf5/recipe_shape",
    TRAIN + ["datasets.0.path=d.h5", "datasets.0.type=text"],
    "d.h5: type, prompt, completion and field_... are for JSONL",
    {**model(), "d.h5": H5},
    2,
)

# ---- directories of runs ----
WHOLE = {n: c for n, c in made().items() if n.startswith("run/") or n == "rows.jsonl"}
WHOLE["recipe.yaml"] = RUN
NEW, OLD = "run/ckpt-00000003.safetensors", "run/ckpt-00000002.safetensors"
STATE = WHOLE[NEW]
END = 8 + int.from_bytes(STATE[:8], "little")
H, D = json.loads(STATE[8:END]), STATE[END:]
RESUME = ["train", "recipe.yaml", "--quiet", "--resume"]


def resumed(name, says, argv=(), code=3, files=None):
    every = {**WHOLE, **(files or {})}
    bad("resume/" + name, RESUME + list(argv), says, {k: v for k, v in every.items() if v is not None}, code)


def both(content):
    return {NEW: content, OLD: content}


for n in (0, 4, 100, len(STATE) // 2, len(STATE) - 1):
    resumed("cut_%d" % n, "ckpt-0000000[23].*(too few|truncated|claims)", files=both(STATE[:n]))
resumed("flipped", "ckpt-0000000[23].*(hash|damaged|SHA)", files=both(STATE[:-9] + bytes([STATE[-9] ^ 1]) + STATE[-8:]))
resumed("shuffled", "ckpt-0000000[23].*(hash|damaged|SHA)", files=both(STATE[: -len(D)] + D[64:] + D[:64]))
resumed("facts", "ckpt-0000000[23]", files=both(safetensors({k: v for k, v in H.items() if k != "__metadata__"}, D)))
resumed("gguf", "ckpt-0000000[23]", files=both(b"GGUF" + STATE))
resumed("sparse", "ckpt-0000000[23]", files=both(Sparse(1 << 40)))
resumed("other_seed", "seed", ["seed=7"], 2)
resumed("other_rank", "lora_r", ["lora_r=4"], 2)
resumed("other_data", "", files={"rows.jsonl": WHOLE["rows.jsonl"].replace(b"row 1", b"row 9")})
resumed("other_base", "", ["base_model=m"], 2, files=model())
resumed(
    "recipe_cut",
    "recipe.resolved.yaml",
    code=2,
    files={"run/recipe.resolved.yaml": WHOLE["run/recipe.resolved.yaml"][:200]},
)
resumed(
    "recipe_unknown",
    "recipe.resolved.yaml",
    code=2,
    files={"run/recipe.resolved.yaml": WHOLE["run/recipe.resolved.yaml"] + b"wibble: 1\n"},
)
resumed("recipe_missing", "recipe.resolved.yaml", code=2, files={"run/recipe.resolved.yaml": None})
resumed("lock_directory", "LOCK", code=4, files={"run/LOCK": Directory()})
bad("resume/output_file", TRAIN + ["output_dir=file"], "file", {**model(), "file": "mine"}, 2)
bad("resume/not_empty", TRAIN, "run: not empty", {**model(), "run/mine": "x"}, 2)

# ---- golden directories ----
EXPECTED, BATCH = load("llama/expected.json"), load("llama/batch.json")


def golden(name, says, code=3, **replaced):
    files = {"g/" + n: Link(os.path.join(LLAMA, n)) for n in os.listdir(LLAMA)}
    for key, content in replaced.items():
        files["g/" + key.replace("_json", ".json").replace("_safetensors", ".safetensors")] = content
    bad("golden/" + name, ["verify", "g"], says, {k: v for k, v in files.items() if v is not None}, code)


golden("expected_cut", "expected.json.*JSON", expected_json=text(EXPECTED)[:99])
golden("expected_list", "expected.json", expected_json="[]")
golden("expected_empty", "expected.json", expected_json="{}")
golden("greedy_far", "", expected_json=text(changed(EXPECTED, "greedy.prompt", [99999])))
golden("greedy_word", "ids differ", 7, expected_json=text(changed(EXPECTED, "greedy.prompt", ["x"])))
golden("steps", "train.loss", 7, expected_json=text(changed(EXPECTED, "train.steps", 7)))
golden("batch_cut", "batch.json.*JSON", batch_json=text(BATCH)[:99])
golden("batch_missing", "batch.json", batch_json=None)
golden("batch_rows", "batch.json", batch_json='{"rows": []}')
golden("batch_far", "batch.json", batch_json=text(changed(BATCH, "rows.0.input_ids", [1, 99999])))
golden("batch_negative", "batch.json", batch_json=text(changed(BATCH, "rows.0.input_ids", [-1] * 7)))
golden("batch_unequal", "batch.json", batch_json=text(changed(BATCH, "rows.0.labels", [1])))
golden("batch_label", "batch.json", batch_json=text(changed(BATCH, "rows.0.labels", [-100] + [99999] * 6)))
golden("numbers_cut", "expected.safetensors", expected_safetensors=b"x" * 50)
golden("numbers_none", "expected.safetensors|logits", expected_safetensors=safetensors({}))
golden(
    "numbers_other",
    "logits",
    7,
    expected_safetensors=(lambda h, d: safetensors(h, bytes(len(d))))(
        *read_safetensors(LLAMA + "/expected.safetensors")
    ),
)
golden("text_cut", "text_cases.json", text_cases_json='[{"text')
golden(
    "text_other",
    "",
    7,
    text_cases_json=text(
        [{"text": "a", "ids": [1], "ids_with_special": [1], "decoded": "b", "decoded_skip_special": "b"}]
    ),
)
bad("golden/nothing", ["verify", "g"], "g: nothing to verify", {"g/mine": "x"})
bad("golden/missing", ["verify", "g"], "g", {})
