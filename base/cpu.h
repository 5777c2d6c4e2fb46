/* base/cpu.h -- what this processor can do, found at run time.
 *
 * LRK_CPU=scalar|avx2|avx512|avx512_bf16|amx lowers the level (never raises it), so that every path
 * can be tested on one machine. avx2 includes FMA and F16C; avx512 means F, BW, DQ, VL; avx512_bf16
 * adds products and conversions of bf16, and is a machine's own level where they are faster than f32;
 * amx adds tiles with bf16, permission granted by the kernel.
 */
#ifndef LRK_BASE_CPU_H
#define LRK_BASE_CPU_H
#include "base/status.h"

#include <stdbool.h>

typedef enum lrk_isa { LRK_SCALAR, LRK_AVX2, LRK_AVX512, LRK_AVX512_BF16, LRK_AMX } lrk_isa;

lrk_isa lrk_cpu(void);          /* the level in use: hardware, lowered by LRK_CPU */
lrk_isa lrk_cpu_hardware(void); /* the level of the machine */
const char *lrk_isa_name(lrk_isa isa);
const char *lrk_cpu_model(void); /* "AMD EPYC 7763", for reports */
bool lrk_cpu_has_bf16(void);     /* bf16 products at native speed: avx512_bf16, amx */

/* For tests and `bench`: use this level from now on; refused beyond the hardware's. */
lrk_status lrk_cpu_set(lrk_isa isa, lrk_err *err);
lrk_status lrk_cpu_check_env(lrk_err *err); /* LRK_CPU holds a known name, or is not set */

#endif /* LRK_BASE_CPU_H */
