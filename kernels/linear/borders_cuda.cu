/* kernels/linear/borders_cuda.cu -- adapters into the borders of weights. */
#include "kernels/cuda.cuh"
extern "C" {
#include "kernels/linear/borders.h"
}

/* BLOCKS a border: the largest of an 8B model has a million numbers, most have less than a tenth of that. */
enum { THREADS = 256, BLOCKS = 32 };

static __global__ void write_borders(const lrk_border *table)
{
    const lrk_border b = table[blockIdx.y];
    lrk_bf16 *to = reinterpret_cast<lrk_bf16 *>(b.to);
    for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < b.rows * b.width; i += (size_t)BLOCKS * THREADS) {
        const size_t row = i / b.width, c = i % b.width;
        const bool inside = c >= b.first && c < b.first + b.cols;
        lrk_set(to + row * b.stride + c, inside ? b.from[row * b.cols + c - b.first] : 0.0f);
    }
}

extern "C" void lrk_borders_write_cuda(const lrk_border *table, size_t n)
{
    LRK_LAUNCH(write_borders, dim3(BLOCKS, (unsigned)n), dim3(THREADS), 0, table);
}
