/* tests/emulator/tensor.cpp -- asynchronous copies, ldmatrix and mma, as the PTX manual has them. */
#include "memory.h"
#include "ptx.h"

#include <vector>

/* ---- conversions, to nearest, ties to even --------------------------------------------------- */

uint16_t emulator_to_bf16(float v)
{
    const uint32_t u = __float_as_uint(v);
    if ((u & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}

float emulator_from_bf16(uint16_t h) { return __uint_as_float((uint32_t)h << 16); }

uint32_t lrk_pair_bf16(float low, float high)
{
    return emulator_to_bf16(low) | (uint32_t)emulator_to_bf16(high) << 16;
}

/* ---- cp.async -------------------------------------------------------------------------------- */

struct pending_copy {
    char *to;
    char bytes[16];
    unsigned group;
};

struct copies {
    std::vector<pending_copy> list;
    unsigned group; /* the one that the next copy joins */
};

static copies of_thread[EMULATOR_THREADS];

void emulator_tensor_block(unsigned threads)
{
    for (copies *c = of_thread; c < of_thread + threads; c++) {
        c->list.clear();
        c->group = 0;
    }
}

void lrk_cp_async16_or_zero(void *shared, const void *global, bool there)
{
    const unsigned self = *emulator_self;
    emulator_pc(__builtin_return_address(0));
    emulator_check_aligned(shared, 16, "the target of cp.async");
    emulator_check_aligned(global, 16, "the source of cp.async");
    if (!emulator_shared.holds(shared))
        emulator_error("copy", "the target of cp.async, %p, is not shared memory", shared);
    pending_copy p = {static_cast<char *>(shared), {}, of_thread[self].group};
    if (there) {
        emulator_check(global, 16, EMULATOR_READ, self);
        memcpy(p.bytes, global, 16);
    }
    emulator_check(shared, 16, EMULATOR_SEND, self);
    of_thread[self].list.push_back(p);
}

void lrk_cp_async_commit(void) { of_thread[*emulator_self].group++; }

/* Written once more, now: who reads it without a barrier after this races with it. */
void lrk_emulated_wait(unsigned groups)
{
    const unsigned self = *emulator_self;
    copies *c = &of_thread[self];
    size_t kept = 0;
    emulator_pc(__builtin_return_address(0));
    for (const pending_copy &p : c->list) {
        if (p.group + groups >= c->group) {
            c->list[kept++] = p;
            continue;
        }
        emulator_check(p.to, 16, EMULATOR_ARRIVE, self);
        memcpy(p.to, p.bytes, 16);
    }
    c->list.resize(kept);
}

/* ---- ldmatrix -------------------------------------------------------------------------------- */

struct matrices {
    uint32_t *r;
    const char *row;
    bool transposed;
    unsigned who;
};

static const char *row_of(void *const lanes[32], int i) { return static_cast<const matrices *>(lanes[i])->row; }

/* Of n bytes, read for the lane that receives them. */
static uint32_t read(const char *p, size_t n, const matrices *x)
{
    uint32_t v = 0;
    emulator_check(p, n, EMULATOR_READ, x->who);
    memcpy(&v, p, n);
    return v;
}

/* Elements (i, j) and (i, j + 1) of matrix m, whose rows are lanes' columns where it is transposed. */
static uint32_t pair(void *const lanes[32], const matrices *x, int m, int i, int j)
{
    if (!x->transposed) return read(row_of(lanes, 8 * m + i) + 2 * j, 4, x);
    const int first = 8 * m + j;
    return read(row_of(lanes, first) + 2 * i, 2, x) | read(row_of(lanes, first + 1) + 2 * i, 2, x) << 16;
}

static void load_matrices(void *const lanes[32])
{
    for (int l = 0; l < EMULATOR_LANES; l++) {
        const void *row = static_cast<const matrices *>(lanes[l])->row;
        emulator_check_aligned(row, 16, "a row of ldmatrix");
        if (!emulator_shared.holds(row))
            emulator_error("bounds", "the row of ldmatrix that lane %d gives, %p, is not shared memory", l, row);
    }
    for (int l = 0; l < EMULATOR_LANES; l++) {
        const matrices *x = static_cast<const matrices *>(lanes[l]);
        const int g = l / 4, t = l % 4;
        for (int m = 0; m < 4; m++) x->r[m] = pair(lanes, x, m, g, 2 * t);
    }
}

void lrk_emulated_ldmatrix(uint32_t *r, const void *row, bool transposed, lrk_site site)
{
    matrices mine = {r, static_cast<const char *>(row), transposed, *emulator_self};
    emulator_pc(__builtin_return_address(0));
    lrk_emulated_warp(transposed ? "ldmatrix.x4.trans" : "ldmatrix.x4", 0xffffffffu, load_matrices, &mine, site);
}

/* ---- mma ------------------------------------------------------------------------------------- */

struct fragments {
    float *c;
    const uint32_t *a, *b;
};

static float half_of(uint32_t pair, int i) { return emulator_from_bf16((uint16_t)(pair >> 16 * i)); }

/* A (16 x 16) and B (16 x 8) put together from the fragments of all lanes. */
static void gather(void *const lanes[32], float a[16][16], float b[16][8])
{
    for (int l = 0; l < EMULATOR_LANES; l++) {
        const fragments *x = static_cast<const fragments *>(lanes[l]);
        const int g = l / 4, t = l % 4;
        for (int i = 0; i < 2; i++) {
            for (int r = 0; r < 4; r++) a[g + 8 * (r % 2)][2 * t + i + 8 * (r / 2)] = half_of(x->a[r], i);
            for (int r = 0; r < 2; r++) b[2 * t + i + 8 * r][g] = half_of(x->b[r], i);
        }
    }
}

/* Elements (row, 2 t) and (row, 2 t + 1) of the sum. */
static float *part(void *const lanes[32], int row, int t)
{
    return static_cast<const fragments *>(lanes[4 * (row % 8) + t])->c + 2 * (row / 8);
}

static void multiply(void *const lanes[32])
{
    float a[16][16], b[16][8];
    gather(lanes, a, b);
    for (int row = 0; row < 16; row++) {
        float sum[8];
        for (int t = 0; t < 4; t++) memcpy(sum + 2 * t, part(lanes, row, t), 2 * sizeof *sum);
        for (int j = 0; j < 16; j++)
            for (int column = 0; column < 8; column++) sum[column] += a[row][j] * b[j][column];
        for (int t = 0; t < 4; t++) memcpy(part(lanes, row, t), sum + 2 * t, 2 * sizeof *sum);
    }
}

void lrk_mma_bf16(float c[4], const uint32_t a[4], const uint32_t b[2], lrk_site site)
{
    fragments mine = {c, a, b};
    lrk_emulated_warp("mma.m16n8k16.bf16", 0xffffffffu, multiply, &mine, site);
}
