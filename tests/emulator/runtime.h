/* tests/emulator/runtime.h -- what runtime.cpp and streams.cpp share. */
#ifndef LRK_EMULATOR_RUNTIME_H
#define LRK_EMULATOR_RUNTIME_H
#include "emulator.h"

#include <deque>
#include <functional>
#include <memory>
#include <vector>

struct launched : emulator_launch {
    ~launched() { closure.destroy(closure.object); }
};

struct operation {
    enum { LAUNCH, CALL, COPY, FILL, RECORD, WAIT, GRAPH } kind;
    std::shared_ptr<launched> launch;
    std::function<void()> call; /* a library's work */
    void *to;
    const void *from;
    std::shared_ptr<std::vector<char>> staged; /* a copy of pageable memory, taken at the call */
    size_t bytes;
    int value;
    cudaEvent_t event;
    uint64_t ticket; /* which record of the event */
    std::shared_ptr<std::vector<operation>> graph;
};

typedef std::vector<operation> operations;

/* One of the process; never destroyed. */
struct chip_state {
    std::vector<cudaStream_t> streams;
    std::vector<const void *> roomy; /* kernels that may take more shared memory, and how much */
    std::vector<size_t> room;
    cudaError_t last, sticky;
    unsigned captures;
    uint64_t launches, mallocs;
    uint64_t asked, allocations; /* lrk_emulator_launched */
    double slow_ms; /* what slow algorithms would have taken; events count it */
};
extern chip_state &chip;

/* Keeps an error for cudaGetLastError; returns what the call returns. */
cudaError_t emulator_result(cudaError_t e);

/* Whether LRK_EMULATOR_FAIL names the n-th call of this kind. */
bool emulator_planned_failure(const char *kind, uint64_t n);

/* Into the queue of s, the graph that it captures, or, for the default stream, at once. */
cudaError_t emulator_enqueue(cudaStream_t s, const operation &o);

/* The error of a call that no capture may see: a wait, an allocation. */
cudaError_t emulator_outside_capture(void);

/* Refuses what a capture of s cannot hold, if there is one. */
cudaError_t emulator_refuse_capture(cudaStream_t s);

void emulator_drain(cudaStream_t s); /* NULL: all streams */

#endif /* LRK_EMULATOR_RUNTIME_H */
