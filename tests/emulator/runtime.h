/* tests/emulator/runtime.h -- what runtime.cpp and streams.cpp share. */
#ifndef LRK_EMULATOR_RUNTIME_H
#define LRK_EMULATOR_RUNTIME_H
#include "emulator.h"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

/* A kernel, one of a library too, counts for LRK_EMULATOR_FAIL; an event is recorded though the chip has
 * failed; a wait is one for record `ticket` of `event`. */
struct operation {
    enum what { KERNEL, FILL, COPY, RECORD, WAIT, GRAPH } kind;
    std::function<void()> work;
    cudaEvent_t event;
    uint64_t ticket;
};

typedef std::vector<operation> operations;

/* One of the process; never destroyed. */
struct chip_state {
    std::vector<cudaStream_t> streams;
    std::map<const void *, size_t> shared_limits; /* of kernels that may take more */
    cudaError_t last, sticky;
    uint64_t launches, mallocs;
    uint64_t asked, allocations, waits, idle; /* lrk_emulator_launched */
    double slow_ms; /* what slow algorithms would have taken; events count it */
};
extern chip_state &chip;

/* Keeps an error for cudaGetLastError; returns what the call returns. */
cudaError_t emulator_result(cudaError_t e);

/* Whether LRK_EMULATOR_FAIL names the n-th call of this kind. */
bool emulator_planned_failure(const char *kind, uint64_t n);

/* Into the queue of s, the graph that it captures, or, for the default stream, at once. */
cudaError_t emulator_enqueue(cudaStream_t s, const operation &o);
static inline cudaError_t emulator_enqueue(cudaStream_t s, operation::what kind, std::function<void()> work)
{
    return emulator_enqueue(s, {kind, work, nullptr, 0});
}

/* The error of a call that no capture may see: a wait, an allocation. */
cudaError_t emulator_outside_capture(void);

/* Refuses what a capture of s cannot hold, if there is one. */
cudaError_t emulator_refuse_capture(cudaStream_t s);

void emulator_drain(cudaStream_t s); /* NULL: all streams */

#endif /* LRK_EMULATOR_RUNTIME_H */
