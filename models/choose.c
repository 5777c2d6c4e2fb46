/* models/choose.c -- what `auto` stands for. */
#include "models/choose.h"

#include "base/cpu.h"
#include "base/dtype.h"
#include "base/file.h"
#include "base/log.h"
#include "kernels/gemm.h"

#include <string.h>

lrk_status lrk_gpu_open(lrk_device_info *info, lrk_err *err)
{
    LRK_TRY(lrk_device_open(LRK_CUDA, info, err));
    return lrk_gemm_open(LRK_CUDA, err);
}

lrk_status lrk_device_choose(const char *name, lrk_device *out, lrk_err *err)
{
    const bool automatic = strcmp(name, "auto") == 0, cuda = strcmp(name, "cuda") == 0;
    LRK_REQUIRE(err, automatic || cuda || strcmp(name, "cpu") == 0, LRK_EUSAGE,
                "device %s: expected auto, cpu or cuda%s", name,
                strcmp(name, "gpu") == 0 ? "; did you mean cuda?" : "");
    *out = LRK_CPU;
    if (!cuda && !(automatic && lrk_device_built(LRK_CUDA))) return LRK_OK;
    lrk_err why = {0};
    lrk_device_info info;
    const lrk_status status = lrk_gpu_open(&info, automatic ? &why : err);
    if (status == LRK_OK) *out = LRK_CUDA;
    if (!automatic || status == LRK_OK) return status;
    if (info.chip || lrk_is_file("/proc/driver/nvidia/version"))
        lrk_warn("device: auto takes the CPU, for the GPU cannot be used: %s", why.text);
    return LRK_OK;
}

lrk_status lrk_compute_choose(const char *name, lrk_device device, lrk_compute *out, lrk_err *err)
{
    const char *usual = lrk_dtype_usual(name);
    const bool automatic = strcmp(name, "auto") == 0, bf16 = strcmp(usual, "bf16") == 0;
    LRK_REQUIRE(err, automatic || bf16 || strcmp(usual, "f32") == 0, LRK_EUSAGE,
                "--dtype %s: expected auto, f32 or bf16", name);
    const bool native = device == LRK_CUDA || lrk_cpu_has_bf16();
    *out = bf16 || (automatic && native) ? LRK_C_BF16 : LRK_C_F32;
    return LRK_OK;
}
