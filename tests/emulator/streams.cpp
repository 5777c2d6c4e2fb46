/* tests/emulator/streams.cpp -- streams, events, graphs.
 *
 * A stream is a queue that nobody works off until somebody waits: for the stream, for an event
 * behind it, for the device. That is the latest time that CUDA allows, so host code that forgets to
 * wait reads old data. With LRK_EMULATOR_STREAMS=early every stream but the first does its work as soon as
 * the events that it waits for allow, so that one that should have waited for the first is too early. A
 * graph is such a queue, kept.
 */
#include "runtime.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct lrk_emulated_graph {
    std::shared_ptr<operations> nodes;
    bool broken; /* the capture did what no graph can hold */
};

struct lrk_emulated_stream {
    std::deque<operation> queue;
    bool captured; /* takes part in the capture under way */
};

struct lrk_emulated_event {
    cudaStream_t stream;
    uint64_t capture; /* the number of the one it was last recorded in; 0: of none */
    uint64_t asked, done;
    double ms;
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

static void hurry(void)
{
    const char *how = getenv("LRK_EMULATOR_STREAMS");
    if (!how || strcmp(how, "early") != 0) return;
    for (size_t i = 1; i < chip.streams.size(); i++) {
        std::deque<operation> &queue = chip.streams[i]->queue;
        while (!queue.empty()) {
            const operation o = queue.front();
            if (o.kind == operation::WAIT && o.event->done < o.ticket) break;
            queue.pop_front();
            perform(o);
        }
    }
}

static bool has_work(void)
{
    for (cudaStream_t s : chip.streams)
        if (!s->queue.empty()) return true;
    return false;
}

/* The host waits for what is in front of the queue. */
static void step(cudaStream_t s)
{
    const operation o = s->queue.front();
    s->queue.pop_front();
    perform(o);
    hurry();
    chip.idle += !has_work();
}

void emulator_drain(cudaStream_t s)
{
    for (cudaStream_t each : chip.streams)
        while ((!s || s == each) && !each->queue.empty()) step(each);
}

/* Until the event was recorded as often as that. */
static void wait_for(cudaEvent_t event, uint64_t ticket)
{
    while (event->done < ticket) step(event->stream);
}

static bool known(cudaStream_t s)
{
    for (cudaStream_t each : chip.streams)
        if (each == s) return true;
    return !s;
}

/* What no capture may see: waits and allocations. */
cudaError_t emulator_outside_capture(void)
{
    if (!capture.graph) return cudaSuccess;
    capture.graph->broken = true;
    return cudaErrorStreamCaptureUnsupported;
}

cudaError_t emulator_refuse_capture(cudaStream_t s)
{
    return s && known(s) && s->captured ? emulator_outside_capture() : cudaSuccess;
}

cudaError_t emulator_enqueue(cudaStream_t s, const operation &o)
{
    if (!known(s)) return emulator_result(cudaErrorInvalidResourceHandle);
    if (chip.sticky != cudaSuccess) return chip.sticky;
    if (s && s->captured) {
        capture.graph->nodes->push_back(o);
        return cudaSuccess;
    }
    chip.asked += o.kind == operation::KERNEL || o.kind == operation::FILL;
    if (s) {
        s->queue.push_back(o);
        hurry();
        return cudaSuccess;
    }
    const cudaError_t e = emulator_outside_capture();
    if (e != cudaSuccess) return emulator_result(e);
    perform(o);
    return emulator_result(cudaSuccess);
}

/* ---- streams and events ---------------------------------------------------------------------- */

/* None but streams that do not wait for the default one. */
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags)
{
    if (chip.sticky != cudaSuccess) return chip.sticky;
    if (flags != cudaStreamNonBlocking) return emulator_result(cudaErrorNotSupported);
    *stream = new lrk_emulated_stream();
    chip.streams.push_back(*stream);
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    const cudaError_t e = emulator_outside_capture();
    if (e != cudaSuccess) return emulator_result(e);
    if (!stream || !known(stream)) return emulator_result(cudaErrorInvalidResourceHandle);
    chip.waits++;
    emulator_drain(stream);
    return emulator_result(cudaSuccess);
}

cudaError_t cudaDeviceSynchronize(void)
{
    const cudaError_t e = emulator_outside_capture();
    if (e != cudaSuccess) return emulator_result(e);
    chip.waits++;
    emulator_drain(nullptr);
    return emulator_result(cudaSuccess);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned)
{
    if (chip.sticky != cudaSuccess) return chip.sticky;
    *event = new lrk_emulated_event();
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *event)
{
    return cudaEventCreateWithFlags(event, 0);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    if (!known(stream)) return emulator_result(cudaErrorInvalidResourceHandle);
    if (stream && stream->captured) {
        event->capture = capture.number;
        return emulator_result(cudaSuccess);
    }
    const uint64_t ticket = ++event->asked;
    event->stream = stream;
    event->capture = 0;
    return emulator_enqueue(stream, operation::RECORD, [=] {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        event->ms = chip.slow_ms + 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
        event->done = ticket;
    });
}

/* A stream that waits for an event of the capture under way takes part in it from there on. The graph keeps
 * the order of the calls, which is one of those that the events allow. Nothing waits into a graph from
 * outside, or out of one. */
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned)
{
    if (!known(stream)) return emulator_result(cudaErrorInvalidResourceHandle);
    if (event->capture) {
        if (!capture.graph || event->capture != capture.number) return emulator_result(cudaErrorCapturedEvent);
        if (!stream) return emulator_result(cudaErrorStreamCaptureUnsupported);
        stream->captured = true;
        return emulator_result(cudaSuccess);
    }
    const cudaError_t refused = event->asked ? emulator_refuse_capture(stream) : cudaSuccess;
    if (refused != cudaSuccess || event->done == event->asked) return emulator_result(refused);
    const uint64_t ticket = event->asked;
    return emulator_enqueue(stream, {operation::WAIT, [=] { wait_for(event, ticket); }, event, ticket});
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    if (event->capture) return emulator_result(cudaErrorCapturedEvent);
    wait_for(event, event->asked);
    return emulator_result(cudaSuccess);
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to)
{
    if (!from->asked || !to->asked) return emulator_result(cudaErrorInvalidResourceHandle);
    if (from->done < from->asked || to->done < to->asked) return emulator_result(cudaErrorInvalidValue);
    *ms = (float)(to->ms - from->ms);
    return emulator_result(cudaSuccess);
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    wait_for(event, event->asked);
    delete event;
    return emulator_result(cudaSuccess);
}

/* ---- graphs ---------------------------------------------------------------------------------- */

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode)
{
    if (!stream || !known(stream)) return emulator_result(cudaErrorStreamCaptureUnsupported);
    if (stream->captured) return emulator_result(cudaErrorInvalidValue);
    if (capture.graph) return emulator_result(cudaErrorNotSupported);
    if (chip.sticky != cudaSuccess) return chip.sticky;
    capture = {new lrk_emulated_graph{std::make_shared<operations>(), false}, stream, capture.number + 1};
    stream->captured = true;
    return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus *status)
{
    *status = !stream || !stream->captured ? cudaStreamCaptureStatusNone
              : capture.graph->broken      ? cudaStreamCaptureStatusInvalidated
                                           : cudaStreamCaptureStatusActive;
    return emulator_result(cudaSuccess);
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    const cudaGraph_t g = capture.graph;
    if (!g || stream != capture.origin) return emulator_result(cudaErrorInvalidValue);
    for (cudaStream_t s : chip.streams) s->captured = false;
    capture.graph = nullptr;
    *graph = g->broken ? nullptr : g;
    if (!g->broken) return emulator_result(cudaSuccess);
    delete g;
    return emulator_result(cudaErrorStreamCaptureInvalidated);
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long)
{
    if (chip.sticky != cudaSuccess) return chip.sticky;
    *exec = new lrk_emulated_graph(*graph);
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
    const std::shared_ptr<operations> nodes = exec->nodes;
    return emulator_enqueue(stream, operation::GRAPH, [nodes] {
        for (const operation &node : *nodes) perform(node);
    });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    delete graph;
    return emulator_result(cudaSuccess);
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    delete exec;
    return emulator_result(cudaSuccess);
}
