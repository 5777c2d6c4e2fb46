/* kernels/gemm.h -- the one door to matrix products.
 *
 *   C[i,j] = (accumulate ? C[i,j] : 0) + alpha * sum_k A(i,k) * B(k,j) + bias[j]      i < m, j < n
 *
 * With k2 > 0 the sum goes on over a second pair, + alpha * sum_k A2(i,k) B2(k,j), k < k2: an adapter
 * beside its weight, Y = X W^T + S B^T, whose own product would be bound by reading and writing Y. A
 * shallow one (k2 <= 64) is added before Y is stored; a deeper one, that of a product of few rows or few
 * columns, and oneDNN's is a product of its own, and a bf16 C is rounded in between.
 *
 * On a GPU the second pair is a product of its own too, but where C is larger than what the cache keeps for that, and
 * A2 lies behind A in the same rows, and B2 where B's sum would go on: behind its rows if it is transposed, else below
 * them. Then all is one sum, and C is written once. A B that is decoded takes B2 along from wherever it lies.
 *
 * A bias, where there is one, is added on a GPU before C is stored (before a second pair), on the CPU to what was
 * stored: there a bf16 C is rounded in between.
 *
 * An operand is a matrix in memory whose rows are `stride` elements apart; `transposed` says that
 * the product reads it the other way round. So, with X (T, in), W (out, in), dY (T, out):
 *   forward    Y  = X W^T    a = X,  b = W transposed,  m = T, n = out, k = in
 *   backward   dX += dY W    a = dY, b = W,             m = T, n = in,  k = out
 *   LoRA       dA += dS^T X  a = dS transposed, b = X,  m = R, n = in,  k = T
 *
 * Types: a and c are f32 or bf16, mixed as wanted; b is f32, bf16, f16 or any GGUF block type, whose
 * blocks lie along the rows in memory: it is dequantized a panel at a time on its way into the
 * kernel, and no copy of it is kept. All three f64: a plain loop, for gradient checks.
 *
 * Arithmetic: a in f32: products and sums in f32; on a processor our own kernels sum in f64 where k <= 64
 * and more than 4 rows are asked. a in bf16: b is rounded to bf16 (exact where it is bf16 already; for a
 * few rows, m <= 8, it may be kept exact), products exact, sums in f32.
 * Every sum runs in an order that depends on m, n, k, k2, the types and ways round of the operands and
 * the instruction set, never on the number of threads.
 *
 * On a GPU the sums are cuBLASLt's: tensor cores for bf16, never TF32 for f32; its algorithm is
 * chosen once for a shape, by the library's own order and not by a clock, and sums in a fixed order: the
 * same library on the same chip gives the same bits in every process. With LRK_GPU_PRODUCTS=FILE times choose,
 * and FILE keeps what they chose for all later runs.
 *
 * Memory: lrk_gemm_scratch bytes, LRK_ALIGN aligned, from the caller. Nothing is allocated; on a GPU
 * not after the first product of a shape.
 */
#ifndef LRK_KERNELS_GEMM_H
#define LRK_KERNELS_GEMM_H
#include "base/device.h"
#include "base/tensor.h"

typedef struct lrk_operand {
    const void *data;
    lrk_dtype dtype;
    size_t stride; /* elements between rows in memory */
    bool transposed;
} lrk_operand;

typedef struct lrk_gemm {
    lrk_device device; /* where operands, result and scratch lie */
    size_t m, n, k;
    lrk_operand a, b;
    void *c;
    lrk_dtype c_dtype;
    size_t c_stride;
    double alpha;
    bool accumulate;
    const void *bias;     /* n numbers; NULL: none */
    lrk_dtype bias_dtype; /* that of c; on the CPU f32 beside a bf16 c, too */
    size_t k2;            /* 0: no second pair */
    lrk_operand a2, b2;   /* types as for a and b; f64 with f64 */
} lrk_gemm;

/* Makes products on an open device possible. LRK_EGPU: cuBLASLt is missing or does not answer; the
 * message says how to mend it. */
lrk_status lrk_gemm_open(lrk_device d, lrk_err *err);

/* Whether b may be of this type there. */
bool lrk_gemm_decodes(lrk_device d, lrk_dtype t);

/* Enough for lrk_threads() threads as of now or fewer, and for the instruction set and the provider
 * chosen now. Data pointers may be NULL. */
size_t lrk_gemm_scratch(const lrk_gemm *g);
void lrk_gemm_run(const lrk_gemm *g, void *scratch);

/* Whose code multiplies: ours wherever base/cpu.h knows a level above scalar, oneDNN elsewhere.
 * Tests and benchmarks choose. oneDNN allocates inside and orders its sums as it likes. */
typedef enum lrk_gemm_provider { LRK_GEMM_OWN, LRK_GEMM_ONEDNN } lrk_gemm_provider;
lrk_gemm_provider lrk_gemm_provider_get(void);
void lrk_gemm_provider_set(lrk_gemm_provider p);

/* Versions of oneDNN, "2.6.3", and cuBLASLt, "13.1.0", for `lorikeet doctor`; "none" where the program
 * has no GPU kernels or the library does not open. */
void lrk_gemm_onednn_version(char *out, size_t size);
void lrk_gemm_cublaslt_version(char *out, size_t size);

static inline lrk_operand lrk_operand_of(const lrk_tensor *t, bool transposed)
{
    return (lrk_operand){t->data, t->dtype, t->stride, transposed};
}

#endif /* LRK_KERNELS_GEMM_H */
