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
         "a": ["Hello! 😀", "\n\nJa: </s>\u00a0\r\n", "\x0b\x1c x \x85"],
         "r": ["\n{\"temp\": 21.5, \"at\": \"<Köln & \\\"so\\\">\"}", "<b>\u2029\x08\x0c\x01\x7f</b>", "a" * 40 + "\\n" + "ü" * 40 + "\n"],
         "h": ["\nso <b> & \"c\"", "Hm.\n\n", "\t{{ .Thinking }} "]}
ROLES = {"s": "system", "u": "user", "r": "tool"}
# The middle of a conversation and the end of one that has no question may have no form.
TALKS = {"u": "", "su": "", "uau": "", "suau": "", "uauau": "", "suauau": "", "uasu": "may", "suasu": "may", "s": "may"}

# Results r; answers c with a call, d with two, b with words and a call, h with a thought and words, k with a thought and a
# call, m with all three.
CALLS = ["ucr", "sucr", "ubr", "subr", "ucrau", "udrr", "sudrrau", "ucrcr", "uaucr", "ucrbrau", "ucrucr"]
THOUGHTS = ["uhu", "suhuhu", "ukr", "umr", "ukrkr", "ukrau", "umrmrau", "uaukr", "ucrkr"]
KNOWS = {"tools": ["Qwen-QwQ-32B", "Qwen-Qwen2.5-7B-Instruct", "Qwen-Qwen3-0.6B", "ibm-granite-granite-4.0", "ibm-granite-granite-4.1",
                   "meta-llama-Llama-3.1-8B-Instruct", "meta-llama-Llama-3.2-3B-Instruct", "meta-llama-Llama-3.3-70B-Instruct"],
         "thoughts": ["Qwen-Qwen3-0.6B"]}
ONE_CALL = "meta-llama-"  # these refuse two at once, and so does Go

# Members in the order that the Go template has, arguments and properties by name.
ARGUMENTS = [{"city": "Köln <a&b> \"q\" \\", "days": 3}, {}, {"a": [1, -2.5, True, None, [], {}], "b": {"c": "\u2028\x08\x1f/", "d": {"e": []}}},
             {"text": "x = \"" + "y" * 50 + "\"\n" + "z" * 70}]
TOOLS = [
    {"type": "function", "function": {"name": "weather", "description": "Says <what> it's \"like\" & more\n", "parameters": {
        "type": "object", "properties": {"city": {"type": "string", "description": "Where? ä\u2029"},
                                         "unit": {"type": ["string", "null"], "enum": ["°C", "°F", 1, None]}}, "required": ["city"]}}},
    {"type": "function", "function": {"name": "nothing", "parameters": {"type": "object", "properties": {}}}},
    {"type": "function", "function": {"name": "deep", "description": "d" * 100, "parameters": {"type": "object", "properties": {
        "any": {}, "list": {"type": "array", "description": "l", "items": {"additional": False, "type": "integer"}},
        "map": {"type": "object", "properties": {"in": {"type": "number"}, "of": {"type": "object", "properties": {"x": {"type": "boolean"}}}},
                "required": ["in", "of"]},
        "one": {"anyOf": [{"type": "string"}, {"type": "array", "items": {}}]}}, "required": ["any", "list"]}}}]

templates, modelfiles, bos = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
names = dict(bos_token=bos, eos_token="<|eot_id|>")


def word(letter, talk, i):
    return WORDS[letter][(i + len(talk)) % len(WORDS[letter])]


def conversation(talk):
    """Messages as chat templates take them, and as Ollama does."""
    theirs, ours = [], []
    for i, c in enumerate(talk):
        if c in ROLES:
            m = dict(role=ROLES[c], content=word(c, talk, i))
            theirs.append(m)
            ours.append(m)
            continue
        m = dict(role="assistant", content=word("a", talk, i) if c in "abhm" else "")
        thought = word("h", talk, i) if c in "hkm" else None
        calls = [dict(type="function", function=dict(name=f"f_{i}_{k}", arguments=ARGUMENTS[(i + k + len(talk)) % len(ARGUMENTS)]))
                 for k in range(dict(b=1, c=1, k=1, m=1, d=2).get(c, 0))]
        more = dict(tool_calls=calls) if calls else {}
        theirs.append(m | more | (dict(reasoning_content=thought) if thought else {}))
        ours.append(m | more | (dict(thinking=thought) if thought else {}))
    return theirs, ours


def job(modelfile, template, talk, may, tools=None, think=None):
    theirs, ours = conversation(talk)
    name = f"{talk}.{len(tools or [])}.{think}"
    said, want = f"{name}.json", f"{modelfile}.{name}"
    pathlib.Path(said).write_text(json.dumps(dict(messages=ours) | (dict(tools=tools) if tools else {}) |
                                             ({} if think is None else dict(think=think))))
    switch = {} if think is None else dict(enable_thinking=think)
    try:
        text = template.render(messages=theirs, tools=tools, documents=None, add_generation_prompt=True, **names, **switch)
        pathlib.Path(want).write_bytes(text.removeprefix(bos).encode())
    except Exception:  # then Go has to fail too
        pass
    print(modelfile, said, want, *(["may"] if may else []), sep="\t")


for modelfile in sorted(modelfiles.iterdir()):
    with open(templates / (modelfile.name + ".jinja"), newline="") as f:
        template = environment().from_string(f.read())
    for talk, may in TALKS.items():
        job(modelfile, template, talk, may)
    knows = {what: modelfile.name in names_of for what, names_of in KNOWS.items()}
    for n in range(4):
        tools = (TOOLS[:n] if n < 3 else TOOLS[2:]) or None
        for talk in (*TALKS, *CALLS) if n else CALLS:
            may = TALKS.get(talk) or not knows["tools"]
            job(modelfile, template, talk, may, tools)
        for talk in THOUGHTS:
            job(modelfile, template, talk, not knows["tools"], tools)
    if "IsThinkSet" in modelfile.read_text():
        for talk in ("u", "su", "uau", *(["ucr", "sudrr"] if knows["tools"] else [])):
            for think in (False, True) if knows["thoughts"] else (False,):
                job(modelfile, template, talk, False, think=think)
