/* base/quant/nf4.c -- 4-bit NormalFloat, with its scales as f32 or in 8 bits. */
#include "base/nf4.h"

#include "base/arena.h"
#include "base/quant.h"
#include "base/quant/blocks.h"
#include "base/size.h"
#include "base/threads.h"

#include <math.h>

enum { BLOCK = 64, DOUBLE_BLOCK = 256, GROUP = 256 };

/* Quantiles of the normal distribution, scaled to -1 .. 1, with 0 among them: QLoRA, appendix E. */
const float lrk_nf4_table[16] = {-0x1p0f,         -0x1.647362p-1f, -0x1.0cd66p-1f,  -0x1.94654p-2f,
                                 -0x1.23449ap-2f, -0x1.7a6a7ep-3f, -0x1.74f0e2p-4f, 0.0f,
                                 0x1.45f5fep-4f,  0x1.4995c6p-3f,  0x1.f809bap-3f,  0x1.5a0674p-2f,
                                 0x1.c3497p-2f,   0x1.200f56p-1f,  0x1.722766p-1f,  0x1p0f};

/* The dynamic map for 8 bits: 0 at 127, then 10^(e - 6) (0.1 + 0.9 (j + 1/2) / 2^e) for e = 0 .. 6
 * and j = 0 .. 2^e - 1, and 1 last; the same with a minus below. Rounded as bitsandbytes does. */
static const float upper[128] = {
    0x1.27476ep-21f, 0x1.b43528p-19f, 0x1.040bfep-17f, 0x1.64840cp-16f, 0x1.6f0068p-15f,
    0x1.15df66p-14f, 0x1.743e96p-14f, 0x1.47ae16p-13f, 0x1.19ce0ap-12f, 0x1.8fc506p-12f,
    0x1.02de02p-11f, 0x1.3dd982p-11f, 0x1.78d5p-11f,   0x1.b3d07cp-11f, 0x1.eecbfep-11f,
    0x1.4fdf3ap-10f, 0x1.e353f8p-10f, 0x1.3b645ap-9f,  0x1.851eb8p-9f,  0x1.ced914p-9f,
    0x1.0c49bap-8f,  0x1.3126e8p-8f,  0x1.56041ap-8f,  0x1.7ae148p-8f,  0x1.9fbe76p-8f,
    0x1.c49ba6p-8f,  0x1.e978d4p-8f,  0x1.072b02p-7f,  0x1.19999ap-7f,  0x1.2c083p-7f,
    0x1.3e76c8p-7f,  0x1.75c29p-7f,   0x1.d1eb86p-7f,  0x1.170a3ep-6f,  0x1.451ebap-6f,
    0x1.733334p-6f,  0x1.a147aep-6f,  0x1.cf5c2ap-6f,  0x1.fd70a4p-6f,  0x1.15c29p-5f,
    0x1.2ccccep-5f,  0x1.43d70ap-5f,  0x1.5ae146p-5f,  0x1.71eb86p-5f,  0x1.88f5c2p-5f,
    0x1.ap-5f,       0x1.b70a3ep-5f,  0x1.ce147ap-5f,  0x1.e51ebap-5f,  0x1.fc28f6p-5f,
    0x1.09999ap-4f,  0x1.151ebap-4f,  0x1.20a3d6p-4f,  0x1.2c28f6p-4f,  0x1.37ae14p-4f,
    0x1.433334p-4f,  0x1.4eb854p-4f,  0x1.5a3d7p-4f,   0x1.65c29p-4f,   0x1.7147aep-4f,
    0x1.7ccccep-4f,  0x1.8851eep-4f,  0x1.93d70ap-4f,  0x1.b66668p-4f,  0x1.fp-4f,
    0x1.14ccccp-3f,  0x1.31999ap-3f,  0x1.4e6666p-3f,  0x1.6b3334p-3f,  0x1.88p-3f,
    0x1.a4ccccp-3f,  0x1.c1999ap-3f,  0x1.de6666p-3f,  0x1.fb3332p-3f,  0x1.0cp-2f,
    0x1.1a6668p-2f,  0x1.28ccccp-2f,  0x1.373334p-2f,  0x1.459998p-2f,  0x1.54p-2f,
    0x1.626666p-2f,  0x1.70ccccp-2f,  0x1.7f3334p-2f,  0x1.8d9998p-2f,  0x1.9cp-2f,
    0x1.aa6666p-2f,  0x1.b8ccccp-2f,  0x1.c73334p-2f,  0x1.d59998p-2f,  0x1.e4p-2f,
    0x1.f26664p-2f,  0x1.006666p-1f,  0x1.079998p-1f,  0x1.0eccccp-1f,  0x1.16p-1f,
    0x1.1d3334p-1f,  0x1.246668p-1f,  0x1.2b999ap-1f,  0x1.32ccccp-1f,  0x1.3ap-1f,
    0x1.413334p-1f,  0x1.486668p-1f,  0x1.4f999ap-1f,  0x1.56ccccp-1f,  0x1.5ep-1f,
    0x1.653334p-1f,  0x1.6c6668p-1f,  0x1.73999ap-1f,  0x1.7accccp-1f,  0x1.82p-1f,
    0x1.893334p-1f,  0x1.906666p-1f,  0x1.97999ap-1f,  0x1.9eccccp-1f,  0x1.a6p-1f,
    0x1.ad3334p-1f,  0x1.b46666p-1f,  0x1.bb999ap-1f,  0x1.c2ccccp-1f,  0x1.cap-1f,
    0x1.d13334p-1f,  0x1.d86666p-1f,  0x1.df999ap-1f,  0x1.e6ccccp-1f,  0x1.eep-1f,
    0x1.f53334p-1f,  0x1.fc6666p-1f,  0x1p0f,
};

static float map_at(int code)
{
    return code == 127 ? 0.0f : code > 127 ? upper[code - 128] : -upper[126 - code];
}

static void look_up(const unsigned char *q, int n, float m, float *y)
{
    for (int i = 0; i < n; i++) {
        float *part = y + i / 16 * 32 + i % 16;
        part[0] = lrk_nf4_table[q[i] & 15] * m;
        part[16] = lrk_nf4_table[q[i] >> 4] * m;
    }
}

static float f32_at(const unsigned char *p)
{
    float f;
    memcpy(&f, p, sizeof f);
    return f;
}

void lrk_decode_nf4(const unsigned char *b, float *y) { look_up(b + 4, 32, f32_at(b), y); }

void lrk_nf4_scales(const unsigned char *b, float m[4])
{
    for (int i = 0; i < 4; i++) m[i] = map_at(b[8 + i]) * f32_at(b) + f32_at(b + 4);
}

void lrk_decode_nf4_double(const unsigned char *b, float *y)
{
    float m[4];
    lrk_nf4_scales(b, m);
    for (int i = 0; i < 4; i++) look_up(b + 12 + i * 32, 32, m[i], y + i * BLOCK);
}

/* The nearest of an ascending table; half way between two, the lower. */
static int nearest(float (*at)(int), int n, float x)
{
    int low = 0, high = n - 1;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (x - at(middle) <= at(middle + 1) - x)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static float table_at(int code) { return lrk_nf4_table[code]; }

static void put_codes(const float *x, float m, unsigned char *q)
{
    const float inverse = m > 0.0f ? 1.0f / m : 0.0f;
    for (int i = 0; i < 32; i++) {
        const float *part = x + i / 16 * 32 + i % 16;
        q[i] = (unsigned char)(nearest(table_at, 16, part[0] * inverse) |
                               nearest(table_at, 16, part[16] * inverse) << 4);
    }
}

bool lrk_nf4_type(size_t cols, bool twice, lrk_dtype *type)
{
    *type = twice && cols % DOUBLE_BLOCK == 0 ? LRK_NF4_DOUBLE : LRK_NF4;
    return cols && cols % BLOCK == 0;
}

typedef struct job {
    const lrk_tensor *src, *out;
    bool twice;
    size_t per_row;      /* blocks */
    float *row;          /* of each worker */
    float *most;         /* m of every block */
    float *group;        /* n of every group */
    unsigned char *code; /* c of every block */
    float offset;
} job;

static const float *read_row(const job *p, size_t row, int worker)
{
    float *x = p->row + (size_t)worker * lrk_cols(p->src);
    lrk_to_f32(p->src->dtype, lrk_row(p->src, row), lrk_cols(p->src), x);
    return x;
}

static void measure_row(void *ctx, size_t row, int worker)
{
    const job *p = ctx;
    const float *x = read_row(p, row, worker);
    for (size_t b = 0; b < p->per_row; b++)
        p->most[row * p->per_row + b] = fabsf(lrk_extreme(x + b * BLOCK, BLOCK));
}

static void measure_groups(job *p, size_t blocks)
{
    double sum = 0.0;
    for (size_t b = 0; b < blocks; b++) sum += (double)p->most[b];
    p->offset = (float)(sum / (double)blocks);
    for (size_t first = 0; first < blocks; first += GROUP) {
        const size_t end = lrk_min(first + GROUP, blocks);
        float most = 0.0f;
        for (size_t b = first; b < end; b++) most = fmaxf(most, fabsf(p->most[b] - p->offset));
        const float inverse = most > 0.0f ? 1.0f / most : 0.0f;
        for (size_t b = first; b < end; b++)
            p->code[b] = (unsigned char)nearest(map_at, 256, (p->most[b] - p->offset) * inverse);
        p->group[first / GROUP] = most;
    }
}

static void put_block(const job *p, size_t block, const float *x, unsigned char *out)
{
    float m = p->most[block];
    put_codes(x, m, out + 4);
    if (p->twice) m = map_at(p->code[block]) * p->group[block / GROUP] + p->offset;
    memcpy(out, &m, sizeof m);
}

static void put_double_block(const job *p, size_t block, const float *x, unsigned char *out)
{
    memcpy(out, &p->group[block / GROUP], sizeof(float));
    memcpy(out + 4, &p->offset, sizeof(float));
    memcpy(out + 8, &p->code[block], 4);
    for (size_t i = 0; i < 4; i++) put_codes(x + i * BLOCK, p->most[block + i], out + 12 + i * 32);
}

static void put_row(void *ctx, size_t row, int worker)
{
    const job *p = ctx;
    const float *x = read_row(p, row, worker);
    const size_t wide = p->out->dtype == LRK_NF4_DOUBLE ? DOUBLE_BLOCK / BLOCK : 1;
    unsigned char *out = lrk_row(p->out, row);
    for (size_t b = 0; b < p->per_row; b += wide) {
        if (wide > 1)
            put_double_block(p, row * p->per_row + b, x + b * BLOCK, out);
        else
            put_block(p, row * p->per_row + b, x + b * BLOCK, out);
        out += lrk_dtype_block_bytes(p->out->dtype);
    }
}

lrk_status lrk_nf4_quantize(const lrk_tensor *src, bool twice, lrk_tensor *out, lrk_err *err)
{
    const size_t rows = lrk_rows(src), blocks = lrk_count(src) / BLOCK;
    job p = {.src = src, .out = out, .twice = twice, .per_row = lrk_cols(src) / BLOCK};
    LRK_ASSERT(lrk_contiguous(src) && lrk_same_shape(src, out) && lrk_cols(src) % BLOCK == 0);
    p.row = lrk_heap_alloc((size_t)lrk_threads() * lrk_cols(src), sizeof *p.row);
    p.most = lrk_heap_alloc(blocks, sizeof *p.most);
    p.group = lrk_heap_alloc(lrk_ceil_div(blocks, GROUP), sizeof *p.group);
    p.code = lrk_heap_alloc(blocks, 1);
    lrk_status status = LRK_OK;
    if (!p.row || !p.most || !p.group || !p.code) {
        status = lrk_fail(err, LRK_ENOMEM, "memory: no room to quantize '%s'", src->name);
    } else {
        lrk_parallel(rows, measure_row, &p);
        if (twice) measure_groups(&p, blocks);
        lrk_parallel(rows, put_row, &p);
    }
    lrk_heap_free(p.row);
    lrk_heap_free(p.most);
    lrk_heap_free(p.group);
    lrk_heap_free(p.code);
    return status;
}
