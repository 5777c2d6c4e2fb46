/* checkpoint/combine.c -- which modules the combined adapter has, and what each is made of. */
#include "checkpoint/combine.h"

#include "base/file.h"
#include "base/rng.h"
#include "base/size.h"
#include "base/threads.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool lrk_combine_named(const char *name, lrk_combine_method *out)
{
    static const char *const names[] = {"cat", "svd", "linear", "magnitude_prune", "ties", "dare_linear", "dare_ties"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) != 0) continue;
        *out = (lrk_combine_method)i;
        return true;
    }
    return false;
}

/* The modules of one path, of those adapters that have it. */
typedef struct source {
    const lrk_adapter_module **module;
    double *weight;
    size_t n, ranks; /* sum of ranks */
} source;

typedef struct combining {
    const lrk_adapter *adapter;
    const double *weight;
    size_t n;
    const lrk_combine_options *options;
    lrk_adapter *out;
    source *source;        /* of out->module[i] */
    lrk_low_rank_cut *cut; /* the same: how far it is from the sum */
    lrk_status *status;
    lrk_err *error;
} combining;

static bool stacks_ranks(lrk_combine_method m) { return m == LRK_COMBINE_CAT || m == LRK_COMBINE_SVD; }

static const char *base_hash(const lrk_adapter *a)
{
    return lrk_json_string(lrk_json_get(a->notes, LRK_NOTE_BASE), NULL);
}

/* The same model may lie in many places, and a name may be none at all. */
static bool other_name(const char *x, const char *y)
{
    size_t n, m;
    const char *a = lrk_path_name(x, &n), *b = lrk_path_name(y, &m);
    return n && m && (n != m || memcmp(a, b, n) != 0);
}

enum { NAME = 600 };

/* "2 (runs/sql/adapter)", or "2" where no paths are known. */
static const char *name_of(const combining *c, size_t i, char out[NAME])
{
    if (c->options->path)
        snprintf(out, NAME, "%zu (%.500s)", i + 1, c->options->path[i]);
    else
        snprintf(out, NAME, "%zu", i + 1);
    return out;
}

/* Against adapter 0. */
static lrk_status check_base(const combining *c, size_t i, lrk_err *err)
{
    char one[NAME], two[NAME];
    const lrk_adapter *first = &c->adapter[0], *a = &c->adapter[i];
    const char *hash = base_hash(first), *other = base_hash(a);
    if (c->options->any_base) return LRK_OK;
    if (hash && other) {
        LRK_REQUIRE(err, strcmp(hash, other) == 0, LRK_EINPUT,
                    "adapters %s and %s are of different bases: they were trained on weights with hashes %.16s... and "
                    "%.16s...; --any-base combines them all the same", name_of(c, 0, one), name_of(c, i, two), hash,
                    other);
        return LRK_OK;
    }
    LRK_REQUIRE(err, !other_name(first->base_model, a->base_model), LRK_EINPUT,
                "adapters %s and %s are of different bases: they call them '%s' and '%s'; --any-base combines them all "
                "the same", name_of(c, 0, one), name_of(c, i, two), first->base_model, a->base_model);
    return LRK_OK;
}

static lrk_status check_adapter(const combining *c, size_t i, lrk_err *err)
{
    const lrk_adapter *a = &c->adapter[i];
    char name[NAME];
    (void)name_of(c, i, name);
    LRK_TRY(lrk_err_prefix(err, lrk_adapter_check_plain(a, err), "adapter %s", name));
    LRK_REQUIRE(err, !a->dora, LRK_ESUPPORT,
                "adapter %s is DoRA: magnitudes cannot be combined; merge it into its base", name);
    LRK_REQUIRE(err, a->n_stacks == 0, LRK_ESUPPORT,
                "adapter %s has adapters beside stacks of experts, which cannot be combined; merge it into its base",
                name);
    const lrk_weights *base = c->options->base;
    LRK_REQUIRE(err, base || (a->n_whole == 0 && !a->resized[0].rank), LRK_EUSAGE,
                "adapter %s brings an embedding or a head of its own, or rows of them (modules_to_save, "
                "trainable_token_indices, new tokens): what is summed is how far they are from the base's; name that "
                "with --base", name);
    if (base)
        LRK_TRY(lrk_err_prefix(err, lrk_adapter_check_base(a, base, c->options->any_base, err), "adapter %s", name));
    LRK_REQUIRE(err, isfinite(c->weight[i]), LRK_EUSAGE, "the weight of adapter %s is not finite", name);
    return check_base(c, i, err);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const lrk_adapter_module *)a)->path, ((const lrk_adapter_module *)b)->path);
}

/* Every path once, sorted. */
static lrk_status list_modules(combining *c, lrk_err *err)
{
    size_t most = 0, n = 0;
    for (size_t i = 0; i < c->n; i++) most += c->adapter[i].n;
    LRK_TRY(lrk_alloc(&c->out->arena, most, sizeof *c->out->module, "modules", &c->out->module, err));
    for (size_t i = 0; i < c->n; i++)
        for (size_t k = 0; k < c->adapter[i].n; k++)
            c->out->module[n++] = (lrk_adapter_module){.path = c->adapter[i].module[k].path};
    qsort(c->out->module, n, sizeof *c->out->module, by_path);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(c->out->module[i].path, c->out->module[i - 1].path) != 0)
            c->out->module[c->out->n++] = c->out->module[i];
    return LRK_OK;
}

static lrk_status gather(combining *c, size_t at, lrk_err *err)
{
    source *s = &c->source[at];
    const char *path = c->out->module[at].path;
    LRK_TRY(lrk_alloc(&c->out->arena, c->n, sizeof *s->module, "modules", &s->module, err));
    LRK_TRY(lrk_alloc(&c->out->arena, c->n, sizeof *s->weight, "weights", &s->weight, err));
    for (size_t i = 0; i < c->n; i++) {
        const lrk_adapter_module *m = lrk_adapter_find(&c->adapter[i], path);
        if (!m) continue;
        const lrk_adapter_module *first = s->n ? s->module[0] : m;
        LRK_REQUIRE(err, m->b.dim[0] == first->b.dim[0] && m->a.dim[1] == first->a.dim[1], LRK_ESHAPE,
                    "'%s' is (%zu, %zu) in one adapter and (%zu, %zu) in another", path, first->b.dim[0],
                    first->a.dim[1], m->b.dim[0], m->a.dim[1]);
        LRK_REQUIRE(err, stacks_ranks(c->options->method) || m->b.dim[1] == first->b.dim[1], LRK_EVALUE,
                    "'%s' has rank %zu in one adapter and %zu in another: only cat and svd combine those", path,
                    first->b.dim[1], m->b.dim[1]);
        s->module[s->n] = m;
        s->weight[s->n++] = c->weight[i];
        s->ranks += m->b.dim[1];
    }
    return LRK_OK;
}

/* Room for A and B of a module. */
static lrk_status make_room(combining *c, size_t at, lrk_err *err)
{
    lrk_adapter_module *m = &c->out->module[at];
    const source *s = &c->source[at];
    const size_t rows = s->module[0]->b.dim[0], cols = s->module[0]->a.dim[1];
    size_t rank = s->module[0]->b.dim[1];
    if (c->options->method == LRK_COMBINE_CAT) rank = s->ranks;
    if (c->options->method == LRK_COMBINE_SVD) {
        for (size_t i = 0; i < s->n; i++) rank = lrk_max(rank, s->module[i]->b.dim[1]);
        if (c->options->rank) rank = c->options->rank;
        rank = lrk_min(rank, lrk_min(s->ranks, lrk_min(rows, cols)));
    }
    m->a = lrk_mat(LRK_F32, rank, cols);
    m->b = lrk_mat(LRK_F32, rows, rank);
    m->a.name = m->b.name = m->path;
    m->alpha = (double)rank;
    m->scale = 1.0;
    c->out->rank = lrk_max(c->out->rank, rank);
    LRK_TRY(lrk_alloc(&c->out->arena, lrk_count(&m->a), sizeof(float), "A", &m->a.data, err));
    return lrk_alloc(&c->out->arena, lrk_count(&m->b), sizeof(float), "B", &m->b.data, err);
}

/* ---- the numbers ---- */

/* The weight goes to A, as PEFT has it. */
static void side_by_side(const source *s, lrk_tensor *a, lrk_tensor *b)
{
    size_t r = 0;
    for (size_t i = 0; i < s->n; i++) {
        const lrk_adapter_module *m = s->module[i];
        const double factor = s->weight[i] * m->scale;
        const size_t rank = m->b.dim[1], cols = a->dim[1];
        for (size_t k = 0; k < rank; k++)
            for (size_t x = 0; x < cols; x++)
                ((float *)lrk_row(a, r + k))[x] = (float)(factor * (double)((const float *)lrk_row(&m->a, k))[x]);
        for (size_t o = 0; o < b->dim[0]; o++)
            memcpy((float *)lrk_row(b, o) + r, lrk_row(&m->b, o), rank * sizeof(float));
        r += rank;
    }
}

static bool all_finite(const lrk_tensor *t)
{
    const float *x = t->data;
    for (size_t i = 0; i < lrk_count(t); i++)
        if (!isfinite(x[i])) return false;
    return true;
}

static lrk_status check_finite(const char *path, const lrk_tensor *a, const lrk_tensor *b, lrk_err *err)
{
    LRK_REQUIRE(err, all_finite(a) && all_finite(b), LRK_ENUMERIC,
                "'%s': the combination is not finite in f32; the weights are too large, or an adapter holds infinities",
                path);
    return LRK_OK;
}

static lrk_status decompose(const source *s, lrk_adapter_module *m, lrk_low_rank_cut *cut, lrk_err *err)
{
    lrk_arena arena = lrk_arena_growing("sum of adapters");
    lrk_tensor a = lrk_mat(LRK_F32, s->ranks, m->a.dim[1]), b = lrk_mat(LRK_F32, m->b.dim[0], s->ranks);
    lrk_status status = lrk_alloc(&arena, lrk_count(&a), sizeof(float), "A", &a.data, err);
    if (status == LRK_OK) status = lrk_alloc(&arena, lrk_count(&b), sizeof(float), "B", &b.data, err);
    if (status == LRK_OK) {
        side_by_side(s, &a, &b);
        status = check_finite(m->path, &a, &b, err);
    }
    if (status == LRK_OK) status = lrk_low_rank(&b, &a, &m->b, &m->a, cut, err);
    lrk_arena_free(&arena);
    return status;
}

/* The weighted sum less what came out, as one product: both sides of it are as large as the parts, for the root of a
 * weight goes to each. */
static void put_difference(const source *s, const lrk_adapter_module *m, lrk_tensor *a, lrk_tensor *b)
{
    size_t r = 0;
    for (size_t i = 0; i <= s->n; i++) {
        const lrk_adapter_module *from = i < s->n ? s->module[i] : m;
        const double w = i < s->n ? s->weight[i] * from->scale : -1.0, root = sqrt(fabs(w));
        const size_t rank = from->b.dim[1];
        for (size_t k = 0; k < rank; k++)
            for (size_t x = 0; x < a->dim[1]; x++)
                ((float *)lrk_row(a, r + k))[x] =
                    (float)((w < 0.0 ? -root : root) * (double)((const float *)lrk_row(&from->a, k))[x]);
        for (size_t o = 0; o < b->dim[0]; o++)
            for (size_t k = 0; k < rank; k++)
                ((float *)lrk_row(b, o))[r + k] = (float)(root * (double)((const float *)lrk_row(&from->b, o))[k]);
        r += rank;
    }
}

static lrk_status distance(const source *s, const lrk_adapter_module *m, lrk_low_rank_cut *cut, lrk_err *err)
{
    const size_t all = s->ranks + m->b.dim[1];
    lrk_arena arena = lrk_arena_growing("difference of adapters");
    lrk_tensor a = lrk_mat(LRK_F32, all, m->a.dim[1]), b = lrk_mat(LRK_F32, m->b.dim[0], all);
    lrk_status status = lrk_alloc(&arena, lrk_count(&a), sizeof(float), "A", &a.data, err);
    if (status == LRK_OK) status = lrk_alloc(&arena, lrk_count(&b), sizeof(float), "B", &b.data, err);
    if (status == LRK_OK) {
        put_difference(s, m, &a, &b);
        status = check_finite(m->path, &a, &b, err);
    }
    if (status == LRK_OK) status = lrk_low_rank_square(&b, &a, &cut->off, err);
    a.dim[0] = b.dim[1] = s->ranks; /* the sum alone; rows of B lie as far apart as before */
    if (status == LRK_OK) status = lrk_low_rank_square(&b, &a, &cut->whole, err);
    lrk_arena_free(&arena);
    return status;
}

/* A and B by themselves; the sign of a weight goes to A alone. */
static lrk_status by_elements(const combining *c, size_t at, lrk_err *err)
{
    const source *s = &c->source[at];
    lrk_adapter_module *m = &c->out->module[at];
    const lrk_tensor **tensor;
    double *factor;
    lrk_arena arena = lrk_arena_growing("sides");
    lrk_status status = lrk_alloc(&arena, s->n, sizeof *tensor, "tensors", &tensor, err);
    if (status == LRK_OK) status = lrk_alloc(&arena, s->n, sizeof *factor, "factors", &factor, err);
    for (int which = 0; status == LRK_OK && which < 2; which++) {
        for (size_t i = 0; i < s->n; i++) {
            const double w = s->weight[i] * s->module[i]->scale;
            tensor[i] = which ? &s->module[i]->b : &s->module[i]->a;
            factor[i] = (w < 0.0 && !which ? -1.0 : 1.0) * sqrt(fabs(w));
        }
        const lrk_combine_side side = {tensor, factor, s->n, LRK_SITE_INIT | (uint32_t)(2 * at + (size_t)which)};
        status = lrk_combine_elements(&side, c->options, which ? &m->b : &m->a, err);
    }
    lrk_arena_free(&arena);
    return status == LRK_OK ? distance(s, m, &c->cut[at], err) : status;
}

static void combine_module(void *ctx, size_t at, int worker)
{
    combining *c = ctx;
    lrk_adapter_module *m = &c->out->module[at];
    (void)worker;
    if (c->options->method == LRK_COMBINE_CAT)
        side_by_side(&c->source[at], &m->a, &m->b);
    else
        c->status[at] = c->options->method == LRK_COMBINE_SVD
                            ? decompose(&c->source[at], m, &c->cut[at], &c->error[at])
                            : by_elements(c, at, &c->error[at]);
}

/* ---- all of it ---- */

/* The first adapter's targets where it has every module, else the modules themselves. */
static lrk_status choose_targets(combining *c, lrk_err *err)
{
    lrk_adapter *out = c->out;
    const lrk_adapter *first = &c->adapter[0];
    const char **path;
    if (first->n == out->n) {
        out->target = first->target;
        out->n_targets = first->n_targets;
        out->target_pattern = first->target_pattern;
        return LRK_OK;
    }
    LRK_TRY(lrk_alloc(&out->arena, out->n, sizeof *path, "targets", &path, err));
    for (size_t i = 0; i < out->n; i++) path[i] = out->module[i].path;
    out->target = path;
    out->n_targets = out->n;
    return LRK_OK;
}

static lrk_combine_residual residual_of(const combining *c)
{
    lrk_combine_residual r = {0};
    lrk_low_rank_cut all = {0};
    for (size_t i = 0; i < c->out->n; i++) {
        const lrk_low_rank_cut cut = c->cut[i];
        const double share = cut.whole > 0.0 ? sqrt(cut.off / cut.whole) : 0.0;
        all.whole += cut.whole;
        all.off += cut.off;
        if (cut.whole <= 0.0 || (r.module && share <= r.worst)) continue;
        r.worst = share;
        r.module = c->out->module[i].path;
    }
    r.overall = all.whole > 0.0 ? sqrt(all.off / all.whole) : 0.0;
    return r;
}

static lrk_status combine(combining *c, lrk_err *err)
{
    lrk_arena *a = &c->out->arena;
    for (size_t i = 0; i < c->n; i++) LRK_TRY(check_adapter(c, i, err));
    LRK_TRY(list_modules(c, err));
    LRK_REQUIRE(err, c->out->n, LRK_EINPUT, "the adapters have no modules");
    LRK_TRY(lrk_alloc(a, c->out->n, sizeof *c->source, "modules", &c->source, err));
    LRK_TRY(lrk_alloc(a, c->out->n, sizeof *c->cut, "modules", &c->cut, err));
    LRK_TRY(lrk_alloc(a, c->out->n, sizeof *c->status, "modules", &c->status, err));
    LRK_TRY(lrk_alloc(a, c->out->n, sizeof *c->error, "modules", &c->error, err));
    for (size_t i = 0; i < c->out->n; i++) {
        LRK_TRY(gather(c, i, err));
        LRK_TRY(make_room(c, i, err));
    }
    c->out->alpha = (double)c->out->rank;
    if (c->options->base) LRK_TRY(lrk_combine_whole(c->out, c->adapter, c->weight, c->n, c->options->base, err));
    lrk_parallel(c->out->n, combine_module, c);
    for (size_t i = 0; i < c->out->n; i++)
        LRK_REQUIRE(err, c->status[i] == LRK_OK, c->status[i], "%s", c->error[i].text);
    for (size_t i = 0; i < c->out->n; i++)
        LRK_TRY(check_finite(c->out->module[i].path, &c->out->module[i].a, &c->out->module[i].b, err));
    return choose_targets(c, err);
}

lrk_status lrk_combine(lrk_adapter *out, const lrk_adapter *adapter, const double *weight, size_t n,
                       const lrk_combine_options *options, lrk_combine_residual *residual, lrk_err *err)
{
    combining c = {.adapter = adapter, .weight = weight, .n = n, .options = options, .out = out};
    *out = (lrk_adapter){.arena = lrk_arena_growing("combined adapter")};
    LRK_REQUIRE(err, n > 0, LRK_EUSAGE, "there is no adapter to combine");
    LRK_REQUIRE(err, options->density > 0.0 && options->density <= 1.0, LRK_EUSAGE,
                "density is %g, expected above 0 and at most 1", options->density);
    out->base_model = adapter[0].base_model;
    out->revision = adapter[0].revision;
    out->part = adapter[0].part;
    const lrk_status status = combine(&c, err);
    if (status != LRK_OK)
        lrk_adapter_free(out);
    else if (residual)
        *residual = residual_of(&c);
    return status;
}
