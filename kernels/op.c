/* kernels/op.c -- the list of ops, what all ops check, and the way to a kernel. */
#include "kernels/op.h"

#include "base/cpu.h"

#define X(op) &lrk_op_##op,
const lrk_op *const lrk_ops[] = {
#include "kernels/ops.def"
};
#undef X
const size_t lrk_n_ops = sizeof lrk_ops / sizeof lrk_ops[0];

static const lrk_dtype dtypes[LRK_COMPUTE_COUNT] = {LRK_F32, LRK_F64, LRK_BF16};

lrk_dtype lrk_compute_dtype(lrk_compute c)
{
    return dtypes[c];
}

const char *lrk_compute_name(lrk_compute c)
{
    return lrk_dtype_name(dtypes[c]);
}

lrk_status lrk_compute_of(const lrk_tensor *t, const char *op, lrk_compute *out, lrk_err *err)
{
    for (lrk_compute c = 0; c < LRK_COMPUTE_COUNT; c++) {
        if (dtypes[c] == t->dtype) {
            *out = c;
            return LRK_OK;
        }
    }
    return lrk_fail(err, LRK_ESUPPORT, "%s: cannot compute in the type of '%s', %s; f32, bf16 and f64 are possible",
                    op, t->name, lrk_dtype_name(t->dtype));
}

/* A kernel of a higher level may be missing: the next lower level is the same device and gives
 * results as good. Never from one device to another. */
static lrk_kernel find(const lrk_kernel table[LRK_TARGETS][LRK_COMPUTE_COUNT], lrk_device device,
                       lrk_compute compute)
{
    if (device == LRK_CUDA) return table[LRK_ON_CUDA][compute];
    _Static_assert(LRK_ON_SCALAR == (int)LRK_SCALAR && LRK_ON_AMX == (int)LRK_AMX, "same order");
    int target = (int)lrk_cpu();
    while (target > LRK_ON_SCALAR && !table[target][compute]) target--;
    return table[target][compute];
}

lrk_kernel lrk_op_forward(const lrk_op *op, lrk_device device, lrk_compute compute)
{
    return find(op->forward, device, compute);
}

lrk_kernel lrk_op_backward(const lrk_op *op, lrk_device device, lrk_compute compute)
{
    return find(op->backward, device, compute);
}

static lrk_status check_input(const lrk_op *op, const lrk_tensor *t, int i, lrk_err *err)
{
    if (!t) {
        LRK_REQUIRE(err, op->optional_in >> i & 1u, LRK_ESHAPE, "%s: input %d is missing", op->name,
                    i);
        return LRK_OK;
    }
    LRK_REQUIRE(err, t->rank >= 0 && t->rank <= LRK_MAX_RANK && t->dtype < LRK_DTYPE_COUNT,
                LRK_ESHAPE, "%s: input %d, '%s', has rank %d and type %d", op->name, i, t->name,
                t->rank, (int)t->dtype);
    for (int d = 0; d < t->rank; d++) {
        LRK_REQUIRE(err, t->dim[d] > 0, LRK_ESHAPE, "%s: axis %d of '%s' is empty", op->name, d,
                    t->name);
    }
    LRK_REQUIRE(err, t->stride >= lrk_cols(t), LRK_ESHAPE,
                "%s: the rows of '%s' are %zu elements apart and %zu long", op->name, t->name,
                t->stride, lrk_cols(t));
    return LRK_OK;
}

lrk_status lrk_op_infer(const lrk_op *op, const lrk_call *c, lrk_infer *shapes, lrk_err *err)
{
    for (int i = 0; i < op->n_in; i++) LRK_TRY(check_input(op, c->in[i], i, err));
    *shapes = (lrk_infer){0};
    LRK_TRY(op->infer(c, shapes, err));
    if (!lrk_device_built(c->device)) return LRK_OK;
    const char *missing = NULL;
    if (!lrk_op_forward(op, c->device, shapes->compute)) missing = "forward";
    else if (c->backward_follows && !lrk_op_backward(op, c->device, shapes->compute)) missing = "backward";
    LRK_REQUIRE(err, !missing, LRK_ESUPPORT, "%s: no %s kernel for %s in %s", op->name, missing,
                lrk_device_name(c->device), lrk_compute_name(shapes->compute));
    return LRK_OK;
}
