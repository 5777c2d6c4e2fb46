/* kernels/op.h -- what an op is: one record, found through kernels/ops.def.
 *
 * An op is a pure function on tensor views. Its folder holds the contract (header), the shape rule
 * with samples and record (.c), the CPU kernels (_cpu.c) and the CUDA kernels (_cuda.cu). autograd/
 * and the test sweep see only this record; nothing outside kernels/ knows how many ops there are.
 *
 * Life of a call:
 *   infer     checks shapes, types and attributes, and says what out and saved look like and how
 *             much scratch memory the kernels need. All errors are found here.
 *   forward   writes out[] and saved[]
 *   backward  reads in[], out[], saved[], dout[]; ADDS to every din[i] that is not NULL.
 *             din[i] == NULL means that nobody needs that gradient: it costs nothing.
 * Kernels cannot fail. Sums run in a fixed order: equal inputs give equal bits on one device,
 * whatever the number of threads.
 */
#ifndef LRK_KERNELS_OP_H
#define LRK_KERNELS_OP_H
#include "base/device.h"
#include "base/tensor.h"

enum { LRK_MAX_IN = 12, LRK_MAX_OUT = 3, LRK_MAX_SAVED = 3 };

/* What a kernel was compiled for. The CPU has one set of kernels for each level of base/cpu.h, built
 * from the same source; the level in use is looked up at each call, so LRK_CPU= and tests choose. */
typedef enum lrk_target {
    LRK_ON_SCALAR,
    LRK_ON_AVX2,
    LRK_ON_AVX512,
    LRK_ON_AVX512_BF16, /* none of its own yet: an op takes the one for AVX-512, its products in gemm.h do not */
    LRK_ON_AMX, /* only bf16 kernels of ops that multiply matrices themselves */
    LRK_ON_CUDA,
    LRK_TARGETS
} lrk_target;

/* The types that kernels compute in; the index of the kernel tables. */
typedef enum lrk_compute { LRK_C_F32, LRK_C_F64, LRK_C_BF16, LRK_COMPUTE_COUNT } lrk_compute;

typedef struct lrk_call {
    const lrk_tensor *in[LRK_MAX_IN];   /* NULL: an optional input that is absent */
    lrk_tensor *out[LRK_MAX_OUT];
    lrk_tensor *saved[LRK_MAX_SAVED];   /* NULL in a forward call that no backward will follow */
    const lrk_tensor *dout[LRK_MAX_OUT];
    lrk_tensor *din[LRK_MAX_IN];
    const lrk_tensor *joined[2];        /* NULL; or the inputs of the op that record says joins: in[0] holds nothing
                                           yet, forward writes that op's result there too */
    const void *attr; /* the op's own attribute struct */
    lrk_device device; /* where all of these lie, and where the kernel runs */
    void *scratch;    /* as many bytes as infer asked for, LRK_ALIGN aligned, undefined content */
    bool backward_follows;
    size_t border;  /* columns behind the last dout, in its rows, that are backward's to write in */
    unsigned fresh; /* bit i: din[i] holds nothing yet: write it, do not add. Only ops whose record
                       says overwrites ever see a bit set. */
} lrk_call;

/* What infer says: shapes without data. An out or saved that is not used keeps rank 0, dtype 0 and
 * name NULL, as zero-initialized. */
typedef struct lrk_infer {
    lrk_tensor out[LRK_MAX_OUT];
    lrk_tensor saved[LRK_MAX_SAVED];
    lrk_compute compute; /* which kernels run */
    size_t forward_scratch, backward_scratch;
    int behind[LRK_MAX_SAVED]; /* of saved[k]: 1 + index of the input behind whose columns, in its rows, it lies where
                                  there is room for it; 0: somewhere */
    size_t border; /* columns that backward wants behind the last dout (lrk_call), where that can be had */
    bool abreast; /* all out, of one type and as many rows, lie as columns of one matrix, and so do their gradients
                     where whoever makes those writes them fresh: what lies so can be one product */
} lrk_infer;

typedef lrk_status (*lrk_infer_fn)(const lrk_call *c, lrk_infer *shapes, lrk_err *err);
typedef void (*lrk_kernel)(const lrk_call *c);

/* How the sweep fills an input of a sample. */
typedef enum lrk_fill {
    LRK_FILL_NORMAL,   /* standard normal numbers, times scale when scale is not 0 */
    LRK_FILL_INDEX,    /* i32 in [0, limit) */
    LRK_FILL_TARGET,   /* i32 in [0, limit), about one third -1 */
    LRK_FILL_DATA      /* the i32 table in `data` */
} lrk_fill;

typedef struct lrk_sample_in {
    size_t dim[LRK_MAX_RANK]; /* all zero: the input is absent */
    lrk_fill fill;
    double scale;
    int32_t limit;
    const int32_t *data;
    bool adapter; /* f32 even when the call computes in bf16: LoRA factors and their gradients */
    bool shadow;  /* an adapter that comes in the compute type; its gradient is f32 all the same */
    bool frozen;  /* no gradient asked for */
    int below;    /* 1 + index of the input where whose memory ends its own begins; 0: somewhere */
} lrk_sample_in;

/* Each sample runs as f64 gradient check with a random cotangent, as f32 and bf16 against f64,
 * CUDA against CPU, with guards around every buffer, with 1 and 2 threads, and as benchmark. */
typedef struct lrk_sample {
    const char *name;
    lrk_sample_in in[LRK_MAX_IN];
    const void *attr;
} lrk_sample;

typedef struct lrk_op {
    const char *name;
    int n_in, n_out, n_saved;
    unsigned optional_in; /* bit i: in[i] may be absent */
    int inplace[LRK_MAX_OUT]; /* of out[i]: 1 + index of the input whose storage it may take over, and whose gradient
                                 may take over dout[i]'s; 0: none. backward then sees din == dout. */
    int passthrough; /* bit i: the gradient of in[i] IS dout[0] (an addition): no kernel runs */
    bool overwrites; /* backward honours lrk_call.fresh, which saves filling din with zeros */
    bool cheap;      /* forward costs little beside its output's memory: may be recomputed */
    unsigned needs_in, needs_out; /* bits: what backward reads; the rest may be released */
    const struct lrk_op *joins; /* an op of two inputs whose result is in[0]: forward can do both in one pass, with
                                   the bits that they give one after the other; NULL: none */
    lrk_infer_fn infer;
    lrk_kernel forward[LRK_TARGETS][LRK_COMPUTE_COUNT];
    lrk_kernel backward[LRK_TARGETS][LRK_COMPUTE_COUNT];
    const lrk_sample *samples;
    size_t n_samples;
} lrk_op;

/* All ops: X(name) for each line of ops.def. The list names the symbols, so an op that is missing
 * is a link error. */
#define X(op) extern const lrk_op lrk_op_##op;
#include "kernels/ops.def"
#undef X
extern const lrk_op *const lrk_ops[];
extern const size_t lrk_n_ops;

const char *lrk_compute_name(lrk_compute c);
lrk_dtype lrk_compute_dtype(lrk_compute c);

/* The compute type of a tensor's dtype; LRK_ESUPPORT for types nobody computes in. */
lrk_status lrk_compute_of(const lrk_tensor *t, const char *op, lrk_compute *out, lrk_err *err);

/* Checks what is common to all ops (required inputs present, data types), then asks op->infer, then
 * looks for the kernels: an empty slot is LRK_ESUPPORT naming op, device and type. A program built
 * without kernels for a device can still plan for it. */
lrk_status lrk_op_infer(const lrk_op *op, const lrk_call *c, lrk_infer *shapes, lrk_err *err);

/* The kernel that runs on this device now; never NULL after lrk_op_infer succeeded. */
lrk_kernel lrk_op_forward(const lrk_op *op, lrk_device device, lrk_compute compute);
lrk_kernel lrk_op_backward(const lrk_op *op, lrk_device device, lrk_compute compute);

/* Names: lrk_<op>_{fwd,bwd}_{f32,f64,bf16}_{scalar,avx2,avx512,amx,cuda}. f64 exists for the gradient
 * check and is scalar only. A *_cpu.c file is compiled once for each of the other pairs; real.h
 * gives it the types and LRK_KERNEL(op, pass) the name. LRK_FORWARD_KERNELS: for an op that nobody
 * differentiates. */
#define LRK_DECLARE_SET(op, suffix)                 \
    void lrk_##op##_fwd_##suffix(const lrk_call *); \
    void lrk_##op##_bwd_##suffix(const lrk_call *)
#define LRK_KERNEL_SET(op, pass, isa) \
    {lrk_##op##_##pass##_f32_##isa, lrk_##op##_##pass##_f64_scalar, lrk_##op##_##pass##_bf16_##isa}

/* The kernels of *_cuda.cu are weak: the same records serve a program with them and one without, whose
 * slots are NULL. There are none in f64. */
#define LRK_DECLARE_CUDA_KERNELS(op)                                    \
    __attribute__((weak)) void lrk_##op##_fwd_f32_cuda(const lrk_call *);  \
    __attribute__((weak)) void lrk_##op##_bwd_f32_cuda(const lrk_call *);  \
    __attribute__((weak)) void lrk_##op##_fwd_bf16_cuda(const lrk_call *); \
    __attribute__((weak)) void lrk_##op##_bwd_bf16_cuda(const lrk_call *)
#define LRK_CUDA_SET(op, pass) \
    [LRK_ON_CUDA] = {lrk_##op##_##pass##_f32_cuda, NULL, lrk_##op##_##pass##_bf16_cuda}

#if defined(__x86_64__)
#define LRK_DECLARE_KERNELS(op)          \
    LRK_DECLARE_CUDA_KERNELS(op);        \
    LRK_DECLARE_SET(op, f64_scalar);     \
    LRK_DECLARE_SET(op, f32_scalar);     \
    LRK_DECLARE_SET(op, bf16_scalar);    \
    LRK_DECLARE_SET(op, f32_avx2);       \
    LRK_DECLARE_SET(op, bf16_avx2);      \
    LRK_DECLARE_SET(op, f32_avx512);     \
    LRK_DECLARE_SET(op, bf16_avx512)
#define LRK_FORWARD_KERNELS(op)                                                                 \
    .forward = {LRK_KERNEL_SET(op, fwd, scalar), LRK_KERNEL_SET(op, fwd, avx2),                 \
                LRK_KERNEL_SET(op, fwd, avx512), LRK_CUDA_SET(op, fwd)}
#define LRK_KERNELS(op)                                                                         \
    LRK_FORWARD_KERNELS(op),                                                                    \
    .backward = {LRK_KERNEL_SET(op, bwd, scalar), LRK_KERNEL_SET(op, bwd, avx2),                \
                 LRK_KERNEL_SET(op, bwd, avx512), LRK_CUDA_SET(op, bwd)}
/* The same for an op whose *_amx.c brings bf16 kernels for tile registers. */
#define LRK_DECLARE_AMX_KERNELS(op) LRK_DECLARE_SET(op, bf16_amx)
#define LRK_KERNELS_AND_AMX(op)                                                                 \
    .forward = {LRK_KERNEL_SET(op, fwd, scalar), LRK_KERNEL_SET(op, fwd, avx2),                 \
                LRK_KERNEL_SET(op, fwd, avx512), LRK_CUDA_SET(op, fwd),                         \
                [LRK_ON_AMX] = {NULL, NULL, lrk_##op##_fwd_bf16_amx}},                          \
    .backward = {LRK_KERNEL_SET(op, bwd, scalar), LRK_KERNEL_SET(op, bwd, avx2),                \
                 LRK_KERNEL_SET(op, bwd, avx512), LRK_CUDA_SET(op, bwd),                        \
                 [LRK_ON_AMX] = {NULL, NULL, lrk_##op##_bwd_bf16_amx}}
#else
#define LRK_DECLARE_AMX_KERNELS(op) LRK_DECLARE_SET(op, f32_scalar)
#define LRK_KERNELS_AND_AMX(op) LRK_KERNELS(op)
#define LRK_DECLARE_KERNELS(op)       \
    LRK_DECLARE_CUDA_KERNELS(op);     \
    LRK_DECLARE_SET(op, f64_scalar);  \
    LRK_DECLARE_SET(op, f32_scalar);  \
    LRK_DECLARE_SET(op, bf16_scalar)
#define LRK_FORWARD_KERNELS(op) \
    .forward = {LRK_KERNEL_SET(op, fwd, scalar), LRK_CUDA_SET(op, fwd)}
#define LRK_KERNELS(op)      \
    LRK_FORWARD_KERNELS(op), \
    .backward = {LRK_KERNEL_SET(op, bwd, scalar), LRK_CUDA_SET(op, bwd)}
#endif

#define LRK_SAMPLES(list) .samples = (list), .n_samples = sizeof(list) / sizeof((list)[0])

#endif /* LRK_KERNELS_OP_H */
