/* kernels/gemm/cublaslt.cu -- products through cuBLASLt, and the choice of its algorithms. */
#include "kernels/gemm/cublaslt.cuh"
#include "kernels/gemm/cublaslt_api.cuh"
extern "C" {
#include "base/log.h"
#include "kernels/gemm/choices.h"
}

#include <stdio.h>

/* PLACES: a choice that was forgotten could be asked for again while a graph is recorded, which the library does not
 * allow: enough for every shape of some hundred lengths. FASTER: in hundredths, the time at which a later candidate is
 * taken before an earlier one: noise should not decide. */
enum { PLACES = 16384, CANDIDATES = 8, RUNS = 4, FASTER = 93, MOST_ALIGNED = LRK_ALIGN, KEY_TEXT = 320, TOLD = 512 };

/* What an algorithm is chosen for: all that the library looks at. Compared as bytes. */
struct shape_key {
    size_t m, n, k, a_stride, b_stride, c_stride, workspace;
    unsigned a_align, b_align, c_align, bias_align; /* bias_align 0: none is added */
    int type, c_type, a_transposed, b_transposed;
};

/* In the library's terms, which are column-major: c^T = b^T a^T. */
struct shape_place {
    bool taken;
    shape_key key;
    cublasLtMatmulDesc_t product;
    cublasLtMatrixLayout_t left, right, result;
    cublasLtMatmulAlgo_t algorithm;
};

/* The library, opened once, and what was chosen so far. */
static struct {
    bool loaded, open;
    lrk_lt_api call;
    cublasLtHandle_t handle;
    lrk_device_info gpu;
    bool timing;
    char told[TOLD]; /* of the first error */
    lrk_choices choices;
    shape_place place[PLACES];
} lt;

static lrk_status load(lrk_err *err)
{
    if (!lt.loaded) LRK_TRY(lrk_lt_load(&lt.call, err));
    lt.loaded = true;
    return LRK_OK;
}

lrk_status lrk_lt_open(lrk_err *err)
{
    if (lt.open) return LRK_OK;
    LRK_TRY(load(err));
    LRK_REQUIRE(err, lt.call.Create(&lt.handle) == CUBLAS_STATUS_SUCCESS, LRK_EGPU,
                "device: cuda: cuBLASLt %zu does not start on this GPU and driver; use device: cpu",
                lt.call.GetVersion());
    LRK_TRY(lrk_device_open(LRK_CUDA, &lt.gpu, err));
    lrk_choices_open(&lt.choices, lrk_env("LRK_GPU_PRODUCTS"));
    lt.timing = lt.choices.path != NULL;
    lt.open = true;
    return LRK_OK;
}

size_t lrk_lt_version(void)
{
    return load(NULL) == LRK_OK ? lt.call.GetVersion() : 0;
}

static bool good(cublasStatus_t s, const char *what)
{
    if (s == CUBLAS_STATUS_SUCCESS || lrk_cuda_failed()) return s == CUBLAS_STATUS_SUCCESS;
    snprintf(lt.told, sizeof lt.told, "%s gives %s (%d)", what, lt.call.GetStatusName(s), (int)s);
    lrk_cuda_refuse(lt.told);
    return false;
}

/* The product has run in none of the ways that the library proposes; the status of the last. */
static void refused(const shape_key *k, int proposals, cublasStatus_t s)
{
    const size_t v = lt.call.GetVersion();
    const bool unknown = s == CUBLAS_STATUS_NOT_SUPPORTED || s == CUBLAS_STATUS_INVALID_VALUE;
    char ways[32] = "";
    if (lrk_cuda_failed()) return;
    if (unknown && proposals > 1) snprintf(ways, sizeof ways, " in each of %d ways", proposals);
    snprintf(lt.told, sizeof lt.told,
             "cuBLASLt %zu.%zu.%zu %s a product of %zu x %zu by %zu x %zu numbers (%s, %s, %s to %s%s; rows %zu, %zu "
             "and %zu apart)%s: %s (%d); %s, or use device: cpu",
             v / 10000, v / 100 % 100, v % 100,
             !unknown ? "does not run" : proposals ? "refuses" : "has no way for", k->m, k->k, k->k, k->n,
             k->a_transposed ? "transposed" : "as it is", k->b_transposed ? "transposed" : "as it is",
             lrk_dtype_name((lrk_dtype)k->type), lrk_dtype_name((lrk_dtype)k->c_type),
             k->bias_align ? ", with a bias" : "", k->a_stride, k->b_stride, k->c_stride, ways,
             lt.call.GetStatusName(s), (int)s,
             unknown ? "another version of it may take it" : "see what the driver logs of the GPU");
    lrk_cuda_refuse(lt.told);
}

static unsigned alignment(const void *p)
{
    const uintptr_t at = (uintptr_t)p | MOST_ALIGNED;
    return (unsigned)(at & (~at + 1));
}

static shape_key key_of(const lrk_lt_product *p)
{
    shape_key key;
    memset(&key, 0, sizeof key);
    key.m = p->m, key.n = p->n, key.k = p->k;
    key.a_stride = p->a.stride, key.b_stride = p->b.stride, key.c_stride = p->c_stride;
    key.workspace = p->workspace_bytes;
    key.a_align = alignment(p->a.data), key.b_align = alignment(p->b.data);
    key.c_align = alignment(p->c);
    key.bias_align = p->bias ? alignment(p->bias) : 0;
    key.type = p->type, key.c_type = p->c_type;
    key.a_transposed = p->a.transposed, key.b_transposed = p->b.transposed;
    return key;
}

/* FNV-1a. */
static size_t place_of(const shape_key *key)
{
    const unsigned char *byte = reinterpret_cast<const unsigned char *>(key);
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < sizeof *key; i++) h = (h ^ byte[i]) * 0x100000001b3u;
    return (size_t)(h >> 32) % PLACES;
}

static cudaDataType_t type_of(int t)
{
    return t == LRK_BF16 ? CUDA_R_16BF : CUDA_R_32F;
}

/* A row-major matrix as the library sees it: its rows are columns. */
static bool lay_out(cublasLtMatrixLayout_t *out, int type, size_t rows, size_t cols, size_t stride)
{
    return good(lt.call.MatrixLayoutCreate(out, type_of(type), cols, rows, (int64_t)stride),
                "cublasLtMatrixLayoutCreate");
}

static bool set_operation(cublasLtMatmulDesc_t product, cublasLtMatmulDescAttributes_t which,
                          bool transposed)
{
    const int32_t operation = transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    return good(lt.call.MatmulDescSetAttribute(product, which, &operation, sizeof operation),
                "cublasLtMatmulDescSetAttribute");
}

static bool set_bias(cublasLtMatmulDesc_t product, const void *bias)
{
    return !bias || good(lt.call.MatmulDescSetAttribute(product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias),
                         "cublasLtMatmulDescSetAttribute");
}

/* A bias is as long as the library's columns are high: ours are wide. Its type is that of the result. */
static bool set_epilogue(cublasLtMatmulDesc_t product, const void *bias)
{
    const cublasLtEpilogue_t epilogue = bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
    return good(lt.call.MatmulDescSetAttribute(product, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue),
                "cublasLtMatmulDescSetAttribute") &&
           set_bias(product, bias);
}

static bool describe(shape_place *s, const void *bias)
{
    const shape_key *k = &s->key;
    const bool a = k->a_transposed, b = k->b_transposed;
    return good(lt.call.MatmulDescCreate(&s->product, CUBLAS_COMPUTE_32F, CUDA_R_32F),
                "cublasLtMatmulDescCreate") &&
           set_operation(s->product, CUBLASLT_MATMUL_DESC_TRANSA, b) &&
           set_operation(s->product, CUBLASLT_MATMUL_DESC_TRANSB, a) && set_epilogue(s->product, bias) &&
           lay_out(&s->left, k->type, b ? k->n : k->k, b ? k->k : k->n, k->b_stride) &&
           lay_out(&s->right, k->type, a ? k->k : k->m, a ? k->m : k->k, k->a_stride) &&
           lay_out(&s->result, k->c_type, k->m, k->n, k->c_stride);
}

static void forget(shape_place *s)
{
    if (s->product) lt.call.MatmulDescDestroy(s->product);
    if (s->left) lt.call.MatrixLayoutDestroy(s->left);
    if (s->right) lt.call.MatrixLayoutDestroy(s->right);
    if (s->result) lt.call.MatrixLayoutDestroy(s->result);
    *s = shape_place();
}

static bool prefer(cublasLtMatmulPreference_t p, cublasLtMatmulPreferenceAttributes_t which,
                   const void *value, size_t size)
{
    return good(lt.call.MatmulPreferenceSetAttribute(p, which, value, size),
                "cublasLtMatmulPreferenceSetAttribute");
}

/* The library's proposals, best first; their number. 0: an error is noted. */
static int propose(const shape_place *s, cublasLtMatmulHeuristicResult_t *result)
{
    const shape_key *k = &s->key;
    /* partial sums lie in the workspace and are added in order */
    const uint32_t reduction = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    const uint64_t workspace = k->workspace;
    const uint32_t left = k->b_align, right = k->a_align, out = k->c_align;
    cublasLtMatmulPreference_t p = NULL;
    int n = 0;
    const bool asked =
        good(lt.call.MatmulPreferenceCreate(&p), "cublasLtMatmulPreferenceCreate") &&
        prefer(p, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace) &&
        prefer(p, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reduction, sizeof reduction) &&
        prefer(p, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &left, sizeof left) &&
        prefer(p, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &right, sizeof right) &&
        prefer(p, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &out, sizeof out) &&
        prefer(p, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &out, sizeof out);
    cublasStatus_t status = CUBLAS_STATUS_NOT_SUPPORTED;
    if (asked)
        status = lt.call.MatmulAlgoGetHeuristic(lt.handle, s->product, s->left, s->right, s->result, s->result, p,
                                                CANDIDATES, result, &n);
    if (p) lt.call.MatmulPreferenceDestroy(p);
    int usable = 0;
    for (int i = 0; status == CUBLAS_STATUS_SUCCESS && i < n; i++)
        if (result[i].state == CUBLAS_STATUS_SUCCESS && result[i].workspaceSize <= k->workspace)
            result[usable++] = result[i];
    if (!usable) refused(k, 0, status == CUBLAS_STATUS_SUCCESS ? CUBLAS_STATUS_NOT_SUPPORTED : status);
    return usable;
}

/* An error that is not the call's own, as that of a kernel before it, is noted. */
static cublasStatus_t run(const shape_place *s, const cublasLtMatmulAlgo_t *algorithm,
                          const lrk_lt_product *p, float beta, void *c)
{
    if (!set_bias(s->product, p->bias)) return CUBLAS_STATUS_INVALID_VALUE;
    const cublasStatus_t status =
        lt.call.Matmul(lt.handle, s->product, &p->alpha, p->b.data, s->left, p->a.data, s->right, &beta, c, s->result,
                       c, s->result, algorithm, p->workspace, p->workspace_bytes, lrk_cuda_stream());
    const cudaError_t e = status == CUBLAS_STATUS_SUCCESS ? cudaSuccess : cudaGetLastError();
    if (status == CUBLAS_STATUS_EXECUTION_FAILED) lrk_cuda_note(e, "cublasLtMatmul");
    return status;
}

static bool recording(void)
{
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    lrk_cuda_note(cudaStreamIsCapturing(lrk_cuda_stream(), &status), "cudaStreamIsCapturing");
    return status != cudaStreamCaptureStatusNone;
}

/* Milliseconds of RUNS products, after one to warm up; negative: it does not run. */
static float time_of(const shape_place *s, const cublasLtMatmulAlgo_t *algorithm,
                     const lrk_lt_product *p, void *c, const cudaEvent_t event[2])
{
    float ms = -1.0f;
    if (run(s, algorithm, p, 0.0f, c) != CUBLAS_STATUS_SUCCESS) return ms;
    lrk_cuda_note(cudaEventRecord(event[0], lrk_cuda_stream()), "cudaEventRecord");
    for (int i = 0; i < RUNS; i++)
        if (run(s, algorithm, p, 0.0f, c) != CUBLAS_STATUS_SUCCESS) return ms;
    lrk_cuda_note(cudaEventRecord(event[1], lrk_cuda_stream()), "cudaEventRecord");
    lrk_cuda_note(cudaEventSynchronize(event[1]), "cudaEventSynchronize");
    lrk_cuda_note(cudaEventElapsedTime(&ms, event[0], event[1]), "cudaEventElapsedTime");
    return ms;
}

/* The index; negative: no times can be taken now. */
static int fastest(const shape_place *s, const cublasLtMatmulHeuristicResult_t *result, int n,
                   const lrk_lt_product *p)
{
    void *const c = p->accumulate ? p->trial : p->c;
    cudaEvent_t event[2];
    if (n < 2 || !c || recording()) return n < 2 ? 0 : -1;
    lrk_cuda_note(cudaEventCreate(&event[0]), "cudaEventCreate");
    lrk_cuda_note(cudaEventCreate(&event[1]), "cudaEventCreate");
    int best = 0;
    float least = -1.0f;
    for (int i = 0; i < n && !lrk_cuda_failed(); i++) {
        const float ms = time_of(s, &result[i].algo, p, c, event);
        if (ms < 0.0f || (least >= 0.0f && ms * 100.0f > least * (float)FASTER)) continue;
        best = i;
        least = ms;
    }
    lrk_cuda_note(cudaEventDestroy(event[0]), "cudaEventDestroy");
    lrk_cuda_note(cudaEventDestroy(event[1]), "cudaEventDestroy");
    return best;
}

static void write_key(const shape_key *k, char out[KEY_TEXT])
{
    snprintf(out, KEY_TEXT, "%d/%d %d %zu | %zu %zu %zu %zu %zu %zu %zu %u %u %u %u %d %d %d %d", lt.gpu.chip,
             lt.gpu.processors, lt.gpu.driver, lt.call.GetVersion(), k->m, k->n, k->k, k->a_stride,
             k->b_stride, k->c_stride, k->workspace, k->a_align, k->b_align, k->c_align, k->bias_align,
             k->type, k->c_type, k->a_transposed, k->b_transposed);
}

/* Which of the n proposals: the first, unless times are asked for. They are looked up, or taken now, *timed, where that
 * can be done. */
static int choice(const shape_place *s, const cublasLtMatmulHeuristicResult_t *result, int n,
                  const lrk_lt_product *p, bool *timed)
{
    char key[KEY_TEXT];
    *timed = false;
    if (!lt.timing) return 0;
    write_key(&s->key, key);
    int rank = lrk_choices_find(&lt.choices, key);
    if (rank >= 0 && rank < n) return rank;
    rank = fastest(s, result, n, p);
    *timed = rank >= 0;
    return *timed ? rank : 0;
}

static void keep(const shape_place *s, int rank)
{
    char key[KEY_TEXT];
    write_key(&s->key, key);
    lrk_choices_keep(&lt.choices, key, rank);
}

static cublasStatus_t run_chosen(const shape_place *s, const lrk_lt_product *p)
{
    return run(s, &s->algorithm, p, p->accumulate ? 1.0f : 0.0f, p->c);
}

/* The first product of a shape: by the proposal that is chosen, or the first other one that the library does not
 * refuse; nothing is begun of what is refused. False: an error is noted. */
static bool run_first(shape_place *s, const lrk_lt_product *p)
{
    cublasLtMatmulHeuristicResult_t result[CANDIDATES];
    const int n = describe(s, p->bias) ? propose(s, result) : 0;
    bool timed = false;
    const int chosen = n ? choice(s, result, n, p, &timed) : 0;
    cublasStatus_t status = CUBLAS_STATUS_NOT_SUPPORTED;
    for (int i = 0; i < n && !lrk_cuda_failed(); i++) {
        const int rank = i == 0 ? chosen : i <= chosen ? i - 1 : i;
        s->algorithm = result[rank].algo;
        status = run_chosen(s, p);
        if (status != CUBLAS_STATUS_SUCCESS) continue;
        if (timed || (i && lt.timing)) keep(s, rank);
        return true;
    }
    if (n) refused(&s->key, n, status);
    return false;
}

/* Where the shape's choice lies, or, not taken, will lie. */
static shape_place *place_for(const shape_key *key)
{
    shape_place *s = &lt.place[place_of(key)];
    for (int i = 0; i < PLACES && s->taken && memcmp(&s->key, key, sizeof *key) != 0; i++)
        s = s + 1 < lt.place + PLACES ? s + 1 : lt.place;
    if (s->taken && memcmp(&s->key, key, sizeof *key) == 0) return s;
    forget(s); /* a table that is full forgets one */
    s->key = *key;
    return s;
}

void lrk_lt_multiply(const lrk_lt_product *p)
{
    if (lrk_cuda_failed()) return;
    if (lrk_lt_open(NULL) != LRK_OK) {
        lrk_cuda_note(cudaErrorInitializationError, "opening cuBLASLt");
        return;
    }
    const shape_key key = key_of(p);
    shape_place *s = place_for(&key);
    if (s->taken) {
        const cublasStatus_t status = run_chosen(s, p);
        if (status != CUBLAS_STATUS_SUCCESS) refused(&key, 1, status);
        return;
    }
    s->taken = run_first(s, p);
    if (!s->taken) forget(s);
}
