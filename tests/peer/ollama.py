"""Jobs for ollama.go: what jinja2 makes of conversations with real templates.

usage: ollama.py TEMPLATES MODELFILES BOS   -> a line for each of MODELFILES and each conversation. Ollama's tokenizer puts
                                               bos in front itself.
"""
import json
import pathlib
import sys

from template_peer import environment

WORDS = {"s": ["Be terse. {{ .Role }} {% x %}", "\n Sei \"kurz\" & nett.\u3000"],
         "u": ["Hi <|im_end|> \\ {{ x }}", " \u2028Grüße,\n\n\nund?\t", "\"\"\" 2001-02-03 $day"],
         "a": ["Hello! 😀", "\n\nJa: </s>\u00a0\r\n", "\x0b\x1c x \x85"]}
ROLES = {"s": "system", "u": "user", "a": "assistant"}
# The middle of a conversation and the end of one that has no question may have no form.
TALKS = {"u": "", "su": "", "uau": "", "suau": "", "uauau": "", "suauau": "", "uasu": "may", "suasu": "may", "s": "may"}

templates, modelfiles, bos = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
names = dict(bos_token=bos, eos_token="<|eot_id|>")
for modelfile in sorted(modelfiles.iterdir()):
    with open(templates / (modelfile.name + ".jinja"), newline="") as f:
        template = environment().from_string(f.read())
    for talk, may in TALKS.items():
        messages = [dict(role=ROLES[c], content=WORDS[c][(i + len(talk)) % len(WORDS[c])]) for i, c in enumerate(talk)]
        said, want = f"{talk}.json", f"{modelfile}.{talk}"
        pathlib.Path(said).write_text(json.dumps(messages))
        try:
            text = template.render(messages=messages, tools=None, documents=None, add_generation_prompt=True, **names)
            pathlib.Path(want).write_bytes(text.removeprefix(bos).encode())
        except Exception:  # then Go has to fail too
            pass
        print(modelfile, said, want, *([may] if may else []), sep="\t")
