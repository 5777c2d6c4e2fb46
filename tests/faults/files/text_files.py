"""Rows, recipes, and the JSON that commands read."""

from case import GENERATE, LLAMA, TRAIN, Directory, Fifo, Link, Sparse, bad, model

IMPORT = ["data", "import", "r.jsonl", "--out", "d.h5"]
M = model()


def rows(name, says, content, argv=None):
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogatepass")
    bad(
        "rows/" + name,
        argv or IMPORT,
        r"^error: (datasets: )?r\.jsonl.*(" + says + ")",
        {**M, "r.jsonl": content},
        rows=True,
    )


OK = '{"prompt": "a", "completion": "b"}\n'
AT2 = r":2:(\d+:)? .*"
for name, says, line in (
    ("empty_line_object", "expected", "{}"),
    ("list", "expected an object, got an array", '["a"]'),
    ("number", "expected an object, got an integer", "7"),
    ("word", "JSON", "hello"),
    ("cut", "JSON", '{"prompt": "a", "comp'),
    ("single", "JSON", "{'prompt': 'a', 'completion': 'b'}"),
    ("comma", "JSON", '{"prompt": "a", "completion": "b",}'),
    ("two", "JSON", '{"prompt": "a"} {"completion": "b"}'),
    ("nan", "JSON", '{"prompt": NaN, "completion": "b"}'),
    ("twice", "duplicate", '{"prompt": "a", "prompt": "c", "completion": "b"}'),
    ("control", "JSON|control", '{"prompt": "a\tb", "completion": "b"}'),
    ("nul_escape", "NUL|u0000", '{"prompt": "a\\u0000", "completion": "b"}'),
    ("lone_surrogate", "JSON|Unicode", '{"prompt": "\\ud83d", "completion": "b"}'),
    ("low_surrogate", "JSON|Unicode", '{"prompt": "\\ude00", "completion": "b"}'),
    ("reversed_pair", "JSON|Unicode", '{"prompt": "\\ude00\\ud83d", "completion": "b"}'),
    ("escape", "JSON", '{"prompt": "\\x41", "completion": "b"}'),
    ("deep", "JSON.*depth|depth|deep", '{"prompt": ' + "[" * 9000),
    ("no_completion", "expected", '{"prompt": "a"}'),
    ("completion_null", "completion", '{"prompt": "a", "completion": null}'),
    ("completion_empty", "completion: is empty", '{"prompt": "a", "completion": ""}'),
    ("completion_blank", "completion: is empty", '{"prompt": "a", "completion": " \\n "}'),
    ("completion_number", "completion: expected a string", '{"prompt": "a", "completion": 7}'),
    ("completion_list", "completion: expected a string", '{"prompt": "a", "completion": ["b"]}'),
    ("prompt_number", "prompt: expected a string", '{"prompt": 7, "completion": "b"}'),
    ("prompt_object", "prompt: expected a string", '{"prompt": {}, "completion": "b"}'),
    ("other_shape", "messages|prompt", '{"text": "b"}'),
):
    rows("second_" + name, AT2 + "(" + says + ")", OK + line + "\n")
for name, says, line in (
    ("unknown_members", "the row has members q, a; expected", '{"q": "a", "a": "b"}'),
    ("nothing", "members .none.", "{}"),
    ("ambiguous", "could be of shape", '{"messages": [], "text": "x"}'),
    ("preference", "preference data is not supported", '{"prompt": "a", "chosen": "b", "rejected": "c"}'),
    ("text_empty", "text: is empty", '{"text": ""}'),
    ("text_number", "text: expected a string", '{"text": 7}'),
    ("text_null", "text: is null", '{"text": null}'),
    ("alpaca_output", "output: is (empty|missing)", '{"instruction": "a", "output": ""}'),
    ("alpaca_instruction", "instruction: is empty", '{"instruction": "", "output": "b"}'),
    ("alpaca_input", "input: expected a string", '{"instruction": "a", "input": 7, "output": "b"}'),
    ("alpaca_history", "history: is not supported", '{"instruction": "a", "output": "b", "history": [["c", "d"]]}'),
    ("sharegpt_from", "conversations.0.: from: 'ghost'", '{"conversations": [{"from": "ghost", "value": "a"}]}'),
    (
        "sharegpt_value",
        "conversations.0.: value: expected a string",
        '{"conversations": [{"from": "human", "value": 7}]}',
    ),
    ("sharegpt_list", "conversations: expected a list", '{"conversations": "a"}'),
    ("sharegpt_turn", "conversations.0.: from", '{"conversations": [["human", "a"]]}'),
    ("sharegpt_no_answer", "no turn of an assistant", '{"conversations": [{"from": "human", "value": "a"}]}'),
    (
        "sharegpt_empty_answer",
        "conversations.1.: value: is empty",
        '{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": ""}]}',
    ),
):
    rows(name, ":1: .*(" + says + ")", line + "\n")
U, A = '{"role": "user", "content": "a"}', '{"role": "assistant", "content": "b"}'
for name, says, turns in (
    ("string", "messages: expected a list, got a string", '"a"'),
    ("null", "messages: expected a list, got null", "null"),
    ("object", "messages: expected a list, got an object", "{}"),
    ("empty", "no turn of an assistant", "[]"),
    ("turn", r"messages\[0\]: expected an object, got a string", '["a"]'),
    ("no_role", r"messages\[0\]: role", '[{"content": "a"}]'),
    ("role_number", r"messages\[0\]: role", '[{"role": 7, "content": "a"}]'),
    ("role", r"messages\[0\]: role: 'ghost' is unknown", '[{"role": "ghost", "content": "a"}]'),
    ("no_content", r"messages\[1\]: content: is missing", '[%s, {"role": "assistant"}]' % U),
    ("content_null", r"messages\[1\]: content: is null", '[%s, {"role": "assistant", "content": null}]' % U),
    ("content_number", r"messages\[1\]: content: expected a string", '[%s, {"role": "assistant", "content": 7}]' % U),
    (
        "content_empty",
        r"messages\[1\]: content: the assistant's answer is empty",
        '[%s, {"role": "assistant", "content": ""}]' % U,
    ),
    (
        "image",
        r"messages\[0\]: content\[0\]: type 'image_url' is not supported",
        '[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}, %s]' % A,
    ),
    ("part", r"messages\[0\]: content\[0\]", '[{"role": "user", "content": ["a"]}, %s]' % A),
    (
        "part_text",
        r"messages\[0\]: content\[0\].text",
        '[{"role": "user", "content": [{"type": "text", "text": 7}]}, %s]' % A,
    ),
    ("no_answer", "no turn of an assistant", "[%s]" % U),
    ("untrained", "every assistant's turn is marked as not trained", "[%s, %s]" % (U, A[:-1] + ', "train": false}')),
    ("train_word", r"messages\[1\]: train: expected true or false", "[%s, %s]" % (U, A[:-1] + ', "train": "yes"}')),
    ("weight", r"messages\[1\]: weight: expected 0 or 1", "[%s, %s]" % (U, A[:-1] + ', "weight": 0.5}')),
    ("weight_word", r"messages\[1\]: weight: expected 0 or 1", "[%s, %s]" % (U, A[:-1] + ', "weight": "1"}')),
    ("weight_two", r"messages\[1\]: .*expected one of", "[%s, %s]" % (U, A[:-1] + ', "weight": 1, "train": true}')),
    (
        "training_word",
        r"messages\[1\]: training: expected true or false",
        "[%s, %s]" % (U, A[:-1] + ', "training": "yes"}'),
    ),
    ("many", "2000 turns, at most", "[" + ", ".join([U] * 2000) + "]"),
    (
        "calls_list",
        r"messages\[1\]: tool_calls",
        '[%s, {"role": "assistant", "content": "b", "tool_calls": "f()"}]' % U,
    ),
):
    rows("messages_" + name, ":1: .*(" + says + ")", '{"messages": %s}\n' % turns)
rows("tools_number", "tools: expected a list", '{"messages": [%s, %s], "tools": 7}\n' % (U, A))
rows("tools_text", "tools.*JSON", '{"messages": [%s, %s], "tools": "[{"}\n' % (U, A))
rows(
    "kwargs",
    "chat_template_kwargs: expected an object",
    '{"messages": [%s, %s], "chat_template_kwargs": [1]}\n' % (U, A),
)
rows("utf8", ":1: byte 13 is not UTF-8|:1: .*UTF-8", b'{"prompt": "\xff", "completion": "b"}\n')
rows("latin1", ":2: .*UTF-8", OK.encode() + '{"prompt": "é", "completion": "b"}\n'.encode("latin-1"))
rows("overlong", ":1: .*UTF-8", b'{"prompt": "\xc0\xaf", "completion": "b"}\n')
rows("cesu", ":1: .*UTF-8", b'{"prompt": "\xed\xa0\xbd\xed\xb8\x80", "completion": "b"}\n')
rows("utf16", ":1: ", OK.encode("utf-16"))
rows("utf32", ":1: ", OK.encode("utf-32"))
rows("nul_byte", ":1: ", b'{"prompt": "a\0b", "completion": "b"}\n')
rows("nul_line", ":2: ", OK.encode() + b"\0\n")
rows("gzip", "compressed by gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\3abc")
rows("array_file", ":1: .*(array|JSON Lines|one object)", "[\n" + OK.strip() + ",\n" + OK + "]\n")
rows("array_one_line", ":1: .*(array|JSON Lines|one object)", "[" + OK.strip() + "]\n")
rows("pretty", ":1: .*(JSON|object)", '{\n  "prompt": "a",\n  "completion": "b"\n}\n')
rows("csv", ":1: no JSON, but commas", "prompt,completion\na,b\n")
rows("none", "there is no row", b"")
rows("blank_only", "there is no row", "\n \n\n")
rows("long", ":1: .*longer than", b'{"prompt": "' + b"a" * (17 << 20) + b'", "completion": "b"}\n')
bad("rows/sparse", IMPORT, r"r\.jsonl.*(longer than|:1: )", {"r.jsonl": Sparse(1 << 36)}, rows=True)
bad("rows/directory", IMPORT, r"r\.jsonl", {"r.jsonl": Directory()}, code=3, rows=True)
bad("rows/missing", IMPORT, r"r\.jsonl: cannot open", {}, rows=True)
bad("rows/loop", IMPORT, r"r\.jsonl: cannot open", {"r.jsonl": Link("r.jsonl")}, code=4, rows=True)
bad("rows/zero_device", IMPORT, r"r\.jsonl", {"r.jsonl": Link("/dev/zero")}, rows=True)
bad("rows/train_directory", TRAIN, r"rows\.jsonl", {**M, "rows.jsonl": Directory()}, rows=True)
bad(
    "rows/train_fifo", TRAIN, r"rows\.jsonl: no such file, or not a regular one", {**M, "rows.jsonl": Fifo()}, rows=True
)
rows("template_member", "no member 'nl'", OK, IMPORT + ["--prompt", "{nl}", "--completion", "{completion}"])
rows(
    "template_object",
    "prompt: expected a string, a number or a boolean",
    '{"prompt": {}, "completion": "b"}\n',
    IMPORT + ["--prompt", "{prompt}", "--completion", "{completion}"],
)
rows("wrong_shape", ":1: .*(messages|conversations)", OK, IMPORT + ["--shape", "messages"])


# ---- recipes ----
def recipe(name, says, content, code=2, argv=TRAIN):
    bad("recipe/" + name, argv, r"^error: recipe\.yaml" + says, {**M, "recipe.yaml": content}, code)


def keyed(name, says, line, code=2):
    recipe("key_" + name, r":3:\d+: " + says, "base_model: m\ndatasets: [{path: rows.jsonl}]\n" + line + "\n", code)


AT = r":\d+:\d+: "
for name, says, content in (
    ("empty", ".*(empty|base_model|expected)", ""),
    ("comment", ".*(empty|base_model|expected)", "# nothing\n"),
    ("list", ".*a recipe is a map", "- a\n"),
    ("word", ".*a recipe is a map", "hello\n"),
    ("json_cut", AT, '{"base_model": "m"'),
    ("tab", AT, "base_model:\n\t- m\n"),
    ("alias", AT + ".*(alias|anchor)", "base_model: *x\n"),
    ("anchor", AT + ".*(alias|anchor)", "base_model: &x m\n"),
    ("tag", AT + ".*tag", "base_model: !!python/object:os.system m\n"),
    ("merge", AT, "<<: {a: b}\n"),
    ("documents", AT + ".*document", "base_model: m\n---\nlora_r: 4\n"),
    ("deep", AT + ".*(deep|nest|levels)", "a: " + "[" * 30000),
    ("deep_map", AT + "a map as a key", "a: " + "{" * 30000),
    ("quote", AT, 'base_model: "m\n'),
    ("utf8", "", b"base_model: \xff\n"),
    ("utf16", "", "base_model: m\n".encode("utf-16")),
    ("nul", "", b"base_model: m\0\n"),
    ("laughs", AT, "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"),
    ("twice", AT + ".*twice", "base_model: m\nbase_model: n\n"),
    ("indent", AT, "base_model: m\n  lora_r: 4\n"),
    ("complex_key", AT, "? [a, b]\n: c\n"),
    ("null_key", AT, "~: c\n"),
    ("colon", AT, "base_model m\n"),
    ("key_map", AT, "lora_r: {a: 1}\n"),
    ("no_base", ".*base_model", "datasets: [{path: rows.jsonl}]\n"),
    ("no_data", ".*datasets", "base_model: m\n"),
    ("base_null", ".*base_model", "base_model: ~\ndatasets: [{path: rows.jsonl}]\n"),
):
    recipe(name, says, content)
recipe("missing", ": cannot open", Link("nowhere"), 3)
recipe("directory", ": not a regular file", Directory(), 3)
recipe("fifo", ": not a regular file", Fifo(), 3)
recipe("sparse", ": .*bytes, at most", Sparse(1 << 40), 3)
recipe("large", ": .*bytes, at most", "# " + "x" * 100000 + "\n", 3)
for name, says, line in (
    ("unknown", "lora_rnak: unknown key, did you mean lora_r", "lora_rnak: 4"),
    ("case", "LORA_R: unknown key", "LORA_R: 4"),
    ("r_zero", "lora_r", "lora_r: 0"),
    ("r_negative", "lora_r", "lora_r: -4"),
    ("r_real", "lora_r", "lora_r: 4.5"),
    ("r_word", "lora_r", "lora_r: four"),
    ("r_list", "lora_r", "lora_r: [4]"),
    ("r_huge", "lora_r", "lora_r: 99999999999999999999"),
    ("r_hex", "lora_r", "lora_r: 0x10"),
    ("r_quoted", "lora_r", "lora_r: '4 '"),
    ("lr_word", "learning_rate", "learning_rate: fast"),
    ("lr_nan", "learning_rate", "learning_rate: .nan"),
    ("lr_inf", "learning_rate", "learning_rate: .inf"),
    ("lr_zero", "learning_rate", "learning_rate: 0"),
    ("lr_negative", "learning_rate", "learning_rate: -1e-4"),
    ("lr_comma", "learning_rate", "learning_rate: 1,5"),
    ("lr_exponent", "learning_rate", "learning_rate: 1e999"),
    ("dropout", "lora_dropout", "lora_dropout: 1"),
    ("dropout_percent", "lora_dropout", "lora_dropout: 10%"),
    ("bool", "train_on_inputs", "train_on_inputs: maybe"),
    ("bool_number", "train_on_inputs", "train_on_inputs: 2"),
    ("enum", "optimizer", "optimizer: sgdm"),
    ("scheduler", "lr_scheduler", "lr_scheduler: sawtooth"),
    ("eos", "train_on_eos", "train_on_eos: always"),
    ("excess", "excess_length_strategy", "excess_length_strategy: crop"),
    ("sequence", "sequence_len", "sequence_len: 0"),
    ("sequence_huge", "sequence_len", "sequence_len: 99999999"),
    ("batch", "micro_batch_size", "micro_batch_size: 0"),
    ("epochs", "num_epochs", "num_epochs: 0"),
    ("epochs_negative", "num_epochs", "num_epochs: -1"),
    ("seed", "seed", "seed: -1"),
    ("device", "device", "device: tpu"),
    ("dtype", "compute_dtype", "compute_dtype: f8"),
    ("roles", "roles_to_train", "roles_to_train: [7, {}]"),
    ("export", "export", "export: true"),
    ("export_type", "export.gguf", "export: {gguf: [q9_9]}"),
    ("export_key", "export", "export: {wibble: true}"),
    ("threads", "threads", "threads: 100000"),
    ("packing", "sample_packing", "sample_packing: maybe"),
    ("adapter", "adapter", "adapter: ia3"),
    ("warmup", "warmup_ratio", "warmup_ratio: 2"),
    ("deepspeed", "deepspeed", "deepspeed: zero3.json"),
    ("flash", "flash|unknown", "flash_attention_9: true"),
    ("val_nan", "val_set_size", "val_set_size: .nan"),
    ("template_list", "chat_template", "chat_template: [a]"),
):
    keyed(name, ".*" + says, line)
for name, says, line in (
    ("map", "datasets", "datasets: {path: rows.jsonl}"),
    ("word", "datasets", "datasets: rows.jsonl"),
    ("empty", "datasets", "datasets: []"),
    ("words", "datasets", "datasets: [rows.jsonl]"),
    ("no_path", "path", "datasets: [{type: text}]"),
    ("unknown", "wibble", "datasets: [{path: rows.jsonl, wibble: 1}]"),
    ("type", "type", "datasets: [{path: rows.jsonl, type: magic}]"),
    ("path_list", "path", "datasets: [{path: [a]}]"),
    ("path_empty", "path", "datasets: [{path: ''}]"),
):
    recipe("datasets_" + name, ".*" + says, "base_model: m\n" + line + "\n")
for name, says, words in (
    ("unknown", "lora_rnak", ["lora_rnak=4"]),
    ("no_value", "lora_r", ["lora_r"]),
    ("empty", "lora_r", ["lora_r="]),
    ("range", "lora_r", ["lora_r=0"]),
    ("index", "datasets", ["datasets.9.path=x"]),
    ("deep", "a", ["a.b.c.d=1"]),
    ("equals", "", ["=4"]),
    ("yaml", "", ["lora_r=[1"]),
    ("option", "--wibble", ["--wibble"]),
):
    bad("override/" + name, TRAIN[:2] + words, "^error: .*" + says, M, 2)

# ---- what other commands read ----
PROMPTS = ["generate", "--model", LLAMA, "--prompts", "p.jsonl", "--out", "answers.jsonl", "--max-tokens", "2"]
for name, says, content in (
    ("cut", "p.jsonl:1.*JSON", '{"id": 1, "pro'),
    ("list", "p.jsonl:1", "[1]"),
    ("no_prompt", "p.jsonl:1.*prompt", '{"id": 1}'),
    ("number", "p.jsonl:1.*prompt", '{"id": 1, "prompt": 7}'),
    ("both", "p.jsonl:1", '{"id": 1, "prompt": "a", "messages": []}'),
    ("messages", "p.jsonl:1.*messages", '{"id": 1, "messages": "a"}'),
    ("role", "p.jsonl:1.*role", '{"id": 1, "messages": [{"content": "a"}]}'),
    ("utf8", "p.jsonl:1", b'{"id": 1, "prompt": "\xff"}'),
    ("second", "p.jsonl:2", '{"id": 1, "prompt": "a"}\n{"id": 2'),
    ("missing", "p.jsonl.*cannot open", Link("nowhere")),
):
    bad("prompts/" + name, PROMPTS, "^error: .*" + says, {"p.jsonl": content})
for name, says, option, content in (
    ("texts_cut", "t.json:1.*JSON", "--texts", '["a'),
    ("texts_object", "t.json.*array", "--texts", "{}"),
    ("texts_number", "t.json.*string", "--texts", '["a", 7]'),
    ("texts_string", "t.json.*array", "--texts", '"a"'),
    ("texts_surrogate", "t.json.*JSON", "--texts", '["\\ud800"]'),
    ("texts_nul", "t.json.*(JSON|NUL|u0000)", "--texts", '["\\u0000"]'),
    ("texts_sparse", "t.json.*bytes", "--texts", Sparse(1 << 40)),
    ("texts_missing", "t.json", "--texts", Link("nowhere")),
    ("ids_cut", "t.json.*JSON", "--ids", "[[1, 2"),
    ("ids_flat", "t.json.*array", "--ids", "[1, 2]"),
    ("ids_object", "t.json.*array", "--ids", "{}"),
    ("ids_negative", "t.json.*(-1|id)", "--ids", "[[-1]]"),
    ("ids_far", "t.json.*(384|id)", "--ids", "[[384]]"),
    ("ids_huge", "t.json.*(id|JSON)", "--ids", "[[99999999999999999999]]"),
    ("ids_real", "t.json.*(id|integer)", "--ids", "[[1.5]]"),
    ("ids_word", "t.json.*(id|integer)", "--ids", '[["1"]]'),
):
    bad(
        "tokenize/" + name,
        ["tokenize", "--model", LLAMA, option, "t.json"],
        "^error: .*" + says,
        {"t.json": content},
    )
RENDER = ["render", "--model", LLAMA, "--messages", "c.json"]
for name, says, content in (
    ("cut", "c.json.*JSON", '[{"role": "us'),
    ("number", "c.json", "7"),
    ("string", "c.json", '"a"'),
    ("turn", "c.json", '["a"]'),
    ("role", "c.json.*role", '[{"content": "a"}]'),
    ("role_number", "c.json.*role", '[{"role": 7, "content": "a"}]'),
    ("no_messages", "c.json.*messages", '{"tools": []}'),
    ("messages_word", "c.json.*messages", '{"messages": "a"}'),
    ("deep", "c.json", "[" * 100000),
    ("utf8", "c.json", b'[{"role": "user", "content": "\xff"}]'),
    ("missing", "c.json", Link("nowhere")),
):
    bad("render/" + name, RENDER, "^error: .*" + says, {"c.json": content})
bad(
    "render/context_list",
    ["render", "--template", "t.jinja", "--context", "c.json"],
    "c.json",
    {"t.jinja": "a", "c.json": "[]"},
)
bad("render/template_missing", ["render", "--template", "t.jinja", "--messages", "c.json"], "t.jinja", {"c.json": "[]"})
bad(
    "render/template_sparse",
    ["render", "--template", "t.jinja", "--messages", "c.json"],
    "t.jinja.*bytes",
    {"c.json": "[]", "t.jinja": Sparse(1 << 40)},
)
for name, words in (
    ("max_tokens", ["--max-tokens", "-1"]),
    ("temperature", ["--temperature", "nan"]),
    ("top_p", ["--top-p", "2"]),
    ("top_k", ["--top-k", "x"]),
    ("seed", ["--seed", "-1"]),
    ("dtype", ["--dtype", "f8"]),
    ("device", ["--device", "tpu"]),
    ("threads", ["--threads", "x"]),
    ("batch", ["--batch", "x"]),
    ("unknown", ["--wibble", "1"]),
    ("no_value", ["--seed"]),
):
    bad("arguments/" + name, GENERATE + words, "^error: .*" + words[0].strip("-"), M, 2)
bad(
    "arguments/prompt_utf8",
    ["generate", "--model", "m", "--prompt", b"\xff".decode("utf-8", "surrogateescape"), "--max-tokens", "1"],
    "UTF-8",
    M,
)
bad("arguments/no_directory", ["inspect", "nowhere"], "nowhere", {})
bad("arguments/unknown_file", ["inspect", "x"], "not a safetensors, GGUF or HDF5 file", {"x": "hello"})
bad("arguments/fifo", ["inspect", "x"], "x: not a regular file", {"x": Fifo()})
bad("arguments/fifo_model", ["tokenize", "--model", "x"], "x", {"x": Fifo()})
THOUGHT = '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "reasoning_content": "c"}]}'
for name, says, code, words in (
    ("left_out", r"t\.jsonl:1: messages\[1\]: the chat template leaves its thinking out", 3, []),
    ("refused", r"t\.jsonl:1: messages\[1\]: holds thinking", 3, ["thinking_blocks=refuse"]),
    ("word", "thinking_blocks: expected one of keep, template, strip, refuse", 2, ["thinking_blocks=maybe"]),
):
    bad("thinking/" + name, TRAIN + ["datasets.0.path=t.jsonl"] + words, says, {**M, "t.jsonl": THOUGHT}, code)
