"""Makes every bad and every odd but good file and gives each to the program: run.py [PATTERN] [--show].

A bad one must end with its exit code and a message that names the finding, within 20 seconds and 1 GiB,
and leave no file behind; a good one must be accepted. --show prints what was said.
"""

import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading

import case
import adapter_files  # noqa: F401  (each registers its cases)
import text_files  # noqa: F401
import tensor_files  # noqa: F401
import gguf_files  # noqa: F401
import model_files  # noqa: F401
import run_files  # noqa: F401
import output_files  # noqa: F401
import good_files  # noqa: F401

LIMIT_S, LIMIT_KIB = 20, 1 << 20
here = threading.local()  # a thread has a process of its own that starts its commands
ENVIRONMENT = dict(os.environ, ASAN_OPTIONS="max_allocation_size_mb=1024:" + os.environ.get("ASAN_OPTIONS", ""))


def write(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if isinstance(content, case.Link):
        os.symlink(content, path)
    elif isinstance(content, case.Directory):
        os.mkdir(path)
    elif isinstance(content, case.Fifo):
        os.mkfifo(path)
    else:
        with open(path, "wb") as f:
            if isinstance(content, case.Sparse):
                f.truncate(content)
            else:
                f.write(content.encode() if isinstance(content, str) else content)


def listing(top):
    return {os.path.join(d, f) for d, folders, files in os.walk(top) for f in files + folders}


def outcome(folder, argv):
    """Exit code, output, message, largest resident size."""
    if not hasattr(here, "start"):
        here.start = subprocess.Popen(
            [os.environ["START"], str(LIMIT_S)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT
        )
    words = b"".join(os.fsencode(w) + b"\0" for w in [folder] + argv)
    here.start.stdin.write(b"%08d" % len(words) + words)
    here.start.stdin.flush()
    status, kib = map(int, here.start.stdout.readline().split())
    said = [open(folder + end, errors="replace").read() for end in (".out", ".err")]
    return os.waitstatus_to_exitcode(status), said[0], said[1], kib


def faults(one, folder, before, got):
    name, argv, want, says, files, rows = one
    code, out, err, kib = got
    if code != want:
        yield "exit %d, expected %d" % (code, want)
    if re.search("Sanitizer|runtime error|invariant broken", err):
        yield "a sanitizer or an invariant speaks"
    if not re.search(says, err if want else out + err):
        yield "no /%s/ in the message" % says
    if kib > LIMIT_KIB:
        yield "%d MiB resident" % (kib >> 10)
    if want:
        new = {f for f in listing(folder) - before if rows or not re.search(r"\.jsonl-[0-9a-f]+\.h5", f)}
        if new:
            yield "left behind: %s" % sorted(new)
        if "\n" in err.strip() and not re.search("^warning", err, re.M) and argv[0] not in ("train", "certify"):
            yield "more than one line"


def try_one(one, scratch):
    name, argv, want, says, files, rows = one
    folder = tempfile.mkdtemp(dir=scratch)
    every = {"rows.jsonl": case.ROWS, "recipe.yaml": case.RECIPE, **files}
    for path, content in every.items():
        write(os.path.join(folder, path), content)
    before = listing(folder)
    got = outcome(folder, argv)
    found = list(faults(one, folder, before, got))
    shutil.rmtree(folder)
    return one, got, found


def main():
    words = [a for a in sys.argv[1:] if not a.startswith("--")]
    chosen = [c for c in case.BAD + case.GOOD if not words or re.search(words[0], c[0])]
    names = [c[0] for c in case.BAD + case.GOOD]
    assert len(set(names)) == len(names), "a name twice: %s" % [n for n in names if names.count(n) > 1]
    wrong = 0
    with tempfile.TemporaryDirectory() as scratch, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for one, got, found in pool.map(lambda c: try_one(c, scratch), chosen):
            if found or "--show" in sys.argv:
                print(
                    "%s: %s\n    lorikeet %s\n    exit %d: %s"
                    % (one[0], "; ".join(found) or "fine", " ".join(one[1]), got[0], got[2].strip()[-1500:])
                )
            wrong += bool(found)
    print("%d bad files, %d good ones, %d of %d wrong" % (len(case.BAD), len(case.GOOD), wrong, len(chosen)))
    return wrong > 0 or (not words and (len(case.BAD) < 300 or len(case.GOOD) < 40))


if __name__ == "__main__":
    sys.exit(main())
