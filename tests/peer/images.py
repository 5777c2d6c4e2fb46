"""LoRA files merged into image models, beside diffusers.

usage: images.py make DIR     small models in the layouts of diffusers and of the original, LoRA files in each manner
       images.py check DIR    what `lorikeet merge` made of them (tests/peer/images.sh) against diffusers

Names of the original come from diffusers' own conversion: a checkpoint of numbered tensors goes through it, and
the numbers say which name became which.
"""
import sys

import torch
from diffusers import UNet2DConditionModel
from diffusers.loaders import StableDiffusionLoraLoaderMixin as Loader
from diffusers.loaders.single_file_utils import DIFFUSERS_TO_LDM_MAPPING, convert_ldm_unet_checkpoint, convert_open_clip_checkpoint
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

torch.set_num_threads(1)
FIRST, OPEN_CLIP = "conditioner.embedders.0.transformer.", "conditioner.embedders.1.model."
UNET, TEXT, VAE = "model.diffusion_model.", "cond_stage_model.transformer.", "first_stage_model."
RANK = 4


def unet():
    torch.manual_seed(1)
    return UNet2DConditionModel(sample_size=8, in_channels=4, out_channels=4, layers_per_block=2,
                                block_out_channels=(32, 64, 64, 64), cross_attention_dim=32, attention_head_dim=8,
                                norm_num_groups=8)


def text_encoder():
    torch.manual_seed(2)
    return CLIPTextModel(CLIPTextConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
                                        num_attention_heads=4, max_position_embeddings=16))


def originals(model):
    """The original's name of each tensor of the U-Net."""
    residual = ["in_layers.0", "in_layers.2", "emb_layers.1", "out_layers.0", "out_layers.3", "skip_connection"]
    attention = ["norm", "proj_in", "proj_out"] + ["transformer_blocks.0." + x for x in (
        ["norm1", "norm2", "norm3", "ff.net.0.proj", "ff.net.2"] +
        [a + "." + b for a in ("attn1", "attn2") for b in ("to_q", "to_k", "to_v", "to_out.0")])]
    names = ["input_blocks.0.0", "time_embed.0", "time_embed.2", "out.0", "out.2"]
    for i in range(12):
        for kind in "input_blocks", "output_blocks":
            names += [f"{kind}.{i}.0.{r}" for r in residual] + [f"{kind}.{i}.1.{a}" for a in attention]
    names += [f"input_blocks.{i}.0.op" for i in (3, 6, 9)]
    names += ["output_blocks.2.1.conv", "output_blocks.5.2.conv", "output_blocks.8.2.conv"]
    names += [f"middle_block.{i}.{r}" for i in (0, 2) for r in residual] + [f"middle_block.1.{a}" for a in attention]
    names = [n + end for n in names for end in (".weight", ".bias")]
    numbered = {UNET + n: torch.tensor([float(i)]) for i, n in enumerate(names)}
    became = convert_ldm_unet_checkpoint(numbered, dict(model.config))
    back = {k: names[int(v)] for k, v in became.items()}
    return {k: back[k] for k in model.state_dict()}


def modules(model):
    """Linear layers and convolutions of every kind of place, the middle block's too."""
    wanted = ("attn1.to_q", "attn2.to_out.0", "ff.net.0.proj", "proj_in", "conv1", "conv2", "time_emb_proj", "conv_shortcut",
              "downsamplers.0.conv", "upsamplers.0.conv")
    return [n for n, m in model.named_modules()
            if isinstance(m, (torch.nn.Linear, torch.nn.Conv2d)) and n.endswith(wanted)]


def open_clip(text):
    """The text encoder as OpenCLIP lays it out, of all tensors that both have."""
    out = {}
    for k, v in text.items():
        if not k.startswith("text_model.encoder."):
            continue
        for ours, theirs in DIFFUSERS_TO_LDM_MAPPING["openclip"]["transformer"].items():
            k = k.replace(ours, theirs)
        out[OPEN_CLIP + "transformer." + k] = v
    for k in [k for k in out if ".q_proj." in k]:
        end = k.rsplit(".", 1)[1]
        parts = [out.pop(k.replace(".q_proj.", f".{x}_proj.")) for x in "qkv"]
        out[k.rsplit(".q_proj.", 1)[0] + ".in_proj_" + end] = torch.cat(parts)
    return out


def factors(weight, seed):
    torch.manual_seed(seed)
    down = torch.randn(RANK, *weight.shape[1:]) * 0.1
    up = torch.randn(weight.shape[0], RANK, *([1] * (weight.dim() - 2))) * 0.1
    return down, up


def make(dir):
    u, t = unet(), text_encoder()
    names = originals(u)
    text = {"text_model." + k.removeprefix("text_model."): v for k, v in t.state_dict().items()}
    kohya, numbers, dotted, plain = {}, {}, {}, {}
    for i, n in enumerate(modules(u)):
        w = u.get_submodule(n).weight
        down, up = factors(w, i)
        alpha = torch.tensor(float(1 + i % 5))
        for prefix, file in (("lora_unet_" + n.replace(".", "_"), kohya),
                             ("lora_unet_" + names[n + ".weight"].removesuffix(".weight").replace(".", "_"), numbers)):
            file.update({prefix + ".lora_down.weight": down, prefix + ".lora_up.weight": up, prefix + ".alpha": alpha})
        key = "lora_unet_" + n.replace(".", "_")
        plain.update({key + ".lora_down.weight": down, key + ".lora_up.weight": up, key + ".alpha": torch.tensor(float(RANK))})
        if w.dim() == 2:
            off = 0.0 if "mid_block" in n else 1.0  # a trainer may switch a part off: the rest merges
            dotted.update({f"unet.{n}.lora_A.weight": down, f"unet.{n}.lora_B.weight": off * up})
    for n, m in t.named_modules():
        if n.endswith(("q_proj", "fc1")):
            n = "text_model." + n.removeprefix("text_model.")
            down, up = factors(m.weight, len(n))
            key = "lora_te_" + n.replace(".", "_")
            kohya.update({key + ".lora_down.weight": down, key + ".lora_up.weight": up, key + ".alpha": torch.tensor(2.0)})
    # the second text encoder of XL: queries, values and the rest of one, keys left out
    second = {}
    for n, m in t.named_modules():
        if n.endswith(("q_proj", "v_proj", "out_proj", "fc1", "fc2")):
            down, up = factors(m.weight, 100 + len(second))
            key = "lora_te2_text_model." + n.removeprefix("text_model.")
            key = key.replace(".", "_")
            second.update({key + ".lora_down.weight": down, key + ".lora_up.weight": up, key + ".alpha": torch.tensor(3.0)})
    save_file({k: v.contiguous() for k, v in second.items()}, f"{dir}/second.safetensors")
    first = {FIRST + k: v.clone() for k, v in text.items()}  # which has the names that the adapter has for the second one
    save_file({**first, **open_clip(text), OPEN_CLIP + "token_embedding.weight": torch.randn(8, 4)}, f"{dir}/xl.safetensors")
    w = u.down_blocks[0].resnets[0].conv1.weight
    torch.manual_seed(9)
    key = "lora_unet_down_blocks_0_resnets_0_conv1"
    middle = {key + ".lora_down.weight": torch.randn(RANK, w.shape[1], 1, 1) * 0.1,
              key + ".lora_mid.weight": torch.randn(RANK, RANK, 3, 3) * 0.1,
              key + ".lora_up.weight": torch.randn(w.shape[0], RANK, 1, 1) * 0.1, key + ".alpha": torch.tensor(3.0)}
    save_file(u.state_dict(), f"{dir}/unet.safetensors")
    save_file(text, f"{dir}/text.safetensors")
    whole = {UNET + names[k]: v.half() for k, v in u.state_dict().items()}
    whole.update({TEXT + k: v.half() for k, v in text.items()})
    whole.update({TEXT + "text_model.embeddings.position_ids": torch.arange(16)[None], VAE + "x.weight": torch.randn(3, 5)})
    save_file(whole, f"{dir}/whole.safetensors", {"modelspec.title": "tiny"})
    for name, file in (("kohya", kohya), ("numbers", numbers), ("middle", middle), ("dotted", dotted), ("plain", plain)):
        save_file({k: v.contiguous() for k, v in file.items()}, f"{dir}/{name}.safetensors")


def fused(dir, file):
    model = unet()
    state, alphas = Loader.lora_state_dict(f"{dir}/{file}.safetensors")
    state = {k: v for k, v in state.items() if k.startswith("unet.")}
    Loader.load_lora_into_unet(state, alphas, model)
    model.fuse_lora()
    model.unload_lora()
    return model.state_dict()


def computed(dir, file):
    """The formula. diffusers drops alpha where it renames a module of attention, and says so in a warning."""
    state, lora = unet().state_dict(), load_file(f"{dir}/{file}.safetensors")
    for n in modules(unet()):
        down, up, alpha = (lora["lora_unet_" + n.replace(".", "_") + "." + x]
                           for x in ("lora_down.weight", "lora_up.weight", "alpha"))
        delta = up.flatten(1) @ down.flatten(1) * (alpha / RANK)
        state[n + ".weight"] = state[n + ".weight"] + delta.reshape(state[n + ".weight"].shape)
    return state


def same(what, got, want, tolerance):
    worst = 0.0
    assert set(got) == set(want), (what, sorted(set(got) ^ set(want))[:5])
    for k, v in want.items():
        worst = max(worst, ((got[k].float() - v.float()).abs() / (1 + v.float().abs())).max().item())
    print(f"{what}: {len(want)} tensors, largest difference {worst:.3g}")
    assert worst <= tolerance, what


def check(dir):
    base, names = unet().state_dict(), originals(unet())
    want = computed(dir, "kohya")
    changed = sum(not torch.equal(want[k], base[k]) for k in want)
    assert changed == len(modules(unet())), changed
    got = load_file(f"{dir}/unet-kohya.safetensors")
    same("kohya's names, diffusers' layout", got, want, 1e-6)
    same("the original's names, diffusers' layout", load_file(f"{dir}/unet-numbers.safetensors"), got, 0)
    same("kohya's names, alpha the rank", load_file(f"{dir}/unet-plain.safetensors"), fused(dir, "plain"), 1e-6)
    same("diffusers' names", load_file(f"{dir}/unet-dotted.safetensors"), fused(dir, "dotted"), 1e-6)
    whole = load_file(f"{dir}/whole-kohya.safetensors")
    # one rounding to f16: half a unit in the last place of numbers below 4
    same("one file of the original", {k: whole[UNET + names[k]] for k in want}, want, 2 ** -11)
    half = load_file(f"{dir}/whole.safetensors")
    text = load_file(f"{dir}/text-kohya.safetensors")
    same("the text encoder in it", {k: whole[TEXT + k] for k in text}, text, 2 ** -11)
    plain = load_file(f"{dir}/text.safetensors")
    moved = [k for k in plain if not torch.equal(plain[k], text[k])]
    assert len(moved) == 4, moved
    for key in (VAE + "x.weight", TEXT + "text_model.embeddings.position_ids"):
        assert torch.equal(whole[key], half[key]), key
    parts = load_file(f"{dir}/text-second.safetensors")
    both = load_file(f"{dir}/xl-second.safetensors")
    assert all(torch.equal(v, plain[k.removeprefix(FIRST)]) for k, v in both.items() if k.startswith(FIRST))
    xl = convert_open_clip_checkpoint(text_encoder(), both, OPEN_CLIP)
    xl = {"text_model." + k.removeprefix("text_model."): v for k, v in xl.items() if ".layers." in k}
    # a product with zeros in it, and scale in B: a rounding each of sums of 4 terms below 1
    same("OpenCLIP's layout", xl, {k: v for k, v in parts.items() if ".layers." in k}, 1e-6)
    moved = [k for k in xl if not torch.equal(plain[k], xl[k])]
    assert len(moved) == 10, moved
    # three convolutions one after the other are one with the merged difference
    f = load_file(f"{dir}/middle.safetensors")
    down, mid, up = (f[f"lora_unet_down_blocks_0_resnets_0_conv1.lora_{x}.weight"] for x in ("down", "mid", "up"))
    merged = load_file(f"{dir}/unet-middle.safetensors")["down_blocks.0.resnets.0.conv1.weight"]
    x = torch.randn(1, down.shape[1], 9, 9)
    conv = torch.nn.functional.conv2d
    chain = conv(conv(conv(x, down), mid, padding=1), up) * 3.0 / RANK
    difference = conv(x, merged - base["down_blocks.0.resnets.0.conv1.weight"], padding=1)
    error = (chain - difference).abs().max().item()
    print(f"a middle factor: largest difference {error:.3g}")
    assert error < 1e-5 * chain.abs().max().item() + 1e-5


globals()[sys.argv[1]](sys.argv[2])
