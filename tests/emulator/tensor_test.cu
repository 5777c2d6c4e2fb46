/* Fragments of ldmatrix and mma against the tables of the PTX manual and a plain product. */
#include "emulator/test.h"

#include <initializer_list>

enum { M = 16, N = 8, K = 16 };

static uint16_t bf16_of(float v) { return emulator_to_bf16(v); }

/* Small integers over 8: exact in every type, and so are the sums. */
static float value(int i) { return (float)(i * 37 % 61 - 30) / 8.0f; }

/* ---- mma, fragments put together by hand ------------------------------------------------------
 */

__global__ void product(float *c, const uint16_t *a, const uint16_t *b)
{
    const int g = (int)threadIdx.x / 4, t = (int)threadIdx.x % 4;
    uint32_t x[4], y[2];
    float z[4];
    for (int r = 0; r < 4; r++) {
        const uint16_t *p = a + (g + r % 2 * 8) * K + 2 * t + r / 2 * 8; /* a (row, k) */
        x[r] = p[0] | (uint32_t)p[1] << 16;
    }
    for (int r = 0; r < 2; r++) {
        const uint16_t *p = b + (2 * t + 8 * r) * N + g; /* b (k, column) */
        y[r] = p[0] | (uint32_t)p[N] << 16;
    }
    for (int i = 0; i < 4; i++) z[i] = c[(g + i / 2 * 8) * N + 2 * t + i % 2];
    lrk_mma_bf16(z, x, y);
    for (int i = 0; i < 4; i++) c[(g + i / 2 * 8) * N + 2 * t + i % 2] = z[i];
}

static void expect_product(const float *c, const float *start, int k)
{
    for (int m = 0; m < M; m++)
        for (int n = 0; n < N; n++) {
            float sum = start ? start[m * N + n] : 0.0f;
            for (int i = 0; i < k; i++) sum += value(m * k + i) * value(1000 + i * N + n);
            assert_true(c[m * N + n] == sum);
        }
}

static void mma_is_a_product(void **)
{
    uint16_t a[M * K], b[K * N];
    float c[M * N], start[M * N];
    for (int i = 0; i < M * K; i++) a[i] = bf16_of(value(i));
    for (int i = 0; i < K * N; i++) b[i] = bf16_of(value(1000 + i));
    for (int i = 0; i < M * N; i++) start[i] = value(2000 + i);
    float *p = upload(start, M * N);
    LRK_LAUNCH(product, 1, 32, 0, p, upload(a, M * K), upload(b, K * N));
    download(c, p, M * N);
    expect_product(c, start, K);
    expect_silence();
}

/* ---- ldmatrix ---------------------------------------------------------------------------------
 */

/* A 16 x 16 matrix in shared memory, its four 8 x 8 quarters in the order of mma's a. */
template <bool TRANSPOSED> __global__ void matrices(uint32_t *out, const uint16_t *in)
{
    LRK_SHARED(uint16_t, tile, 16 * 16);
    const int l = (int)threadIdx.x;
    for (int i = l; i < 16 * 16; i += 32) tile[i] = in[i];
    __syncwarp();
    const uint16_t *row = &tile[(l % 16) * 16 + l / 16 * 8];
    uint32_t r[4];
    if (TRANSPOSED)
        lrk_ldmatrix_x4_trans(r, row);
    else
        lrk_ldmatrix_x4(r, row);
    for (int i = 0; i < 4; i++) out[4 * l + i] = r[i];
}

static void ldmatrix_as_in_the_manual(void **)
{
    uint16_t in[16 * 16];
    uint32_t out[4 * 32], *p = room<uint32_t>(4 * 32);
    for (int i = 0; i < 16 * 16; i++) in[i] = (uint16_t)(1000 + i);
    for (bool transposed : {false, true}) {
        if (transposed)
            LRK_LAUNCH(matrices<true>, 1, 32, 0, p, upload(in, 16 * 16));
        else
            LRK_LAUNCH(matrices<false>, 1, 32, 0, p, upload(in, 16 * 16));
        download(out, p, 4 * 32);
        for (int l = 0; l < 32; l++)
            for (int m = 0; m < 4; m++) {
                const int top = m % 2 * 8, left = m / 2 * 8;
                for (int half = 0; half < 2; half++) {
                    int i = l / 4, j = 2 * (l % 4) + half;
                    if (transposed) i = 2 * (l % 4) + half, j = l / 4;
                    assert_int_equal(out[4 * l + m] >> 16 * half & 0xffff,
                                     in[(top + i) * 16 + left + j]);
                }
            }
    }
    expect_silence();
}

/* ---- mistakes ---------------------------------------------------------------------------------
 */

enum mistake { NONE, NO_SYNC, MISALIGNED, GLOBAL, LANE_AWAY, BEYOND };

template <mistake WHAT> __global__ void wrong(uint32_t *out, const uint16_t *in)
{
    LRK_SHARED(uint16_t, tile, 16 * 16);
    const int l = (int)threadIdx.x;
    for (int i = l; i < 16 * 16; i += 32) tile[i] = 0;
    __syncwarp();
    for (int i = l; i < 16 * 16; i += 32) tile[i] = in[i];
    if (WHAT != NO_SYNC) __syncwarp();
    const uint16_t *row = &tile[l % 16 * 16 + l / 16 * 8];
    if (WHAT == MISALIGNED) row += 4;
    if (WHAT == GLOBAL) row = in;
    if (WHAT == BEYOND) row += 16;
    uint32_t r[4];
    if (WHAT != LANE_AWAY || l != 17) {
        lrk_ldmatrix_x4(r, row);
        out[l] = r[0];
    }
}

template <mistake WHAT> static void try_mistake(const char *kind, const char *word)
{
    uint16_t in[16 * 16] = {0};
    LRK_LAUNCH(wrong<WHAT>, 1, 32, 0, room<uint32_t>(32), upload(in, 16 * 16));
    if (WHAT == NONE)
        expect_silence();
    else
        expect_error(kind, word);
}

static void mistakes_are_found(void **)
{
    try_mistake<NONE>("", "");
    try_mistake<NO_SYNC>("race", "shared array tile");
    try_mistake<MISALIGNED>("misaligned", "a row of ldmatrix");
    try_mistake<GLOBAL>("bounds", "is not shared memory");
    try_mistake<LANE_AWAY>("warp", "for lane 17 in vain");
    try_mistake<BEYOND>("bounds", "0 bytes behind shared array tile");
}

/* ---- halves -----------------------------------------------------------------------------------
 */

static void halves(void **)
{
    for (unsigned h = 0; h < 0x10000; h++) {
        const float b = emulator_from_bf16((uint16_t)h);
        if (b == b) assert_int_equal(emulator_to_bf16(b), h);
    }
    assert_int_equal(emulator_to_bf16(1.0f + 0x1p-8f), 0x3f80); /* ties to even */
    assert_int_equal(emulator_to_bf16(1.0f + 0x3p-8f), 0x3f82);
    assert_int_equal(lrk_pair_bf16(1.0f, 2.0f), 0x40003f80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mma_is_a_product),
        cmocka_unit_test(ldmatrix_as_in_the_manual),
        cmocka_unit_test(mistakes_are_found),
        cmocka_unit_test(halves),
    };
    lrk_emulator_catch(true);
    (void)cudaStreamCreateWithFlags(&the_stream, cudaStreamNonBlocking);
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
