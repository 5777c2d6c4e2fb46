"""Makes quant.bin and nf4.bin, which tests/unit/quant.c and nf4.c read.

usage: make_quant.py LIBGGML_BASE
LIBGGML_BASE: libggml-base.so of a build of ggml for plain x86-64, that is without fused multiply-add
(the npm package @node-llama-cpp/linux-x64 holds one). Needs numpy, gguf, torch, bitsandbytes.

quant.bin: one input of ROWS x 256 f32, then for each type of TYPES 4 blocks of random bytes, their
values as f32, and, where the type is written, the input's bytes. Values come from ggml and are held
against gguf-py's where that decodes the type.
nf4.bin: a matrix of 96 x 256 f16; bitsandbytes' code of every element, a byte for two of them; its
f32 scale of each 64 elements, plain and doubly quantized; the 256 values of the dynamic map, f32.
"""
import ctypes
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
ROWS, BLOCKS = 24, 4
# name, GGUF id, where an f16 scale lies, is written
TYPES = [
    ("q4_0", 2, [0], True), ("q4_1", 3, [0, 2], True), ("q5_0", 6, [0], True),
    ("q5_1", 7, [0, 2], True), ("q8_0", 8, [0], True), ("q2_K", 10, [80, 82], True),
    ("q3_K", 11, [108], True), ("q4_K", 12, [0, 2], True), ("q5_K", 13, [0, 2], True),
    ("q6_K", 14, [208], True), ("q8_K", 15, [], False), ("q1_0", 41, [0], False),
    ("q2_0", 42, [0], False), ("tq1_0", 34, [52], True), ("tq2_0", 35, [64], True),
    ("iq1_s", 19, [0], False), ("iq1_m", 29, [], False), ("iq2_xxs", 16, [0], False),
    ("iq2_xs", 17, [0], False), ("iq2_s", 22, [0], False), ("iq3_xxs", 18, [0], False),
    ("iq3_s", 21, [0], False), ("iq4_nl", 20, [0], True), ("iq4_xs", 23, [0], True),
    ("mxfp4", 39, [], True), ("nvfp4", 40, [], False),
]


def pointer(a):
    return a.ctypes.data_as(ctypes.c_void_p)


def rows(rng):
    """What weights look like, and what they seldom do: heavy tails, one sign, zeros, few levels."""
    x = rng.standard_normal((ROWS, 256)) * 0.05
    x[3:6] = rng.laplace(size=(3, 256)) * 0.02
    x[6:8] *= rng.random((2, 256)) < 0.1
    x[8:10] = rng.uniform(0.1, 0.3, (2, 256))
    x[10:13] *= np.exp(rng.standard_normal((3, 256)) * 3)
    x[13] = 0
    x[14] = rng.integers(-3, 4, 256) * 0.01
    x[15] = 0.25
    x[16, :128] = 0
    x[17:20] *= 1e-6
    return np.ascontiguousarray(x, np.float32)


def random_blocks(rng, name, size, scales):
    b = rng.integers(0, 256, (BLOCKS, size), dtype=np.uint8)
    d = (rng.standard_normal((BLOCKS, 4)) * 0.05).astype(np.float16)
    for i, at in enumerate(scales):
        b[:, at:at + 2] = d[:, i:i + 1].view(np.uint8)
    if name == "q8_K":
        b[:, :4] = d[:, :1].astype(np.float32).view(np.uint8)
    if name == "iq1_m":
        h = d[:, 0].view(np.uint16)
        for i in range(4):
            b[:, 49 + 2 * i] = b[:, 49 + 2 * i] & 15 | (h >> 4 * i & 15).astype(np.uint8) << 4
    if name == "mxfp4":
        b[:, 0] = [0, 1, 2, 121]
    if name == "nvfp4":
        b[0, :4], b[1, :4] = [0, 1, 7, 8], [0x7E, 0x7F, 0x40, 0x15]
        b[2:, :4] &= 0x7F
    return b


def quant(lib):
    import gguf

    rng = np.random.default_rng(5)
    x = rows(rng)
    lib.ggml_blck_size.restype = ctypes.c_int64
    lib.ggml_type_size.restype = ctypes.c_size_t
    out = [x.tobytes()]
    for name, id, scales, written in TYPES:
        n, size = lib.ggml_blck_size(id) * BLOCKS, lib.ggml_type_size(id)
        b, values = random_blocks(rng, name, size, scales), np.zeros(n, np.float32)
        getattr(lib, "dequantize_row_" + name)(pointer(b), pointer(values), ctypes.c_int64(n))
        if name not in ("q8_K", "q1_0", "q2_0"):
            other = gguf.quants.dequantize(b, gguf.GGMLQuantizationType(id)).ravel()
            assert np.array_equal(other, values), name
        out += [b.tobytes(), values.tobytes()]
        if written:
            made = np.zeros(x.size // lib.ggml_blck_size(id) * size, np.uint8)
            lib.ggml_quantize_chunk(id, pointer(x), pointer(made), ctypes.c_int64(0),
                                    ctypes.c_int64(ROWS), ctypes.c_int64(256), None)
            out.append(made.tobytes())
    (HERE / "quant.bin").write_bytes(b"".join(out))


def nf4():
    """bitsandbytes on the CPU finds the 8-bit code of a scale through a coarse table and is one off
    now and then, and its mean is a sum in f32; the seed is one where neither shows."""
    import torch
    from bitsandbytes import functional as F

    for seed in range(1000):
        torch.manual_seed(seed)
        w = torch.randn(96, 256) * torch.rand(96, 1) * 0.1
        w[5, :64] = 0
        w = w.half()
        q, plain = F.quantize_4bit(w.float(), quant_type="nf4")
        _, twice = F.quantize_4bit(w.float(), quant_type="nf4", compress_statistics=True)
        m = plain.absmax
        if m.double().mean().float() != twice.offset:
            continue
        left = torch.nn.functional.pad(m - twice.offset, (0, -len(m) % 256)).view(-1, 256)
        x = left * (1 / left.abs().max(1, keepdim=True)[0])
        near = torch.argmin((x.unsqueeze(-1).double() - twice.state2.code.double()).abs(), -1)
        if torch.equal(near.flatten()[:len(m)].to(torch.uint8), twice.absmax):
            break
    scales = F.dequantize_blockwise(twice.absmax, twice.state2) + twice.offset
    code = torch.stack([q.flatten() >> 4, q.flatten() & 15], 1).flatten().long()
    for state, s in ((plain, m), (twice, scales)):
        want = plain.code[code].view(-1, 64) * s.view(-1, 1)
        assert torch.equal(F.dequantize_4bit(q, state).view(-1, 64), want)
    print("seed", seed)
    parts = (w, q.flatten(), m, scales, twice.state2.code)
    (HERE / "nf4.bin").write_bytes(b"".join(p.contiguous().numpy().tobytes() for p in parts))


if __name__ == "__main__":
    quant(ctypes.CDLL(sys.argv[1]))
    nf4()
