/* tests/emulator/runtime.cpp -- the runtime API for one emulated chip: errors, launches, memory. */
#include "runtime.h"

#include <algorithm>
#include <stdio.h>
#include <stdlib.h>

chip_state &chip = *new chip_state();

/* ---- errors ---------------------------------------------------------------------------------- */

const char *cudaGetErrorName(cudaError_t e)
{
    switch (e) {
#define X(name, code, text) case cuda##name: return "cuda" #name;
        LRK_CUDA_ERRORS(X)
#undef X
    }
    return "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t e)
{
    switch (e) {
#define X(name, code, text) case cuda##name: return text;
        LRK_CUDA_ERRORS(X)
#undef X
    }
    return "unrecognized error code";
}

cudaError_t emulator_result(cudaError_t e)
{
    if (chip.sticky != cudaSuccess) return chip.sticky;
    if (e != cudaSuccess) chip.last = e;
    return e;
}

cudaError_t cudaGetLastError(void)
{
    const cudaError_t e = chip.sticky != cudaSuccess ? chip.sticky : chip.last;
    chip.last = cudaSuccess;
    return e;
}

bool emulator_planned_failure(const char *kind, uint64_t n)
{
    const char *text = getenv("LRK_EMULATOR_FAIL");
    const size_t length = strlen(kind);
    if (!text || strncmp(text, kind, length) != 0 || text[length] != ':') return false;
    char *end;
    const uint64_t first = strtoull(text + length + 1, &end, 10);
    return *end == '+' ? n >= first : n == first;
}

/* ---- launches -------------------------------------------------------------------------------- */

void lrk_emulator_count_from_here(void) { chip.launches = chip.mallocs = chip.instantiated = 0; }

uint64_t lrk_emulator_launched(void) { return chip.asked; }

uint64_t lrk_emulator_allocations(void) { return chip.allocations; }

uint64_t lrk_emulator_waits(void) { return chip.waits; }

uint64_t lrk_emulator_idle(void) { return chip.idle; }

uint64_t lrk_emulator_instantiated(void) { return chip.instantiated; }

cudaError_t lrk_emulated_set_attribute(const void *kernel, cudaFuncAttribute a, int value)
{
    if (a != cudaFuncAttributeMaxDynamicSharedMemorySize) return emulator_result(cudaSuccess);
    if (value < 0 || value > EMULATOR_SHARED_MAX) return emulator_result(cudaErrorInvalidValue);
    chip.shared_limits[kernel] = std::max((size_t)value, (size_t)EMULATOR_SHARED);
    return emulator_result(cudaSuccess);
}

static bool right_shape(const emulator_launch &l)
{
    const dim3 g = l.grid, b = l.block;
    const uint64_t threads = (uint64_t)b.x * b.y * b.z;
    const bool ok = threads > 0 && threads <= EMULATOR_THREADS && b.z <= 64 && g.x > 0 && g.y > 0 && g.z > 0 &&
                    g.x <= 0x7fffffffu && g.y <= 65535 && g.z <= 65535;
    if (!ok)
        emulator_error("launch",
                       "%s: grid (%u,%u,%u), block (%u,%u,%u): a block has 1 to 1024 threads, at most 64 in z; "
                       "a grid 1 to 2^31-1, 65535, 65535 blocks",
                       l.name, g.x, g.y, g.z, b.x, b.y, b.z);
    else if (l.shared > l.shared_limit)
        emulator_error("launch", "%s: %zu bytes of shared memory, %zu are allowed%s", l.name, l.shared, l.shared_limit,
                       l.shared_limit == EMULATOR_SHARED ? " without cudaFuncSetAttribute" : "");
    return ok && l.shared <= l.shared_limit;
}

void lrk_emulated_launch(emulator_launch l, const void *kernel, cudaStream_t stream)
{
    const std::shared_ptr<void> arguments(l.arguments, l.destroy);
    const auto limit = chip.shared_limits.find(kernel);
    l.shared_limit = limit == chip.shared_limits.end() ? (size_t)EMULATOR_SHARED : limit->second;
    if (chip.sticky == cudaSuccess && chip.last != cudaSuccess) {
        emulator_error("leftover", "%s is launched, and nobody asked for an earlier error: %s", l.name,
                       cudaGetErrorName(chip.last));
        chip.last = cudaSuccess;
    }
    if (right_shape(l))
        (void)emulator_enqueue(stream, operation::KERNEL, [l, arguments] { emulator_run(l); });
    else
        (void)emulator_result(cudaErrorInvalidConfiguration);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static size_t total_memory(void)
{
    const char *text = getenv("LRK_EMULATOR_MEMORY");
    return text ? (size_t)strtoull(text, nullptr, 10) : (size_t)2 << 30;
}

static cudaError_t allocate(void **p, size_t bytes, emulator_place place)
{
    EMULATOR_TRY(emulator_may_wait());
    chip.allocations++;
    *p = bytes ? emulator_allocate(bytes, place) : nullptr;
    return cudaSuccess;
}

static cudaError_t release(void *p, emulator_place place)
{
    EMULATOR_TRY(emulator_may_wait());
    if (!p) return cudaSuccess;
    emulator_drain(nullptr);
    return emulator_result(emulator_release(p, place) ? cudaSuccess : cudaErrorInvalidValue);
}

cudaError_t cudaMalloc(void **p, size_t bytes)
{
    if (emulator_planned_failure("malloc", ++chip.mallocs) || bytes > total_memory() - emulator_allocated())
        return emulator_result(cudaErrorMemoryAllocation);
    return allocate(p, bytes, EMULATOR_DEVICE);
}

cudaError_t cudaMallocHost(void **p, size_t bytes) { return allocate(p, bytes, EMULATOR_PINNED); }

cudaError_t cudaFree(void *p) { return release(p, EMULATOR_DEVICE); }

cudaError_t cudaFreeHost(void *p) { return release(p, EMULATOR_PINNED); }

cudaError_t cudaMemGetInfo(size_t *free, size_t *total)
{
    *total = total_memory();
    *free = *total - emulator_allocated();
    return emulator_result(cudaSuccess);
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream)
{
    if (!bytes) return emulator_result(cudaSuccess);
    const emulator_place target = emulator_place_of(to, bytes, "the target of a copy");
    const emulator_place source = emulator_place_of(from, bytes, "the source of a copy");
    if ((target == EMULATOR_DEVICE) != (kind & 1) || (source == EMULATOR_DEVICE) != kind >> 1) {
        emulator_error("host", "a copy of kind %d from %p to %p, which lie elsewhere", (int)kind, from, to);
        return emulator_result(cudaErrorInvalidValue);
    }
    const bool pageable = target == EMULATOR_HOST || source == EMULATOR_HOST;
    if (pageable && emulator_captured(stream)) return emulator_may_wait();
    std::vector<char> staged; /* of pageable memory, taken now */
    if (source == EMULATOR_HOST)
        staged.assign(static_cast<const char *>(from), static_cast<const char *>(from) + bytes);
    EMULATOR_TRY(emulator_enqueue(stream, operation::COPY, [=, staged = std::move(staged)] {
        emulator_copy(to, staged.empty() ? from : staged.data(), bytes);
    }));
    if (target == EMULATOR_HOST) emulator_drain(stream);
    return emulator_result(cudaSuccess);
}

cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width,
                              size_t height, cudaMemcpyKind kind, cudaStream_t stream)
{
    if (width > to_pitch || width > from_pitch) return emulator_result(cudaErrorInvalidValue);
    for (size_t i = 0; i < height; i++)
        EMULATOR_TRY(cudaMemcpyAsync(static_cast<char *>(to) + i * to_pitch,
                                     static_cast<const char *>(from) + i * from_pitch, width, kind, stream));
    return emulator_result(cudaSuccess);
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream)
{
    if (!bytes) return emulator_result(cudaSuccess);
    if (emulator_place_of(to, bytes, "a memset") == EMULATOR_HOST) {
        emulator_error("host", "a memset of %p, which is pageable memory of the host", to);
        return emulator_result(cudaErrorInvalidValue);
    }
    return emulator_enqueue(stream, operation::FILL, [=] { emulator_fill(to, value, bytes); });
}

/* ---- the chip -------------------------------------------------------------------------------- */

cudaError_t cudaGetDeviceCount(int *n)
{
    *n = 1;
    return emulator_result(cudaSuccess);
}

cudaError_t cudaSetDevice(int device) { return emulator_result(device == 0 ? cudaSuccess : cudaErrorInvalidDevice); }

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int device)
{
    if (device != 0) return emulator_result(cudaErrorInvalidDevice);
    /* the cache: what takes another way beyond it does so in small tests */
    *p = {"emulated", 8, 9, 4, 4096};
    return emulator_result(cudaSuccess);
}

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return emulator_result(cudaSuccess);
}

cudaError_t cudaRuntimeGetVersion(int *version) { return cudaDriverGetVersion(version); }
