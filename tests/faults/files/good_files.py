"""Odd but good files, which must be accepted."""

import json

from case import (
    DELETE,
    GENERATE,
    GOLDEN,
    INSPECT,
    LLAMA,
    MERGE,
    PLAN,
    RECIPE,
    ROWS,
    TOKENIZE,
    TRAIN,
    Link,
    changed,
    good,
    load,
    model,
    text,
)
from formats import (
    ARRAY,
    BOOL,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    STRING,
    U8,
    U16,
    U32,
    U64,
    gguf,
    read_gguf,
    read_safetensors,
    safetensors,
)
from tensor_files import DATA, FIRST, HEAD, HEADER, INDEX, NUMBERS, ONE, SECOND, TWO, TWO_, names, placed

# ---- safetensors ----
META = {"format": "pt", "note": 'é \U0001f600 \\ " \n'}
for name, content in (
    ("plain", safetensors(TWO, DATA)),
    ("metadata", safetensors(dict(TWO, __metadata__=META), DATA)),
    ("metadata_empty", safetensors(dict(TWO, __metadata__={}), DATA)),
    ("padded", safetensors(TWO, DATA, pad=" " * 41)),
    ("order", safetensors({"b": TWO["b"], "a": TWO["a"]}, DATA)),
    ("empty", safetensors({})),
    ("zero", safetensors(dict(TWO, z={"dtype": "F32", "shape": [0, 7], "data_offsets": [8, 8]}), DATA)),
    ("zeros", safetensors({"z%d" % i: {"dtype": "BF16", "shape": [3, 0], "data_offsets": [0, 0]} for i in range(9)})),
    ("scalar", safetensors({"a": {"dtype": "F64", "shape": [], "data_offsets": [0, 8]}}, bytes(8))),
    ("rank8", safetensors({"a": {"dtype": "U8", "shape": [1] * 7 + [2], "data_offsets": [0, 2]}}, bytes(2))),
    (
        "types",
        safetensors(
            {
                k: {"dtype": k, "shape": [8 // s], "data_offsets": [8 * i, 8 * i + 8]}
                for i, (k, s) in enumerate(
                    {
                        "I8": 1,
                        "BOOL": 1,
                        "I16": 2,
                        "U16": 2,
                        "U32": 4,
                        "U64": 8,
                        "F8_E4M3": 1,
                        "F8_E5M2": 1,
                        "I64": 8,
                    }.items()
                )
            },
            bytes(72),
        ),
    ),
    (
        "escapes",
        safetensors(
            '{"\\u0061\\ud83d\\ude00": {"dtype": "\\u0046\\u0033\\u0032", "shape": [2], "data_offsets": [0,8]}}',
            bytes(8),
        ),
    ),
    ("spread", safetensors(json.dumps(TWO, indent=4), DATA)),
    ("unicode_name", safetensors({"gewicht.é": TWO["a"]}, bytes(8))),
    ("member_order", safetensors('{"a":{"data_offsets":[0,8],"shape":[2],"dtype":"F32"}}', bytes(8))),
    ("nan_inside", safetensors({"a": TWO["a"]}, b"\0\0\xc0\x7f" * 2)),
):
    good("safetensors/" + name, INSPECT, {"x": content}, "safetensors")
for n in (1, 2, 3, 7):
    good(
        "weights/odd_header_%d" % n,
        GENERATE,
        model(model_safetensors=safetensors(HEADER, NUMBERS, pad=" " * (n - len(json.dumps(HEADER)) % 8 % 8))),
    )
good("weights/shuffled", MERGE, model(model_safetensors=safetensors(*placed(names[::-1]))))
good(
    "weights/inv_freq",
    TRAIN,
    model(
        model_safetensors=safetensors(
            dict(
                HEADER,
                **{
                    "model.layers.0.self_attn.rotary_emb.inv_freq": {
                        "dtype": "F32",
                        "shape": [0],
                        "data_offsets": [0, 0],
                    }
                }
            ),
            NUMBERS,
        )
    ),
)
INF = "model.layers.0.self_attn.rotary_emb.inv_freq"
good(
    "weights/inv_freq_whole",
    PLAN,
    model(
        model_safetensors=safetensors(
            dict(HEADER, **{INF: {"dtype": "F32", "shape": [8], "data_offsets": [len(NUMBERS), len(NUMBERS) + 32]}}),
            NUMBERS + bytes(32),
        )
    ),
)


def shards(name, index, files, argv=GENERATE):
    good(
        "shards/" + name,
        argv,
        {
            **model(model_safetensors=None, **{"model.safetensors.index.json": text(index)}),
            **{"m/" + k: v for k, v in files.items()},
        },
    )


shards("two", INDEX, {FIRST: ONE, SECOND: TWO_})
shards(
    "one",
    {"weight_map": {n: "model-00001-of-00001.safetensors" for n in names}},
    {"model-00001-of-00001.safetensors": safetensors(HEADER, NUMBERS)},
    MERGE,
)
shards("no_metadata", {"weight_map": INDEX["weight_map"]}, {FIRST: ONE, SECOND: TWO_}, PLAN)
shards(
    "other_keys",
    dict(INDEX, wibble=[1, 2], metadata={"total_size": 1, "total_parameters": "many"}),
    {FIRST: ONE, SECOND: TWO_},
    TRAIN,
)
shards("links", INDEX, {FIRST: Link("../blobs/1"), SECOND: Link("../blobs/2"), "../blobs/1": ONE, "../blobs/2": TWO_})
shards(
    "one_by_one",
    {"weight_map": {n: "s%d.safetensors" % i for i, n in enumerate(names)}},
    {"s%d.safetensors" % i: safetensors(*placed([n])) for i, n in enumerate(names)},
)

# ---- config.json ----
CONFIG = load("llama/config.json")
OLD = {
    k: v for k, v in CONFIG.items() if k not in ("dtype", "rope_parameters", "head_dim", "attention_bias", "mlp_bias")
}
for name, c in (
    ("torch_dtype", dict(OLD, torch_dtype="float32", rope_theta=10000.0, rope_scaling=None)),
    ("theta_whole", dict(OLD, rope_theta=10000)),
    ("no_architectures", changed(CONFIG, "architectures", DELETE)),
    ("architectures_empty", changed(CONFIG, "architectures", [])),
    ("no_model_type", changed(CONFIG, "model_type", DELETE)),
    ("auto_map", dict(CONFIG, auto_map={"AutoModelForCausalLM": "modeling_x.X"})),
    ("tied_but_apart", dict(CONFIG, tie_word_embeddings=True)),
    ("nulls", dict(CONFIG, rope_scaling=None, quantization_config=None, sliding_window=None)),
    ("unknown_keys", dict(CONFIG, wibble={"a": [1, 2]}, _name_or_path="/home/x", task_specific_params=None)),
    ("eos_list", dict(CONFIG, eos_token_id=[380, 381])),
    ("pad_minus_one", dict(CONFIG, pad_token_id=-1)),
    ("eps_whole", json.dumps(CONFIG).replace("1e-05", "0.00001000")),
    ("crlf", json.dumps(CONFIG, indent=1).replace("\n", "\r\n")),
    ("reversed", dict(reversed(CONFIG.items()))),
    ("escapes", json.dumps(CONFIG).replace('"silu"', '"\\u0073ilu"')),
    ("linear_in_scaling", dict(OLD, rope_theta=10000.0, rope_scaling={"type": "linear", "factor": 2})),
    (
        "both_names",
        dict(OLD, rope_theta=10000.0, rope_scaling={"type": "linear", "rope_type": "linear", "factor": 2.0}),
    ),
    ("huge_number", dict(CONFIG, wibble=10**30)),
):
    good("config/" + name, GENERATE, model(config_json=text(c) if isinstance(c, dict) else c))

# ---- tokenizer.json ----
TOK = load("llama/tokenizer.json")
PAIRS = [m if isinstance(m, list) else m.split(" ") for m in TOK["model"]["merges"]]
for name, t in (
    ("merges_text", changed(TOK, "model.merges", [" ".join(p) for p in PAIRS])),
    ("merges_pairs", changed(TOK, "model.merges", PAIRS)),
    ("reversed", dict(reversed(TOK.items()))),
    ("vocab_reversed", changed(TOK, "model.vocab", lambda v: dict(reversed(v.items())))),
    ("no_version", changed(TOK, "version", DELETE)),
    ("no_type", changed(TOK, "model.type", DELETE)),
    (
        "truncation",
        dict(TOK, truncation={"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0}),
    ),
    (
        "padding",
        dict(
            TOK,
            padding={
                "strategy": "BatchLongest",
                "direction": "Right",
                "pad_to_multiple_of": None,
                "pad_id": 0,
                "pad_type_id": 0,
                "pad_token": "x",
            },
        ),
    ),
    ("indented", json.dumps(TOK, indent=3)),
    ("ascii", json.dumps(TOK, ensure_ascii=True)),
    ("utf8", json.dumps(TOK, ensure_ascii=False)),
    ("crlf", json.dumps(TOK, indent=1).replace("\n", "\r\n")),
):
    good(
        "tokenizer/" + name,
        TOKENIZE + ["--texts", "t.json"],
        {**model(tokenizer_json=text(t) if isinstance(t, dict) else t), "t.json": '["Hello wörld \\ud83d\\ude00"]'},
        "^\\[\\[\\d",
    )
TC = load("llama/tokenizer_config.json")
for name, c in (
    ("token_objects", dict(TC, bos_token={"content": "<|begin_of_text|>", "lstrip": False, "special": True})),
    (
        "template_list",
        dict(
            TC,
            chat_template=[{"name": "tool_use", "template": "x"}, {"name": "default", "template": TC["chat_template"]}],
        ),
    ),
    ("unknown_keys", dict(TC, wibble=1, added_tokens_decoder={}, tokenizer_class="LlamaTokenizerFast")),
):
    good(
        "chat/" + name,
        ["render", "--model", "m", "--messages", "c.json"],
        {**model(tokenizer_config_json=text(c)), "c.json": '[{"role": "user", "content": "a"}]'},
        "start_header_id",
    )
good(
    "chat/jinja_file",
    ["render", "--model", "m", "--messages", "c.json"],
    {**model(), "m/chat_template.jinja": "{{ 'from file' }}\n", "c.json": "[]"},
    "from file",
)

MANY = "{% set s = 'a,' * 2000000 %}{{ s.split(',') | length }} {{ s.replace(',', '') | length }} {{ s.count('a') }}"
good(
    "chat/many_parts",
    ["render", "--model", "m", "--messages", "c.json"],
    {**model(), "m/chat_template.jinja": MANY, "c.json": "[]"},
    "2000001 2000000 2000000",
)

# ---- GGUF ----
KEYS = [("general.architecture", STRING, "llama")]
EVERY = [
    ("k%d" % i, k, v)
    for i, (k, v) in enumerate(
        (
            (U8, 255),
            (I8, -1),
            (U16, 65535),
            (I16, -1),
            (U32, 2**32 - 1),
            (I32, -1),
            (F32, 1.5),
            (BOOL, 1),
            (STRING, ""),
            (U64, 2**64 - 1),
            (I64, -1),
            (F64, 0.1),
            (ARRAY, (STRING, [])),
            (ARRAY, (F32, [1.0])),
            (ARRAY, (STRING, ["", "é"])),
        )
    )
]
for name, content in (
    ("types", gguf(EVERY)),
    ("bytes_in_string", gguf([("a", STRING, b"\xff\0x")])),
    ("none", gguf([])),
    (
        "align_64",
        gguf([("general.alignment", U32, 64)], [("t", [3], 0, bytes(12)), ("u", [3], 0, bytes(12))], align=64),
    ),
    ("align_8", gguf([("general.alignment", U32, 8)], [("t", [3], 0, bytes(12)), ("u", [3], 0, bytes(12))], align=8)),
    ("unpadded_end", gguf(KEYS, [("t", [3], 0, bytes(12))], cut=20)),
    ("one_split", gguf(KEYS + [("split.count", U16, 1)])),
    ("rank4", gguf(KEYS, [("t", [2, 1, 3, 1], 1, bytes(12))])),
):
    good("gguf/" + name, INSPECT, {"x": content}, "GGUF")
GKEYS, GTENSORS = read_gguf(GOLDEN + "/llama_gguf_f32/model.gguf")
for name, content in (
    ("version_2", gguf(GKEYS, GTENSORS, version=2)),
    (
        "unknown_keys",
        gguf(
            GKEYS
            + [("my.key", STRING, "x"), ("general.tags", ARRAY, (STRING, ["a"])), ("tokenizer.ggml.wibble", U32, 1)],
            GTENSORS,
        ),
    ),
    ("keys_reversed", gguf(GKEYS[::-1], GTENSORS)),
    ("tensors_reversed", gguf(GKEYS, GTENSORS[::-1])),
    ("align_128", gguf(GKEYS + [("general.alignment", U32, 128)], GTENSORS, align=128)),
    (
        "u64_sizes",
        gguf([(n, U64, v) if k == U32 and n.startswith("llama.") else (n, k, v) for n, k, v in GKEYS], GTENSORS),
    ),
    ("bytes_behind", gguf(GKEYS, GTENSORS) + bytes(100)),
):
    good(
        "gguf_model/" + name,
        ["generate", "--model", "m.gguf", "--prompt", "a", "--max-tokens", "2", "--threads", "1"],
        {"m.gguf": content},
    )

# ---- adapters ----
AC = load("llama/adapter/adapter_config.json")
AH, AD = read_safetensors(LLAMA + "/adapter/adapter_model.safetensors")
SMALL = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": AC["target_modules"]}
for name, c, t in (
    ("few_keys", SMALL, None),
    ("regex", dict(SMALL, target_modules=".*_proj"), None),
    ("regex_whole", dict(SMALL, target_modules=r"model\.layers\.\d+\.(self_attn|mlp)\.(?:[qkvo]|gate|up|down)_proj"), None),
    ("layers", dict(SMALL, layers_to_transform=[1, 0], layers_pattern="layers"), None),
    ("layers_none", dict(SMALL, layers_to_transform=[]), None),
    ("excluded", dict(SMALL, exclude_modules=["lm_head", "vision.q_proj"]), None),
    ("alpha_real", dict(SMALL, lora_alpha=8.0), None),
    ("alpha_part", dict(SMALL, lora_alpha=0.5), None),
    ("patterns", dict(AC, rank_pattern={"q_proj": 4}, alpha_pattern={"layers.0.self_attn.q_proj": 16}), None),
    ("odd_header", AC, safetensors(AH, AD, pad=" " * 3)),
    ("metadata", AC, safetensors(dict(AH, __metadata__={"format": "pt"}), AD)),
    ("nulls", dict(SMALL, a_later_key=None, revision=None, modules_to_save=None, bias="none", task_type=None), None),
):
    good(
        "adapter/" + name,
        ["merge", "--model", LLAMA, "--adapter", "a", "--out", "out.d", "--threads", "1"],
        {
            "a/adapter_config.json": text(c),
            "a/adapter_model.safetensors": t or Link(LLAMA + "/adapter/adapter_model.safetensors"),
            "a/README.md": "x",
        },
    )

DORA, NUMBERS_OF = read_safetensors(GOLDEN + "/llama_dora/adapter/adapter_model.safetensors")
INSIDE = {k + ".weight" if k.endswith("magnitude_vector") else k: v for k, v in DORA.items()}
good(
    "adapter/dora_inside",
    ["merge", "--model", GOLDEN + "/llama_dora", "--adapter", "a", "--out", "out.d", "--threads", "1"],
    {
        "a/adapter_config.json": Link(GOLDEN + "/llama_dora/adapter/adapter_config.json"),
        "a/adapter_model.safetensors": safetensors(INSIDE, NUMBERS_OF),
    },
)
MERGED = ["merge", "--model", LLAMA, "--adapter", "a", "--out", "out.d"]
good("adapter/head_merged", MERGED, HEAD, "15 tensors merged")

# ---- rows ----
IMPORT = ["data", "import", "r.jsonl", "--out", "d.h5"]
U, A = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
for name, content in (
    ("crlf", ROWS.replace("\n", "\r\n") * 3),
    ("blank_lines", "\n\n" + ROWS + "\n  \n" + ROWS + "\n\n"),
    ("no_final_newline", ROWS.strip()),
    ("bom", "\ufeff" + ROWS),
    ("blanks_around", "  " + ROWS.strip() + " \t\n"),
    ("key_order", '{"completion": "b", "prompt": "a"}\n'),
    ("surrogates", '{"prompt": "\\ud83d\\ude00\\u00e9", "completion": "\\u2028"}\n'),
    ("astral", '{"prompt": "😀", "completion": "é\u2028b"}\n'),
    ("prompt_empty", '{"prompt": "", "completion": "b"}\n'),
    ("extra_members", '{"prompt": "a", "completion": "b", "id": 7, "meta": {"x": [1]}}\n'),
    (
        "big_number",
        '{"prompt": "a", "completion": "b", "n": 1e400, "m": 123456789012345678901234567890}\n'.replace(
            "1e400", "1e300"
        ),
    ),
    ("input_output", '{"input": "a", "output": "b"}\n'),
    ("response", '{"prompt": "a", "response": "b"}\n'),
    ("text", '{"text": "a"}\n'),
    ("alpaca", '{"instruction": "a", "input": "", "output": "b"}\n{"instruction": "a", "output": "b"}\n'),
    ("dolly", '{"instruction": "a", "context": "c", "response": "b"}\n'),
    (
        "sharegpt",
        '{"conversations": [{"from": "system", "value": "s"}, {"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}\n',
    ),
    ("sharegpt_roles", json.dumps({"conversations": [U, A]}) + "\n"),
    ("prompt_messages", json.dumps({"prompt": [U], "completion": [A]}) + "\n"),
    ("history_empty", '{"instruction": "a", "output": "b", "history": []}\n'),
    (
        "marks",
        json.dumps(
            {
                "messages": [
                    U,
                    dict(A, weight=0),
                    U,
                    dict(A, weight=1.0),
                    U,
                    dict(A, training=True),
                    dict(A, train=False),
                ]
            }
        )
        + "\n",
    ),
    (
        "tools",
        json.dumps(
            {
                "messages": [
                    U,
                    {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}],
                    },
                    {"role": "tool", "content": "7", "name": "f"},
                    A,
                ],
                "tools": [{"type": "function", "function": {"name": "f"}}],
            }
        )
        + "\n",
    ),
    ("tools_text", json.dumps({"messages": [U, A], "tools": "[]"}) + "\n"),
    (
        "parts",
        json.dumps(
            {
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
                    A,
                ]
            }
        )
        + "\n",
    ),
    ("developer", json.dumps({"messages": [{"role": "developer", "content": "s"}, U, A]}) + "\n"),
    ("long", json.dumps({"text": "a" * (8 << 20)}) + "\n"),
    (
        "null_system",
        '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "system": null}\n',
    ),
):
    good("rows/" + name, IMPORT, {"r.jsonl": content})
good("rows/link", TRAIN, {**model(), "rows.jsonl": Link("elsewhere"), "elsewhere": ROWS})
good("rows/other_ending", TRAIN + ["datasets.0.path=rows.txt"], {**model(), "rows.txt": ROWS})
good(
    "rows/marks_trained",
    TRAIN + ["datasets.0.path=c.jsonl"],
    {**model(), "c.jsonl": json.dumps({"messages": [U, dict(A, training=False), U, A]})},
)

# ---- recipes ----
for name, content in (
    ("comments", "# a recipe\n\nbase_model: m # here\ndatasets: # rows\n  - path: rows.jsonl\nmax_steps: 1\n...\n"),
    ("start", "---\n" + RECIPE),
    ("quotes", '"base_model": \'m\'\ndatasets: [{"path": "rows.jsonl"}]\nmax_steps: 1\n\'lora_r\': 4\n'),
    ("flow", '{base_model: m, datasets: [{path: rows.jsonl}], max_steps: 1, roles_to_train: [assistant, "tool"]}\n'),
    (
        "json",
        json.dumps({"base_model": "m", "datasets": [{"path": "rows.jsonl"}], "max_steps": 1, "learning_rate": 1e-4}),
    ),
    ("crlf", RECIPE.replace("\n", "\r\n")),
    ("bom", "\ufeff" + RECIPE),
    ("folded", "base_model: >-\n  m\ndatasets:\n- path: |-\n    rows.jsonl\nmax_steps: 1\n"),
    (
        "aliases",
        "model_name_or_path: m\ndatasets: [{path: rows.jsonl}]\nlora_rank: 4\nper_device_train_batch_size: 1\nmax_steps: 1\n",
    ),
    ("numbers", RECIPE + "lora_alpha: 32.0\ncosine_min_lr_ratio: .1\nweight_decay: 0\n"),
    ("booleans", RECIPE + "train_on_inputs: True\nload_best_model_at_end: FALSE\n"),
    ("nulls", RECIPE + "lora_model_dir:\n"),
    ("unicode", RECIPE + "# é 😀\n"),
    ("no_newline", RECIPE.strip()),
):
    good("recipe/" + name, TRAIN, {**model(), "recipe.yaml": content})
good("recipe/link", TRAIN, {**model(), "recipe.yaml": Link("r"), "r": RECIPE})
good("tokenize/empty", TOKENIZE + ["--texts", "t.json"], {**model(), "t.json": '["", " ", "\\n"]'})
good("tokenize/none", TOKENIZE + ["--texts", "t.json"], {**model(), "t.json": "[]"})
good("tokenize/ids_empty", TOKENIZE + ["--ids", "t.json"], {**model(), "t.json": "[[], [0]]"})
for choice in ("template", "strip"):
    good(
        "thinking/" + choice,
        TRAIN + ["datasets.0.path=t.jsonl", "thinking_blocks=" + choice],
        {**model(), "t.jsonl": json.dumps({"messages": [U, dict(A, reasoning_content="c")]})},
    )
