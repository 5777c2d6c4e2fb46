/* base/device_cuda.cu -- one NVIDIA GPU: memory, the stream, copies, recordings, errors. */
#include <cuda_runtime.h>
#include <string.h>
extern "C" {
#include "base/device_cuda.h"
#include "base/log.h"
#include "base/size.h"
}

/* The oldest chip that the kernels are built for: asynchronous copies and bf16 tensor cores. */
enum { OLDEST_CHIP = 80 };

/* What goes up lies in pinned memory first, so that the caller need not wait: PIECES of them take
 * turns, and only when all are under way does a caller wait for the oldest. */
enum { PIECES = 8, PIECE_BYTES = LRK_SENT_AT_ONCE };

/* Pieces of what a thread sends: one is filled while the other is copied. */
enum { SENT_PIECES = 2 };

typedef struct lrk_cuda {
    bool open, recording, short_of_memory;
    lrk_cuda_draws *draws, drawn; /* on the GPU, and what was sent there last */
    unsigned char *pinned;
    cudaEvent_t gone[PIECES];   /* the piece was copied */
    cudaEvent_t here[LRK_POSTS]; /* the letter has arrived */
    int next;
    unsigned char *sending; /* SENT_PIECES of PIECE_BYTES */
    cudaEvent_t sent[SENT_PIECES];
    int next_sent;
    cudaError_t send_error; /* of the thread that sends; read when it has ended */
    cudaStream_t stream, side;
    cudaEvent_t crossing; /* from one stream to the other */
    cudaError_t error; /* the first one */
    const char *where; /* what it happened in */
    const char *text;  /* what a library said, in its place */
    lrk_device_info info;
} lrk_cuda;

/* The one GPU of the process. */
static lrk_cuda gpu;

cudaStream_t lrk_cuda_stream(void)
{
    return gpu.stream;
}

void lrk_cuda_note(cudaError_t e, const char *what)
{
    if (e == cudaSuccess || gpu.error != cudaSuccess) return;
    gpu.error = e;
    gpu.where = what;
}

void lrk_cuda_refuse(const char *text)
{
    if (gpu.error != cudaSuccess) return;
    gpu.error = cudaErrorUnknown;
    gpu.text = text;
}

bool lrk_cuda_failed(void)
{
    return gpu.error != cudaSuccess;
}

static lrk_status report(lrk_err *err)
{
    if (gpu.text) return lrk_fail(err, LRK_EGPU, "GPU: %s", gpu.text);
    return lrk_fail(err, LRK_EGPU, "GPU: %s failed: %s (%s)", gpu.where,
                    cudaGetErrorString(gpu.error), cudaGetErrorName(gpu.error));
}

static lrk_status no_gpu(cudaError_t e, lrk_err *err)
{
    (void)cudaGetLastError();
    int driver = 0; /* 0: none is installed */
    (void)cudaDriverGetVersion(&driver);
    if (e == cudaErrorInsufficientDriver && driver)
        return lrk_fail(err, LRK_EGPU,
                        "device: cuda: the NVIDIA driver knows CUDA %d.%d, the program is made for %d.%d; "
                        "install a newer one, or use device: cpu",
                        driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000,
                        CUDART_VERSION % 1000 / 10);
    if (!driver)
        return lrk_fail(err, LRK_EGPU,
                        "device: cuda: no NVIDIA driver is installed; install one, or use device: cpu");
    return lrk_fail(err, LRK_EGPU, "device: cuda: no GPU answers (%s); use device: cpu",
                    cudaGetErrorString(e));
}

static cudaError_t open_buffers(void)
{
    cudaError_t e = cudaMallocHost((void **)&gpu.pinned, (size_t)PIECES * PIECE_BYTES);
    for (int i = 0; i < PIECES && e == cudaSuccess; i++)
        e = cudaEventCreateWithFlags(&gpu.gone[i], cudaEventDisableTiming);
    for (int i = 0; i < LRK_POSTS && e == cudaSuccess; i++)
        e = cudaEventCreateWithFlags(&gpu.here[i], cudaEventDisableTiming);
    for (int i = 0; i < SENT_PIECES && e == cudaSuccess; i++)
        e = cudaEventCreateWithFlags(&gpu.sent[i], cudaEventDisableTiming);
    if (e == cudaSuccess) e = cudaEventCreateWithFlags(&gpu.crossing, cudaEventDisableTiming);
    if (e == cudaSuccess) e = cudaMalloc((void **)&gpu.draws, sizeof *gpu.draws);
    if (e == cudaSuccess) e = cudaMemsetAsync(gpu.draws, 0, sizeof *gpu.draws, gpu.stream);
    return e;
}

static lrk_status open_gpu(lrk_err *err)
{
    int n = 0;
    cudaDeviceProp p;
    cudaError_t e = cudaGetDeviceCount(&n);
    if (e == cudaSuccess && n == 0) e = cudaErrorNoDevice;
    if (e == cudaSuccess) e = cudaSetDevice(0);
    if (e == cudaSuccess) e = cudaGetDeviceProperties(&p, 0);
    if (e != cudaSuccess) return no_gpu(e, err);
    memcpy(gpu.info.name, p.name, sizeof gpu.info.name - 1);
    gpu.info.chip = 10 * p.major + p.minor;
    gpu.info.processors = p.multiProcessorCount;
    gpu.info.cache = (size_t)p.l2CacheSize;
    LRK_REQUIRE(err, gpu.info.chip >= OLDEST_CHIP, LRK_EGPU,
                "device: cuda: %s has compute capability %d.%d, at least %d.%d is needed; use "
                "device: cpu",
                p.name, p.major, p.minor, OLDEST_CHIP / 10, OLDEST_CHIP % 10);
    e = cudaStreamCreateWithFlags(&gpu.stream, cudaStreamNonBlocking);
    if (e == cudaSuccess) e = cudaStreamCreateWithFlags(&gpu.side, cudaStreamNonBlocking);
    if (e == cudaSuccess) e = open_buffers();
    if (e != cudaSuccess) return no_gpu(e, err);
    (void)cudaDriverGetVersion(&gpu.info.driver);
    (void)cudaRuntimeGetVersion(&gpu.info.runtime);
    gpu.open = true;
    return LRK_OK;
}

static lrk_status open_device(lrk_device_info *info, lrk_err *err)
{
    if (!gpu.open) LRK_TRY(open_gpu(err));
    lrk_cuda_note(cudaMemGetInfo(&gpu.info.free, &gpu.info.memory), "cudaMemGetInfo");
    if (lrk_cuda_failed()) return report(err);
    if (info) *info = gpu.info;
    return LRK_OK;
}

static lrk_status take(size_t bytes, void **out, const char *what, lrk_err *err)
{
    const cudaError_t e = cudaMalloc(out, bytes);
    if (e == cudaSuccess) return LRK_OK;
    (void)cudaGetLastError();
    size_t free = 0, total = 0;
    (void)cudaMemGetInfo(&free, &total);
    return lrk_fail(err, LRK_EGPU,
                    "GPU memory: no %.1f MB for '%s': %.1f of %.1f MB are free; use a smaller "
                    "micro_batch_size, or gradient_checkpointing",
                    (double)bytes / 1e6, what, (double)free / 1e6, (double)total / 1e6);
}

static void give_back(void *p)
{
    lrk_cuda_note(cudaStreamSynchronize(gpu.stream), "cudaStreamSynchronize");
    lrk_cuda_note(cudaFree(p), "cudaFree");
}

static void move(void *to, const void *from, size_t bytes, cudaMemcpyKind kind)
{
    if (bytes && !lrk_cuda_failed())
        lrk_cuda_note(cudaMemcpyAsync(to, from, bytes, kind, gpu.stream), "cudaMemcpyAsync");
}

/* A piece goes up by way of pinned memory, from which it has gone when the event is done. */
static cudaError_t send_up(const lrk_parcel *p, unsigned char *pinned, cudaEvent_t gone, cudaStream_t stream)
{
    cudaError_t e = cudaEventSynchronize(gone);
    if (e != cudaSuccess) return e;
    memcpy(pinned, p->from, p->rows * p->row);
    e = cudaMemcpy2DAsync(p->to, p->apart, pinned, p->row, p->row, p->rows, cudaMemcpyHostToDevice, stream);
    return e == cudaSuccess ? cudaEventRecord(gone, stream) : e;
}

static void upload(const lrk_parcel *p)
{
    const int i = gpu.next;
    gpu.next = (i + 1) % PIECES;
    if (!lrk_cuda_failed())
        lrk_cuda_note(send_up(p, gpu.pinned + (size_t)i * PIECE_BYTES, gpu.gone[i], gpu.stream), "a copy to the GPU");
}

static void download(void *to, const void *from, size_t bytes)
{
    move(to, from, bytes, cudaMemcpyDeviceToHost);
}

static void copy(void *to, const void *from, size_t bytes)
{
    move(to, from, bytes, cudaMemcpyDeviceToDevice);
}

static void zero(void *to, size_t bytes)
{
    if (bytes && !lrk_cuda_failed())
        lrk_cuda_note(cudaMemsetAsync(to, 0, bytes, gpu.stream), "cudaMemsetAsync");
}

static lrk_status failed(lrk_err *err)
{
    return lrk_cuda_failed() ? report(err) : LRK_OK;
}

static lrk_status sync(lrk_err *err)
{
    if (!lrk_cuda_failed())
        lrk_cuda_note(cudaStreamSynchronize(gpu.stream), "cudaStreamSynchronize");
    return failed(err);
}

static void *pinned(size_t bytes)
{
    void *p = NULL;
    if (cudaMallocHost(&p, bytes) == cudaSuccess) return p;
    (void)cudaGetLastError();
    return NULL;
}

static void unpin(void *p)
{
    lrk_cuda_note(cudaStreamSynchronize(gpu.stream), "cudaStreamSynchronize");
    lrk_cuda_note(cudaFreeHost(p), "cudaFreeHost");
}

static void post(void *to, const void *from, size_t bytes, int slot)
{
    download(to, from, bytes);
    if (!lrk_cuda_failed())
        lrk_cuda_note(cudaEventRecord(gpu.here[slot], gpu.stream), "cudaEventRecord");
}

static void arrived(int slot)
{
    if (!lrk_cuda_failed())
        lrk_cuda_note(cudaEventSynchronize(gpu.here[slot]), "cudaEventSynchronize");
}

static void draw(uint64_t seed, uint32_t step)
{
    const lrk_cuda_draws now = {seed, step};
    if (seed == gpu.drawn.seed && step == gpu.drawn.step) return;
    gpu.drawn = now;
    const lrk_parcel p = {gpu.draws, &now, 1, sizeof now, sizeof now};
    upload(&p);
}

const lrk_cuda_draws *lrk_cuda_draw(const lrk_rng *r)
{
    if (!gpu.recording) draw(r->seed, r->step);
    return gpu.draws;
}

struct lrk_recording {
    cudaGraphExec_t graph;
};

static void record_begin(void)
{
    gpu.recording = true;
    if (!lrk_cuda_failed())
        lrk_cuda_note(cudaStreamBeginCapture(gpu.stream, cudaStreamCaptureModeThreadLocal),
                      "cudaStreamBeginCapture");
}

/* What was to be recorded can be done without; said once. */
static void do_without(void)
{
    (void)cudaGetLastError();
    if (!gpu.short_of_memory)
        lrk_warn("GPU memory: none is left to record the work of a step; kernels are launched one by one, which is "
                 "slower; a smaller micro_batch_size leaves room");
    gpu.short_of_memory = true;
}

static lrk_recording *record_end(void)
{
    gpu.recording = false;
    cudaGraph_t graph = NULL;
    lrk_recording *r = (lrk_recording *)lrk_heap_alloc(1, sizeof *r);
    lrk_cuda_note(cudaStreamEndCapture(gpu.stream, &graph), "cudaStreamEndCapture");
    cudaError_t made = cudaSuccess;
    if (r && !lrk_cuda_failed()) made = cudaGraphInstantiate(&r->graph, graph, 0);
    if (made == cudaErrorMemoryAllocation)
        do_without();
    else
        lrk_cuda_note(made, "cudaGraphInstantiate");
    if (graph) lrk_cuda_note(cudaGraphDestroy(graph), "cudaGraphDestroy");
    if (r && made == cudaSuccess && !lrk_cuda_failed()) return r;
    lrk_heap_free(r);
    return NULL;
}

static void replay(lrk_recording *r)
{
    if (!lrk_cuda_failed()) lrk_cuda_note(cudaGraphLaunch(r->graph, gpu.stream), "cudaGraphLaunch");
}

static void forget(lrk_recording *r)
{
    lrk_cuda_note(cudaStreamSynchronize(gpu.stream), "cudaStreamSynchronize");
    lrk_cuda_note(cudaGraphExecDestroy(r->graph), "cudaGraphExecDestroy");
    lrk_heap_free(r);
}

/* ---- the side stream ----------------------------------------------------------------------------- */

/* What is asked for on `later` from now on waits for all that `earlier` has been asked for. */
static void cross(cudaStream_t earlier, cudaStream_t later)
{
    if (!lrk_cuda_failed()) lrk_cuda_note(cudaEventRecord(gpu.crossing, earlier), "cudaEventRecord");
    if (!lrk_cuda_failed())
        lrk_cuda_note(cudaStreamWaitEvent(later, gpu.crossing, 0), "cudaStreamWaitEvent");
}

/* The pinned memory stays: copies may be under way long after the thread has ended. */
static lrk_status send_begin(lrk_err *err)
{
    if (!gpu.sending) gpu.sending = (unsigned char *)pinned((size_t)SENT_PIECES * PIECE_BYTES);
    LRK_REQUIRE(err, gpu.sending, LRK_EGPU, "GPU: no pinned memory for copies");
    gpu.send_error = cudaSuccess;
    cross(gpu.stream, gpu.side);
    return LRK_OK;
}

static bool send(const lrk_parcel *p)
{
    const int i = gpu.next_sent;
    gpu.next_sent = (i + 1) % SENT_PIECES;
    gpu.send_error = send_up(p, gpu.sending + (size_t)i * PIECE_BYTES, gpu.sent[i], gpu.side);
    return gpu.send_error == cudaSuccess;
}

static void send_end(void)
{
    lrk_cuda_note(gpu.send_error, "copying the weights");
    cross(gpu.side, gpu.stream);
}

static void aside(void *to, const void *from, size_t bytes, bool up)
{
    cross(gpu.stream, gpu.side);
    if (!lrk_cuda_failed())
        lrk_cuda_note(cudaMemcpyAsync(to, from, bytes, up ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToHost,
                                      gpu.side),
                      "cudaMemcpyAsync");
}

static void rejoin(void)
{
    cross(gpu.side, gpu.stream);
}

extern "C" const lrk_device_backend lrk_cuda_backend = {
    open_device, take,   give_back, upload, download, copy, zero,    sync, failed, record_begin,
    record_end,  replay, forget,    pinned, unpin,    post, arrived, draw, send_begin,
    send,        send_end, aside,  rejoin};
