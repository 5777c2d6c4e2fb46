/* base/quant/nf4.c -- 4-bit NormalFloat, with its scales as f32 or in 8 bits. */
#include "base/nf4.h"

#include "base/arena.h"
#include "base/quant.h"
#include "base/quant/blocks.h"
#include "base/size.h"
#include "base/threads.h"

#include <math.h>

enum { BLOCK = 64, DOUBLE_BLOCK = 256, GROUP = 256 };

#define LRK_VALUES(type, name, n, ...) const type name[n] = {__VA_ARGS__};
#include "base/quant/nf4.def"
#undef LRK_VALUES

static float map_at(int code)
{
    return code == 127 ? 0.0f : code > 127 ? lrk_nf4_map[code - 128] : -lrk_nf4_map[126 - code];
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
