/* base/cpu.c -- instruction sets found at run time. */
#include "base/cpu.h"

#include "base/log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const names[] = {"scalar", "avx2", "avx512", "avx512_bf16", "amx"};

const char *lrk_isa_name(lrk_isa isa)
{
    return names[isa];
}

#if defined(__x86_64__)
#include <cpuid.h>

/* The kernel saves the tile registers only for processes that asked: arch_prctl(2),
 * ARCH_REQ_XCOMP_PERM for XTILEDATA. */
static bool tiles_allowed(void)
{
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

/* Each level asks for all that its files are compiled for (LRK_FLAGS_* in CMakeLists.txt): a
 * hypervisor may hide one of a set that every such processor has. */
static bool has_f16c(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & 1u << 29);
}

static bool has_avx512_bf16(void)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 5);
}

/* Intel's processors with tiles have it at a quarter of the rate of multiply-adds (measured: 0.52 ns
 * against 0.13), half their products a second: f32 is faster there when the kernel refuses the tiles.
 * AMD's and Cooper Lake double them. */
static bool has_fast_avx512_bf16(void)
{
    enum { COOPER_LAKE = 85 };
    unsigned a, b, c, d;
    if (!has_avx512_bf16() || !__get_cpuid(0, &a, &b, &c, &d)) return false;
    if (c != signature_INTEL_ecx || !__get_cpuid(1, &a, &b, &c, &d)) return true;
    return ((a >> 4 & 15) | (a >> 12 & 0xf0)) == COOPER_LAKE;
}

static bool has_tiles(void)
{
    unsigned a, b, c, d;
    const unsigned bf16 = 1u << 22, tile = 1u << 24;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & bf16) && (d & tile) && tiles_allowed();
}

static lrk_isa level_above_avx512(void)
{
    if (has_avx512_bf16() && has_tiles()) return LRK_AMX;
    return has_fast_avx512_bf16() ? LRK_AVX512_BF16 : LRK_AVX512;
}

lrk_isa lrk_cpu_hardware(void)
{
    static atomic_int found; /* 1 + level once known */
    const int known = atomic_load(&found);
    if (known) return (lrk_isa)(known - 1);
    __builtin_cpu_init();
    lrk_isa isa = LRK_SCALAR;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c()) {
        isa = LRK_AVX2;
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
            isa = level_above_avx512();
    }
    atomic_store(&found, (int)isa + 1);
    return isa;
}
#else
lrk_isa lrk_cpu_hardware(void)
{
    return LRK_SCALAR;
}
#endif

static atomic_int forced; /* 1 + level; 0: not set */

static bool find(const char *name, lrk_isa *out)
{
    for (int i = LRK_SCALAR; i <= LRK_AMX; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (lrk_isa)i;
            return true;
        }
    }
    return false;
}

lrk_isa lrk_cpu(void)
{
    const int f = atomic_load(&forced);
    if (f) return (lrk_isa)(f - 1);
    lrk_isa isa = lrk_cpu_hardware(), wanted;
    const char *env = lrk_env("LRK_CPU");
    if (env && find(env, &wanted) && wanted < isa) isa = wanted;
    atomic_store(&forced, (int)isa + 1);
    return isa;
}

lrk_status lrk_cpu_set(lrk_isa isa, lrk_err *err)
{
    LRK_REQUIRE(err, isa <= lrk_cpu_hardware(), LRK_ESUPPORT,
                "this processor has no %s; the best it has is %s", names[isa],
                names[lrk_cpu_hardware()]);
    atomic_store(&forced, (int)isa + 1);
    return LRK_OK;
}

lrk_status lrk_cpu_check_env(lrk_err *err)
{
    const char *env = lrk_env("LRK_CPU");
    lrk_isa wanted;
    LRK_REQUIRE(err, !env || find(env, &wanted), LRK_EUSAGE,
                "LRK_CPU=%s: expected scalar, avx2, avx512, avx512_bf16 or amx", env);
    return LRK_OK;
}

bool lrk_cpu_has_bf16(void)
{
    return lrk_cpu() >= LRK_AVX512_BF16;
}

const char *lrk_cpu_model(void)
{
#if defined(__x86_64__)
    static char model[49];
    unsigned r[12];
    for (unsigned i = 0; i < 3; i++) {
        if (!__get_cpuid(0x80000002u + i, &r[4 * i], &r[4 * i + 1], &r[4 * i + 2], &r[4 * i + 3]))
            return "unknown x86-64";
    }
    memcpy(model, r, 48);
    return model;
#else
    return "unknown";
#endif
}
