/* The stand-in for cuBLASLt: its products against plain ones, its checks against bad operands. */
#include "emulator/test.h"

#include <cublasLt.h>

#include <initializer_list>

enum { M = 5, N = 7, K = 9, PAD = 3, MOST = 16 * 16 };

static cublasLtHandle_t handle;

struct shape {
    cudaDataType_t type, result_type;
    bool a_transposed, b_transposed, bias, second;
    float alpha, beta;
};

static float value(int i) { return (float)(i * 29 % 43 - 21) / 4.0f; }

static void *upload_as(cudaDataType_t type, const float *from, size_t n)
{
    uint16_t half[MOST];
    if (type == CUDA_R_32F) return upload(from, n);
    for (size_t i = 0; i < n; i++)
        half[i] = emulator_to_bf16(from[i]);
    return upload(half, n);
}

static void download_as(cudaDataType_t type, float *to, const void *from, size_t n)
{
    uint16_t half[MOST];
    if (type == CUDA_R_32F) {
        download(to, static_cast<const float *>(from), n);
        return;
    }
    download(half, static_cast<const uint16_t *>(from), n);
    for (size_t i = 0; i < n; i++)
        to[i] = emulator_from_bf16(half[i]);
}

/* Rounded as the type rounds. */
static float as(cudaDataType_t type, float v)
{
    return type == CUDA_R_32F ? v : emulator_from_bf16(emulator_to_bf16(v));
}

static cublasLtMatrixLayout_t layout(cudaDataType_t type, int rows, int cols)
{
    cublasLtMatrixLayout_t l;
    assert_int_equal(
        cublasLtMatrixLayoutCreate(&l, type, (uint64_t)rows, (uint64_t)cols, rows + PAD),
        CUBLAS_STATUS_SUCCESS);
    return l;
}

static cublasLtMatmulDesc_t description(const shape &s, const void *bias)
{
    cublasLtMatmulDesc_t d;
    const int32_t a = s.a_transposed, b = s.b_transposed, epilogue = CUBLASLT_EPILOGUE_BIAS;
    assert_int_equal(cublasLtMatmulDescCreate(&d, CUBLAS_COMPUTE_32F, CUDA_R_32F),
                     CUBLAS_STATUS_SUCCESS);
    (void)cublasLtMatmulDescSetAttribute(d, CUBLASLT_MATMUL_DESC_TRANSA, &a, 4);
    (void)cublasLtMatmulDescSetAttribute(d, CUBLASLT_MATMUL_DESC_TRANSB, &b, 4);
    if (!s.bias) return d;
    (void)cublasLtMatmulDescSetAttribute(d, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, 4);
    (void)cublasLtMatmulDescSetAttribute(d, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias);
    return d;
}

/* Column-major with PAD rows between the columns, which nobody writes. */
static float *matrix(int first, int rows, int cols)
{
    static float m[4][MOST];
    static int next;
    float *p = m[next++ % 4];
    for (int i = 0; i < (rows + PAD) * cols; i++)
        p[i] = i % (rows + PAD) < rows ? value(first + i) : 1e9f;
    return p;
}

static void expect_result(const shape &s, const float *a, const float *b, const float *c,
                          const float *bias, const float *d)
{
    const int lda = (s.a_transposed ? K : M) + PAD, ldb = (s.b_transposed ? N : K) + PAD;
    for (int j = 0; j < N; j++)
        for (int i = 0; i < M; i++) {
            const int at = j * (M + PAD) + i;
            float sum = 0.0f;
            for (int k = 0; k < K; k++)
                sum += a[s.a_transposed ? i * lda + k : k * lda + i] * b[s.b_transposed ? k * ldb + j : j * ldb + k];
            sum = s.alpha * sum + s.beta * c[at] + (s.bias ? bias[i] : 0.0f);
            assert_true(d[at] == as(s.result_type, sum));
        }
}

static cublasStatus_t choose(const shape &s, cublasLtMatmulDesc_t product,
                             const cublasLtMatrixLayout_t l[3], uint32_t alignment,
                             cublasLtMatmulHeuristicResult_t *result)
{
    cublasLtMatmulPreference_t p;
    cublasLtMatmulHeuristicResult_t found[4];
    const uint64_t workspace = s.second ? 65536 : 0;
    int n = 0;
    (void)cublasLtMatmulPreferenceCreate(&p);
    (void)cublasLtMatmulPreferenceSetAttribute(p, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                               &workspace, 8);
    (void)cublasLtMatmulPreferenceSetAttribute(p, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
                                               &alignment, 4);
    const cublasStatus_t e =
        cublasLtMatmulAlgoGetHeuristic(handle, product, l[0], l[1], l[2], l[2], p, 4, found, &n);
    (void)cublasLtMatmulPreferenceDestroy(p);
    if (e == CUBLAS_STATUS_SUCCESS) {
        assert_int_equal(n, s.second ? 2 : 1);
        *result = found[n - 1];
    }
    return e;
}

static void multiply(const shape &s)
{
    const int a_rows = s.a_transposed ? K : M, a_cols = s.a_transposed ? M : K;
    const int b_rows = s.b_transposed ? N : K, b_cols = s.b_transposed ? K : N;
    const float *a = matrix(0, a_rows, a_cols);
    const float *b = matrix(500, b_rows, b_cols);
    const float *c = matrix(1000, M, N), *bias = matrix(1500, M, 1);
    void *da = upload_as(s.type, a, (size_t)((a_rows + PAD) * a_cols));
    void *db = upload_as(s.type, b, (size_t)((b_rows + PAD) * b_cols));
    void *dc = upload_as(s.result_type, c, (size_t)((M + PAD) * N));
    void *workspace = room<char>(65536);
    cublasLtMatmulDesc_t product = description(s, upload_as(s.result_type, bias, M));
    cublasLtMatrixLayout_t l[3] = {layout(s.type, a_rows, a_cols),
                                   layout(s.type, b_rows, b_cols),
                                   layout(s.result_type, M, N)};
    cublasLtMatmulHeuristicResult_t algorithm;
    float d[MOST];
    assert_int_equal(choose(s, product, l, 256, &algorithm), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(cublasLtMatmul(handle, product, &s.alpha, da, l[0], db, l[1], &s.beta, dc,
                                    l[2], dc, l[2], &algorithm.algo, workspace, 65536, the_stream),
                     CUBLAS_STATUS_SUCCESS);
    (void)cublasLtMatmulDescDestroy(product); /* the work has its own copy */
    for (cublasLtMatrixLayout_t each : l) (void)cublasLtMatrixLayoutDestroy(each);
    download_as(s.result_type, d, dc, (size_t)((M + PAD) * N));
    expect_result(s, a, b, c, bias, d);
    expect_silence();
}

static void products(void **)
{
    for (cudaDataType_t type : {CUDA_R_32F, CUDA_R_16BF})
        for (cudaDataType_t result : {CUDA_R_32F, type})
            for (int i = 0; i < 8; i++)
                multiply({type, result, (i & 1) != 0, (i & 2) != 0, (i & 4) != 0, i % 3 == 0,
                          i % 2 ? 1.0f : 0.5f, i % 3 ? 0.0f : 1.0f});
}

/* The right call of a 16 x 16 product, but for what `spoil` changes. */
struct call {
    float *a, *b, *d;
    size_t workspace, misplaced;
    const float *bias;
};

static cublasStatus_t square(void (*spoil)(call *c), float beta)
{
    float host[16 * 16] = {0};
    call c = {upload(host, 256), upload(host, 256), room<float>(256), 65536, 0, nullptr};
    spoil(&c);
    const shape s = {CUDA_R_32F, CUDA_R_32F, false, false, c.bias != nullptr, true, 1.0f, beta};
    cublasLtMatmulDesc_t product = description(s, c.bias);
    cublasLtMatrixLayout_t l[3];
    for (cublasLtMatrixLayout_t &each : l)
        (void)cublasLtMatrixLayoutCreate(&each, CUDA_R_32F, 16, 16, 16);
    cublasLtMatmulHeuristicResult_t algorithm;
    assert_int_equal(choose(s, product, l, 16, &algorithm), CUBLAS_STATUS_SUCCESS);
    const cublasStatus_t e =
        cublasLtMatmul(handle, product, &s.alpha, c.a, l[0], c.b, l[1], &beta, c.d, l[2], c.d, l[2],
                       &algorithm.algo, room<char>(65536 + 256) + c.misplaced, c.workspace, the_stream);
    (void)cublasLtMatmulDescDestroy(product);
    for (cublasLtMatrixLayout_t each : l) (void)cublasLtMatrixLayoutDestroy(each);
    return e;
}

static void bad_operands(void **)
{
    assert_int_equal(square([](call *) {}, 0.0f), CUBLAS_STATUS_SUCCESS);
    expect_silence();
    (void)square([](call *) {}, 1.0f);
    expect_error("uninitialized", "cublasLtMatmul reads byte 0");
    (void)square([](call *c) { c->b = room<float>(255); }, 0.0f);
    expect_error("bounds", "b of cublasLtMatmul of 1024 bytes");
    (void)square([](call *c) { c->d = room<float>(255); }, 0.0f);
    expect_error("bounds", "d of cublasLtMatmul");
    (void)square([](call *c) { c->a = room<float>(257) + 1; }, 0.0f);
    expect_error("misaligned", "a of cublasLtMatmul");
    (void)square([](call *c) { c->bias = c->a + 1; }, 0.0f);
    expect_error("misaligned", "the bias of cublasLtMatmul");
    assert_int_equal(square([](call *c) { c->bias = c->a + 4; }, 0.0f), CUBLAS_STATUS_SUCCESS);
    expect_silence();
    assert_int_equal(square([](call *c) { c->workspace = 16; }, 0.0f), CUBLAS_STATUS_INVALID_VALUE);
    assert_int_equal(square([](call *c) { c->misplaced = 64; }, 0.0f), CUBLAS_STATUS_INVALID_VALUE);
    expect_silence();
}

static void bad_shapes(void **)
{
    const shape s = {CUDA_R_32F, CUDA_R_32F, false, false, false, false, 1.0f, 0.0f};
    cublasLtMatmulDesc_t product = description(s, nullptr);
    cublasLtMatrixLayout_t l[3] = {layout(CUDA_R_32F, M, K), layout(CUDA_R_32F, K + 1, N),
                                   layout(CUDA_R_32F, M, N)};
    cublasLtMatrixLayout_t none;
    cublasLtMatmulHeuristicResult_t algorithm;
    assert_int_equal(choose(s, product, l, 256, &algorithm), CUBLAS_STATUS_NOT_SUPPORTED);
    assert_int_equal(cublasLtMatrixLayoutCreate(&none, CUDA_R_32F, 8, 8, 7),
                     CUBLAS_STATUS_INVALID_VALUE);
    (void)cublasLtMatmulDescDestroy(product);
    for (cublasLtMatrixLayout_t each : l) (void)cublasLtMatrixLayoutDestroy(each);
}

/* A choice may wait and allocate, which no capture allows. */
static void none_is_chosen_in_a_capture(void **)
{
    const shape s = {CUDA_R_32F, CUDA_R_32F, false, false, false, false, 1.0f, 0.0f};
    cublasLtMatmulDesc_t product = description(s, nullptr);
    cublasLtMatrixLayout_t l[3] = {layout(CUDA_R_32F, M, K), layout(CUDA_R_32F, K, N), layout(CUDA_R_32F, M, N)};
    cublasLtMatmulHeuristicResult_t algorithm;
    cudaGraph_t graph;
    assert_int_equal(cudaStreamBeginCapture(the_stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    assert_int_equal(choose(s, product, l, 256, &algorithm), CUBLAS_STATUS_INTERNAL_ERROR);
    assert_int_equal(cudaStreamEndCapture(the_stream, &graph), cudaSuccess);
    assert_int_equal(choose(s, product, l, 256, &algorithm), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(cudaGraphDestroy(graph), cudaSuccess);
    (void)cublasLtMatmulDescDestroy(product);
    for (cublasLtMatrixLayout_t each : l) (void)cublasLtMatrixLayoutDestroy(each);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products),
        cmocka_unit_test(bad_operands),
        cmocka_unit_test(bad_shapes),
        cmocka_unit_test(none_is_chosen_in_a_capture),
    };
    lrk_emulator_catch(true);
    (void)cudaStreamCreateWithFlags(&the_stream, cudaStreamNonBlocking);
    (void)cublasLtCreate(&handle);
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
