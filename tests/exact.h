/* tests/exact.h -- where products that differ in nothing but where their rows lie have equal bits. */
#ifndef LRK_TESTS_EXACT_H
#define LRK_TESTS_EXACT_H
#include "base/device.h"
#include "base/dtype.h"

#include <math.h>
#include <stdlib.h>

/* On the CPU they do, and on the emulator unless it is told otherwise (LRK_EMULATOR_STRIDES). cuBLASLt promises the
 * same bits for the same call alone: other strides or addresses are another call, for which it may propose an
 * algorithm that sums in another order. */
static inline bool lrk_test_exact(lrk_device d)
{
#ifdef LRK_EMULATOR
    return d == LRK_CPU || !getenv("LRK_EMULATOR_STRIDES");
#else
    return d == LRK_CPU;
#endif
}

/* Whether numbers of that type, of which the largest is given, differ by no more than sums in two orders do: in f32 a
 * few roundings of partial sums that are as large; where a result is stored in bf16, or was made of some that are,
 * those. */
static inline bool lrk_test_close(double a, double b, lrk_dtype type, double largest)
{
    const double unit = type == LRK_BF16 ? 0x1p-8 : type == LRK_F32 ? 0x1p-23 : 0x1p-52;
    return fabs(a - b) <= 8.0 * unit * largest;
}

#endif /* LRK_TESTS_EXACT_H */
