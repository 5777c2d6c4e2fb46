/* tests/emulator/cublaslt.cpp -- matrix products in the place of cuBLASLt. Sums run in the order of k: by the
 * first algorithm in double, by the second in f32, so that a choice shows in the bits. LRK_EMULATOR_SLOW=1
 * or 2 makes one of them slow. */
#include "runtime.h"

#include <cublasLt.h>
#include <stdlib.h>

enum { SCRATCH = 4096 }; /* what the second algorithm wants */

/* Attributes by number; sizes: how many bytes each one has, 0 where there is none. */
enum { ATTRIBUTES = 9 };
template <typename NAME> struct attributes {
    uint64_t value[ATTRIBUTES];

    cublasStatus_t set(const unsigned char sizes[ATTRIBUTES], NAME name, const void *from, size_t size)
    {
        if ((size_t)name >= ATTRIBUTES || size == 0 || size != sizes[name]) return CUBLAS_STATUS_INVALID_VALUE;
        value[name] = 0;
        memcpy(&value[name], from, size);
        return CUBLAS_STATUS_SUCCESS;
    }
};

struct lrk_emulated_product : attributes<cublasLtMatmulDescAttributes_t> {
    bool transposed(cublasLtMatmulDescAttributes_t which) const { return value[which] == CUBLAS_OP_T; }

    /* of d's type */
    const char *bias(void) const
    {
        return value[CUBLASLT_MATMUL_DESC_EPILOGUE] == CUBLASLT_EPILOGUE_BIAS
                   ? reinterpret_cast<const char *>(value[CUBLASLT_MATMUL_DESC_BIAS_POINTER])
                   : nullptr;
    }
};

struct lrk_emulated_preference : attributes<cublasLtMatmulPreferenceAttributes_t> {};

struct lrk_emulated_layout {
    cudaDataType_t type;
    uint64_t rows, cols;
    int64_t ld;
};

/* In cublasLtMatmulAlgo_t. */
enum { ALGORITHM_ID, ALGORITHM_WORKSPACE, ALGORITHM_ALIGNMENT };
enum { FIRST = 0x1a7, SECOND };

struct operand {
    const char *data;
    lrk_emulated_layout layout;
};

struct multiplication {
    lrk_emulated_product product;
    operand a, b, c, d;
    float alpha, beta;
    void *workspace;
    size_t workspace_bytes;
    bool second; /* the algorithm */
};

/* ---- descriptions -----------------------------------------------------------------------------
 */

size_t cublasLtGetVersion(void) { return CUBLAS_VERSION; }

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle)
{
    if (chip.sticky != cudaSuccess) return CUBLAS_STATUS_NOT_INITIALIZED;
    *handle = reinterpret_cast<cublasLtHandle_t>(&chip);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *product, cublasComputeType_t compute,
                                        cudaDataType_t scale)
{
    if (compute != CUBLAS_COMPUTE_32F || scale != CUDA_R_32F) return CUBLAS_STATUS_NOT_SUPPORTED;
    *product = new lrk_emulated_product();
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t p,
                                              cublasLtMatmulDescAttributes_t which,
                                              const void *value, size_t size)
{
    static const unsigned char sizes[ATTRIBUTES] = {0, 0, 0, 4, 4, 0, 0, 4, sizeof(void *)};
    return p->set(sizes, which, value, size);
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t product)
{
    delete product;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout, cudaDataType_t type,
                                          uint64_t rows, uint64_t cols, int64_t ld)
{
    if (!rows || !cols || ld < (int64_t)rows) return CUBLAS_STATUS_INVALID_VALUE;
    *layout = new lrk_emulated_layout{type, rows, cols, ld};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout)
{
    delete layout;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference)
{
    *preference = new lrk_emulated_preference{{{0, 0, 0, 0, 0, 256, 256, 256, 256}}};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t p,
                                                    cublasLtMatmulPreferenceAttributes_t which,
                                                    const void *value, size_t size)
{
    static const unsigned char sizes[ATTRIBUTES] = {0, 8, 0, 4, 0, 4, 4, 4, 4};
    return p->set(sizes, which, value, size);
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference)
{
    delete preference;
    return CUBLAS_STATUS_SUCCESS;
}

/* ---- shapes and types -------------------------------------------------------------------------
 */

static size_t element_bytes(int type) { return type == CUDA_R_32F ? 4 : 2; }

static bool same_shape(const lrk_emulated_layout *x, uint64_t rows, uint64_t cols)
{
    return x->rows == rows && x->cols == cols;
}

/* a and b of one type; c and d of one, which is that of a, or f32. */
static bool fits(const lrk_emulated_product *p, const lrk_emulated_layout *a,
                 const lrk_emulated_layout *b, const lrk_emulated_layout *c,
                 const lrk_emulated_layout *d)
{
    const bool at = p->transposed(CUBLASLT_MATMUL_DESC_TRANSA);
    const bool bt = p->transposed(CUBLASLT_MATMUL_DESC_TRANSB);
    const uint64_t m = at ? a->cols : a->rows, k = at ? a->rows : a->cols;
    const uint64_t n = bt ? b->rows : b->cols;
    return (bt ? b->cols : b->rows) == k && same_shape(c, m, n) && same_shape(d, m, n) &&
           a->type == b->type && c->type == d->type &&
           (d->type == a->type || d->type == CUDA_R_32F);
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t product,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int asked,
                                              cublasLtMatmulHeuristicResult_t *result,
                                              int *returned)
{
    *returned = 0;
    if (asked < 1) return CUBLAS_STATUS_INVALID_VALUE;
    if (!fits(product, a, b, c, d)) return CUBLAS_STATUS_NOT_SUPPORTED;
    const bool room = preference->value[CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES] >= SCRATCH;
    for (int i = 0; i < asked && i < 1 + room; i++) {
        cublasLtMatmulHeuristicResult_t *r = &result[(*returned)++];
        memset(r, 0, sizeof *r);
        r->workspaceSize = i * SCRATCH;
        r->wavesCount = 1.0f;
        r->algo.data[ALGORITHM_ID] = FIRST + (uint64_t)i;
        r->algo.data[ALGORITHM_WORKSPACE] = r->workspaceSize;
        for (int o = 0; o < 4; o++)
            r->algo.data[ALGORITHM_ALIGNMENT + o] =
                preference->value[CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES + o];
    }
    return CUBLAS_STATUS_SUCCESS;
}

/* ---- the product ------------------------------------------------------------------------------
 */

static float get(const char *p, int type, size_t i)
{
    float f;
    uint16_t h;
    if (type == CUDA_R_32F) {
        memcpy(&f, p + 4 * i, sizeof f);
        return f;
    }
    memcpy(&h, p + 2 * i, sizeof h);
    return emulator_from_bf16(h);
}

static void put(char *p, int type, size_t i, float v)
{
    const uint16_t h = emulator_to_bf16(v);
    if (type == CUDA_R_32F)
        memcpy(p + 4 * i, &v, sizeof v);
    else
        memcpy(p + 2 * i, &h, sizeof h);
}

/* The columns of a matrix, read with the check. */
static std::vector<float> load(const operand &x)
{
    const lrk_emulated_layout &l = x.layout;
    const size_t bytes = element_bytes(l.type);
    std::vector<float> v(l.rows * l.cols);
    for (size_t j = 0; j < l.cols; j++) {
        const char *column = x.data + j * (size_t)l.ld * bytes;
        emulator_library_read(column, l.rows * bytes, "cublasLtMatmul");
        for (size_t i = 0; i < l.rows; i++) v[j * l.rows + i] = get(column, l.type, i);
    }
    return v;
}

/* sum over h of x[h * x_stride] y[h * y_stride] */
static double product_sum(const float *x, size_t x_stride, const float *y, size_t y_stride, size_t k, bool second)
{
    double sum = 0.0;
    for (size_t h = 0; h < k; h++) {
        sum += (double)x[h * x_stride] * (double)y[h * y_stride];
        if (second) sum = (double)(float)sum;
    }
    return sum;
}

static void multiply_all(const multiplication &p)
{
    const lrk_emulated_layout &d = p.d.layout;
    const bool at = p.product.transposed(CUBLASLT_MATMUL_DESC_TRANSA);
    const bool bt = p.product.transposed(CUBLASLT_MATMUL_DESC_TRANSB);
    const size_t m = d.rows, n = d.cols, k = at ? p.a.layout.rows : p.a.layout.cols;
    const size_t bytes = element_bytes(d.type);
    const std::vector<float> a = load(p.a), b = load(p.b);
    const std::vector<float> c = p.beta != 0.0f ? load(p.c) : std::vector<float>();
    const char *bias = p.product.bias();
    for (size_t j = 0; j < n; j++) {
        char *column = const_cast<char *>(p.d.data) + j * (size_t)d.ld * bytes;
        for (size_t i = 0; i < m; i++) {
            double v = (double)p.alpha * product_sum(&a[at ? i * k : i], at ? 1 : m, &b[bt ? j : j * k],
                                                     bt ? n : 1, k, p.second);
            if (p.beta != 0.0f) v += (double)p.beta * (double)c[j * m + i];
            if (bias) v += (double)get(bias, d.type, i);
            put(column, d.type, i, (float)v);
        }
        emulator_library_write(column, m * bytes);
    }
}

static void multiply(const multiplication &p)
{
    const char *slow = getenv("LRK_EMULATOR_SLOW");
    if (slow && *slow == (p.second ? '2' : '1')) chip.slow_ms += 1000.0; /* more than any noise */
    if (p.workspace_bytes) emulator_fill(p.workspace, 0xff, p.workspace_bytes);
    if (p.product.bias())
        emulator_library_read(p.product.bias(), p.d.layout.rows * element_bytes(p.d.layout.type), "cublasLtMatmul");
    multiply_all(p);
}

static void check_operand(const operand &x, uint64_t alignment, const char *what)
{
    const lrk_emulated_layout &l = x.layout;
    const size_t bytes = ((l.cols - 1) * (size_t)l.ld + l.rows) * element_bytes(l.type);
    if (emulator_place_of(x.data, bytes, what) != EMULATOR_DEVICE)
        emulator_error("host", "%s, %p, is not in device memory", what,
                       static_cast<const void *>(x.data));
    else if (reinterpret_cast<uintptr_t>(x.data) % alignment)
        emulator_error("misaligned",
                       "%s, %p, is not a multiple of %u, which the algorithm was "
                       "asked for",
                       what, static_cast<const void *>(x.data), (unsigned)alignment);
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t product, const void *alpha,
                              const void *a, cublasLtMatrixLayout_t a_layout, const void *b,
                              cublasLtMatrixLayout_t b_layout, const void *beta, const void *c,
                              cublasLtMatrixLayout_t c_layout, void *d,
                              cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t *algorithm, void *workspace,
                              size_t workspace_bytes, cudaStream_t stream)
{
    multiplication p = {*product, {}, {}, {}, {}, 0.0f, 0.0f, workspace, 0, false};
    p.a = {static_cast<const char *>(a), *a_layout};
    p.b = {static_cast<const char *>(b), *b_layout};
    p.c = {static_cast<const char *>(c), *c_layout};
    p.d = {static_cast<const char *>(d), *d_layout};
    memcpy(&p.alpha, alpha, sizeof p.alpha);
    memcpy(&p.beta, beta, sizeof p.beta);
    if (!fits(product, a_layout, b_layout, c_layout, d_layout) ||
        (c == d && memcmp(c_layout, d_layout, sizeof *c_layout) != 0))
        return CUBLAS_STATUS_INVALID_VALUE;
    uint64_t alignment[4];
    for (int i = 0; i < 4; i++)
        alignment[i] = algorithm ? algorithm->data[ALGORITHM_ALIGNMENT + i] : 1;
    p.second = algorithm && algorithm->data[ALGORITHM_ID] == SECOND;
    p.workspace_bytes = algorithm ? algorithm->data[ALGORITHM_WORKSPACE] : 0;
    if (p.workspace_bytes > workspace_bytes) return CUBLAS_STATUS_INVALID_VALUE;
    check_operand(p.a, alignment[0], "a of cublasLtMatmul");
    check_operand(p.b, alignment[1], "b of cublasLtMatmul");
    if (p.beta != 0.0f) check_operand(p.c, alignment[2], "c of cublasLtMatmul");
    check_operand(p.d, alignment[3], "d of cublasLtMatmul");
    if (workspace_bytes)
        (void)emulator_place_of(workspace, workspace_bytes, "the workspace of cublasLtMatmul");
    return emulator_enqueue(stream, operation::KERNEL, [p] { multiply(p); }) == cudaSuccess
               ? CUBLAS_STATUS_SUCCESS
               : CUBLAS_STATUS_EXECUTION_FAILED;
}
