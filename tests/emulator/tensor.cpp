/* tests/emulator/tensor.cpp -- asynchronous copies, ldmatrix and mma, as the PTX manual has them.
 */
#include "emulator.h"
#include "ptx.h"

#include <vector>

/* ---- conversions, to nearest, ties to even --------------------------------------------------- */

static float from_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

uint16_t emulator_to_bf16(float v)
{
    uint32_t u;
    memcpy(&u, &v, sizeof u);
    if ((u & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}

uint16_t emulator_to_f16(float v)
{
    const unsigned sign = signbit(v) ? 0x8000 : 0;
    const float size = fabsf(v);
    if (isnan(v)) return 0x7fff;
    if (size >= 65520.0f) return (uint16_t)(sign | 0x7c00);
    if (size < 0x1p-14f) return (uint16_t)(sign | (unsigned)rintf(ldexpf(size, 24)));
    int exponent;
    (void)frexpf(size, &exponent); /* size = 0.1xxx * 2^exponent */
    const unsigned fraction = (unsigned)rintf(ldexpf(size, 11 - exponent)); /* 1024 .. 2048 */
    return (uint16_t)(sign | (((unsigned)(exponent + 14) << 10) + fraction - 1024));
}

float emulator_from_f16(uint16_t h)
{
    const int exponent = h >> 10 & 31, fraction = h & 1023;
    const float size = exponent == 31  ? (fraction ? NAN : INFINITY)
                       : exponent == 0 ? ldexpf((float)fraction, -24)
                                       : ldexpf((float)(fraction + 1024), exponent - 25);
    return h & 0x8000 ? -size : size;
}

float emulator_from_bf16(uint16_t h) { return from_bits((uint32_t)h << 16); }

uint32_t lrk_pair_bf16(float low, float high)
{
    return emulator_to_bf16(low) | (uint32_t)emulator_to_bf16(high) << 16;
}

uint32_t lrk_pair_f16(float low, float high)
{
    return emulator_to_f16(low) | (uint32_t)emulator_to_f16(high) << 16;
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

void emulator_tensor_block(void)
{
    for (copies &c : of_thread) {
        c.list.clear();
        c.group = 0;
    }
}

void lrk_emulated_copy(void *shared, const void *global, bool there)
{
    const emulator_thread self = *emulator_self;
    emulator_pc(__builtin_return_address(0));
    emulator_check_aligned(shared, 16, "the target of cp.async");
    emulator_check_aligned(global, 16, "the source of cp.async");
    if (!emulator_is_shared(shared, 16))
        emulator_error("copy", "the target of cp.async, %p, is not shared memory", shared);
    pending_copy p = {static_cast<char *>(shared), {}, of_thread[self.id].group};
    if (there) {
        emulator_check(global, 16, EMULATOR_READ, self);
        memcpy(p.bytes, global, 16);
    }
    emulator_check(shared, 16, EMULATOR_WRITE, self);
    emulator_mark_pending(shared, 16, true);
    of_thread[self.id].list.push_back(p);
}

void lrk_cp_async_commit(void) { of_thread[emulator_self->id].group++; }

/* Written once more, now: who reads it without a barrier after this races with it. */
void lrk_emulated_wait(unsigned groups)
{
    const emulator_thread self = *emulator_self;
    copies *c = &of_thread[self.id];
    size_t kept = 0;
    emulator_pc(__builtin_return_address(0));
    for (const pending_copy &p : c->list) {
        if (p.group + groups >= c->group) {
            c->list[kept++] = p;
            continue;
        }
        emulator_mark_pending(p.to, 16, false);
        emulator_check(p.to, 16, EMULATOR_WRITE, self);
        memcpy(p.to, p.bytes, 16);
    }
    c->list.resize(kept);
}

/* ---- ldmatrix -------------------------------------------------------------------------------- */

struct matrices {
    uint32_t *r;
    const char *row;
    int count;
    bool transposed;
    emulator_thread who;
};

/* Element (i, j) of matrix m, read for the lane that receives it. */
static uint16_t element(void *const lanes[32], int m, int i, int j, emulator_thread by)
{
    const matrices *owner = static_cast<const matrices *>(lanes[8 * m + i]);
    uint16_t v;
    emulator_check(owner->row + 2 * j, 2, EMULATOR_READ, by);
    memcpy(&v, owner->row + 2 * j, 2);
    return v;
}

static void load_matrices(void *const lanes[32])
{
    const matrices *first = static_cast<const matrices *>(lanes[0]);
    for (int l = 0; l < 8 * first->count; l++) {
        const matrices *x = static_cast<const matrices *>(lanes[l]);
        emulator_check_aligned(x->row, 16, "a row of ldmatrix");
        if (!emulator_is_shared(x->row, 16))
            emulator_error("bounds",
                           "the row of ldmatrix that lane %d gives, %p, is not shared memory", l,
                           static_cast<const void *>(x->row));
    }
    for (int l = 0; l < EMULATOR_LANES; l++) {
        const matrices *x = static_cast<const matrices *>(lanes[l]);
        const int g = l / 4, t = l % 4;
        for (int m = 0; m < first->count; m++) {
            const bool turned = first->transposed;
            const uint16_t low =
                turned ? element(lanes, m, 2 * t, g, x->who) : element(lanes, m, g, 2 * t, x->who);
            const uint16_t high = turned ? element(lanes, m, 2 * t + 1, g, x->who)
                                         : element(lanes, m, g, 2 * t + 1, x->who);
            x->r[m] = low | (uint32_t)high << 16;
        }
    }
}

void lrk_emulated_ldmatrix(uint32_t *r, const void *row, int count, bool transposed,
                           const char *file, int line)
{
    matrices mine = {r, static_cast<const char *>(row), count, transposed, *emulator_self};
    static const char *const names[2][5] = {
        {"", "ldmatrix.x1", "ldmatrix.x2", "", "ldmatrix.x4"},
        {"", "ldmatrix.x1.trans", "ldmatrix.x2.trans", "", "ldmatrix.x4.trans"}};
    emulator_pc(__builtin_return_address(0));
    lrk_emulated_warp(names[transposed][count], 0xffffffffu, load_matrices, &mine, file, line);
}

/* ---- mma ------------------------------------------------------------------------------------- */

static float half_of(uint32_t pair, int i, lrk_operand type)
{
    const uint16_t h = (uint16_t)(pair >> 16 * i);
    return type == LRK_MMA_F16 ? emulator_from_f16(h) : emulator_from_bf16(h);
}

struct fragments {
    float *c;
    const uint32_t *a, *b;
    lrk_operand type;
};

/* A (16 x k) and B (k x 8) put together from the fragments of all lanes. tf32 has k = 8 and one
 * value a register, of which the hardware takes the upper 19 bits. */
static void gather(void *const lanes[32], float a[16][16], float b[16][8])
{
    for (int l = 0; l < EMULATOR_LANES; l++) {
        const fragments *x = static_cast<const fragments *>(lanes[l]);
        const int g = l / 4, t = l % 4;
        for (int r = 0; r < 4; r++)
            for (int i = 0; i < 2; i++)
                if (x->type == LRK_MMA_TF32)
                    a[g + 8 * (r % 2)][t + 4 * (r / 2)] = from_bits(x->a[r] & 0xffffe000u);
                else
                    a[g + 8 * (r % 2)][2 * t + i + 8 * (r / 2)] = half_of(x->a[r], i, x->type);
        for (int r = 0; r < 2; r++)
            for (int i = 0; i < 2; i++)
                if (x->type == LRK_MMA_TF32)
                    b[t + 4 * r][g] = from_bits(x->b[r] & 0xffffe000u);
                else
                    b[2 * t + i + 8 * r][g] = half_of(x->b[r], i, x->type);
    }
}

static void multiply(void *const lanes[32])
{
    float a[16][16], b[16][8];
    const int k = static_cast<const fragments *>(lanes[0])->type == LRK_MMA_TF32 ? 8 : 16;
    gather(lanes, a, b);
    for (int l = 0; l < EMULATOR_LANES; l++) {
        float *c = static_cast<const fragments *>(lanes[l])->c;
        for (int i = 0; i < 4; i++) {
            const int row = l / 4 + 8 * (i / 2), column = 2 * (l % 4) + i % 2;
            for (int j = 0; j < k; j++) c[i] += a[row][j] * b[j][column];
        }
    }
}

void lrk_emulated_mma(float c[4], const uint32_t a[4], const uint32_t b[2], lrk_operand type,
                      const char *file, int line)
{
    static const char *const names[] = {"mma.m16n8k16.bf16", "mma.m16n8k16.f16",
                                        "mma.m16n8k8.tf32"};
    fragments mine = {c, a, b, type};
    lrk_emulated_warp(names[type], 0xffffffffu, multiply, &mine, file, line);
}
