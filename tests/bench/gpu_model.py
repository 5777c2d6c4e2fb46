"""docs/gpu-model.md: the least time that each kernel of a LoRA step can take on a GPU.

usage: gpu_model.py > docs/gpu-model.md
"""
from shapes import SHAPES, linears

# Dense bf16 products with f32 sums, TFLOP/s; memory, GB/s; by NVIDIA's data sheets.
CARDS = [
    ("A100 SXM 80 GB", 312, 2039, "A100 data sheet"),
    ("H100 SXM", 989, 3350, "H100 data sheet, half of the figure with sparsity"),
    ("H200 SXM", 989, 4800, "H200 data sheet, likewise"),
    ("RTX 4090", 165.2, 1008, "Ada architecture white paper"),
    ("B200", 2250, 8000, "DGX B200 data sheet, an eighth, half of the figure with sparsity"),
]
RANK, CHUNK, E = 16, 512, 2  # rank; rows of the head at once; bytes of bf16


def product(m, n, k, out=E, add=False):
    """FLOP and bytes of C(m, n) = A B, read and written once."""
    return 2 * m * n * k, E * (m * k + k * n) + out * m * n * (2 if add else 1)


def step(s, t):
    """[(kernel, launches, FLOP, bytes)] of a step on one row of t tokens; every token is trained."""
    rows = {}

    def put(name, launches, work, times=1):
        n, flop, moved = rows.get(name, (0, 0, 0))
        rows[name] = (n + launches * times, flop + work[0] * times, moved + work[1] * times)

    d, q, k, f, layers = s.width, s.heads * s.head, s.kv_heads * s.head, s.ff, s.layers
    adapters = 0
    for _, n_in, n_out in linears(s):
        adapters += layers * RANK * (n_in + n_out)
        put("linear, frozen weights, forward", 1, product(t, n_out, n_in), layers)
        put("linear, frozen weights, backward", 1, product(t, n_in, n_out, add=True), layers)
        put("linear, adapters, forward", 1, product(t, RANK, n_in), layers)
        put("linear, adapters, forward", 1, product(t, n_out, RANK, add=True), layers)
        for work in (product(t, RANK, n_out), product(t, n_in, RANK, add=True),
                     product(RANK, n_in, t, 4, True), product(n_out, RANK, t, 4, True)):
            put("linear, adapters, backward", 1, work, layers)
    pair = 2 * q * t * t // 2  # FLOP of one causal T x T product over all heads
    put("attention, forward", 1, (2 * pair, E * t * (2 * q + 2 * k) + 4 * t * s.heads), layers)
    # dQ: S, dP, dQ; dK and dV: S, dP, dV, dK
    put("attention, backward", 3, (7 * pair, E * t * (7 * q + 6 * k) + 12 * t * s.heads), layers)
    put("rmsnorm, forward", 1, (0, E * 2 * t * d), 2 * layers + 1)
    put("rmsnorm, backward", 1, (0, E * 4 * t * d), 2 * layers + 1)
    put("add", 1, (0, E * 3 * t * d), 2 * layers)
    put("rope, both ways", 4, (0, 2 * (E * 2 * t * (q + k) + 8 * t * s.head)), layers)
    put("swiglu, forward", 1, (0, E * 3 * t * f), layers)
    put("swiglu, backward", 1, (0, E * 5 * t * f), layers)
    put("embed", 1, (0, E * 2 * t * d))
    for _ in range(t // CHUNK):
        put("head and loss", 4, (0, 2 * E * CHUNK * d))
        put("head and loss", 1, product(CHUNK, s.vocabulary, d, 4))
        put("head and loss", 1, (0, CHUNK * s.vocabulary * (2 * 4 + E)))  # two readings, one writing
        put("head and loss", 1, product(CHUNK, d, s.vocabulary))
    put("clip and AdamW", 3, (0, adapters * (4 + 16 + 12 + E)))
    return [(name, *row) for name, row in rows.items()]


def milliseconds(flop, moved, card):
    return 1e3 * max(flop / (card[1] * 1e12), moved / (card[2] * 1e9))


def table(name, t):
    s = SHAPES[name]
    rows = step(s, t)
    print(f"\n## {name}, {t} tokens\n")
    print("| ms | launches | GFLOP | MB | " + " | ".join(c[0] for c in CARDS) + " |")
    print("|---|---|---|---|" + "---|" * len(CARDS))
    for kernel, launches, flop, moved in rows:
        times = " | ".join(f"{milliseconds(flop, moved, c):.3f}" for c in CARDS)
        print(f"| {kernel} | {launches} | {flop / 1e9:.0f} | {moved / 1e6:.0f} | {times} |")
    sums = [sum(milliseconds(r[2], r[3], c) for r in rows) for c in CARDS]
    launches = sum(r[1] for r in rows)
    print(f"| sum | {launches} | {sum(r[2] for r in rows) / 1e9:.0f} | {sum(r[3] for r in rows) / 1e6:.0f} | " +
          " | ".join(f"{x:.2f}" for x in sums) + " |")
    print("| tokens/s at most | | | | " + " | ".join(f"{t / x * 1e3:.0f}" for x in sums) + " |")


print("""# What a GPU could do at best

Written by `tests/bench/gpu_model.py`; nothing here was measured. For each kernel of a LoRA step: its FLOP and
the bytes that it must move, over what the card can do; the larger of the two times. One row of T tokens, all
of them trained, r 16 on all linear layers, bf16, everything kept for backward. A measured step is slower;
`docs/gpu-results.md` is where it stands beside this.

Limits, from NVIDIA's data sheets (dense bf16 products summed in f32; memory):

| card | TFLOP/s | GB/s | source |
|---|---|---|---|""")
for card in CARDS:
    print(f"| {card[0]} | {card[1]:g} | {card[2]} | {card[3]} |")
print("""
Counted as the kernels are today: a product for each of q, k, v, gate and up; an adapter is two thin products
forward and four backward, each of which reads or writes the activations once more; attention's backward makes
the scores twice (seven products of T x T, not five). Operands are read once and results written once. The
head goes through the vocabulary in chunks of 512 rows and reads its weights twice for each.

Not modelled:

- Launches. A step is recorded once as a CUDA graph and replayed; a node still costs one to two microseconds
  on the device, which is most of the time of SmolLM2-135M on a fast card: multiply the launches of its table.
- What data sheets leave out: large products reach 75 to 85 % of the figure at the clock that the card
  holds, thin ones far less; memory gives about 90 %. Attention here uses `mma`, which on Hopper reaches
  about six tenths of what its own `wgmma` does, and on B200 less than that of `tcgen05`.
- Tiles that do not fill the card (T = 2048 on narrow layers), and results still in the L2 cache, which make
  small kernels faster than the bytes say.
- Weights that are stored quantized: a panel is decoded to bf16 before its product, in each pass, 2 bytes
  written and read for each weight.
- Whether it fits: `lorikeet plan` says that to the byte, for a card that is not there too.
- Uploading a batch and reading the loss, which happen beside the step.""")
for name in ("SmolLM2-135M", "Llama-3.2-1B", "Llama-3.1-8B"):
    for t in (2048, 8192):
        table(name, t)
