/* tests/emulator/emulator.h -- CUDA kernels on this processor, one thread of a kernel at a time.
 *
 * The project's .cu files are compiled by g++ against include/cuda_runtime.h. A block's threads are
 * fibers that switch only at barriers and warp operations; blocks run one after another. The
 * compiler puts a call before every load and store (-fsanitize=thread; its library is never
 * linked), and access.cpp looks each one up in shadow memory. So kernels are tested as they are
 * written.
 *
 *   block.cpp    fibers, blocks, barriers, warp operations
 *   access.cpp   the check of every access
 *   memory.cpp   allocations, shared arrays, shadow memory
 *   tensor.cpp   cp.async, ldmatrix, mma
 *   runtime.cpp  the runtime API: errors, launches, memory
 *   streams.cpp  streams, events, graphs
 *   cublaslt.cpp matrix products
 *
 * What is found is written to stderr with the kernel, block and thread, and the process aborts. Found are:
 *   bounds         an access outside of every allocation and shared array
 *   uninitialized  a read of shared or device memory that nobody wrote
 *   race           two threads of a launch at one byte, one of them writing, with no barrier between
 *                  (__syncthreads in a block, __syncwarp in a warp; atomics do not race each other)
 *   misaligned     a pointer that is not aligned for its type
 *   copy           data of cp.async touched before the wait
 *   launch         a grid, block or shared memory size that no chip takes
 *   barrier        a __syncthreads that some thread of the block misses
 *   warp           a warp operation whose mask leaves out the caller or names a lane that does not come, or a
 *                  shuffle from a lane that the mask does not name
 *   refused        a float atomic, __activemask
 *   host           host code that touches device memory, or hands it to the wrong call
 *   leftover       a launch while an error of an earlier call was never asked for
 *
 * A thread of a block that ended counts as missing at a barrier. Memory given to the threads is not
 * cleared. Streams are lazy: work is done when somebody waits for it, so that host code that
 * forgets to wait is seen. None of them is the default one. One host thread at a time.
 *
 * Environment:
 *   LRK_EMULATOR_ORDER=reverse|random:SEED   the order of blocks, warps and lanes
 *   LRK_EMULATOR_STREAMS=early               streams but the first do what they may at once
 *   LRK_EMULATOR_SLOW=1|2                    one of the algorithms of cublaslt.cpp takes long
 *   LRK_EMULATOR_STRIDES=1                   it proposes another one first where strides are not the least
 *   LRK_EMULATOR_REFUSED=1|2[,STATUS]        so many of its algorithms are proposed, and refused when they shall run
 *   LRK_EMULATOR_REFUSED=3[,STATUS]          none is proposed
 *   LRK_EMULATOR_MEMORY=BYTES                of the device; 2 GiB
 *   LRK_EMULATOR_FAIL=launch:N|malloc:N|instantiate:N   the N-th call fails, with N+ the later ones too: the launch
 *                                            with a sticky cudaErrorIllegalAddress, the others for lack of memory
 *   LRK_EMULATOR_FAIL=cublaslt:1             cuBLASLt does not start
 */
#ifndef LRK_EMULATOR_H
#define LRK_EMULATOR_H
#include <cuda_runtime.h>

/* For the emulator's own tests: errors no longer abort; the kernel that had one is given up.
 * caught() returns the first message since, or NULL, and forgets it. */
void lrk_emulator_catch(bool on);
const char *lrk_emulator_caught(void);

/* As the environment variable; NULL: the usual order. */
void lrk_emulator_order(const char *order);

void lrk_emulator_count_from_here(void); /* LRK_EMULATOR_FAIL */

/* Kernels, library calls and fills that were asked for so far outside of a graph; allocations, of pinned memory too;
 * how often the host waited for all of a stream; how often nothing was left to do when it had waited; graphs
 * that were to be instantiated. */
extern "C" uint64_t lrk_emulator_launched(void), lrk_emulator_allocations(void), lrk_emulator_waits(void),
    lrk_emulator_idle(void), lrk_emulator_instantiated(void);

/* ---- between the parts ----------------------------------------------------------------------- */

enum {
    EMULATOR_LANES = 32,
    EMULATOR_THREADS = 1024,       /* of a block */
    EMULATOR_SHARED = 48 * 1024,   /* of a block, when nobody asked for more */
    EMULATOR_SHARED_MAX = 99 << 10 /* of a block, sm_89 and sm_120 */
};

/* block.cpp */
void emulator_run(const emulator_launch &launch);
extern const unsigned *emulator_self; /* the thread that runs, by its place in the block; NULL: host code */

/* Reports; returns only if errors are caught and no thread of a kernel runs. */
void emulator_error(const char *kind, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* access.cpp */
/* SEND: the write of cp.async, which others may not touch before the thread lets it ARRIVE. */
enum emulator_access { EMULATOR_READ, EMULATOR_WRITE, EMULATOR_ATOMIC, EMULATOR_SEND, EMULATOR_ARRIVE };
/* by: the running thread, unless a warp operation accesses for another. */
void emulator_check(const void *p, size_t bytes, emulator_access access, unsigned by);
void emulator_check_aligned(const void *p, size_t alignment, const char *what);
void emulator_pc(const void *pc); /* where the access comes from, for reports */

void emulator_access_launch(const emulator_launch &launch);
void emulator_access_block(unsigned index); /* of the grid, counted from 0 */
void emulator_access_barrier(void);
void emulator_access_warp(unsigned warp);                  /* __syncwarp */
void emulator_access_stack(const void *low, size_t bytes); /* of the thread that runs from now on */

/* tensor.cpp */
void emulator_tensor_block(unsigned threads);
uint16_t emulator_to_bf16(float v); /* to nearest, ties to even */
float emulator_from_bf16(uint16_t h);

/* memory.cpp */
enum emulator_place { EMULATOR_HOST, EMULATOR_PINNED, EMULATOR_DEVICE, EMULATOR_BLOCK /* its shared memory */ };

void emulator_memory_launch(size_t dynamic, size_t limit);

void *emulator_allocate(size_t bytes, emulator_place place);
bool emulator_release(void *p, emulator_place place);
size_t emulator_allocated(void); /* bytes of the device */

/* Where p lies, for the host; reports if not all bytes do. */
emulator_place emulator_place_of(const void *p, size_t bytes, const char *what);

/* Copies and fills between any places, with what is known about initialization. */
void emulator_copy(void *to, const void *from, size_t bytes);
void emulator_fill(void *to, int value, size_t bytes);

/* What a library's kernel does to memory that emulator_place_of has checked. */
void emulator_library_read(const void *p, size_t bytes, const char *what);
void emulator_library_write(void *p, size_t bytes);

#endif /* LRK_EMULATOR_H */
