/* cuda_runtime.h of the emulator: what the project's .cu files use of the CUDA runtime and of the
 * device language, for the host compiler. tests/emulator/emulator.h says how it works.
 *
 * The API does what the CUDA Runtime API manual says, for one device. What it does not know is not
 * declared, so that it does not compile.
 */
#ifndef LRK_EMULATOR_CUDA_RUNTIME_H
#define LRK_EMULATOR_CUDA_RUNTIME_H
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CUDART_VERSION 13000

/* ---- the device language --------------------------------------------------------------------- */

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __align__(n) __attribute__((aligned(n)))
#define __launch_bounds__(...)

struct uint3 {
    unsigned x, y, z;
};

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

#define LRK_VECTORS(type, name)                                                                    \
    struct __align__(2 * sizeof(type)) name##2 { type x, y; };                                     \
    struct __align__(4 * sizeof(type)) name##4 { type x, y, z, w; };                               \
    static inline name##2 make_##name##2(type x, type y) { return {x, y}; }                        \
    static inline name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }
LRK_VECTORS(float, float)
LRK_VECTORS(unsigned, uint)
#undef LRK_VECTORS

/* Constant for a thread while it runs, so the compiler may keep them; set at each switch. */
extern const uint3 threadIdx __asm__("lrk_emulated_threadIdx");
extern const uint3 blockIdx __asm__("lrk_emulated_blockIdx");
extern const dim3 blockDim __asm__("lrk_emulated_blockDim");
extern const dim3 gridDim __asm__("lrk_emulated_gridDim");

/* Where in the source a barrier stands, for reports, and because all must stand at the same one: as a default
 * argument the place of the call. */
struct lrk_site {
    const char *file;
    int line;
    lrk_site(const char *file_ = __builtin_FILE(), int line_ = __builtin_LINE()) : file(file_), line(line_) {}
};

void lrk_emulated_barrier(lrk_site site);

/* All lanes that the mask names arrive with pointers to their parts; the last one does the work for
 * all: lanes[i] is what lane i brought, NULL where the mask does not name it. */
typedef void lrk_warp_work(void *const lanes[32]);
void lrk_emulated_warp(const char *what, unsigned mask, lrk_warp_work *work, void *mine, lrk_site site);

static inline void __syncthreads(lrk_site site = {}) { lrk_emulated_barrier(site); }

void __syncwarp(unsigned mask = 0xffffffffu, lrk_site site = {});

uint64_t lrk_emulated_shuffle(const char *what, unsigned mask, uint64_t value, int source, int width, lrk_site site);
int lrk_emulated_lane(void);

template <typename T>
static inline T lrk_shuffle(const char *what, unsigned mask, T v, int source, int width, lrk_site site)
{
    static_assert(sizeof(T) <= 8, "a shuffle moves at most 8 bytes");
    uint64_t bits = 0;
    memcpy(&bits, &v, sizeof v);
    bits = lrk_emulated_shuffle(what, mask, bits, source, width, site);
    memcpy(&v, &bits, sizeof v);
    return v;
}

template <typename T>
static inline T __shfl_sync(unsigned mask, T v, int lane, int width = 32, lrk_site site = {})
{
    const int from = lrk_emulated_lane() & ~(width - 1);
    return lrk_shuffle("__shfl_sync", mask, v, from + (lane & (width - 1)), width, site);
}

/* A lane beyond the segment gives the caller's own value back. */
template <typename T>
static inline T __shfl_up_sync(unsigned mask, T v, unsigned delta, int width = 32, lrk_site site = {})
{
    const int lane = lrk_emulated_lane(), from = lane - (int)delta;
    return lrk_shuffle("__shfl_up_sync", mask, v, from < (lane & ~(width - 1)) ? lane : from, width, site);
}

template <typename T>
static inline T __shfl_xor_sync(unsigned mask, T v, int bits, int width = 32, lrk_site site = {})
{
    const int lane = lrk_emulated_lane(), from = lane ^ bits;
    return lrk_shuffle("__shfl_xor_sync", mask, v, from > (lane | (width - 1)) ? lane : from, width, site);
}

unsigned __ballot_sync(unsigned mask, int predicate, lrk_site site = {});

/* Atomics on integers. Those on floats would make sums depend on the order of the threads, and
 * __activemask() on how the compiler arranged the branches: both are reported. */
void lrk_emulated_atomic(const void *p, size_t bytes);
void lrk_emulated_refuse(const char *what);

template <typename T> __attribute__((no_sanitize_thread)) static inline T atomicAdd(T *p, T v)
{
    if ((T)0.5 != 0) lrk_emulated_refuse("atomicAdd on floating point");
    lrk_emulated_atomic(p, sizeof *p);
    const T old = *p;
    *p = old + v;
    return old;
}

static inline unsigned __activemask(void)
{
    lrk_emulated_refuse("__activemask");
    return 0;
}

static inline unsigned __float_as_uint(float x)
{
    unsigned u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline float __uint_as_float(unsigned u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* clang-format off */
static inline float __fmul_rn(float x, float y) { return x * y; }
static inline float __fadd_rn(float x, float y) { return x + y; }
static inline float __fsub_rn(float x, float y) { return x - y; }
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((uint64_t)a * b >> 32); }
template <typename T> static inline T min(T a, T b) { return a < b ? a : b; }
template <typename T> static inline T max(T a, T b) { return a > b ? a : b; }
static inline float min(float a, float b) { return fminf(a, b); }
static inline float max(float a, float b) { return fmaxf(a, b); }
/* clang-format on */

/* ---- the runtime ----------------------------------------------------------------------------- */

#define LRK_CUDA_ERRORS(X)                                                                         \
    X(Success, 0, "no error")                                                                      \
    X(ErrorInvalidValue, 1, "invalid argument")                                                    \
    X(ErrorMemoryAllocation, 2, "out of memory")                                                   \
    X(ErrorInitializationError, 3, "initialization error")                                         \
    X(ErrorInvalidConfiguration, 9, "invalid configuration argument")                              \
    X(ErrorInsufficientDriver, 35, "CUDA driver version is insufficient for CUDA runtime version") \
    X(ErrorNoDevice, 100, "no CUDA-capable device is detected")                                    \
    X(ErrorInvalidDevice, 101, "invalid device ordinal")                                           \
    X(ErrorInvalidResourceHandle, 400, "invalid resource handle")                                  \
    X(ErrorIllegalAddress, 700, "an illegal memory access was encountered")                        \
    X(ErrorNotSupported, 801, "operation not supported")                                           \
    X(ErrorStreamCaptureUnsupported, 900, "operation not permitted when stream is capturing")      \
    X(ErrorStreamCaptureInvalidated, 901, "operation failed due to a previous error during capture") \
    X(ErrorStreamCaptureUnjoined, 904, "capturing stream has unjoined work")                       \
    X(ErrorCapturedEvent, 907, "operation not permitted on an event last recorded in a capturing stream") \
    X(ErrorUnknown, 999, "unknown error")

typedef enum cudaError {
#define X(name, code, text) cuda##name = code,
    LRK_CUDA_ERRORS(X)
#undef X
} cudaError_t;

/* Both bits tell where the ends lie: 1 the target, 2 the source is the device's. */
typedef enum cudaMemcpyKind {
    cudaMemcpyHostToHost,
    cudaMemcpyHostToDevice,
    cudaMemcpyDeviceToHost,
    cudaMemcpyDeviceToDevice
} cudaMemcpyKind;

typedef enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal = 1 } cudaStreamCaptureMode;

typedef enum cudaStreamCaptureStatus {
    cudaStreamCaptureStatusNone,
    cudaStreamCaptureStatusActive,
    cudaStreamCaptureStatusInvalidated
} cudaStreamCaptureStatus;

typedef enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 } cudaFuncAttribute;

typedef struct cudaDeviceProp {
    char name[256];
    int major, minor;
    int multiProcessorCount, l2CacheSize;
} cudaDeviceProp;

#define cudaStreamNonBlocking 0x1u
#define cudaEventDisableTiming 0x2u

typedef struct lrk_emulated_stream *cudaStream_t;
typedef struct lrk_emulated_event *cudaEvent_t;
typedef struct lrk_emulated_graph *cudaGraph_t;
typedef struct lrk_emulated_graph *cudaGraphExec_t;

extern "C" {
cudaError_t cudaGetDeviceCount(int *n);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int device);
cudaError_t cudaDriverGetVersion(int *version);
cudaError_t cudaRuntimeGetVersion(int *version);
cudaError_t cudaGetLastError(void);
const char *cudaGetErrorName(cudaError_t e);
const char *cudaGetErrorString(cudaError_t e);

cudaError_t cudaMalloc(void **p, size_t bytes);
cudaError_t cudaFree(void *p);
cudaError_t cudaMallocHost(void **p, size_t bytes);
cudaError_t cudaFreeHost(void *p);
cudaError_t cudaMemGetInfo(size_t *free, size_t *total);
cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width,
                              size_t height, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream);

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph);
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus *status);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);

cudaError_t cudaEventCreate(cudaEvent_t *event);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to);
cudaError_t cudaEventDestroy(cudaEvent_t event);

cudaError_t lrk_emulated_set_attribute(const void *kernel, cudaFuncAttribute a, int value);
}

template <typename T> static inline cudaError_t cudaMalloc(T **p, size_t bytes)
{
    return cudaMalloc(reinterpret_cast<void **>(p), bytes);
}

template <typename T> static inline cudaError_t cudaMallocHost(T **p, size_t bytes)
{
    return cudaMallocHost(reinterpret_cast<void **>(p), bytes);
}

template <typename... P>
static inline cudaError_t cudaFuncSetAttribute(void (*kernel)(P...), cudaFuncAttribute a, int value)
{
    return lrk_emulated_set_attribute(reinterpret_cast<const void *>(kernel), a, value);
}

/* ---- shared memory and launches -------------------------------------------------------------- */

/* The same memory for all threads of a block; `function` tells apart the instances of a template. */
void *lrk_emulated_shared(const char *name, const char *function, int line, size_t bytes);
void *lrk_emulated_dynamic_shared(void);

/* A kernel with its arguments, as the queue of a stream or a graph keeps it. */
struct emulator_launch {
    const char *name;
    dim3 grid, block;
    size_t shared, shared_limit;
    void *arguments;
    size_t argument_bytes;
    void (*call)(void *arguments), (*destroy)(void *arguments);
};

/* `kernel` tells it apart from others; l.shared_limit is found out, l.arguments destroyed some time. */
void lrk_emulated_launch(emulator_launch l, const void *kernel, cudaStream_t stream);

template <typename T> struct lrk_same {
    typedef T type;
};

/* Arguments become the kernel's parameters here, at the launch, as on a GPU. */
template <typename... P>
static inline void lrk_emulate(const char *name, dim3 grid, dim3 block, size_t shared, cudaStream_t stream,
                               void (*kernel)(P...), typename lrk_same<P>::type... args)
{
    auto body = [=] { kernel(args...); };
    typedef decltype(body) type;
    lrk_emulated_launch({name, grid, block, shared, 0, new type(body), sizeof(type),
                         [](void *p) { (*static_cast<type *>(p))(); }, [](void *p) { delete static_cast<type *>(p); }},
                        reinterpret_cast<const void *>(kernel), stream);
}

#endif /* LRK_EMULATOR_CUDA_RUNTIME_H */
