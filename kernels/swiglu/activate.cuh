/* kernels/swiglu/activate.cuh -- the activations on the GPU. */
#ifndef LRK_KERNELS_SWIGLU_ACTIVATE_CUH
#define LRK_KERNELS_SWIGLU_ACTIVATE_CUH
#include "kernels/cuda.cuh"
extern "C" {
#include "kernels/swiglu/swiglu.h"
}

/* value = act(x), slope = act'(x) */
template <int activation>
static __device__ __forceinline__ void lrk_activate(float x, float *value, float *slope)
{
    if (activation == LRK_SILU) {
        const float s = 1.0f / (1.0f + expf(-x));
        *value = x * s;
        *slope = s * (1.0f + x * (1.0f - s));
    } else if (activation == LRK_GELU_TANH) {
        const float k2 = 1.5957691216057308f, c = 0.044715f;
        const float s = 1.0f / (1.0f + expf(-k2 * (x + c * x * x * x)));
        *value = x * s;
        *slope = s + x * s * (1.0f - s) * k2 * (1.0f + 3.0f * c * x * x);
    } else {
        const float p = 0.5f * erfcf(-x * 0.70710678118654752f);
        *value = x * p;
        *slope = p + x * 0.3989422804014327f * expf(-0.5f * x * x);
    }
}

#endif /* LRK_KERNELS_SWIGLU_ACTIVATE_CUH */
