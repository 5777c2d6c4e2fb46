"""config.json, tokenizer.json, tokenizer_config.json and chat templates."""

import itertools
import math
import os
import re

from case import (
    DELETE,
    GENERATE,
    GOLDEN,
    LLAMA,
    PLAN,
    TOKENIZE,
    TRAIN,
    Directory,
    Link,
    Sparse,
    bad,
    changed,
    load,
    model,
    text,
)
from formats import read_safetensors, safetensors

CONFIG = load("llama/config.json")
USES = itertools.cycle([PLAN, GENERATE, TRAIN])


def config(name, says, content, base=LLAMA):
    content = text(content) if isinstance(content, (dict, list)) else content
    argv = next(USES) if base == LLAMA else ["verify", "m"]
    more = (
        {} if base == LLAMA else {"m/" + n: Link(base + "/" + n) for n in os.listdir(base) if n.startswith(("ex", "b"))}
    )
    bad("config/" + name, argv, r"^error: m\b.*(" + says + ")", {**model(base=base, config_json=content), **more})


config("missing", "config.json is missing", None)
config("directory", "config.json is missing", Directory())
config("empty", "config.json:1:0: not valid JSON", "")
config("cut", "config.json:\\d+:\\d+: not valid JSON", text(CONFIG)[:200])
config("list", "config.json: expected an object", "[]")
config("twice", "duplicate", '{"hidden_size": 64, "hidden_size": 64}')
config("utf8", "JSON", b'{"architectures": ["\xff"]}')
config("utf16", "JSON", "{}".encode("utf-16"))
config("bom", "JSON", b"\xef\xbb\xbf" + text(CONFIG).encode())
config("nul", "JSON", text(CONFIG) + "\0")
config("nan", "JSON", text(CONFIG).replace("1e-05", "NaN"))
config("infinity", "JSON", text(CONFIG).replace("1e-05", "Infinity"))
config("deep", "JSON", '{"a":' + "[" * 10000 + "]" * 10000 + "}")
config("huge", "bytes, at most", Sparse(2 << 20))
config("single_quotes", "JSON", str(CONFIG))
for i, (path, v, says) in enumerate(
    (
        ("architectures", "LlamaForCausalLM", "architectures"),
        ("architectures", [7], "architectures"),
        ("architectures", ["GPT2LMHeadModel"], "architecture GPT2LMHeadModel is not supported"),
        ("architectures", ["LlamaForSequenceClassification"], "architecture LlamaForSeq.* is not supported"),
        ("hidden_size", DELETE, "hidden_size is missing"),
        ("hidden_size", 0, "hidden_size: 0"),
        ("hidden_size", -64, "hidden_size: -64"),
        ("hidden_size", 2**62, "hidden_size: "),
        ("hidden_size", "64", "hidden_size: expected an integer"),
        ("hidden_size", 64.0, "hidden_size: expected an int"),
        ("hidden_size", [64], "hidden_size: expected an integer"),
        ("hidden_size", None, "hidden_size is missing"),
        ("hidden_size", 32, "\\(384, 64\\), the configuration says \\(384, 32\\)"),
        ("hidden_size", 10**30, "hidden_size"),
        ("num_hidden_layers", 0, "num_hidden_layers: 0"),
        ("num_hidden_layers", 100000, "num_hidden_layers: 100000"),
        ("num_hidden_layers", 3, "layers.2.* is missing"),
        ("num_hidden_layers", 1, "layers.1"),
        ("num_attention_heads", 0, "num_attention_heads: 0"),
        ("num_attention_heads", 5, "num_attention_heads|heads|is \\("),
        ("num_attention_heads", 2**31, "num_attention_heads"),
        ("num_key_value_heads", 3, "num_key_value_heads|heads"),
        ("num_key_value_heads", 8, "num_key_value_heads|heads|is \\("),
        ("num_key_value_heads", 0, "num_key_value_heads: 0"),
        ("head_dim", 15, "head size 15 is odd"),
        ("head_dim", 0, "head_dim: 0"),
        ("head_dim", 1 << 20, "head_dim"),
        ("intermediate_size", 0, "intermediate_size: 0"),
        ("intermediate_size", 64, "mlp.gate_proj.* is \\(128, 64\\)"),
        ("vocab_size", 0, "vocab_size: 0"),
        ("vocab_size", 383, "tokenizer has 384 tokens, the embedding of the model 383 rows"),
        ("vocab_size", 1 << 33, "vocab_size"),
        ("rms_norm_eps", 0, "rms_norm_eps"),
        ("rms_norm_eps", -1e-5, "rms_norm_eps"),
        ("rms_norm_eps", "1e-5", "rms_norm_eps: expected a number"),
        ("hidden_act", "mish", "activation 'mish' is not supported"),
        ("hidden_act", 7, "hidden_act: expected a string"),
        ("max_position_embeddings", 0, "max_position_embeddings: 0"),
        ("max_position_embeddings", -1, "max_position_embeddings: -1"),
        ("tie_word_embeddings", "no", "tie_word_embeddings: expected a boolean"),
        ("attention_bias", True, "q_proj.bias is missing"),
        ("mlp_bias", True, "bias is missing"),
        ("attention_bias", "yes", "attention_bias: expected a boolean"),
        ("rope_parameters", {"rope_type": "magic", "rope_theta": 1e4}, "magic"),
        ("rope_parameters", {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}, "dynamic"),
        ("rope_parameters", {"rope_type": "linear", "rope_theta": 1e4}, "factor"),
        ("rope_parameters", {"rope_type": "linear", "factor": 0, "rope_theta": 1e4}, "factor"),
        ("rope_parameters", {"rope_type": "linear", "factor": -2, "rope_theta": 1e4}, "factor"),
        ("rope_parameters", {"rope_type": "linear", "factor": "2", "rope_theta": 1e4}, "factor"),
        ("rope_parameters", {"rope_type": "llama3", "factor": 8.0, "rope_theta": 1e4}, "low_freq_factor|missing"),
        ("rope_parameters", {"rope_type": "longrope", "rope_theta": 1e4}, "short_factor|long_factor|longrope"),
        (
            "rope_parameters",
            {
                "rope_type": "longrope",
                "rope_theta": 1e4,
                "short_factor": [1.0],
                "long_factor": [1.0],
                "original_max_position_embeddings": 64,
            },
            "short_factor|long_factor",
        ),
        ("rope_parameters", {"rope_type": "default", "rope_theta": -1}, "rope_theta is missing, or not positive"),
        ("rope_parameters", {"rope_type": "default", "rope_theta": 0}, "rope_theta is missing, or not positive"),
        ("rope_parameters", [], "rope_parameters"),
        ("rope_parameters", "linear", "rope_parameters"),
        ("rope_scaling", {"type": "magic", "factor": 2}, "magic|rope"),
        ("quantization_config", {"quant_method": "gptq", "bits": 4}, "quantization_config|gptq"),
        (
            "quantization_config",
            {"quant_method": "bitsandbytes", "load_in_4bit": True},
            "quantization_config|bitsandbytes",
        ),
        ("model_type", "qwen2", "model_type"),
        ("sliding_window", -5, "sliding_window"),
    )
):
    config("%s_%d" % (path, i), says, changed(CONFIG, path, v))
for base, path, v, says in (
    ("mixtral", "num_local_experts", 0, "num_local_experts: 0"),
    ("mixtral", "num_experts_per_tok", 99, "experts"),
    ("mixtral", "num_experts_per_tok", 0, "num_experts_per_tok: 0"),
    ("mixtral", "num_local_experts", 1 << 20, "experts"),
    ("gemma3", "layer_types", ["sliding_attention"], "layer_types"),
    ("gemma3", "layer_types", [7, 7], "layer_types"),
    ("gemma2_odd", "final_logit_softcapping", -1, "softcap"),
    ("gemma2_odd", "query_pre_attn_scalar", 0, "query_pre_attn_scalar"),
    ("gemma2_odd", "attn_logit_softcapping", "x", "softcap"),
    ("deepseek_v2", "kv_lora_rank", 0, "kv_lora_rank: 0"),
    ("deepseek_v3", "n_group", 3, "n_group|group"),
    ("deepseek_v3", "topk_group", 99, "topk_group|group"),
    ("deepseek_v2", "qk_rope_head_dim", 7, "heads of 10 and 7"),
    ("smollm3", "no_rope_layers", [1], "no_rope_layers"),
    ("smollm3", "no_rope_layers", [1, "x", 0], "no_rope_layers: element 1 is no integer"),
    ("qwen3_moe", "mlp_only_layers", True, "mlp_only_layers: expected a list"),
    ("qwen3_moe", "mlp_only_layers", ["0"], "mlp_only_layers: element 0 is no integer"),
    ("neox", "rope_theta", 500000, "rope_theta is 500000, but rotary_emb_base 10000"),
    ("neox", "partial_rotary_factor", 1, "partial_rotary_factor is 1, but rotary_pct 0.25"),
    ("gemma3", "rope_scaling", {"type": "linear", "factor": 8.0}, "rope_scaling without rope_type"),
    ("gemma2_odd", "attn_logit_softcapping", 0, "attn_logit_softcapping must be positive"),
    ("gemma3", "final_logit_softcapping", 0.0, "final_logit_softcapping must be positive"),
    ("granite", "logits_scaling", 0, "logits_scaling"),
    ("granite", "residual_multiplier", "x", "residual_multiplier"),
    ("mistral", "sliding_window", 0, "sliding_window"),
):
    c = load(base, "config.json")
    config(
        "%s_%s_%s" % (base, path, "".join(filter(str.isalnum, str(v)))), says, changed(c, path, v), GOLDEN + "/" + base
    )

# models in themselves right, which llama.cpp does not load
def not_loaded(base, key, v, says, without=None, shapes=None):
    """without: tensors that go; shapes: {end of a name: shape}, of zeros."""
    header, data = read_safetensors(GOLDEN + "/" + base + "/model.safetensors")
    kept, rest = {}, b""
    for name, t in header.items():
        if name == "__metadata__" or (without and re.search(without, name)):
            continue
        raw = data[slice(*t["data_offsets"])]
        for end, shape in (shapes or {}).items():
            if name.endswith(end):
                t, raw = dict(t, shape=shape), bytes(4 * math.prod(shape))
        kept[name] = dict(t, data_offsets=[len(rest), len(rest) + len(raw)])
        rest += raw
    c = changed(load(base, "config.json"), key, v)
    files = model(base=GOLDEN + "/" + base, config_json=text(c), model_safetensors=safetensors(kept, rest))
    bad("config/not_loaded_" + base, ["convert", "--model", "m", "--tokenizer", LLAMA, "--out", "out.gguf"], says, files)


not_loaded("neox", "attention_bias", False, "llama.cpp loads gptneox with biases only", r"attention\.\w+\.bias")
not_loaded("starcoder2", "use_bias", False, "llama.cpp loads starcoder2 with biases only", r"(proj|c_fc)\.bias")
not_loaded(
    "olmo2",
    "head_dim",
    24,
    "head_dim is 24; llama.cpp loads olmo2 with hidden_size / num_attention_heads only, 48 / 4",
    shapes={
        "q_proj.weight": [96, 48],
        "k_proj.weight": [48, 48],
        "v_proj.weight": [48, 48],
        "o_proj.weight": [48, 96],
        "q_norm.weight": [96],
        "k_norm.weight": [48],
    },
)

# ---- tokenizer.json ----
TOK = load("llama/tokenizer.json")
SPM = load("mistral/tokenizer.json")
VOCAB = TOK["model"]["vocab"]


def tokenizer(name, says, content, argv=TOKENIZE):
    content = text(content) if isinstance(content, (dict, list)) else content
    bad(
        "tokenizer/" + name,
        argv,
        r"^error: m/tokenizer.json: .*(%s)|^error: m/tokenizer.json:\d+:\d+: .*(%s)" % (says, says),
        model(tokenizer_json=content),
    )


for n in (0, 1, 100, 5000, len(text(TOK)) - 1):
    tokenizer("cut_%d" % n, "JSON|ends|expected|byte", text(TOK)[:n])
tokenizer("list", "object", [])
tokenizer("number", "object", "7")
tokenizer("utf8", "UTF-8|JSON|byte", text(TOK).encode().replace(b'"BPE"', b'"B\xffE"'))
tokenizer("rest", "after|JSON|end|byte", text(TOK) + "{}")
tokenizer("deep", "deep|nest|JSON|levels|byte", '{"model":' + "[" * 100000)
tokenizer("huge", "bytes, at most", Sparse(130 << 20))
tokenizer("twice", "twice|duplicate", text(TOK)[:-1] + ', "model": {}}')
for i, (path, v, says) in enumerate(
    (
        ("model", DELETE, "model"),
        ("model", None, "model"),
        ("model", [], "model"),
        ("model.type", "WordPiece", "WordPiece"),
        ("model.type", "WordLevel", "WordLevel"),
        ("model.type", 7, "type"),
        ("model.type", "bpe", "bpe"),
        ("model.vocab", DELETE, "vocab"),
        ("model.vocab", {}, "vocab|merges|added"),
        ("model.vocab", [], "vocab"),
        ("model.vocab", lambda v: dict(v, zzz=v["a"]), "zzz|twice|both"),
        ("model.vocab", lambda v: dict(v, zzz=10**6), "gap|id"),
        ("model.vocab", lambda v: dict(v, zzz=-1), "id|-1"),
        ("model.vocab", lambda v: dict(v, zzz="7"), "zzz|id|number"),
        ("model.vocab", lambda v: dict(v, zzz=7.5), "zzz|id|whole|number"),
        ("model.vocab", lambda v: dict(v, zzz=2**40), "id|gap"),
        ("model.vocab", lambda v: dict(v, **{"x" * 5000: len(v)}), "bytes|long"),
        ("model.merges", DELETE, "merges"),
        ("model.merges", {}, "merges"),
        ("model.merges", ["a"], "merge"),
        ("model.merges", ["zzzz yyyy"], "merge.*(zzzz|vocab)"),
        ("model.merges", [["a"]], "merge"),
        ("model.merges", [["a", "b", "c"]], "merge"),
        ("model.merges", [[1, 2]], "merge"),
        ("model.merges", ["a b c"], "merge"),
        ("model.merges", [["a", ""]], "merge"),
        ("model.dropout", 0.1, "dropout"),
        ("model.unk_token", "<nope>", "unk_token|<nope>"),
        ("model.unk_token", 7, "unk_token"),
        ("model.byte_fallback", "yes", "byte_fallback"),
        ("model.continuing_subword_prefix", "##", "continuing_subword_prefix"),
        ("model.end_of_word_suffix", "</w>", "end_of_word_suffix"),
        ("model.wibble", 1, "wibble"),
        ("normalizer", {"type": "Magic"}, "Magic"),
        ("normalizer", "NFC", "normalizer"),
        ("normalizer", {"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": "b"}, "Replace|pattern"),
        ("normalizer", {"type": "Sequence", "normalizers": [{"type": "Magic"}]}, "Magic"),
        ("normalizer", {"type": "Precompiled", "precompiled_charsmap": "!!!"}, "charsmap"),
        ("normalizer", {"type": "BertNormalizer"}, "BertNormalizer"),
        ("pre_tokenizer", {"type": "Magic"}, "Magic"),
        ("pre_tokenizer", {}, "pre_tokenizer|type"),
        (
            "pre_tokenizer",
            {"type": "Split", "pattern": {"Regex": "(x+x+)+y"}, "behavior": "Isolated", "invert": False},
            "pattern",
        ),
        (
            "pre_tokenizer",
            {"type": "Split", "pattern": {"Regex": "["}, "behavior": "Isolated", "invert": False},
            "pattern",
        ),
        (
            "pre_tokenizer",
            {"type": "Split", "pattern": {"String": " "}, "behavior": "Magic", "invert": False},
            "Magic|behavior",
        ),
        ("pre_tokenizer", {"type": "Sequence", "pretokenizers": 7}, "pretokenizers"),
        ("post_processor", {"type": "Magic"}, "Magic"),
        (
            "post_processor",
            {
                "type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "<nope>", "type_id": 0}}],
                "pair": [],
                "special_tokens": {},
            },
            "<nope>",
        ),
        ("post_processor", {"type": "TemplateProcessing", "single": "x", "pair": [], "special_tokens": {}}, "single"),
        ("decoder", {"type": "Magic"}, "Magic"),
        ("decoder", {"type": "WordPiece"}, "WordPiece"),
        ("added_tokens", {}, "added_tokens"),
        ("added_tokens", [7], "added_tokens"),
        ("added_tokens.0.id", 10**9, "added|id"),
        ("added_tokens.0.id", -1, "added|id"),
        ("added_tokens.0.id", 3, "added|id"),
        ("added_tokens.0.content", 7, "content"),
        ("added_tokens.0.content", "", "added|empty|content"),
        ("added_tokens.0.special", "yes", "special"),
        ("added_tokens.0.lstrip", 1, "lstrip"),
        ("added_tokens", lambda a: a + [dict(a[0], id=a[-1]["id"] + 1)], "twice|added|both"),
        ("wibble", 1, "wibble"),
    )
):
    tokenizer("%s_%d" % (path, i), says, changed(TOK, path, v))
bad("tokenizer/missing", TRAIN, "no tokenizer.json", model(tokenizer_json=None))
bad(
    "tokenizer/other",
    TRAIN,
    "m: the tokenizer has 400 tokens, the embedding of the model 384 rows",
    model(tokenizer_json=text(load("qwen2/tokenizer.json")), tokenizer_config_json=None),
)


# ---- tokenizer_config.json, chat templates ----
def chat(name, says, tconfig=None, template=None, argv=None):
    files = model(tokenizer_config_json=text(tconfig) if isinstance(tconfig, (dict, list)) else tconfig)
    if template is not None:
        files["m/chat_template.jinja"] = template
    bad(
        "chat/" + name,
        argv or ["render", "--model", "m", "--messages", "c.json"],
        r"^error: .*(%s)" % says,
        dict(files, **{"c.json": '[{"role": "user", "content": "a"}]'}),
    )


TC = load("llama/tokenizer_config.json")
for path, v, says in (
    ("bos_token", 7, "bos_token"),
    ("bos_token", "<nope>", "bos_token.*<nope>|<nope>"),
    ("eos_token", {"content": 7}, "eos_token"),
    ("eos_token", ["a"], "eos_token"),
    ("add_bos_token", "yes", "add_bos_token"),
    ("chat_template", 7, "chat_template"),
    ("chat_template", [], "chat_template|no chat template"),
    ("chat_template", [{"name": "x"}], "chat_template"),
    ("chat_template", DELETE, "no chat template"),
    ("chat_template", "{% if %}", "chat_template:1:"),
    ("chat_template", "{{ 1", "chat_template:1:"),
):
    chat(
        "config_%s_%s" % (path, "".join(filter(str.isalnum, str(v)))[:20]),
        "tokenizer_config.json.*" + says + "|" + says,
        changed(TC, path, v),
    )
chat("config_cut", "tokenizer_config.json.*JSON", text(TC)[:60])
chat("config_list", "tokenizer_config.json", [])
for name, source, says in (
    ("unclosed_if", "{% if x %}", "1:"),
    ("unclosed_for", "{% for m in messages %}", "1:"),
    ("stray_end", "{% endif %}", "1:"),
    ("unclosed", "{{ messages", "1:"),
    ("unclosed_comment", "{# x", "1:"),
    ("string", "{{ 'x }}", "1:"),
    ("unknown_tag", "{% magic %}", "magic"),
    ("import", "{% import 'x' as y %}", "import"),
    ("include", "{% include '/etc/passwd' %}", "include"),
    ("extends", "{% extends 'x' %}", "extends"),
    ("class", "{{ ''.__class__.__mro__ }}", "__class__"),
    ("globals", "{{ cycler.__init__.__globals__ }}", "cycler|__"),
    ("filter", "{{ messages | magic }}", "magic"),
    ("test", "{{ messages is magic }}", "magic"),
    ("method", "{{ 'a'.magic() }}", "magic"),
    ("undefined_call", "{{ nothing() }}", "nothing"),
    ("undefined_attribute", "{{ nothing.a.b }}", "nothing"),
    ("raise", "{{ raise_exception('no tools here') }}", "no tools here"),
    ("zero", "{{ 1 / 0 }}", "zero|division"),
    ("add", "{{ 1 + 'a' }}", "1:"),
    ("deep", "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "1:"),
    ("deep_if", "{% if 1 %}" * 5000, "1:"),
    ("long_loop", "{% for a in range(999999999) %}{% endfor %}", "range|steps|1:"),
    (
        "nested_loop",
        "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}x{% endfor %}{% endfor %}"
        "{% endfor %}",
        "steps|1:",
    ),
    ("big_string", "{{ 'a' * 99999999999 }}", "1:"),
    (
        "doubling",
        "{% set ns = namespace(s='aa') %}{% for i in range(99) %}" "{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "1:",
    ),
    ("macro", "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", "1:"),
    ("power", "{{ 9 ** 9 ** 9 ** 9 }}", "1:"),
    ("utf8", b"{{ '\xff' }}", "UTF-8|1:"),
    ("nul", "a\0b{{ x }}", "byte 1 is not valid UTF-8"),
):
    chat("template_" + name, says, TC, source)
bad(
    "chat/template_train",
    ["train", "recipe.yaml", "--quiet", "datasets.0.path=t.jsonl"],
    "chat_template",
    {
        **model(),
        "m/chat_template.jinja": "{% if %}",
        "t.jsonl": '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}',
    },
)
