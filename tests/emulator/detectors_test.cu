/* Each detector fires on a kernel with that very bug, and is silent on the mended kernel. */
#include "emulator/test.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N = 64 };

#define BOTH(kernel, ...)                                                                          \
    do {                                                                                           \
        if (bug)                                                                                   \
            LRK_LAUNCH(kernel<true>, __VA_ARGS__);                                                 \
        else                                                                                       \
            LRK_LAUNCH(kernel<false>, __VA_ARGS__);                                                \
    } while (0)

/* ---- shared memory --------------------------------------------------------------------------- */

template <bool BUG> __global__ void no_barrier(float *out)
{
    LRK_SHARED(float, tile, N);
    const unsigned t = threadIdx.x;
    tile[t] = 0.0f;
    __syncthreads();
    tile[t] = (float)t;
    if (!BUG) __syncthreads();
    out[t] = tile[N - 1 - t];
}

/* The loop's next turn writes what slower threads still read. */
template <bool BUG> __global__ void barrier_after_read(float *out)
{
    LRK_SHARED(float, tile, N);
    const unsigned t = threadIdx.x;
    float sum = 0;
    for (int i = 0; i < 3; i++) {
        tile[t] = (float)(t + i);
        __syncthreads();
        sum += tile[N - 1 - t];
        if (!BUG) __syncthreads();
    }
    out[t] = sum;
}

template <bool BUG> __global__ void warp_order(float *out)
{
    LRK_SHARED(float, tile, N);
    const unsigned t = threadIdx.x;
    tile[t] = 0.0f;
    __syncthreads();
    tile[t] = (float)t;
    if (!BUG) __syncwarp();
    out[t] = tile[t ^ 1];
}

/* __syncwarp orders a warp, not two. */
template <bool BUG> __global__ void warp_order_too_far(float *out)
{
    LRK_SHARED(float, tile, N);
    const unsigned t = threadIdx.x;
    tile[t] = 0.0f;
    __syncthreads();
    tile[t] = (float)t;
    __syncwarp();
    out[t] = tile[BUG ? t ^ 32 : t ^ 16];
}

template <bool BUG> __global__ void shared_bound(float *out)
{
    LRK_SHARED(float, tile, N);
    const unsigned t = threadIdx.x;
    tile[BUG ? t + 1 : t] = 1.0f;
    __syncthreads();
    out[t] = tile[BUG ? t + 1 : t];
}

template <bool BUG> __global__ void dynamic_bound(float *out)
{
    LRK_DYNAMIC_SHARED(float, tile);
    const int t = (int)threadIdx.x;
    tile[BUG ? t - 1 : t] = 1.0f;
    __syncthreads();
    out[t] = tile[t];
}

/* A write of 16 bytes begins in the array, where a part is written already, and ends behind it. */
template <bool BUG> __global__ void over_the_end(float *out)
{
    LRK_SHARED(float, tile, N + 2);
    tile[N] = 0.0f;
    reinterpret_cast<float4 *>(tile)[BUG ? N / 4 : 0] = make_float4(1, 2, 3, 4);
    out[0] = tile[N];
}

template <bool BUG> __global__ void blank_shared(float *out)
{
    LRK_SHARED(float, tile, N);
    const unsigned t = threadIdx.x;
    if (!BUG || t != 5) tile[t] = 1.0f;
    __syncthreads();
    out[t] = tile[t];
}

/* A forgotten barrier behind the first write shows as a read of what is not there yet. */
template <bool BUG> __global__ void first_barrier(float *out)
{
    LRK_SHARED(float, tile, N);
    const unsigned t = threadIdx.x;
    tile[t] = (float)t;
    if (!BUG) __syncthreads();
    out[t] = tile[N - 1 - t];
}

/* ---- parts of words, which have one history until one of them is accessed alone ---------------- */

template <bool BUG> __global__ void bytes_of_words(float *out)
{
    LRK_SHARED(unsigned, tile, N / 4);
    unsigned char *bytes = reinterpret_cast<unsigned char *>(tile);
    const unsigned t = threadIdx.x;
    if (t < N / 4) tile[t] = t;
    __syncthreads();
    bytes[t] = (unsigned char)t;
    if (!BUG) __syncthreads();
    out[t] = bytes[t ^ 3];
}

/* A word that is read when another thread has written its last byte. */
template <bool BUG> __global__ void word_of_bytes(float *out)
{
    LRK_SHARED(unsigned, tile, N);
    unsigned char *bytes = reinterpret_cast<unsigned char *>(tile);
    const unsigned t = threadIdx.x;
    tile[t] = t;
    __syncthreads();
    bytes[4 * t + 3] = 0;
    if (!BUG) __syncthreads();
    out[t] = (float)tile[t ^ 1];
}

template <bool BUG> __global__ void blank_half(float *out)
{
    LRK_SHARED(unsigned short, tile, 2 * N);
    const unsigned t = threadIdx.x;
    tile[2 * t] = (unsigned short)t;
    __syncthreads();
    out[t] = tile[BUG ? 2 * (N - 1 - t) + 1 : 2 * (N - 1 - t)];
}

template <bool BUG> __global__ void halves_of_blocks(unsigned short *out)
{
    out[BUG ? blockIdx.x / 2 : blockIdx.x] = (unsigned short)blockIdx.x;
}

template <bool BUG> __global__ void byte_of_copy(float *out, const unsigned char *in) { out[0] = in[BUG ? 8 : 7]; }

/* ---- device memory --------------------------------------------------------------------------- */

template <bool BUG> __global__ void bound(float *out)
{
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (BUG ? i <= N : i < N) out[i] = 1.0f;
}

template <bool BUG> __global__ void blank(float *out, const float *in)
{
    out[threadIdx.x] = in[threadIdx.x + (BUG ? 1 : 0)];
}

template <bool BUG> __global__ void both_write(float *out)
{
    out[BUG ? threadIdx.x / 2 : threadIdx.x] = (float)threadIdx.x;
}

/* One block reads what another one writes. */
template <bool BUG> __global__ void across_blocks(float *out)
{
    const unsigned b = blockIdx.x;
    if (BUG && b) out[b] = out[b - 1] + 1.0f;
    if (!BUG) out[b] = 1.0f;
}

/* Every block reads x, and the last one writes it. */
template <bool BUG> __global__ void read_by_all(float *x, float *out)
{
    out[blockIdx.x] = x[0];
    if (BUG && blockIdx.x == gridDim.x - 1) x[0] = 2.0f;
}

template <bool BUG> __global__ void plain_beside_atomic(int *n)
{
    if (BUG && threadIdx.x == 3)
        *n = 1;
    else
        atomicAdd(n, 1);
}

template <bool BUG> __global__ void vector_alignment(float *out)
{
    reinterpret_cast<float4 *>(out + (BUG ? 2 : 0))[0] = make_float4(1, 2, 3, 4);
}

/* The compiler loads one float of the four; it is wrong all the same. */
template <bool BUG> __global__ void part_of_vector(float *out)
{
    out[0] = 1.0f;
    out[1] = 1.0f;
    out[2] = reinterpret_cast<const float4 *>(out + (BUG ? 1 : 0))->x;
}

template <bool BUG> __global__ void host_pointer(float *out, const float *in)
{
    out[0] = BUG ? in[0] : 0.0f;
}

/* ---- barriers and warps ---------------------------------------------------------------------- */

template <bool BUG> __global__ void ended_at_barrier(float *out)
{
    if (BUG && threadIdx.x == N - 1) return;
    __syncthreads();
    out[threadIdx.x] = 1.0f;
}

template <bool BUG> __global__ void other_barrier(float *out)
{
    if (BUG && threadIdx.x < 32)
        __syncthreads();
    else
        __syncthreads();
    out[threadIdx.x] = 1.0f;
}

template <bool BUG> __global__ void lane_stays_away(float *out)
{
    float v = (float)threadIdx.x;
    if (!BUG || threadIdx.x % 32 < 16) v += __shfl_xor_sync(LRK_ALL_LANES, v, 1);
    out[threadIdx.x] = v;
}

template <bool BUG> __global__ void caller_left_out(float *out)
{
    out[threadIdx.x] = (float)__ballot_sync(BUG ? 0x7fffffffu : LRK_ALL_LANES, 1);
}

template <bool BUG> __global__ void from_unnamed_lane(float *out)
{
    float v = 1.0f;
    if (threadIdx.x % 32 < 16) v = __shfl_xor_sync(0xffffu, v, BUG ? 16 : 8);
    __syncthreads(); /* other masks before it do not matter */
    out[threadIdx.x] = v;
}

template <bool BUG> __global__ void other_operation(float *out)
{
    float v = 1.0f;
    if (BUG && threadIdx.x % 32 < 16)
        v += __shfl_up_sync(LRK_ALL_LANES, v, 1);
    else
        v += __shfl_xor_sync(LRK_ALL_LANES, v, 1);
    out[threadIdx.x] = v;
}

template <bool BUG> __global__ void short_warp(float *out)
{
    out[threadIdx.x] = __shfl_xor_sync(BUG ? LRK_ALL_LANES : 0xffu, 1.0f, 1);
}

/* ---- refused --------------------------------------------------------------------------------- */

template <bool BUG> __global__ void float_atomic(float *out, int *n)
{
    if (BUG)
        atomicAdd(out, 1.0f);
    else
        atomicAdd(n, 1);
}

template <bool BUG> __global__ void active(unsigned *out)
{
    out[threadIdx.x] = BUG ? __activemask() : __ballot_sync(LRK_ALL_LANES, 1);
}

/* ---- asynchronous copies --------------------------------------------------------------------- */

template <bool BUG> __global__ void no_wait(float *out, const float *in)
{
    LRK_SHARED(float4, tile, 32);
    const unsigned t = threadIdx.x;
    lrk_cp_async16_or_zero(&tile[t], in + 4 * t, true);
    lrk_cp_async_commit();
    if (!BUG) lrk_cp_async_wait<0>();
    out[t] = tile[t].x;
}

/* The second group is still under way. */
template <bool BUG> __global__ void short_wait(float *out, const float *in)
{
    LRK_SHARED(float4, tile, 64);
    const unsigned t = threadIdx.x;
    lrk_cp_async16_or_zero(&tile[t], in + 4 * t, true);
    lrk_cp_async_commit();
    lrk_cp_async16_or_zero(&tile[32 + t], in + 4 * t, true);
    lrk_cp_async_commit();
    if (BUG)
        lrk_cp_async_wait<1>();
    else
        lrk_cp_async_wait<0>();
    out[t] = tile[t].x + tile[32 + t].x;
}

/* A thread waits for its own copies; those of others are there after a barrier. */
template <bool BUG> __global__ void wait_without_barrier(float *out, const float *in)
{
    LRK_SHARED(float4, tile, 32);
    const unsigned t = threadIdx.x;
    tile[t] = make_float4(0, 0, 0, 0);
    __syncthreads();
    lrk_cp_async16_or_zero(&tile[t], in + 4 * t, true);
    lrk_cp_async_commit();
    lrk_cp_async_wait<0>();
    if (!BUG) __syncthreads();
    out[t] = tile[31 - t].x;
}

/* ---- the tests ------------------------------------------------------------------------------- */

static float *host_memory(void)
{
    static float *p = static_cast<float *>(calloc(1, sizeof *p));
    return p;
}

static void check(void (*launch)(bool bug), const char *kind, const char *word)
{
    static const char *const orders[] = {nullptr, "reverse", "random:1", "random:2"};
    for (const char *order : orders) {
        lrk_emulator_order(order);
        launch(false);
        expect_silence();
        launch(true);
        expect_error(kind, word);
    }
}

static float *out_of(size_t n) { return room<float>(n); }

static float *ones(size_t n)
{
    float *p = room<float>(n);
    float one[4 * N];
    for (float &v : one) v = 1.0f;
    assert_true(n <= 4 * N);
    assert_int_equal(cudaMemcpyAsync(p, one, n * sizeof *p, cudaMemcpyHostToDevice, the_stream), cudaSuccess);
    return p;
}

static void races(void **)
{
    check([](bool bug) { BOTH(no_barrier, 1, N, 0, out_of(N)); }, "race", "shared array tile");
    check([](bool bug) { BOTH(barrier_after_read, 1, N, 0, out_of(N)); }, "race", "tile");
    check([](bool bug) { BOTH(warp_order, 1, N, 0, out_of(N)); }, "race", "tile");
    check([](bool bug) { BOTH(warp_order_too_far, 1, N, 0, out_of(N)); }, "race", "tile");
    check([](bool bug) { BOTH(both_write, 1, N, 0, out_of(N)); }, "race", "device allocation");
    check([](bool bug) { BOTH(across_blocks, 4, 1, 0, ones(4)); }, "race", "of block");
    check([](bool bug) { BOTH(read_by_all, 4, 1, 0, ones(1), out_of(4)); }, "race", " block");
    check([](bool bug) { BOTH(plain_beside_atomic, 1, N, 0, (int *)ones(1)); }, "race", "byte 0");
    check([](bool bug) { BOTH(wait_without_barrier, 1, 32, 0, out_of(32), ones(128)); }, "race",
          "tile");
}

/* Bytes 1 to 11 of 12 of which 9 are written: 8 that are, and 3 that are not. */
static unsigned char *copied_askew(void)
{
    unsigned char *from = room<unsigned char>(12), *to = room<unsigned char>(12);
    (void)cudaMemsetAsync(from, 1, 9, the_stream);
    (void)cudaMemcpyAsync(to, from + 1, 11, cudaMemcpyDeviceToDevice, the_stream);
    return to;
}

static void parts_of_words(void **)
{
    check([](bool bug) { BOTH(bytes_of_words, 1, N, 0, out_of(N)); }, "race", "of 1 bytes at");
    check([](bool bug) { BOTH(word_of_bytes, 1, N, 0, out_of(N)); }, "race", "tile");
    check([](bool bug) { BOTH(blank_half, 1, N, 0, out_of(N)); }, "uninitialized", "tile");
    check([](bool bug) { BOTH(halves_of_blocks, 4, 1, 0, room<unsigned short>(4)); }, "race", "of block");
    check([](bool bug) { BOTH(byte_of_copy, 1, 1, 0, out_of(1), copied_askew()); }, "uninitialized", "byte 8");
}

static void bounds(void **)
{
    check([](bool bug) { BOTH(shared_bound, 1, N, 0, out_of(N)); }, "bounds",
          "0 bytes behind shared array tile of 256 bytes");
    check([](bool bug) { BOTH(dynamic_bound, 1, N, N * sizeof(float), out_of(N)); }, "bounds",
          "in front of");
    check([](bool bug) { BOTH(over_the_end, 1, 1, 0, out_of(1)); }, "bounds", "shared array tile of 264");
    check([](bool bug) { BOTH(bound, 3, 32, 0, out_of(N)); }, "bounds", "byte 256");
    check([](bool bug) { BOTH(host_pointer, 1, 1, 0, out_of(1), host_memory()); }, "bounds",
          "no allocation is near");
}

static void uninitialized(void **)
{
    check([](bool bug) { BOTH(blank_shared, 1, N, 0, out_of(N)); }, "uninitialized",
          "byte 20 of shared array tile");
    check(
        [](bool bug) {
            float *in = out_of(N + 1);
            (void)cudaMemsetAsync(in, 0, N * sizeof *in, the_stream);
            BOTH(blank, 1, N, 0, out_of(N), in);
        },
        "uninitialized", "byte 256");
    check([](bool bug) { BOTH(first_barrier, 1, N, 0, out_of(N)); }, "uninitialized", "tile");
}

static void misaligned(void **)
{
    check([](bool bug) { BOTH(vector_alignment, 1, 1, 0, out_of(8)); }, "misaligned", "16");
    check([](bool bug) { BOTH(part_of_vector, 1, 1, 0, out_of(8)); }, "misaligned", "float4");
}

static void barriers(void **)
{
    check([](bool bug) { BOTH(ended_at_barrier, 1, N, 0, out_of(N)); }, "barrier",
          "thread (63,0,0) has ended");
    check([](bool bug) { BOTH(other_barrier, 1, N, 0, out_of(N)); }, "barrier",
          "waits in __syncthreads at");
}

static void warps(void **)
{
    check([](bool bug) { BOTH(lane_stays_away, 1, N, 0, out_of(N)); }, "warp", "has ended");
    check([](bool bug) { BOTH(caller_left_out, 1, N, 0, out_of(N)); }, "warp",
          "leaves out lane 31");
    check([](bool bug) { BOTH(from_unnamed_lane, 1, N, 0, out_of(N)); }, "warp", "does not name");
    check([](bool bug) { BOTH(other_operation, 1, N, 0, out_of(N)); }, "warp", "in vain");
    check([](bool bug) { BOTH(short_warp, 1, 8, 0, out_of(8)); }, "warp", "does not have");
}

static void refused(void **)
{
    check([](bool bug) { BOTH(float_atomic, 1, 1, 0, ones(1), (int *)ones(1)); }, "refused",
          "float");
    check([](bool bug) { BOTH(active, 1, 32, 0, room<unsigned>(32)); }, "refused", "__activemask");
}

static void copies(void **)
{
    check([](bool bug) { BOTH(no_wait, 1, 32, 0, out_of(32), ones(128)); }, "copy",
          "before the wait");
    check([](bool bug) { BOTH(short_wait, 1, 32, 0, out_of(32), ones(128)); }, "copy",
          "of shared array tile of 1024");
}

static void shapes(void **)
{
    check([](bool bug) { BOTH(bound, 1, bug ? 1025 : 1024, 0, out_of(N)); }, "launch", "1025");
    check([](bool bug) { BOTH(bound, 1, bug ? 0 : 64, 0, out_of(N)); }, "launch", "(0,1,1)");
    check([](bool bug) { BOTH(bound, dim3(1, bug ? 65536 : 1), 64, 0, out_of(N)); }, "launch",
          "65536");
    check([](bool bug) { BOTH(bound, 1, 64, bug ? 48 * 1024 + 1 : 48 * 1024, out_of(N)); },
          "launch", "cudaFuncSetAttribute");
    assert_int_equal(
        cudaFuncSetAttribute(bound<true>, cudaFuncAttributeMaxDynamicSharedMemorySize, 99 * 1024),
        cudaSuccess);
    assert_int_equal(
        cudaFuncSetAttribute(bound<false>, cudaFuncAttributeMaxDynamicSharedMemorySize, 99 * 1024),
        cudaSuccess);
    check([](bool bug) { BOTH(bound, 2, 32, bug ? 99 * 1024 + 1 : 99 * 1024, out_of(N)); },
          "launch", "");
    assert_int_equal(
        cudaFuncSetAttribute(bound<true>, cudaFuncAttributeMaxDynamicSharedMemorySize, 100 * 1024),
        cudaErrorInvalidValue);
    assert_int_equal(cudaGetLastError(), cudaErrorInvalidValue);
}

/* Static arrays count too, when they come by. */
template <bool BUG> __global__ void static_and_dynamic(float *out)
{
    LRK_SHARED(float, tile, BUG ? 1025 : 1024);
    out[0] = (float)(sizeof tile[0]);
}

static void shared_in_all(void **)
{
    check([](bool bug) { BOTH(static_and_dynamic, 1, 1, 44 * 1024, out_of(1)); }, "launch",
          "makes 49156 bytes");
}

/* Without lrk_emulator_catch an error is printed and ends the process. */
static void errors_abort(void **)
{
    int out[2], status;
    char text[1024];
    assert_int_equal(pipe(out), 0);
    const pid_t child = fork();
    if (child == 0) {
        dup2(out[1], 2);
        lrk_emulator_catch(false);
        LRK_LAUNCH(bound<true>, 3, 32, 0, out_of(N));
        (void)cudaStreamSynchronize(the_stream);
        _exit(0);
    }
    close(out[1]);
    const ssize_t n = read(out[0], text, sizeof text - 1);
    text[n > 0 ? n : 0] = 0;
    close(out[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(text, "emulator: bounds: bound<true>, block (2,0,0), thread (0,0,0): "
                                 "write of 4 bytes"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(races),         cmocka_unit_test(parts_of_words),
        cmocka_unit_test(bounds),
        cmocka_unit_test(uninitialized), cmocka_unit_test(misaligned),
        cmocka_unit_test(barriers),      cmocka_unit_test(warps),
        cmocka_unit_test(refused),       cmocka_unit_test(copies),
        cmocka_unit_test(shapes),        cmocka_unit_test(shared_in_all),
        cmocka_unit_test(errors_abort),
    };
    lrk_emulator_catch(true);
    (void)cudaStreamCreateWithFlags(&the_stream, cudaStreamNonBlocking);
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
