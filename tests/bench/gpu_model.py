"""docs/gpu-model.md: the least time that each kernel of a LoRA step can take on a GPU.

usage: gpu_model.py > docs/gpu-model.md
"""
from shapes import SHAPES, linears

# Dense bf16 products with f32 sums, TFLOP/s; memory, GB/s; where both stand.
CARDS = [
    ("A100 SXM 80 GB", 312, 2039, "[1](https://glennklockwood.com/garden/processors/A100), after NVIDIA's data sheet; "
     "[2](https://www.thundercompute.com/blog/nvidia-a100-specs-full-guide) for memory"),
    ("H100 SXM", 989, 3350, "[1](https://glennklockwood.com/garden/processors/h100), "
     "[2](https://www.codesota.com/hardware/h100); half of the figure with sparsity"),
    ("H200 SXM", 989, 4800, "[1](https://glennklockwood.com/garden/processors/h100): products as the H100; "
     "[2](https://www.saulelectric.com/nvidia-h200.html) for memory"),
    ("RTX 4090", 165.2, 1008, "[1](https://waredb.com/processor/nvidia-geforce-rtx-4090)"),
    ("B200", 2250, 8000, "[1](https://glennklockwood.com/garden/processors/B200), on the HGX board at 1000 W; "
     "[2](https://hmc-tech.com/gpus/nvidia-b200-vs-nvidia-b100) has 7700 GB/s"),
]
RANK, CHUNK, E = 16, 512, 2  # rank; rows of the head at once; bytes of bf16
BORDER, CACHED = 64, 25e6  # depth of a product's tile; bytes that stay in the L2 cache of an H100
PASS = 128  # columns of dY that a block of one_pass has
MODELS, LENGTHS = ("SmolLM2-135M", "Llama-3.2-1B", "Llama-3.1-8B"), (2048, 8192)


def product(m, n, k, out=E, add=False):
    """FLOP and bytes of C(m, n) = A B, read and written once."""
    return 2 * m * n * k, E * (m * k + k * n) + out * m * n * (2 if add else 1)


def tiles(depth):
    """The depth of a product, in whole tiles."""
    return -(-depth // BORDER) * BORDER


def groups(s):
    """(inputs, [outputs]) of the linear layers, those together whose adapters are one op: they read one input."""
    q, k, v, o, gate, up, down = linears(s)
    return [(group[0][1], [n_out for _, _, n_out in group]) for group in ((q, k, v), (o,), (gate, up), (down,))]


def step(s, t):
    """[(kernel, launches, FLOP, bytes)] of a step on one row of t tokens; every token is trained."""
    rows = {}

    def put(name, launches, work, times=1):
        n, flop, moved = rows.get(name, (0, 0, 0))
        rows[name] = (n + launches * times, flop + work[0] * times, moved + work[1] * times)

    d, q, k, f, layers = s.width, s.heads * s.head, s.kv_heads * s.head, s.ff, s.layers
    adapters = 0
    for n_in, outs in groups(s):
        rank = RANK * len(outs)
        put("linear, adapters, forward", 1, product(t, rank, n_in), layers)
        put("linear, adapters, backward", 1, product(rank, n_in, t, 4, True), layers)
        for way, n, k in ("forward", sum(outs), n_in), ("backward", n_in, sum(outs)):
            one = E * t * n > CACHED  # B or A is in the border of the weight
            put(f"linear, frozen weights, {way}", 1, product(t, n, k + one * tiles(rank)), layers)
            if not one:
                put(f"linear, adapters, {way}", 1, product(t, n, rank, add=True), layers)
        for n_out in outs:
            adapters += layers * RANK * (n_in + n_out)
            for work in product(t, RANK, n_out), product(n_out, RANK, t, 4, True):
                put("linear, adapters, backward", 1, work, layers)
    pair = 2 * q * t * t // 2  # FLOP of one causal T x T product over all heads
    put("attention, forward", 1, (2 * pair, E * t * (2 * q + 2 * k) + 4 * t * s.heads), layers)
    # dQ: S, dP, dQ; dK and dV: S, dP, dV, dK
    put("attention, backward", 3, (7 * pair, E * t * (7 * q + 6 * k) + 12 * t * s.heads), layers)
    put("rmsnorm, forward", 1, (0, E * 2 * t * d))
    put("add and rmsnorm, forward", 1, (0, E * 4 * t * d), 2 * layers)
    put("rmsnorm and add, backward", 1, (0, E * 4 * t * d), 2 * layers + 1)
    put("rope, both ways", 2, (0, 2 * (E * 2 * t * (q + k) + 4 * t * s.head)), layers)
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


def bordered(s, t, card, cache):
    """Milliseconds of a step that adapters in the weights' borders save, and those that they cost, where results that
    fit into the cache are left alone."""
    saved = cost = 0.0

    def join(n, k, rank):
        nonlocal saved, cost
        if E * t * n > cache:
            saved += milliseconds(*product(t, n, rank, add=True), card)
            cost += milliseconds(*product(t, n, k + tiles(rank)), card) - milliseconds(*product(t, n, k), card)

    for n_in, outs in groups(s):
        join(sum(outs), n_in, RANK * len(outs))
        join(n_in, sum(outs), RANK * len(outs))
    return s.layers * saved, s.layers * cost


def one_pass(s, t, card, cache):
    """Milliseconds of a step that reading dY once for dS and dB would save, and those of the partial sums, written
    and read once: a block has PASS columns of dY and an eighth of its rows, PASS at least."""
    saved = cost = 0.0
    for _, _, n_out in linears(s):
        if E * t * n_out <= cache:
            continue
        saved += milliseconds(0, E * t * n_out, card)
        blocks_across, blocks_down = -(-n_out // PASS), -(-t // max(PASS, t // 8))
        cost += milliseconds(0, 2 * 4 * RANK * (blocks_across * t + blocks_down * n_out), card)
    return s.layers * saved, s.layers * cost


def compared(what):
    """The rows of a table: what a change saves and costs on the H100, with and without its cache."""
    card = CARDS[1]
    for name in MODELS:
        s = SHAPES[name]
        for t in LENGTHS:
            whole = sum(milliseconds(r[2], r[3], card) for r in step(s, t))
            saved, cost = what(s, t, card, 0)
            cached, there = what(s, t, card, CACHED)
            print(f"| {name} | {t} | {saved:.2f} | {cost:.2f} | {100 * (saved - cost) / whole:.1f} | "
                  f"{100 * (cached - there) / whole:.1f} |")


def one_pass_table():
    print("""
## dS and dB from one reading of dY

dS = s dY B sums over the columns of dY, dB += dY^T S over its rows. A kernel that makes both reads dY once, and each
of its blocks has a part of every sum: what the second reading costs by the bytes, what the parts cost (a block of
128 columns and an eighth of the rows, 256 at least; the parts of two products of their own, which a library may make
too, are not counted), and the difference in per cent of the step, without and with the cache as above.

| model | tokens | saved | cost | of the step, % | with the cache, % |
|---|---|---|---|---|---|""")
    compared(one_pass)
    print("""
The kernel (`kernels/linear/one_reading.h`) runs in bf16 for ranks up to 16, beyond which the parts eat the gain, where
dY is larger than half of the card's second-level cache, and two products where it is not: two launches either way, the
kernel and the fold of its parts. The tables below count two readings. Whether it is as fast as the library's two thin
products, which read at far less than the memory gives, only a card can say: `LRK_GPU_CACHE=BYTES` moves the border, for
a measurement.""")


def bordered_table():
    print("""
## Adapters in the borders of weights

With B beside W and S beside X in memory, Y = [X S] [W B]^T is one product, and so is dX = [dY dS] [W; A]: the
second reading and writing of Y and dX falls away, and the sum grows by a tile of 64. For the H100, in ms of a
step: what that saves by the bytes, what it costs by the FLOP, and the difference in per cent of the step; then
the difference where only results above 25 MB, half of its L2 cache, are made so, as the kernels do: below that the
second reading is likely to be served by the cache, and two products cost less than the tile.

| model | tokens | saved | cost | of the step, % | with the cache, % |
|---|---|---|---|---|---|""")
    compared(bordered)
    print("""
Where it applies (`models/borders.h`): training in bf16 without `lora_dropout`, plain LoRA of ranks that are multiples of
8. Beside weights that are decoded the adapter goes into the panel with them. Norms, attention and SwiGLU leave room behind
the rows of what they make; where those that are cheap to compute again take turns in one place to save memory, forward has
two products again. `LRK_GPU_CACHE=BYTES` moves the border between the two ways, for a measurement.""")


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


def main():
    print("""# What a GPU could do at best

Written by `tests/bench/gpu_model.py`; nothing here was measured. For each kernel of a LoRA step: its FLOP and
the bytes that it must move, over what the card can do; the larger of the two times. One row of T tokens, all
of them trained, r 16 on all linear layers, bf16, everything kept for backward. A measured step is slower;
`docs/gpu-results.md` is where it stands beside this.

Limits (dense bf16 products summed in f32; memory), each looked up where the table says: pages that repeat
NVIDIA's data sheets, not the sheets themselves. None was measured here.

| card | TFLOP/s | GB/s | source |
|---|---|---|---|""")
    for card in CARDS:
        print(f"| {card[0]} | {card[1]:g} | {card[2]} | {card[3]} |")
    print("""
Counted as the kernels are today: q, k and v are columns of one buffer, and so are gate and up: one product makes all,
from weights of one type that lie one below the other (a GGUF file that gives v another type has two), and one their dX;
one launch turns q and k where they lie. An adapter is two thin products
forward and four backward, each of which reads or writes the activations once more; those of q, k and v, and of gate
and up, have the ones with A in common, and the one that adds B. That and the one that adds A are parts of the weight's
product where its result is larger than 25 MB (below: adapters in the borders of weights). Attention's backward makes
the scores twice (seven products of T x T, not five). A residual is added by the norm that reads it, and its
gradient by that norm's backward pass. Operands are read once and results written once. The
head goes through the vocabulary in chunks of 512 rows and reads its weights twice for each.

Not modelled:

- Launches. A step is recorded once, its passes and the optimizer's work as a CUDA graph each, and replayed; a
  node still costs one to two microseconds on the device, which is most of the time of SmolLM2-135M on a fast
  card: multiply the launches of its table.
- What data sheets leave out: large products reach 75 to 85 % of the figure at the clock that the card
  holds, thin ones far less; memory gives about 90 %. Attention here uses `mma`, which on Hopper reaches
  about six tenths of what its own `wgmma` does, and on B200 less than that of `tcgen05`. Rules of thumb, not
  verified.
- Tiles that do not fill the card (T = 2048 on narrow layers), and results still in the L2 cache, which make
  small kernels faster than the bytes say.
- Weights that are stored quantized: a panel is decoded to bf16 before its product, in each pass, 2 bytes
  written and read for each weight.
- A bias, which cuBLASLt adds before it stores. In bf16 it is one in bf16, as in the checkpoints of such models.
- Whether it fits: `lorikeet plan` says that to the byte, for a card that is not there too.
- Uploading a batch and reading the loss, which happen beside the step.
- What fills a run up, so that few shapes are recorded: tokens by up to a sixteenth, the head's rows by up to an eighth
  of the tokens. Of rows of Plume, four a micro-batch: 3 and 10 % more.

## Before the first step

Weights go to the card while tokenizer and rows are read (`base/device.h`, lrk_send_begin): a thread reads the
mapped file into two pinned pieces of 4 MB in turns, a stream of its own takes them up, and the first kernel
waits for an event behind the last. What that saves is the shorter of the two times. Sending takes the bytes
over the slowest of: the disk, where the file is not in the page cache; one thread's copy, about 10 GB/s
(assumed); the bus, 32 GB/s in one direction for sixteen lanes of PCIe 4, 64 for PCIe 5
([1](https://glennklockwood.com/garden/processors/A100), [2](https://glennklockwood.com/garden/processors/h100)).

| weights | GB | from the page cache, s | from a disk of 3 GB/s, s |
|---|---|---|---|""")
    for name, size in (("SmolLM2-135M, bf16", 0.27), ("Llama-3.2-1B, bf16", 2.47), ("Llama-3.1-8B, bf16", 16.06)):
        print(f"| {name} | {size} | {size / 10:.2f} | {size / 3:.2f} |")
    print("""
Rows that were tokenized before leave little time to save; reading a large data set the first time hides all
of it. The processor looks for weights that are NaN meanwhile, in the same pages.""")
    bordered_table()
    one_pass_table()
    for name in MODELS:
        for t in LENGTHS:
            table(name, t)


if __name__ == "__main__":
    main()
