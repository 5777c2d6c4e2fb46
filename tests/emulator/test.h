/* tests/emulator/test.h -- what the emulator's own tests share: one stream, memory, errors caught.
 */
#ifndef LRK_EMULATOR_TEST_H
#define LRK_EMULATOR_TEST_H
#include "emulator/emulator.h"
#include "kernels/cuda.cuh"
#include "kernels/ptx.cuh"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

extern "C" {
#include <cmocka.h>
}

static cudaStream_t the_stream;

extern "C" cudaStream_t lrk_cuda_stream(void) { return the_stream; }

extern "C" void lrk_cuda_note(cudaError_t e, const char *what)
{
    (void)e;
    (void)what;
}

extern "C" bool lrk_cuda_failed(void) { return false; }

/* n elements on the device, blank. */
template <typename T> static T *room(size_t n)
{
    T *p = nullptr;
    assert_int_equal(cudaMalloc(&p, n * sizeof(T)), cudaSuccess);
    return p;
}

template <typename T> static T *upload(const T *from, size_t n)
{
    T *p = room<T>(n);
    assert_int_equal(cudaMemcpyAsync(p, from, n * sizeof(T), cudaMemcpyHostToDevice, the_stream), cudaSuccess);
    return p;
}

template <typename T> static void download(T *to, const T *from, size_t n)
{
    assert_int_equal(cudaMemcpyAsync(to, from, n * sizeof(T), cudaMemcpyDeviceToHost, the_stream), cudaSuccess);
}

/* Nothing was found so far. */
static inline void expect_silence(void)
{
    (void)cudaStreamSynchronize(the_stream);
    const char *message = lrk_emulator_caught();
    if (message) fail_msg("%s", message);
}

/* Something of that kind was found, and the message says so and names each of the words. */
static inline void expect_error(const char *kind, const char *word)
{
    char start[64];
    (void)cudaStreamSynchronize(the_stream);
    (void)cudaGetLastError();
    const char *message = lrk_emulator_caught();
    if (!message) fail_msg("nothing was found, expected: %s", kind);
    snprintf(start, sizeof start, "emulator: %s: ", kind);
    if (getenv("LRK_EMULATOR_SHOW")) printf("%s\n", message);
    if (strncmp(message, start, strlen(start)) || !strstr(message, word))
        fail_msg("found: %s\nexpected: %s... %s", message, start, word);
}

#endif /* LRK_EMULATOR_TEST_H */
