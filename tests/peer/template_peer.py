"""Renders template and context pairs with jinja2 as transformers sets it up, and with ours (render.c).

usage: template_peer.py RENDER [TEMPLATE.jinja ...]

Equal text, or refused (exit 3), or both fail: anything else is a difference and exit 1.
"""
import datetime
import json
import os
import subprocess
import sys
import warnings
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


def references(pairs):
    env, source, template = environment(), None, None
    for _, text, context in pairs:
        try:
            if text != source:
                source, template = text, None
                template = env.from_string(source)
            yield template.render(**json.loads(json.dumps(context))) if template else None  # templates may alter it
        except Exception:  # any failure of the reference is one
            yield None


def ours(program, pairs):
    lines, source = [], None
    for _, text, context in pairs:
        if text != source:
            lines.append(json.dumps({"template": text}))
        source = text
        lines.append(json.dumps({"context": context}))
    return subprocess.Popen([program, NOW], stdin=subprocess.PIPE, stdout=subprocess.PIPE), "\n".join(lines).encode()


def main():
    program, files = sys.argv[1], sys.argv[2:]
    warnings.simplefilter("ignore", SyntaxWarning)  # of the Python that jinja2 makes
    pairs = [(f"case {i}", t, c) for i, (t, c) in enumerate(template_cases.cases())]
    conversations = list(template_cases.conversations())
    for path in files:
        with open(path, newline="") as f:
            source = f.read()
        pairs += [(f"{os.path.basename(path)} on conversation {i}", source, c) for i, c in enumerate(conversations)]
    process, lines = ours(program, pairs)
    with ThreadPoolExecutor(1) as pool:
        answers = pool.submit(process.communicate, lines)
        wanted = list(references(pairs))
        got = [json.loads(line) for line in answers.result()[0].split(b"\n")[:-1]]
    if process.returncode or len(got) != len(pairs):
        sys.exit(f"{program} ended with {process.returncode} after {len(got)} of {len(pairs)}")
    count = dict(equal=0, both_fail=0, refused=0, different=0)
    refusals = {}
    for (name, source, context), answer, want in zip(pairs, got, wanted):
        code, text, message = answer.get("status", 0), answer.get("text"), answer.get("error", "")
        if code == 0 and want is not None and text == want:
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
                  f"  ours      {(text or '')[-300:]!r}\n  reference {want and want[-300:]!r}")
    print(count)
    for feature, names in sorted(refusals.items(), key=lambda x: -len(x[1])):
        print(f"  refused {len(names):4} {feature}: {names[0]}")
    return 1 if count["different"] or not count["equal"] else 0


if __name__ == "__main__":
    sys.exit(main())
