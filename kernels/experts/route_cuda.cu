/* kernels/experts/route_cuda.cu -- a warp for each token's choice, a block for each expert's list. */
#include "kernels/experts/experts.cuh"

enum { WARPS = 2, LIST_THREADS = 256, FREE = 0, TAKEN = 1, OUTSIDE = 2 };

/* ---- choices ------------------------------------------------------------------------------------- */

struct router {
    size_t tokens;
    int experts, used, groups, groups_used;
    bool sigmoid, normalize, by_two;
    double factor;
    const float *bias;
    float *score, *weight;
    int32_t *chosen;
    size_t room; /* bytes of shared memory for a warp */
};

/* The largest of worth[] that is free; the first among equals. For all lanes. */
static __device__ __forceinline__ int best(const double *worth, const unsigned char *state, int n)
{
    const int lane = (int)threadIdx.x % LRK_WARP;
    double most = 0.0;
    int found = -1;
    for (int i = lane; i < n; i += LRK_WARP) {
        if (state[i] != FREE || (found >= 0 && !(worth[i] > most))) continue;
        most = worth[i];
        found = i;
    }
    for (int d = LRK_WARP / 2; d; d /= 2) {
        const double other = __shfl_xor_sync(LRK_ALL_LANES, most, d);
        const int at = __shfl_xor_sync(LRK_ALL_LANES, found, d);
        const bool better = other > most || (!(most > other) && at < found);
        if (at < 0 || (found >= 0 && !better)) continue;
        most = other;
        found = at;
    }
    return __shfl_sync(LRK_ALL_LANES, found, 0); /* with NaN lanes may differ */
}

static __device__ __forceinline__ void take(const double *worth, unsigned char *state, int n, int k)
{
    for (int i = 0; i < k; i++) {
        const int found = best(worth, state, n);
        __syncwarp();
        if (threadIdx.x % LRK_WARP == 0) state[found] = TAKEN;
        __syncwarp();
    }
}

/* Experts of groups that are not among the best are outside. */
static __device__ __forceinline__ void limit_groups(const router &r, const double *worth, double *group,
                                                    unsigned char *state, unsigned char *kept)
{
    const int lane = (int)threadIdx.x % LRK_WARP, n = r.experts / r.groups;
    for (int g = lane; g < r.groups; g += LRK_WARP) {
        double first = -INFINITY, second = -INFINITY;
        for (int i = g * n; i < (g + 1) * n; i++) {
            second = fmax(second, fmin(first, worth[i]));
            first = fmax(first, worth[i]);
        }
        group[g] = r.by_two ? first + second : first;
        kept[g] = FREE;
    }
    __syncwarp();
    take(group, kept, r.groups, r.groups_used);
    for (int e = lane; e < r.experts; e += LRK_WARP)
        if (kept[e / n] == FREE) state[e] = OUTSIDE;
    __syncwarp();
}

/* Scores of a token; worth is what the choice goes by. */
template <typename T>
static __device__ __forceinline__ void score_row(const router &r, const T *z, float *score,
                                                 double *worth)
{
    const int lane = (int)threadIdx.x % LRK_WARP;
    float top = -INFINITY;
    double sum = 0.0;
    for (int e = lane; e < r.experts; e += LRK_WARP) top = fmaxf(top, lrk_value(z[e]));
    top = lrk_warp_max(top);
    for (int e = lane; e < r.experts; e += LRK_WARP) {
        const double v = (double)lrk_value(z[e]);
        score[e] = (float)(r.sigmoid ? 1.0 / (1.0 + exp(-v)) : exp(v - (double)top));
        sum += (double)score[e];
    }
    sum = lrk_warp_sum(sum);
    for (int e = lane; e < r.experts; e += LRK_WARP) {
        if (!r.sigmoid) score[e] = (float)((double)score[e] / sum);
        worth[e] = (double)score[e] + (r.bias ? (double)r.bias[e] : 0.0);
    }
}

template <typename T>
static __global__ void __launch_bounds__(WARPS *LRK_WARP) choose(router r, lrk_view<const T> z)
{
    LRK_DYNAMIC_SHARED(unsigned char, shared);
    const int lane = (int)threadIdx.x % LRK_WARP, warp = (int)threadIdx.x / LRK_WARP;
    const size_t t = (size_t)blockIdx.x * WARPS + (size_t)warp;
    if (t >= r.tokens) return;
    double *const worth = reinterpret_cast<double *>(shared + (size_t)warp * r.room);
    double *const group = worth + r.experts;
    unsigned char *const state = reinterpret_cast<unsigned char *>(group + r.groups);
    float *const score = r.score + t * (size_t)r.experts;
    int32_t *const chosen = r.chosen + t * (size_t)r.used;
    score_row(r, z.at(t, 0), score, worth);
    for (int e = lane; e < r.experts; e += LRK_WARP) state[e] = FREE;
    __syncwarp();
    if (r.groups) limit_groups(r, worth, group, state, state + r.experts);
    take(worth, state, r.experts, r.used);
    int at = 0;
    for (int first = 0; first < r.experts; first += LRK_WARP) {
        const int e = first + lane;
        const bool mine = e < r.experts && state[e] == TAKEN;
        const unsigned all = __ballot_sync(LRK_ALL_LANES, mine);
        if (mine) chosen[at + __popc(all & ((1u << lane) - 1u))] = e;
        at += __popc(all);
    }
    __syncwarp();
    double sum = r.normalize ? 0.0 : 1.0;
    for (int k = 0; k < r.used && r.normalize; k++) sum += (double)score[chosen[k]];
    for (int k = lane; k < r.used; k += LRK_WARP)
        r.weight[t * (size_t)r.used + (size_t)k] = (float)(r.factor * (double)score[chosen[k]] / sum);
}

/* ---- the order by expert, then token -------------------------------------------------------------- */

static __global__ void __launch_bounds__(LIST_THREADS)
    count_rows(const int32_t *chosen, size_t rows, int32_t *start)
{
    LRK_SHARED(int, room, LRK_WARP);
    int mine = 0;
    for (size_t i = threadIdx.x; i < rows; i += LIST_THREADS) mine += chosen[i] == (int)blockIdx.x;
    mine = lrk_block_sum(mine, room);
    if (threadIdx.x == 0) start[blockIdx.x + 1] = mine;
}

/* One block: counts become beginnings. */
static __global__ void __launch_bounds__(LRK_EXPERTS_MAX) begin_rows(int32_t *start, int experts)
{
    LRK_SHARED(int, room, LRK_WARP);
    const int e = (int)threadIdx.x;
    const int mine = e < experts ? start[e + 1] : 0;
    int all;
    const int before = lrk_block_offset(mine, room, &all);
    if (e < experts) start[e + 1] = before + mine;
    if (e == 0) start[0] = 0;
}

static __global__ void __launch_bounds__(LIST_THREADS)
    place_rows(const int32_t *chosen, size_t rows, size_t used, const int32_t *start, int32_t *token,
               int32_t *place)
{
    LRK_SHARED(int, room, LRK_WARP);
    int found = start[blockIdx.x];
    for (size_t first = 0; first < rows; first += LIST_THREADS) {
        const size_t i = first + threadIdx.x;
        const bool mine = i < rows && chosen[i] == (int)blockIdx.x;
        int all;
        const int at = found + lrk_block_offset(mine, room, &all);
        if (mine) {
            token[at] = (int32_t)(i / used);
            place[i] = at;
        }
        found += all;
    }
}

/* One block: each expert's rows, LRK_EXPERTS_TILE at a time. */
static __global__ void __launch_bounds__(LRK_EXPERTS_MAX)
    list_tiles(const int32_t *start, int experts, lrk_experts_tile *tiles, int n_tiles)
{
    LRK_SHARED(int, room, LRK_WARP);
    const int e = (int)threadIdx.x, first = e < experts ? start[e] : 0;
    const int rows = e < experts ? start[e + 1] - first : 0;
    const int mine = (rows + LRK_EXPERTS_TILE - 1) / LRK_EXPERTS_TILE;
    int all;
    const int at = lrk_block_offset(mine, room, &all);
    for (int i = 0; i < mine; i++) tiles[at + i] = {e, first + i * LRK_EXPERTS_TILE};
    for (int i = all + e; i < n_tiles; i += (int)blockDim.x) tiles[i] = {-1, 0};
}

void lrk_experts_route(const lrk_experts_run *r, bool plan)
{
    const lrk_experts_attr *a = r->attr;
    const lrk_tensor *z = r->call->in[LRK_EXPERTS_Z], *bias = r->call->in[LRK_EXPERTS_BIAS];
    router k = {r->T, (int)r->E, (int)r->K, (int)a->groups, (int)a->groups_used, a->sigmoid,
                a->normalize, a->group_by_two, a->factor, bias ? lrk_data<float>(bias) : NULL,
                r->score, r->weight, r->chosen, 0};
    k.room = lrk_aligned((r->E + a->groups) * (sizeof(double) + 1), sizeof(double));
    const unsigned blocks = (unsigned)lrk_ceil_div(r->T, WARPS), E = (unsigned)r->E;
    if (z->dtype == LRK_BF16)
        LRK_LAUNCH((choose<lrk_bf16>), blocks, WARPS *LRK_WARP, WARPS * k.room, k,
                   lrk_view_of<const lrk_bf16>(z));
    else
        LRK_LAUNCH((choose<float>), blocks, WARPS *LRK_WARP, WARPS * k.room, k,
                   lrk_view_of<const float>(z));
    const unsigned threads = (unsigned)lrk_aligned(r->E, LRK_WARP);
    if (plan) {
        LRK_LAUNCH(count_rows, E, LIST_THREADS, 0, r->chosen, r->rows, r->start);
        LRK_LAUNCH(begin_rows, 1, threads, 0, r->start, (int)r->E);
        LRK_LAUNCH(place_rows, E, LIST_THREADS, 0, r->chosen, r->rows, r->K, r->start, r->token,
                   r->place);
    }
    LRK_LAUNCH(list_tiles, 1, threads, 0, r->start, (int)r->E, r->tiles, (int)r->n_tiles);
}
