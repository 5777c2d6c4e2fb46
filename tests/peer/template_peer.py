"""Renders template and context pairs with jinja2 as transformers sets it up, and with lorikeet.

usage: template_peer.py LORIKEET SCRATCH [TEMPLATE.jinja ...]

Equal text, or refused (exit 3), or both fail: anything else is a difference and exit 1.
"""
import copy
import datetime
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

import template_cases

NOW = "2026-03-01T12:34:56"


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                      sort_keys=sort_keys)


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                        extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda f: datetime.datetime.fromisoformat(NOW).strftime(f)
    return env


def reference(env, source, context):
    try:
        return env.from_string(source).render(**copy.deepcopy(context)), None
    except Exception as e:  # any failure of the reference is one
        return None, f"{type(e).__name__}: {e}"


def ours(lorikeet, scratch, index, source, context):
    template, values = f"{scratch}/{index}.jinja", f"{scratch}/{index}.json"
    with open(template, "w", newline="") as f:
        f.write(source)
    with open(values, "w") as f:
        json.dump(context, f)
    p = subprocess.run([lorikeet, "render", "--template", template, "--context", values, "--now", NOW],
                       capture_output=True)
    os.remove(template)
    os.remove(values)
    return p.returncode, p.stdout, p.stderr.decode(errors="replace").strip()


def main():
    lorikeet, scratch, files = sys.argv[1], sys.argv[2], sys.argv[3:]
    env = environment()
    pairs = [(f"case {i}", t, c) for i, (t, c) in enumerate(template_cases.cases())]
    for path in files:
        with open(path, newline="") as f:
            source = f.read()
        pairs += [(f"{os.path.basename(path)} on conversation {i}", source, c)
                  for i, c in enumerate(template_cases.conversations())]
    with ThreadPoolExecutor(2) as pool:
        got = list(pool.map(lambda a: ours(lorikeet, scratch, a[0], a[1][1], a[1][2]),
                            enumerate(pairs)))
    count = dict(equal=0, both_fail=0, refused=0, different=0)
    refusals = {}
    for (name, source, context), (code, text, message) in zip(pairs, got):
        want, failure = reference(env, source, context)
        if code == 0 and want is not None and text == want.encode():
            count["equal"] += 1
        elif code == 3 and want is None:
            count["both_fail"] += 1
        elif code == 3 and "not supported" in message:
            count["refused"] += 1
            feature = message.split("not supported: ")[1]
            refusals.setdefault(feature, []).append(name)
        else:
            count["different"] += 1
            print(f"{name}: exit {code} {message}\n  template  {source[:300]!r}\n"
                  f"  ours      {text[-300:]!r}\n  reference {failure if want is None else want[-300:]!r}")
    print(count)
    for feature, names in sorted(refusals.items(), key=lambda x: -len(x[1])):
        print(f"  refused {len(names):4} {feature}: {names[0]}")
    return 1 if count["different"] or not count["equal"] else 0


if __name__ == "__main__":
    sys.exit(main())
