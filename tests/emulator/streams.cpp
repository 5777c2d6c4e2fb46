/* tests/emulator/streams.cpp -- streams, events, graphs.
 *
 * A stream is a queue that nobody works off until somebody waits: for the stream, for an event
 * behind it, for all. That is the latest time that CUDA allows, so host code that forgets to
 * wait reads old data. With LRK_EMULATOR_STREAMS=early every stream but the first does its work as soon as
 * the events that it waits for allow, so that one that should have waited for the first is too early. A
 * graph is such a queue, kept.
 */
#include "runtime.h"

#include <algorithm>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct lrk_emulated_graph {
    std::shared_ptr<std::vector<operation>> nodes;
    bool broken; /* the capture did what no graph can hold */
};

/* Of a capture: how much of each stream lies before a point. */
typedef std::map<cudaStream_t, uint64_t> past;

struct lrk_emulated_stream {
    std::deque<operation> queue;
    bool captured; /* takes part in the capture under way */
    past before;   /* its end there */
};

struct lrk_emulated_event {
    std::shared_ptr<recording> last; /* NULL: none, or one of a capture */
    uint64_t capture;                /* its number; 0: of none */
    past before;
};

/* One at a time. */
static struct {
    cudaGraph_t graph; /* NULL: none is under way */
    cudaStream_t origin;
    uint64_t number; /* of the last one that began */
} capture;

/* ---- queues ---------------------------------------------------------------------------------- */

static void perform(const operation &o)
{
    if (chip.sticky != cudaSuccess && o.kind != operation::RECORD) return;
    if (o.kind == operation::KERNEL && emulator_planned_failure("launch", ++chip.launches))
        chip.sticky = cudaErrorIllegalAddress;
    else
        o.work();
}

static void perform_first(cudaStream_t s)
{
    const operation o = std::move(s->queue.front());
    s->queue.pop_front();
    perform(o);
}

static void hurry(void)
{
    const char *how = getenv("LRK_EMULATOR_STREAMS");
    if (!how || strcmp(how, "early") != 0) return;
    for (size_t i = 1; i < chip.streams.size(); i++) {
        const cudaStream_t s = chip.streams[i];
        while (!s->queue.empty() && (!s->queue.front().awaited || s->queue.front().awaited->done)) perform_first(s);
    }
}

static bool idle(cudaStream_t s) { return s->queue.empty(); }

/* The host waits for what is in front of the queue. */
static void step(cudaStream_t s)
{
    perform_first(s);
    hurry();
    chip.idle += std::all_of(chip.streams.begin(), chip.streams.end(), idle);
}

void emulator_drain(cudaStream_t s)
{
    for (cudaStream_t each : chip.streams)
        while ((!s || s == each) && !each->queue.empty()) step(each);
}

static void wait_for(const recording &r)
{
    while (!r.done) step(r.stream);
}

/* There is no default stream. */
static bool known(cudaStream_t s) { return std::count(chip.streams.begin(), chip.streams.end(), s) > 0; }

bool emulator_capturing() { return capture.graph; }

bool emulator_captured(cudaStream_t s) { return known(s) && s->captured; }

cudaError_t emulator_may_wait(void)
{
    if (!capture.graph) return emulator_result(cudaSuccess);
    capture.graph->broken = true;
    return emulator_result(cudaErrorStreamCaptureUnsupported);
}

cudaError_t emulator_enqueue(cudaStream_t s, operation::what kind, std::function<void()> work,
                             std::shared_ptr<recording> awaited)
{
    EMULATOR_TRY(emulator_result(known(s) ? cudaSuccess : cudaErrorInvalidResourceHandle));
    const operation o = {kind, std::move(work), std::move(awaited)};
    if (s->captured) {
        capture.graph->nodes->push_back(o);
        s->before[s]++;
        return cudaSuccess;
    }
    chip.asked += kind == operation::KERNEL || kind == operation::FILL;
    s->queue.push_back(o);
    hurry();
    return cudaSuccess;
}

/* ---- streams and events ---------------------------------------------------------------------- */

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags)
{
    EMULATOR_TRY(emulator_result(flags == cudaStreamNonBlocking ? cudaSuccess : cudaErrorNotSupported));
    *stream = new lrk_emulated_stream();
    chip.streams.push_back(*stream);
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    if (!known(stream)) return emulator_result(cudaErrorInvalidResourceHandle);
    EMULATOR_TRY(emulator_may_wait());
    chip.waits++;
    emulator_drain(stream);
    return emulator_result(cudaSuccess);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned)
{
    if (chip.sticky != cudaSuccess) return chip.sticky;
    *event = new lrk_emulated_event();
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *event) { return cudaEventCreateWithFlags(event, 0); }

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    if (emulator_captured(stream)) {
        *event = {nullptr, capture.number, stream->before};
        return emulator_result(cudaSuccess);
    }
    const auto r = std::make_shared<recording>(recording{stream, false, 0.0});
    EMULATOR_TRY(emulator_enqueue(stream, operation::RECORD, [r] {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        r->ms = chip.slow_ms + 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
        r->done = true;
    }));
    *event = {r, 0, {}};
    return cudaSuccess;
}

/* The fork itself counts as work, which the capture waits for. */
static void join(cudaStream_t s, const past &before)
{
    s->before[s] += !s->captured;
    s->captured = true;
    for (const auto &b : before) s->before[b.first] = std::max(s->before[b.first], b.second);
}

/* A stream that waits for an event of the capture under way takes part in it from there on. The graph keeps
 * the order of the calls, which is one of those that the events allow. Nothing waits into a graph from
 * outside, or out of one. */
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned)
{
    if (!known(stream)) return emulator_result(cudaErrorInvalidResourceHandle);
    if (event->capture) {
        const bool ours = capture.graph && event->capture == capture.number;
        if (ours) join(stream, event->before);
        return emulator_result(ours ? cudaSuccess : cudaErrorCapturedEvent);
    }
    const std::shared_ptr<recording> r = event->last;
    if (r && stream->captured) return emulator_may_wait();
    if (!r || r->done) return emulator_result(cudaSuccess);
    return emulator_enqueue(stream, operation::WAIT, [r] { wait_for(*r); }, r);
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    if (event->capture) return emulator_result(cudaErrorCapturedEvent);
    if (event->last) wait_for(*event->last);
    return emulator_result(cudaSuccess);
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to)
{
    if (!from->last || !to->last) return emulator_result(cudaErrorInvalidResourceHandle);
    if (!from->last->done || !to->last->done) return emulator_result(cudaErrorInvalidValue);
    *ms = (float)(to->last->ms - from->last->ms);
    return emulator_result(cudaSuccess);
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    delete event;
    return emulator_result(cudaSuccess);
}

/* ---- graphs ---------------------------------------------------------------------------------- */

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode)
{
    EMULATOR_TRY(emulator_result(!known(stream)     ? cudaErrorInvalidResourceHandle
                                 : stream->captured ? cudaErrorInvalidValue
                                 : capture.graph    ? cudaErrorNotSupported
                                                    : cudaSuccess));
    const auto nodes = std::make_shared<std::vector<operation>>();
    capture = {new lrk_emulated_graph{nodes, false}, stream, capture.number + 1};
    stream->captured = true;
    return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus *status)
{
    *status = !emulator_captured(stream) ? cudaStreamCaptureStatusNone
              : capture.graph->broken    ? cudaStreamCaptureStatusInvalidated
                                         : cudaStreamCaptureStatusActive;
    return emulator_result(cudaSuccess);
}

/* Ends the capture; whether all that other streams did in it lies before the end of `origin`. */
static bool leave_capture(cudaStream_t origin)
{
    bool joined = true;
    past all = std::move(origin->before);
    for (cudaStream_t s : chip.streams) {
        joined &= !s->captured || s == origin || all[s] == s->before[s];
        s->captured = false;
        s->before.clear();
    }
    return joined;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    const cudaGraph_t g = capture.graph;
    if (!g || stream != capture.origin) return emulator_result(cudaErrorInvalidValue);
    const bool joined = leave_capture(stream);
    capture.graph = nullptr;
    *graph = joined && !g->broken ? g : nullptr;
    if (*graph) return emulator_result(cudaSuccess);
    const cudaError_t e = g->broken ? cudaErrorStreamCaptureInvalidated : cudaErrorStreamCaptureUnjoined;
    delete g;
    return emulator_result(e);
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long)
{
    if (chip.sticky != cudaSuccess) return chip.sticky;
    if (emulator_planned_failure("instantiate", ++chip.instantiated)) return emulator_result(cudaErrorMemoryAllocation);
    *exec = new lrk_emulated_graph(*graph);
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
    const auto nodes = exec->nodes;
    return emulator_enqueue(stream, operation::GRAPH, [nodes] {
        for (const operation &node : *nodes) perform(node);
    });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    delete graph;
    return emulator_result(cudaSuccess);
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) { return cudaGraphDestroy(exec); }
