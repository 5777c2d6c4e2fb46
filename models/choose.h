/* models/choose.h -- where and in which numbers a model is computed: what the user named, or `auto`. */
#ifndef LRK_MODELS_CHOOSE_H
#define LRK_MODELS_CHOOSE_H
#include "base/device.h"
#include "kernels/op.h"

/* Makes the GPU ready for an engine: itself and cuBLASLt. LRK_EGPU: one of them is not there; where it is the latter,
 * info says all the same which GPU answers. */
lrk_status lrk_gpu_open(lrk_device_info *info, lrk_err *err);

/* "cpu"; "cuda": the GPU, or LRK_EGPU; "auto": the GPU where one is built in and answers and cuBLASLt does, else the
 * CPU, with a warning that says why where a driver is installed. A GPU is ready for an engine then. LRK_EUSAGE: any
 * other name. */
lrk_status lrk_device_choose(const char *name, lrk_device *out, lrk_err *err);

/* "f32", "bf16", as lrk_dtype_usual reads them; "auto": bf16 where the device multiplies it, else f32.
 * LRK_EUSAGE: any other name. */
lrk_status lrk_compute_choose(const char *name, lrk_device device, lrk_compute *out, lrk_err *err);

#endif /* LRK_MODELS_CHOOSE_H */
