/* tests/emulator/runtime.h -- what runtime.cpp, streams.cpp and cublaslt.cpp share. */
#ifndef LRK_EMULATOR_RUNTIME_H
#define LRK_EMULATOR_RUNTIME_H
#include "emulator.h"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

/* One recording of an event. */
struct recording {
    cudaStream_t stream;
    bool done;
    double ms;
};

/* A kernel, one of a library too, counts for LRK_EMULATOR_FAIL; an event is recorded though the chip has
 * failed. */
struct operation {
    enum what { KERNEL, FILL, COPY, RECORD, WAIT, GRAPH } kind;
    std::function<void()> work;
    std::shared_ptr<recording> awaited; /* by a WAIT */
};

/* One of the process; never destroyed. */
struct chip_state {
    std::vector<cudaStream_t> streams;
    std::map<const void *, size_t> shared_limits; /* of kernels that may take more */
    cudaError_t last, sticky;
    uint64_t launches, mallocs, instantiated; /* LRK_EMULATOR_FAIL */
    uint64_t asked, allocations, waits, idle; /* lrk_emulator_launched */
    double slow_ms; /* what slow algorithms would have taken; events count it */
};
extern chip_state &chip;

/* Where a call ends that cannot go on. */
#define EMULATOR_TRY(result)                    \
    do {                                        \
        const cudaError_t tried = (result);     \
        if (tried != cudaSuccess) return tried; \
    } while (0)

/* Keeps an error for cudaGetLastError; returns what the call returns. */
cudaError_t emulator_result(cudaError_t e);

/* Whether LRK_EMULATOR_FAIL names the n-th call of this kind, or an earlier one and all that follow. */
bool emulator_planned_failure(const char *kind, uint64_t n);

/* Into the queue of s, or the graph that it captures. */
cudaError_t emulator_enqueue(cudaStream_t s, operation::what kind, std::function<void()> work,
                             std::shared_ptr<recording> awaited = nullptr);

/* Whether s, or any stream, takes part in a capture. */
bool emulator_captured(cudaStream_t s);
bool emulator_capturing();

/* The result of a call that waits or allocates, before it does: no capture may see one, and breaks. */
cudaError_t emulator_may_wait(void);

void emulator_drain(cudaStream_t s); /* NULL: all streams */

#endif /* LRK_EMULATOR_RUNTIME_H */
