/* tests/emulator/cublaslt.cpp -- matrix products in the place of cuBLASLt. Sums run in the order of k: by the
 * first algorithm in double, by the second in f32, so that a choice shows in the bits. LRK_EMULATOR_SLOW=1
 * or 2 makes one of them slow, LRK_EMULATOR_REFUSED=1 the first one, 2 both, such that they do not run, with a
 * status behind a comma for another reason than that they are not supported, and 3 such that none is proposed; with
 * LRK_EMULATOR_STRIDES the second is proposed before the first where columns are apart. */
#include "runtime.h"

#include <cublasLt.h>
#include <stdlib.h>

/* What the second algorithm wants. */
enum { SCRATCH = 4096 };

struct lrk_emulated_product {
    int32_t a_transposed, b_transposed, epilogue;
    const char *bias; /* of d's type */

    const char *added(void) const { return epilogue == CUBLASLT_EPILOGUE_BIAS ? bias : nullptr; }
};

struct lrk_emulated_preference {
    uint64_t workspace;
    uint32_t reduction, alignment[4]; /* of a, b, c, d */
};

struct lrk_emulated_layout {
    cudaDataType_t type;
    uint64_t rows, cols;
    int64_t ld;

    size_t element(void) const { return type == CUDA_R_32F ? 4 : 2; }
    bool same(uint64_t r, uint64_t c) const { return rows == r && cols == c; }
    bool apart(void) const { return (uint64_t)ld != rows; }
};

/* What cublasLtMatmulAlgo_t holds. */
struct algorithm {
    bool second;
    size_t workspace;
    uint32_t alignment[4];
};
static_assert(sizeof(algorithm) <= sizeof(cublasLtMatmulAlgo_t), "an algorithm fits");

struct operand {
    const char *data;
    lrk_emulated_layout layout;
};

/* c is d. */
struct multiplication {
    lrk_emulated_product product;
    operand a, b, d;
    float alpha, beta;
    void *workspace;
    algorithm how;
};

/* How many of the algorithms are refused, and why. */
static long refused(cublasStatus_t *why)
{
    const char *said = getenv("LRK_EMULATOR_REFUSED");
    char *end;
    const long n = said ? strtol(said, &end, 10) : 0;
    *why = n && *end ? static_cast<cublasStatus_t>(strtol(end + 1, nullptr, 10)) : CUBLAS_STATUS_NOT_SUPPORTED;
    return n;
}

/* ---- descriptions ---------------------------------------------------------------------------- */

size_t cublasLtGetVersion(void) { return CUBLAS_VERSION; }

const char *cublasLtGetStatusName(cublasStatus_t status)
{
    switch (status) {
#define X(name) case CUBLAS_STATUS_##name: return "CUBLAS_STATUS_" #name;
        X(SUCCESS) X(NOT_INITIALIZED) X(INVALID_VALUE) X(EXECUTION_FAILED) X(INTERNAL_ERROR) X(NOT_SUPPORTED)
#undef X
    }
    return "unrecognized status code";
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle)
{
    if (chip.sticky != cudaSuccess || emulator_planned_failure("cublaslt", 1)) return CUBLAS_STATUS_NOT_INITIALIZED;
    *handle = reinterpret_cast<cublasLtHandle_t>(&chip);
    return CUBLAS_STATUS_SUCCESS;
}

/* Where a value goes that is set by number. */
struct attribute {
    int name;
    void *to;
    size_t size;
};

static cublasStatus_t set(std::initializer_list<attribute> all, int name, const void *value, size_t size)
{
    for (const attribute &a : all)
        if (a.name == name && a.size == size) {
            memcpy(a.to, value, size);
            return CUBLAS_STATUS_SUCCESS;
        }
    return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *p, cublasComputeType_t compute, cudaDataType_t scale)
{
    if (compute != CUBLAS_COMPUTE_32F || scale != CUDA_R_32F) return CUBLAS_STATUS_NOT_SUPPORTED;
    *p = new lrk_emulated_product();
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t p, cublasLtMatmulDescAttributes_t name,
                                              const void *value, size_t size)
{
    return set({{CUBLASLT_MATMUL_DESC_TRANSA, &p->a_transposed, sizeof p->a_transposed},
                {CUBLASLT_MATMUL_DESC_TRANSB, &p->b_transposed, sizeof p->b_transposed},
                {CUBLASLT_MATMUL_DESC_EPILOGUE, &p->epilogue, sizeof p->epilogue},
                {CUBLASLT_MATMUL_DESC_BIAS_POINTER, &p->bias, sizeof p->bias}},
               name, value, size);
}

template <typename T> static cublasStatus_t destroy(T *p)
{
    delete p;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t p) { return destroy(p); }

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout, cudaDataType_t type, uint64_t rows,
                                          uint64_t cols, int64_t ld)
{
    if (!rows || !cols || ld < (int64_t)rows) return CUBLAS_STATUS_INVALID_VALUE;
    *layout = new lrk_emulated_layout{type, rows, cols, ld};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t p) { return destroy(p); }

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *p)
{
    *p = new lrk_emulated_preference{0, 0, {256, 256, 256, 256}};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t p,
                                                    cublasLtMatmulPreferenceAttributes_t name, const void *value,
                                                    size_t size)
{
    return set({{CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &p->workspace, sizeof p->workspace},
                {CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &p->reduction, sizeof p->reduction},
                {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &p->alignment[0], sizeof p->alignment[0]},
                {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &p->alignment[1], sizeof p->alignment[1]},
                {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &p->alignment[2], sizeof p->alignment[2]},
                {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &p->alignment[3], sizeof p->alignment[3]}},
               name, value, size);
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t p) { return destroy(p); }

/* a and b of one type; c and d of one, which is that of a, or f32. */
static bool fits(const lrk_emulated_product *p, const lrk_emulated_layout *a, const lrk_emulated_layout *b,
                 const lrk_emulated_layout *c, const lrk_emulated_layout *d)
{
    const uint64_t m = p->a_transposed ? a->cols : a->rows, k = p->a_transposed ? a->rows : a->cols;
    const uint64_t n = p->b_transposed ? b->rows : b->cols;
    return (p->b_transposed ? b->cols : b->rows) == k && c->same(m, n) && d->same(m, n) && a->type == b->type &&
           c->type == d->type && (d->type == a->type || d->type == CUDA_R_32F);
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t product, cublasLtMatrixLayout_t a,
                                              cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c,
                                              cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t preference,
                                              int asked, cublasLtMatmulHeuristicResult_t *result, int *returned)
{
    cublasStatus_t why;
    *returned = 0;
    if (asked < 1) return CUBLAS_STATUS_INVALID_VALUE;
    if (refused(&why) > 2) return why;
    if (emulator_capturing()) return CUBLAS_STATUS_INTERNAL_ERROR;
    if (!fits(product, a, b, c, d)) return CUBLAS_STATUS_NOT_SUPPORTED;
    const bool turned = getenv("LRK_EMULATOR_STRIDES") && (a->apart() || b->apart() || d->apart());
    for (bool later : {false, true}) {
        const bool second = later != turned;
        algorithm how = {second, second ? (size_t)SCRATCH : 0, {}};
        memcpy(how.alignment, preference->alignment, sizeof how.alignment);
        if (*returned == asked || how.workspace > preference->workspace) continue;
        cublasLtMatmulHeuristicResult_t *r = &result[(*returned)++];
        *r = {{}, how.workspace, CUBLAS_STATUS_SUCCESS, 1.0f, {}};
        memcpy(&r->algo, &how, sizeof how);
    }
    return CUBLAS_STATUS_SUCCESS;
}

/* ---- the product ----------------------------------------------------------------------------- */

static float get(const char *p, cudaDataType_t type, size_t i)
{
    if (type == CUDA_R_32F) return reinterpret_cast<const float *>(p)[i];
    return emulator_from_bf16(reinterpret_cast<const uint16_t *>(p)[i]);
}

static void put(char *p, cudaDataType_t type, size_t i, float v)
{
    if (type == CUDA_R_32F)
        reinterpret_cast<float *>(p)[i] = v;
    else
        reinterpret_cast<uint16_t *>(p)[i] = emulator_to_bf16(v);
}

/* The columns one behind the other, or the rows; read with the check. */
static std::vector<float> load(const operand &x, bool rows)
{
    const lrk_emulated_layout &l = x.layout;
    std::vector<float> v(l.rows * l.cols);
    for (size_t j = 0; j < l.cols; j++) {
        const char *column = x.data + j * (size_t)l.ld * l.element();
        emulator_library_read(column, l.rows * l.element(), "cublasLtMatmul");
        for (size_t i = 0; i < l.rows; i++) v[rows ? i * l.cols + j : j * l.rows + i] = get(column, l.type, i);
    }
    return v;
}

/* Of so many rows at once: a sum waits for itself at every step. */
enum { ABREAST = 8 };
typedef double doubles __attribute__((vector_size(ABREAST * sizeof(double))));
typedef float floats __attribute__((vector_size(ABREAST * sizeof(float))));

/* Rows of k in groups, the last one filled up with zeros: elements h of a group lie side by side. */
static std::vector<doubles> side_by_side(const std::vector<float> &x, size_t k)
{
    const size_t rows = x.size() / k;
    std::vector<doubles> v((rows + ABREAST - 1) / ABREAST * k);
    for (size_t i = 0; i < rows; i++)
        for (size_t h = 0; h < k; h++) v[i / ABREAST * k + h][i % ABREAST] = (double)x[i * k + h];
    return v;
}

static void product_sums(const doubles *x, const float *y, size_t k, bool second, doubles *sums)
{
    doubles sum = {};
    for (size_t h = 0; h < k; h++) {
        sum += x[h] * (double)y[h];
        if (second) sum = __builtin_convertvector(__builtin_convertvector(sum, floats), doubles);
    }
    *sums = sum;
}

static void multiply(const multiplication &p)
{
    const char *slow = getenv("LRK_EMULATOR_SLOW"), *bias = p.product.added();
    if (slow && *slow == (p.how.second ? '2' : '1')) chip.slow_ms += 1000.0; /* more than any noise */
    if (p.how.workspace) emulator_fill(p.workspace, 0xff, p.how.workspace);
    const lrk_emulated_layout &d = p.d.layout;
    const std::vector<float> a_rows = load(p.a, !p.product.a_transposed), b = load(p.b, p.product.b_transposed);
    const std::vector<float> before = p.beta != 0.0f ? load(p.d, false) : std::vector<float>();
    const size_t k = a_rows.size() / d.rows;
    const std::vector<doubles> a = side_by_side(a_rows, k);
    doubles sums;
    if (bias) emulator_library_read(bias, d.rows * d.element(), "cublasLtMatmul");
    for (size_t j = 0; j < d.cols; j++) {
        char *column = const_cast<char *>(p.d.data) + j * (size_t)d.ld * d.element();
        for (size_t i = 0; i < d.rows; i++) {
            if (i % ABREAST == 0) product_sums(&a[i / ABREAST * k], &b[j * k], k, p.how.second, &sums);
            double v = (double)p.alpha * sums[i % ABREAST];
            if (p.beta != 0.0f) v += (double)p.beta * (double)before[j * d.rows + i];
            if (bias) v += (double)get(bias, d.type, i);
            put(column, d.type, i, (float)v);
        }
        emulator_library_write(column, d.rows * d.element());
    }
}

static void check_operand(const operand &x, uint32_t alignment, const char *what)
{
    const lrk_emulated_layout &l = x.layout;
    const size_t bytes = ((l.cols - 1) * (size_t)l.ld + l.rows) * l.element();
    const void *p = x.data;
    if (emulator_place_of(p, bytes, what) != EMULATOR_DEVICE)
        emulator_error("host", "%s, %p, is not in device memory", what, p);
    else if (reinterpret_cast<uintptr_t>(p) % alignment)
        emulator_error("misaligned", "%s, %p, is not a multiple of %u, which the algorithm was asked for", what, p,
                       alignment);
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t product, const void *alpha, const void *a,
                              cublasLtMatrixLayout_t a_layout, const void *b, cublasLtMatrixLayout_t b_layout,
                              const void *beta, const void *c, cublasLtMatrixLayout_t c_layout, void *d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t *chosen, void *workspace,
                              size_t workspace_bytes, cudaStream_t stream)
{
    multiplication p = {*product,
                        {static_cast<const char *>(a), *a_layout},
                        {static_cast<const char *>(b), *b_layout},
                        {static_cast<const char *>(d), *d_layout},
                        *static_cast<const float *>(alpha),
                        *static_cast<const float *>(beta),
                        workspace,
                        {}};
    memcpy(&p.how, chosen, sizeof p.how);
    if (!fits(product, a_layout, b_layout, c_layout, d_layout) || p.how.workspace > workspace_bytes ||
        memcmp(c_layout, d_layout, sizeof *c_layout) != 0)
        return CUBLAS_STATUS_INVALID_VALUE;
    cublasStatus_t why;
    if (p.how.second < refused(&why)) return why;
    if (c != d) return CUBLAS_STATUS_NOT_SUPPORTED;
    check_operand(p.a, p.how.alignment[0], "a of cublasLtMatmul");
    check_operand(p.b, p.how.alignment[1], "b of cublasLtMatmul");
    if (p.beta != 0.0f) check_operand(p.d, p.how.alignment[2], "c of cublasLtMatmul");
    check_operand(p.d, p.how.alignment[3], "d of cublasLtMatmul");
    if ((uintptr_t)product->added() % 16 != 0)
        emulator_error("misaligned", "the bias of cublasLtMatmul, %p, is not a multiple of 16",
                       static_cast<const void *>(product->bias));
    if ((uintptr_t)workspace % 256 != 0) return CUBLAS_STATUS_INVALID_VALUE;
    if (workspace_bytes) (void)emulator_place_of(workspace, workspace_bytes, "the workspace of cublasLtMatmul");
    const cudaError_t e = emulator_enqueue(stream, operation::KERNEL, [p] { multiply(p); });
    return e == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
