#!/usr/bin/env python3
"""Makes the golden fixtures: tiny random models with the numbers that transformers and PEFT give for them.

    make_golden.py                      every case
    make_golden.py --only llama,qwen2   some of them
    make_golden.py --check              reload everything that is there, recompute the losses

Deterministic: the same library versions give the same bytes. Needs torch, transformers, peft, gguf, tokenizers.
"""

import argparse
import copy
import dataclasses
import json
import os
import shutil
import sys
import tempfile
import warnings
import zlib
from pathlib import Path

sys.dont_write_bytecode = True
os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
               "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
warnings.filterwarnings("ignore")

import gguf
import peft
import safetensors
import tokenizers
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.numpy import save_file as save_numpy
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, AutoTokenizer

import cases
import gguf_files
import reference
import tokens
import wrong as mistakes

torch.set_num_threads(1)
transformers.utils.logging.disable_progress_bar()
HERE = Path(__file__).resolve().parent
VISIBLE = 1e-3


def seed_of(case, what):
    return zlib.crc32(f"{case.name}/{what}/{case.seed}".encode())


def generator(case, what):
    return torch.Generator().manual_seed(seed_of(case, what))


def pretty(data, indent=""):
    """JSON with every list of plain values on one line."""
    inner = indent + " "
    if isinstance(data, dict) and data:
        rows = [f"{inner}{json.dumps(k, ensure_ascii=False)}: {pretty(v, inner)}" for k, v in data.items()]
        return "{\n" + ",\n".join(rows) + f"\n{indent}}}"
    if isinstance(data, (list, tuple)) and any(isinstance(v, (dict, list)) for v in data):
        return "[\n" + ",\n".join(inner + pretty(v, inner) for v in data) + f"\n{indent}]"
    return json.dumps(data, ensure_ascii=False)


def write_json(path, data):
    path.write_text(pretty(data) + "\n", encoding="utf-8")


def save(path, tensors):
    save_file({k: v.detach().contiguous().clone() for k, v in tensors.items()}, path, metadata={"format": "pt"})


# ------------------------------------------------------------------ the base model

def random_weights(model, case):
    """Large enough that logits are not flat and norms not one, so that a forgotten weight is seen."""
    draw = generator(case, "weights")
    for name, p in sorted(model.state_dict(keep_vars=True).items()):
        if not p.is_floating_point():
            continue
        noise = torch.randn(p.shape, generator=draw)
        with torch.no_grad():
            if mistakes.is_norm(name):
                p.copy_(0.3 * noise if mistakes.one_plus(model) else 1.0 + 0.3 * noise)
            elif p.ndim == 1:
                p.copy_(0.3 * noise)
            elif "embed" in name and "embed_out" not in name:
                p.copy_(case.embed_std * noise)
            else:
                gain = 1.0
                if any(k in name for k in ("q_proj", "k_proj", "q_b_proj", "qkv", "query_key_value")):
                    gain = 1.4
                elif any(k in name for k in ("lm_head", "embed_out", "gate.weight")):
                    gain = 2.0
                p.copy_(gain * noise / p.shape[-1] ** 0.5)


def make_base(case, folder, reference_folder):
    """Writes the stored model to `folder` and one that transformers can load to `reference_folder` (maybe the same)."""
    cls = getattr(transformers, case.model)
    config = cls.config_class(**(copy.deepcopy(case.config) | (tokens.special_ids(case) if case.tokenizer else {})))
    model = cls(config).eval()
    random_weights(model, case)
    if case.gguf:
        vocabulary = tokens.build("llama3", case.config["vocab_size"])
        held = gguf_files.write(folder / "model.gguf", {k: v.numpy() for k, v in model.state_dict().items()}, config,
                                case.gguf, vocabulary, seed_of(case, "blocks"))
        model.load_state_dict({k: torch.from_numpy(v) for k, v in held.items()})
        model.save_pretrained(reference_folder)
        return
    model.to(getattr(torch, case.dtype)).save_pretrained(folder, **({"max_shard_size": case.shard} if case.shard else {}))
    path = folder / "config.json"
    data = json.loads(path.read_text())
    data.pop("_name_or_path", None)
    write_json(path, older_style(data) if case.v4_config else data)


def older_style(config):
    """config.json as transformers 4 wrote it: rope_theta and rope_scaling at the top, torch_dtype."""
    rope = config.pop("rope_parameters")
    if config["model_type"] == "gpt_neox":
        config["rotary_pct"], config["rotary_emb_base"] = rope.pop("partial_rotary_factor"), rope.pop("rope_theta")
        config["torch_dtype"] = config.pop("dtype")
        config.pop("layer_types", None)
        return dict(sorted((config | {"transformers_version": "4.46.0"}).items()))
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = None if rope.get("rope_type") == "default" else rope
    config["torch_dtype"] = config.pop("dtype")
    config["transformers_version"] = "4.46.0"
    config.pop("layer_types", None)
    return dict(sorted(config.items()))


growth = 0                                                  # of the case at hand


def load(folder, config=None, dtype=torch.float32):
    config = config or AutoConfig.from_pretrained(folder)
    config._experts_implementation = "eager"
    auto = AutoModelForImageTextToText if hasattr(config, "vision_config") else AutoModelForCausalLM
    model = auto.from_pretrained(folder, config=config, dtype=dtype, attn_implementation="eager").eval()
    return grown(model, growth) if growth and folder.name != "merged" else model


def grown(model, rows):
    """resize_token_embeddings with the mean itself in place of draws from around it."""
    stored = model.config.vocab_size
    model.resize_token_embeddings(stored + rows)
    for layer in {model.get_input_embeddings(), model.get_output_embeddings()}:
        with torch.no_grad():
            layer.weight[stored:] = layer.weight[:stored].double().mean(0).float()
    return model


# ------------------------------------------------------------------ the batch

def make_batch(case):
    """Rows of random ids; a masked prompt at the front, and in the last row a masked span in the middle."""
    draw = generator(case, "batch")
    vocab = tokens.size_for(case) + case.grow
    rows = []
    for n, length in enumerate(case.lengths):
        ids = torch.randint(vocab, (length,), generator=draw).tolist()
        prompt = 1 if n == 0 else length // 3
        labels = [-100] * prompt + ids[prompt:]
        if n == len(case.lengths) - 1:
            labels[length // 2:length // 2 + 4] = [-100] * 4
        rows.append({"input_ids": ids, "labels": labels})
    return rows


# ------------------------------------------------------------------ the adapter

def linear_targets(model):
    """What all-linear means: the last name of every Linear except the output layer.

    For Mixtral PEFT also adds target_parameters (router, fused experts); these stay out here."""
    output = model.get_output_embeddings()
    names = {n.rsplit(".", 1)[-1] for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and m is not output}
    everything = get_peft_model(copy.deepcopy(model), LoraConfig(r=1, target_modules="all-linear", task_type="CAUSAL_LM"))
    listed = get_peft_model(copy.deepcopy(model), LoraConfig(r=1, target_modules=sorted(names), task_type="CAUSAL_LM"))
    if not everything.peft_config["default"].target_parameters:
        assert set(everything.state_dict()) == set(listed.state_dict()), "all-linear means something else"
    return sorted(names)


def saved_name(name):
    """Name of a trained parameter in adapter_model.safetensors."""
    name = name.replace(".modules_to_save.default", "").replace(".default", "")
    return name.removesuffix(".weight") if "lora_magnitude_vector" in name else name


def save_adapter(model, folder, case, began=None):
    """began: what it began as, for PEFT to convert it to one for the unchanged base."""
    model.save_pretrained(folder, save_embedding_layers=case.grow > 0,
                          path_initial_model_for_weight_conversion=str(began) if began else None)
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    data = json.loads(path.read_text())
    assert case.parameters or not data["target_parameters"], "PEFT has turned modules into parameters"
    data["base_model_name_or_path"] = case.name
    if isinstance(data["target_modules"], list):
        data["target_modules"] = sorted(data["target_modules"])
    if case.parameters:
        data["target_parameters"] = sorted(data["target_parameters"])
    write_json(path, dict(sorted(data.items())))
    expected = {saved_name(n) for n in reference.trainable(model)}
    if case.lora.get("ensure_weight_tying"):                # PEFT writes the one copy under both names
        embedding = "gpt_neox.embed_in" if "NeoX" in case.model else "model.embed_tokens"
        expected |= {"base_model.model.lm_head.weight", f"base_model.model.{embedding}.weight"}
    if case.grow:                                           # PEFT writes what was resized too
        expected |= {n.replace("trainable_tokens_delta", "base_layer.weight") for n in expected if "trainable_tokens" in n}
    assert set(load_file(folder / "adapter_model.safetensors")) == expected


def make_adapters(case, reference_folder, folder):
    base = load(reference_folder)
    fields = dict(r=4, lora_alpha=8, lora_dropout=0.0, bias="none", task_type="CAUSAL_LM") | copy.deepcopy(case.lora)
    fields.setdefault("target_modules", linear_targets(base))
    torch.manual_seed(seed_of(case, "init"))
    if case.start:
        fields["init_lora_weights"] = case.start
    model = get_peft_model(base, LoraConfig(**fields)).eval()
    if case.start:
        raw = raw_start(folder)
        model.save_pretrained(raw)
        save_adapter(model, folder / "init", case, raw)
    else:
        save_adapter(model, folder / "init", case)
    draw = generator(case, "adapter")
    with torch.no_grad():
        for name, p in sorted(reference.trainable(model).items()):
            noise = torch.randn(p.shape, generator=draw)
            if case.start:
                p.add_(0.1 * noise)
            elif "lora_A" in name:
                p.copy_(noise / p.shape[1] ** 0.5)
            elif "lora_B" in name:
                p.copy_(0.15 * noise)
            elif "lora_magnitude" in name:
                p.mul_(1.0 + 0.1 * noise)
            else:
                p.add_(0.05 * noise)
    save_adapter(model, folder / "adapter", case, raw_start(folder) if case.start else None)


def raw_start(folder):
    """Where PEFT keeps what an adapter began as: a name that it does not take for a scheme of its own."""
    return folder / "began"


def started(case, reference_folder, folder):
    """A model whose base has been changed, and its adapter at the start."""
    config = LoraConfig.from_pretrained(raw_start(folder))
    config.init_lora_weights, config.inference_mode = case.start, False
    return get_peft_model(load(reference_folder), config).eval()


def with_adapter(base, folder, config=None, train=True):
    return PeftModel.from_pretrained(base, folder, is_trainable=train, config=config).eval()


# ------------------------------------------------------------------ the numbers

def relative(a, b):
    """Largest difference as a share of the largest value."""
    return ((a.double() - b.double()).abs().max() / b.double().abs().max().clamp_min(1e-30)).item()


def measure(case, folder, reference_folder, rows):
    """All expected numbers of a case; also writes final/ and merged/."""
    tensors, out = {}, {"base": {}, "adapter": {}}
    count = sum(reference.trained(row) for row in rows)
    exact_logits, error = {}, {}

    def forward(model, kind):
        with torch.no_grad():
            for n, row in enumerate(rows):
                tensors[f"logits.{kind}.row{n}"] = reference.logits(model, row["input_ids"])
            out[kind]["loss_f32"] = reference.loss(model, rows).item()

    def forward64(model, kind):
        with torch.no_grad(), reference.Float64(), reference.NoFloat32():
            exact_logits[kind] = [reference.logits(model, row["input_ids"]) for row in rows]
            sums = [reference.loss_sum_of(scores, row["labels"]).item() for scores, row in zip(exact_logits[kind], rows)]
        out[kind] |= {"loss": sum(sums) / count, "row_loss_sums": sums}

    # float32
    base = load(reference_folder)
    forward(base, "base")
    with torch.no_grad():
        states = base(input_ids=torch.tensor([rows[1]["input_ids"]]), use_cache=False, output_hidden_states=True).hidden_states
    for n, state in enumerate(states):
        tensors[f"hidden.base.row1.{n}"] = state[0]
    model = with_adapter(base, folder / "adapter")
    forward(model, "adapter")
    out["greedy"] = find_generation(case, model)
    _, grads32 = reference.gradients(model, rows)

    # float64
    base = load(reference_folder).double()
    forward64(base, "base")
    model = with_adapter(load(reference_folder), folder / "adapter").double()
    forward64(model, "adapter")
    with reference.Float64():
        _, grads = reference.gradients(model, rows)
    out["adapter"]["grad_norm"] = sum(g.square().sum() for g in grads.values()).sqrt().item()
    for name, g in sorted(grads.items()):
        tensors[f"grad.{saved_name(name)}"] = g.float()

    # training, from init/
    def beginning():
        return started(case, reference_folder, folder) if case.start else with_adapter(load(reference_folder), folder / "init")

    model = beginning()
    steps32, _ = reference.train(model, rows, case.lr)
    last32 = {n: p.detach() for n, p in reference.trainable(model).items()}
    model = beginning().double()
    with reference.Float64():
        steps, final_loss = reference.train(model, rows, case.lr)
    last = {n: p.detach() for n, p in reference.trainable(model).items()}
    out["train"] = {"optimizer": "AdamW", "lr": case.lr, "betas": reference.BETAS, "eps": reference.EPS,
                    "weight_decay": reference.DECAY, "max_grad_norm": reference.CLIP, "schedule": "cosine",
                    "warmup_steps": reference.WARMUP, "total_steps": reference.STEPS, "steps": steps, "final_loss": final_loss}
    if case.start:
        out["train"]["init_lora_weights"] = case.start
    save_adapter(model.float(), folder / "final", case, raw_start(folder) if case.start else None)
    shutil.rmtree(raw_start(folder), ignore_errors=True)

    # merged
    if case.merged:
        model = with_adapter(load(reference_folder), folder / "adapter", train=False).merge_and_unload()
        merged = model.to(getattr(torch, case.dtype))
        merged.save_pretrained(folder / "merged")
        (folder / "merged" / "generation_config.json").unlink(missing_ok=True)
        (folder / "merged" / "config.json").unlink()
        shutil.copy(reference_folder / "config.json", folder / "merged")
        if case.grow:
            config = json.loads((folder / "config.json").read_text())
            write_json(folder / "merged" / "config.json", config | {"vocab_size": config["vocab_size"] + case.grow})
        with torch.no_grad():
            out["merged"] = {"loss_f32": reference.loss(load(folder / "merged"), rows).item()}

    if case.dtype == "bfloat16":
        with torch.no_grad():
            low = load(reference_folder, dtype=torch.bfloat16)
            sums = [reference.loss_sum_of(reference.logits(low, row["input_ids"]).float(), row["labels"]).item() for row in rows]
        out["base"]["loss_computed_in_bf16"] = sum(sums) / count

    logit_error = {kind: max((tensors[f"logits.{kind}.row{n}"].double() - exact).abs().max().item()
                             for n, exact in enumerate(exact_logits[kind])) for kind in exact_logits}
    error["max_abs_logits"] = max(logit_error.values())
    error["loss"] = max(abs(out[k]["loss_f32"] - out[k]["loss"]) for k in ("base", "adapter"))
    error["max_rel_grad"] = max(relative(grads32[n], grads[n]) for n in grads)
    error["train_loss"] = max(abs(a["loss"] - b["loss"]) for a, b in zip(steps32, steps))
    error["train_rel_grad_norm"] = max(abs(a["grad_norm"] / b["grad_norm"] - 1) for a, b in zip(steps32, steps))
    error["final_max_abs"] = max((last32[n].double() - last[n]).abs().max().item() for n in last)
    out["f32_error"] = error
    return tensors, out


def find_generation(case, model):
    """Greedy continuations of five ids, chosen so that they never come near a tie."""
    draw, best = generator(case, "prompt"), None
    for _ in range(12):
        prompt = torch.randint(tokens.size_for(case), (5,), generator=draw).tolist()
        ids, lead = reference.greedy(model, prompt)
        with model.disable_adapter():
            base_ids, base_lead = reference.greedy(model, prompt)
        if best is None or min(lead, base_lead) > best["smallest_lead"]:
            best = {"prompt": prompt, "base": base_ids, "adapter": ids, "smallest_lead": min(lead, base_lead)}
        if best["smallest_lead"] > 0.02:
            break
    return best


def losses_and_logits(model, rows, leaking=False):
    """The loss and all logits, the rows apart or, for the mistake of that name, as one sequence."""
    with torch.no_grad():
        if leaking:
            scores = reference.logits(model, [i for row in rows for i in row["input_ids"]])
            scores = scores.split([len(row["input_ids"]) for row in rows])
        else:
            scores = [reference.logits(model, row["input_ids"]) for row in rows]
        total = sum(reference.loss_sum_of(s, row["labels"]) for s, row in zip(scores, rows))
        return total.item() / sum(reference.trained(row) for row in rows), torch.cat(scores)


def sensitivity(case, folder, reference_folder, rows):
    """How much each plausible mistake moves the loss and the logits; whether the loss tells them all."""
    base = load(reference_folder)
    right = {"base": losses_and_logits(base, rows)}
    right["adapter"] = losses_and_logits(with_adapter(base, folder / "adapter"), rows)
    moved, visible = {}, True
    for name, wrong in case.wrongs().items():
        config = AutoConfig.from_pretrained(reference_folder)
        for key, value in (wrong.config or {}).items():
            setattr(config.get_text_config(), key, copy.deepcopy(value))
        model, kind, undo = load(reference_folder, config), "base", None
        if wrong.lora is not None:
            kind, lora = "adapter", LoraConfig.from_pretrained(folder / "adapter")
            for key, value in wrong.lora.items():
                setattr(lora, key, lora.r if value is None else value)
            if "rank_pattern" in case.lora and wrong.lora.get("lora_alpha", 0) is None:
                lora.alpha_pattern = dict(lora.rank_pattern)
            model = with_adapter(model, folder / "adapter", config=lora)
        if wrong.patch:
            undo = getattr(mistakes, wrong.patch)(model)
        loss, logits = losses_and_logits(model, rows, wrong.patch == "leak")
        if undo:
            undo()
        moved[name] = {"of": kind, "loss": abs(loss - right[kind][0]), "max_abs_logits": (logits - right[kind][1]).abs().max().item()}
        if wrong.visible and not moved[name]["loss"] > VISIBLE:
            visible = False
            print(f"  {case.name}, seed {case.seed}: {name} moves the loss by {moved[name]['loss']:.1e} only", flush=True)
    return moved, visible


# ------------------------------------------------------------------ a case

def make(case, root):
    global growth
    growth, folder = case.grow, root / case.name
    with tempfile.TemporaryDirectory() as temporary:
        for seed in range(10):                              # some draws hide a mistake from the loss by chance
            case = dataclasses.replace(case, seed=seed)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            reference_folder = Path(temporary) if case.gguf else folder
            make_base(case, folder, reference_folder)
            rows = make_batch(case)
            make_adapters(case, reference_folder, folder)
            moved, visible = sensitivity(case, folder, reference_folder, rows)
            if visible:
                break
        else:
            raise SystemExit(f"{case.name}: a mistake stays invisible whatever the seed")
        if case.tokenizer:
            make_texts(case, folder)
        write_json(folder / "batch.json", {"rows": rows, "trained_tokens": sum(reference.trained(r) for r in rows)})
        tensors, numbers = measure(case, folder, reference_folder, rows)
        numbers["sensitivity"] = moved
    save(folder / "expected.safetensors", tensors)
    head = {"case": case.name, "about": case.about, "model": case.model, "command": f"make_golden.py --only {case.name}",
            "made_with": {m.__name__: m.__version__ for m in (torch, transformers, peft, tokenizers, safetensors)},
            "trained_tokens": sum(reference.trained(r) for r in rows)}
    write_json(folder / "expected.json", head | numbers)
    for file in folder.rglob("*"):
        file.chmod(0o755 if file.is_dir() else 0o644)
    first, last = numbers["train"]["steps"][0]["loss"], numbers["train"]["final_loss"]
    size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    print(f"{case.name:24s} {size / 1e6:5.2f} MB  loss {numbers['base']['loss']:.4f} adapter {numbers['adapter']['loss']:.4f} "
          f"train {first:.4f} -> {last:.4f}  logits {numbers['f32_error']['max_abs_logits']:.1e} "
          f"grad {numbers['f32_error']['max_rel_grad']:.1e} final {numbers['f32_error']['final_max_abs']:.1e} "
          f"least sensitive {min((v['loss'], k) for k, v in moved.items())} "
          f"lead {numbers['greedy']['smallest_lead']:.3f}", flush=True)


def make_texts(case, folder):
    with tempfile.TemporaryDirectory() as temporary:
        target = Path(temporary) if case.gguf else folder
        data = tokens.write(case, target)
        if case.gguf:
            shutil.copy(target / "tokenizer.json", folder)
        tokenizer = AutoTokenizer.from_pretrained(target)
        raw = tokenizers.Tokenizer.from_file(str(target / "tokenizer.json"))
        write_json(folder / "text_cases.json", tokens.text_cases(tokenizer, raw, data))
        if case.chat:
            write_json(folder / "chat_cases.json", tokens.chat_cases(tokenizer, case.chat))


# ------------------------------------------------------------------ checking what is there

def check(case, root):
    global growth
    growth, folder = case.grow, root / case.name
    expected = json.loads((folder / "expected.json").read_text())
    rows = json.loads((folder / "batch.json").read_text())["rows"]

    def base():
        if case.gguf:
            return AutoModelForCausalLM.from_pretrained(folder, gguf_file="model.gguf", dtype=torch.float32,
                                                        attn_implementation="eager").eval()
        return load(folder)

    def loss64(model):
        with torch.no_grad(), reference.Float64():
            return reference.loss(model.double(), rows).item()

    differences = {"base": loss64(base()) - expected["base"]["loss"],
                   "adapter": loss64(with_adapter(base(), folder / "adapter")) - expected["adapter"]["loss"],
                   "init": loss64(with_adapter(base(), folder / "init")) - expected["train"]["steps"][0]["loss"],
                   "final": loss64(with_adapter(base(), folder / "final")) - expected["train"]["final_loss"]}
    limit = dict.fromkeys(differences, 1e-6)
    if case.merged:
        differences["merged"] = loss64(load(folder / "merged")) - expected["adapter"]["loss"]
        limit["merged"] = {"float32": 1e-5, "bfloat16": 0.05, "float16": 0.01}[case.dtype]
    bad = {k: v for k, v in differences.items() if not abs(v) < limit[k]}
    print(f"{case.name:24s} " + " ".join(f"{k} {v:+.1e}" for k, v in differences.items()) + ("  BAD" if bad else ""), flush=True)
    return not bad


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="comma-separated case names; dequant for the block vectors")
    parser.add_argument("--check", action="store_true", help="recompute the losses of what is there")
    parser.add_argument("--out", type=Path, default=HERE.parent / "data")
    options = parser.parse_args()
    roots = {cases.SHARED: options.out}
    chosen = options.only.split(",") if options.only else [c.name for c in cases.CASES] + ["dequant"]
    unknown = set(chosen) - {c.name for c in cases.CASES} - {"dequant"}
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    good = True
    for case in cases.CASES:
        if case.name in chosen:
            if options.check:
                good &= check(case, roots[case.where])
            else:
                make(case, roots[case.where])
    if "dequant" in chosen and not options.check:
        for n, root in enumerate(roots.values()):
            (root / "dequant").mkdir(parents=True, exist_ok=True)
            gguf_files.write_vectors(root / "dequant", 100 + n, lambda p, t: save_numpy(t, p, metadata={"format": "pt"}))
            print("dequant", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
