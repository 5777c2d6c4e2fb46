/* The runtime API, graphs and fibers: what a program sees, and what it must not rely on. */
#include "emulator/test.h"

#include <initializer_list>

enum { N = 64 };

static __global__ void add(float *x, float v) { x[threadIdx.x] += v; }

static __global__ void scale(float *x, const float *factor) { x[threadIdx.x] *= *factor; }

static float *zeros(void)
{
    float *p = room<float>(N);
    assert_int_equal(cudaMemsetAsync(p, 0, N * sizeof *p, the_stream), cudaSuccess);
    return p;
}

static void expect_all(const float *p, float expected)
{
    float v[N];
    download(v, p, N);
    for (float x : v) assert_true(x == expected);
}

/* ---- streams ----------------------------------------------------------------------------------
 */

static void pinned_memory_is_read_late(void **)
{
    float *host, *p = zeros();
    assert_int_equal(cudaMallocHost(&host, N * sizeof *host), cudaSuccess);
    for (int i = 0; i < N; i++) host[i] = 1.0f;
    assert_int_equal(cudaMemcpyAsync(p, host, N * sizeof *p, cudaMemcpyHostToDevice, the_stream),
                     cudaSuccess);
    for (int i = 0; i < N; i++) host[i] = 2.0f; /* too early */
    expect_all(p, 2.0f);
    LRK_LAUNCH(add, 1, N, 0, p, 1.0f);
    assert_int_equal(cudaMemcpyAsync(host, p, N * sizeof *p, cudaMemcpyDeviceToHost, the_stream),
                     cudaSuccess);
    assert_true(host[0] == 2.0f); /* not there yet */
    assert_int_equal(cudaStreamSynchronize(the_stream), cudaSuccess);
    assert_true(host[0] == 3.0f);
    assert_int_equal(cudaFreeHost(host), cudaSuccess);
    expect_silence();
}

static void pageable_memory_is_read_at_once(void **)
{
    float host[N], *p = zeros();
    for (float &v : host) v = 1.0f;
    assert_int_equal(cudaMemcpyAsync(p, host, sizeof host, cudaMemcpyHostToDevice, the_stream),
                     cudaSuccess);
    for (float &v : host) v = 2.0f;
    assert_int_equal(cudaMemcpyAsync(host, p, sizeof host, cudaMemcpyDeviceToHost, the_stream),
                     cudaSuccess);
    assert_true(host[0] == 1.0f && host[N - 1] == 1.0f);
}

/* Another stream's work is there only behind an event. */
static void events(void **)
{
    cudaStream_t other;
    cudaEvent_t ready, later;
    float host[N], *p = zeros();
    assert_int_equal(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking), cudaSuccess);
    assert_int_equal(cudaEventCreate(&ready), cudaSuccess);
    assert_int_equal(cudaEventCreate(&later), cudaSuccess);
    for (bool wait : {false, true}) {
        LRK_LAUNCH(add, 1, N, 0, p, 1.0f);
        assert_int_equal(cudaEventRecord(ready, the_stream), cudaSuccess);
        if (wait) assert_int_equal(cudaStreamWaitEvent(other, ready, 0), cudaSuccess);
        assert_int_equal(cudaMemcpyAsync(host, p, sizeof host, cudaMemcpyDeviceToHost, other),
                         cudaSuccess);
        assert_true(host[0] == (wait ? 2.0f : 0.0f));
        assert_int_equal(cudaStreamSynchronize(the_stream), cudaSuccess);
    }
    assert_int_equal(cudaEventRecord(later, the_stream), cudaSuccess);
    assert_int_equal(cudaEventSynchronize(later), cudaSuccess);
    float ms = -1.0f;
    assert_int_equal(cudaEventElapsedTime(&ms, ready, later), cudaSuccess);
    assert_true(ms >= 0.0f);
    assert_int_equal(cudaEventDestroy(ready), cudaSuccess);
    assert_int_equal(cudaEventDestroy(later), cudaSuccess);
}

/* Nobody waits for an event that is destroyed, but who did already. */
static void event_is_destroyed(void **)
{
    cudaStream_t other;
    cudaEvent_t ready;
    float *host, *p = zeros();
    assert_int_equal(cudaMallocHost(&host, N * sizeof *host), cudaSuccess);
    assert_int_equal(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking), cudaSuccess);
    assert_int_equal(cudaEventCreate(&ready), cudaSuccess);
    host[0] = 0.0f;
    LRK_LAUNCH(add, 1, N, 0, p, 1.0f);
    assert_int_equal(cudaMemcpyAsync(host, p, N * sizeof *p, cudaMemcpyDeviceToHost, the_stream), cudaSuccess);
    assert_int_equal(cudaEventRecord(ready, the_stream), cudaSuccess);
    assert_int_equal(cudaStreamWaitEvent(other, ready, 0), cudaSuccess);
    assert_int_equal(cudaEventDestroy(ready), cudaSuccess);
    assert_true(host[0] == 0.0f);
    assert_int_equal(cudaStreamSynchronize(other), cudaSuccess);
    assert_true(host[0] == 1.0f);
    assert_int_equal(cudaFreeHost(host), cudaSuccess);
    expect_silence();
}

/* A stream that is early overtakes what it does not wait for, and nothing else. */
static void early_streams(void **)
{
    cudaStream_t other;
    cudaEvent_t ready;
    float *host, *p = zeros();
    setenv("LRK_EMULATOR_STREAMS", "early", 1);
    assert_int_equal(cudaMallocHost(&host, N * sizeof *host), cudaSuccess);
    assert_int_equal(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking), cudaSuccess);
    assert_int_equal(cudaEventCreate(&ready), cudaSuccess);
    for (bool wait : {false, true}) {
        LRK_LAUNCH(add, 1, N, 0, p, 1.0f);
        assert_int_equal(cudaEventRecord(ready, the_stream), cudaSuccess);
        LRK_LAUNCH(add, 1, N, 0, p, 10.0f);
        if (wait) assert_int_equal(cudaStreamWaitEvent(other, ready, 0), cudaSuccess);
        assert_int_equal(cudaMemcpyAsync(host, p, N * sizeof *p, cudaMemcpyDeviceToHost, other),
                         cudaSuccess);
        assert_int_equal(cudaStreamSynchronize(the_stream), cudaSuccess);
        assert_true(host[0] == (wait ? 12.0f : 0.0f)); /* right behind the event */
    }
    unsetenv("LRK_EMULATOR_STREAMS");
    assert_int_equal(cudaEventDestroy(ready), cudaSuccess);
    assert_int_equal(cudaFreeHost(host), cudaSuccess);
    expect_silence();
}

/* ---- graphs -----------------------------------------------------------------------------------
 */

static void graph_is_replayed(void **)
{
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    float *x = zeros(), *start = zeros(), *factor, two = 2.0f, three = 3.0f;
    factor = upload(&two, 1);
    LRK_LAUNCH(add, 1, N, 0, start, 1.0f);
    float step = 10.0f;
    assert_int_equal(cudaStreamBeginCapture(the_stream, cudaStreamCaptureModeThreadLocal),
                     cudaSuccess);
    assert_int_equal(cudaMemcpyAsync(x, start, N * sizeof *x, cudaMemcpyDeviceToDevice, the_stream),
                     cudaSuccess);
    LRK_LAUNCH(scale, 1, N, 0, x, factor);
    LRK_LAUNCH(add, 1, N, 0, x, step);
    assert_int_equal(cudaMemsetAsync(start, 0, N * sizeof *x, the_stream), cudaSuccess);
    LRK_LAUNCH(add, 1, N, 0, start, 5.0f);
    assert_int_equal(cudaStreamEndCapture(the_stream, &graph), cudaSuccess);
    step = 99.0f; /* arguments are those of the launch */
    expect_all(x, 0.0f);
    assert_int_equal(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
    assert_int_equal(cudaGraphDestroy(graph), cudaSuccess);
    assert_int_equal(cudaGraphLaunch(exec, the_stream), cudaSuccess);
    expect_all(x, 12.0f);
    assert_int_equal(cudaMemcpyAsync(factor, &three, sizeof three, cudaMemcpyHostToDevice, the_stream), cudaSuccess);
    assert_int_equal(cudaGraphLaunch(exec, the_stream), cudaSuccess);
    assert_int_equal(cudaGraphExecDestroy(exec), cudaSuccess);
    expect_all(x, 25.0f);
    expect_silence();
}

/* What a graph cannot hold ends the capture. */
static void capture_is_broken(void **)
{
    float host[N], *x = zeros();
    for (int what = 0; what < 3; what++) {
        void *p = nullptr;
        cudaGraph_t graph = nullptr;
        cudaError_t e = cudaSuccess;
        assert_int_equal(cudaStreamBeginCapture(the_stream, cudaStreamCaptureModeThreadLocal),
                         cudaSuccess);
        LRK_LAUNCH(add, 1, N, 0, x, 1.0f);
        if (what == 0) e = cudaStreamSynchronize(the_stream);
        if (what == 1) e = cudaMalloc(&p, 16);
        if (what == 2)
            e = cudaMemcpyAsync(host, x, sizeof host, cudaMemcpyDeviceToHost, the_stream);
        assert_int_equal(e, cudaErrorStreamCaptureUnsupported);
        assert_int_equal(cudaStreamEndCapture(the_stream, &graph),
                         cudaErrorStreamCaptureInvalidated);
        assert_null(graph);
        assert_int_equal(cudaGetLastError(), cudaErrorStreamCaptureInvalidated);
    }
    expect_all(x, 0.0f);
}

static cudaStreamCaptureStatus capture_of(cudaStream_t stream)
{
    cudaStreamCaptureStatus status;
    assert_int_equal(cudaStreamIsCapturing(stream, &status), cudaSuccess);
    return status;
}

/* An event of a capture leads into that one alone, and nowhere when it has ended. */
static void captures_end(void **)
{
    cudaStream_t other;
    cudaEvent_t event;
    cudaGraph_t graph;
    assert_int_equal(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking), cudaSuccess);
    assert_int_equal(cudaEventCreate(&event), cudaSuccess);
    assert_int_equal(cudaStreamBeginCapture(the_stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    assert_int_equal(cudaEventRecord(event, the_stream), cudaSuccess);
    assert_int_equal(cudaStreamWaitEvent(other, event, 0), cudaSuccess);
    assert_int_equal(capture_of(other), cudaStreamCaptureStatusActive);
    assert_int_equal(cudaEventRecord(event, other), cudaSuccess);
    assert_int_equal(cudaStreamWaitEvent(the_stream, event, 0), cudaSuccess);
    assert_int_equal(cudaStreamEndCapture(the_stream, &graph), cudaSuccess);
    assert_int_equal(cudaGraphDestroy(graph), cudaSuccess);
    for (bool again : {false, true}) {
        if (again)
            assert_int_equal(cudaStreamBeginCapture(the_stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
        assert_int_equal(cudaStreamWaitEvent(other, event, 0), cudaErrorCapturedEvent);
        assert_int_equal(capture_of(other), cudaStreamCaptureStatusNone);
        assert_int_equal(cudaEventSynchronize(event), cudaErrorCapturedEvent);
    }
    assert_int_equal(cudaEventRecord(event, other), cudaSuccess);
    assert_int_equal(cudaStreamWaitEvent(the_stream, event, 0), cudaErrorStreamCaptureUnsupported);
    assert_int_equal(cudaStreamEndCapture(the_stream, &graph), cudaErrorStreamCaptureInvalidated);
    assert_int_equal(cudaStreamWaitEvent(the_stream, event, 0), cudaSuccess);
    assert_int_equal(cudaEventSynchronize(event), cudaSuccess);
    assert_int_equal(cudaEventDestroy(event), cudaSuccess);
    (void)cudaGetLastError();
    expect_silence();
}

static void follow(cudaStream_t earlier, cudaStream_t later)
{
    cudaEvent_t event;
    assert_int_equal(cudaEventCreate(&event), cudaSuccess);
    assert_int_equal(cudaEventRecord(event, earlier), cudaSuccess);
    assert_int_equal(cudaStreamWaitEvent(later, event, 0), cudaSuccess);
    assert_int_equal(cudaEventDestroy(event), cudaSuccess);
}

/* What another stream does in a capture lies before its end, by way of a third stream too. */
static void captures_are_joined(void **)
{
    enum { NEVER, JOINED, TOO_EARLY, BY_ANOTHER, CASES };
    cudaStream_t side, third;
    float *x = zeros();
    assert_int_equal(cudaStreamCreateWithFlags(&side, cudaStreamNonBlocking), cudaSuccess);
    assert_int_equal(cudaStreamCreateWithFlags(&third, cudaStreamNonBlocking), cudaSuccess);
    for (int how = 0; how < CASES; how++) {
        cudaGraph_t graph = nullptr;
        assert_int_equal(cudaStreamBeginCapture(the_stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
        follow(the_stream, side);
        if (how == TOO_EARLY) follow(side, the_stream);
        assert_int_equal(cudaMemsetAsync(x, 0, 4, side), cudaSuccess);
        if (how == BY_ANOTHER) {
            follow(side, third);
            follow(third, the_stream);
        }
        if (how == JOINED) follow(side, the_stream);
        const bool joined = how == JOINED || how == BY_ANOTHER;
        assert_int_equal(cudaStreamEndCapture(the_stream, &graph),
                         joined ? cudaSuccess : cudaErrorStreamCaptureUnjoined);
        assert_int_equal(graph != nullptr, joined);
        if (graph) assert_int_equal(cudaGraphDestroy(graph), cudaSuccess);
        assert_int_equal(capture_of(side), cudaStreamCaptureStatusNone);
        (void)cudaGetLastError();
    }
    expect_silence();
}

/* ---- mistakes of the host ---------------------------------------------------------------------
 */

static void host_errors(void **)
{
    float host[N], *p = zeros(), *gone = zeros();
    p[3] = 1.0f; /* this file is compiled as kernels are: the emulator sees it */
    expect_error("host", "memory of the device, by the host");
    assert_int_equal(cudaMemcpyAsync(p, host, sizeof host, cudaMemcpyDeviceToDevice, the_stream),
                     cudaErrorInvalidValue);
    expect_error("host", "lie elsewhere");
    assert_int_equal(cudaMemsetAsync(host, 0, sizeof host, the_stream), cudaErrorInvalidValue);
    expect_error("host", "pageable");
    (void)cudaMemcpyAsync(host, p + 1, sizeof host, cudaMemcpyDeviceToHost, the_stream);
    expect_error("bounds", "at byte 4 of an allocation of 256 bytes");
    assert_int_equal(cudaFree(gone), cudaSuccess);
    assert_int_equal(cudaFree(gone), cudaErrorInvalidValue);
    LRK_LAUNCH(add, 1, N, 0, p, 1.0f);
    expect_error("leftover", "cudaErrorInvalidValue");
    LRK_LAUNCH(add, 1, N, 0, gone, 1.0f);
    expect_error("bounds", "read of");
}

/* ---- planned failures -------------------------------------------------------------------------
 */

static void memory_ends(void **)
{
    void *p, *q;
    size_t free, total;
    setenv("LRK_EMULATOR_MEMORY", "100000000", 1);
    assert_int_equal(cudaMemGetInfo(&free, &total), cudaSuccess);
    assert_int_equal(total, 100000000);
    assert_int_equal(cudaMalloc(&p, free), cudaSuccess);
    assert_int_equal(cudaMalloc(&q, 1), cudaErrorMemoryAllocation);
    assert_int_equal(cudaGetLastError(), cudaErrorMemoryAllocation);
    assert_int_equal(cudaFree(p), cudaSuccess);
    assert_int_equal(cudaMalloc(&p, free), cudaSuccess);
    assert_int_equal(cudaFree(p), cudaSuccess);
    unsetenv("LRK_EMULATOR_MEMORY");
}

static void malloc_fails(void **)
{
    void *p = nullptr, *q = nullptr;
    setenv("LRK_EMULATOR_FAIL", "malloc:1", 1);
    lrk_emulator_count_from_here();
    assert_int_equal(cudaMalloc(&p, 16), cudaErrorMemoryAllocation);
    assert_int_equal(cudaGetLastError(), cudaErrorMemoryAllocation);
    assert_int_equal(cudaMalloc(&q, 16), cudaSuccess);
    assert_int_equal(cudaFree(q), cudaSuccess);
    unsetenv("LRK_EMULATOR_FAIL");
}

/* AddressSanitizer guards memory of the device from all code but kernels. */
extern "C" int __asan_address_is_poisoned(const volatile void *) __attribute__((weak));

static void device_memory_is_poisoned(void **)
{
    char *device = room<char>(32), *pinned = nullptr;
    assert_int_equal(cudaMallocHost(&pinned, 32), cudaSuccess);
    if (!__asan_address_is_poisoned) skip();
    assert_true(__asan_address_is_poisoned(device) && __asan_address_is_poisoned(device + 31));
    assert_false(__asan_address_is_poisoned(pinned));
    assert_int_equal(cudaFreeHost(pinned), cudaSuccess);
}

/* The last test: such an error stays for good. It comes when somebody waits. */
static void launch_fails(void **)
{
    float host[N], *p = zeros();
    assert_int_equal(cudaStreamSynchronize(the_stream), cudaSuccess);
    setenv("LRK_EMULATOR_FAIL", "launch:2", 1);
    lrk_emulator_count_from_here();
    for (int i = 0; i < 3; i++) LRK_LAUNCH(add, 1, N, 0, p, 1.0f);
    assert_int_equal(cudaGetLastError(), cudaSuccess);
    assert_int_equal(cudaStreamSynchronize(the_stream), cudaErrorIllegalAddress);
    assert_int_equal(cudaGetLastError(), cudaErrorIllegalAddress);
    assert_int_equal(cudaGetLastError(), cudaErrorIllegalAddress);
    assert_int_equal(cudaMemcpyAsync(host, p, sizeof host, cudaMemcpyDeviceToHost, the_stream),
                     cudaErrorIllegalAddress);
    assert_string_equal(cudaGetErrorName(cudaErrorIllegalAddress), "cudaErrorIllegalAddress");
    expect_silence();
}

/* ---- fibers -----------------------------------------------------------------------------------
 */

static __global__ void reverse(float *out)
{
    LRK_SHARED(float, tile, 256);
    const unsigned t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
    tile[t] = (float)i;
    __syncthreads();
    out[i] = tile[blockDim.x - 1 - t];
}

static void many_blocks(void **)
{
    enum { BLOCKS = 1000, THREADS = 256 };
    static float host[BLOCKS * THREADS];
    float *p = room<float>(BLOCKS * THREADS);
    LRK_LAUNCH(reverse, BLOCKS, THREADS, 0, p);
    download(host, p, BLOCKS * THREADS);
    for (int i = 0; i < BLOCKS * THREADS; i++)
        assert_true(host[i] == (float)(i / THREADS * THREADS + THREADS - 1 - i % THREADS));
    expect_silence();
}

static __global__ void shape(unsigned *out)
{
    const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    const unsigned t = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    out[block * blockDim.x * blockDim.y * blockDim.z + t] = 1000 * block + t;
}

static void three_dimensions(void **)
{
    unsigned host[2 * 3 * 4 * 5 * 6 * 2], *p = room<unsigned>(sizeof host / sizeof *host);
    LRK_LAUNCH(shape, dim3(2, 3, 4), dim3(5, 6, 2), 0, p);
    download(host, p, sizeof host / sizeof *host);
    for (unsigned i = 0; i < sizeof host / sizeof *host; i++)
        assert_int_equal(host[i], 1000 * (i / 60) + i % 60);
}

/* Lane l of each operation as the CUDA programming guide has it. */
static __global__ void exchanges(int *out)
{
    const int l = (int)threadIdx.x;
    int *o = out + 8 * l;
    o[0] = __shfl_sync(LRK_ALL_LANES, l, 5);
    o[1] = __shfl_sync(LRK_ALL_LANES, l, 9, 8);
    o[2] = __shfl_up_sync(LRK_ALL_LANES, l, 3);
    o[3] = __shfl_up_sync(LRK_ALL_LANES, l, 3, 8);
    o[4] = __shfl_xor_sync(LRK_ALL_LANES, l, 6);
    o[5] = (int)__ballot_sync(LRK_ALL_LANES, l % 3 == 0);
    o[6] = (int)(__shfl_xor_sync(LRK_ALL_LANES, 0.5 * l, 1) * 2.0);
}

static void warp_operations(void **)
{
    int host[8 * 32], *p = room<int>(8 * 32);
    unsigned thirds = 0;
    for (int l = 0; l < 32; l += 3) thirds |= 1u << l;
    LRK_LAUNCH(exchanges, 1, 32, 0, p);
    download(host, p, 8 * 32);
    for (int l = 0; l < 32; l++) {
        const int *o = host + 8 * l;
        assert_int_equal(o[0], 5);
        assert_int_equal(o[1], l / 8 * 8 + 1);
        assert_int_equal(o[2], l < 3 ? l : l - 3);
        assert_int_equal(o[3], l % 8 < 3 ? l : l - 3);
        assert_int_equal(o[4], l ^ 6);
        assert_int_equal(o[5], (int)thirds);
        assert_int_equal(o[6], l ^ 1);
    }
    expect_silence();
}

static __global__ void ticket(int *next, int *order)
{
    order[atomicAdd(next, 1)] = (int)(blockIdx.x * blockDim.x + threadIdx.x);
}

/* Another order, and the same one again. */
static void orders(void **)
{
    int usual[128], other[128], again[128], zero = 0;
    const char *const names[] = {"reverse", "random:3", "random:4"};
    int *order = room<int>(128);
    for (const char *name : names) {
        for (int *to : {usual, other, again}) {
            lrk_emulator_order(to == usual ? nullptr : name);
            LRK_LAUNCH(ticket, 2, 64, 0, upload(&zero, 1), order);
            download(to, order, 128);
        }
        for (int i = 0; i < 128; i++) assert_int_equal(usual[i], i);
        assert_memory_not_equal(usual, other, sizeof usual);
        assert_memory_equal(other, again, sizeof other);
    }
    lrk_emulator_order(nullptr);
    expect_silence();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pinned_memory_is_read_late),
        cmocka_unit_test(pageable_memory_is_read_at_once),
        cmocka_unit_test(events),
        cmocka_unit_test(event_is_destroyed),
        cmocka_unit_test(early_streams),
        cmocka_unit_test(graph_is_replayed),
        cmocka_unit_test(capture_is_broken),
        cmocka_unit_test(captures_end),
        cmocka_unit_test(captures_are_joined),
        cmocka_unit_test(host_errors),
        cmocka_unit_test(memory_ends),
        cmocka_unit_test(malloc_fails),
        cmocka_unit_test(device_memory_is_poisoned),
        cmocka_unit_test(many_blocks),
        cmocka_unit_test(three_dimensions),
        cmocka_unit_test(warp_operations),
        cmocka_unit_test(orders),
        cmocka_unit_test(launch_fails),
    };
    lrk_emulator_catch(true);
    (void)cudaStreamCreateWithFlags(&the_stream, cudaStreamNonBlocking);
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
