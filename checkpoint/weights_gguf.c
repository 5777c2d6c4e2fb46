/* checkpoint/weights_gguf.c -- the tensors of a GGUF file under their Hugging Face names. */
#include "checkpoint/weights.h"

#include "base/quant.h"
#include "base/size.h"

#include <string.h>

enum { MAX_EXPERTS = 4096 };

typedef struct list {
    const lrk_gguf *g;
    const lrk_arch *arch;
    lrk_arena *arena;
    lrk_tensor *tensor;
    size_t n, capacity;
} list;

static lrk_status add(list *l, lrk_tensor t, const char *name, lrk_err *err)
{
    LRK_ASSERT(l->n < l->capacity);
    t.name = lrk_strdup(l->arena, name);
    LRK_REQUIRE(err, t.name, LRK_ENOMEM, "memory: no room for tensor names");
    l->tensor[l->n++] = t;
    return LRK_OK;
}

lrk_tensor lrk_expert_part(const lrk_tensor *t, size_t e)
{
    lrk_tensor part = lrk_mat(t->dtype, t->dim[1], t->dim[2]);
    part.name = t->name;
    part.data = lrk_row(t, e * t->dim[1]);
    return part;
}

/* One row of the halves: row r of keys is column r of its head's rows in the whole. */
typedef struct halves {
    lrk_tensor k, v; /* (H, rank, N), (H, V, rank) */
    lrk_tensor out;  /* (H * (N + V), rank) */
    float *row;
} halves;

static void put_row(const halves *h, size_t row, const float *values)
{
    (void)lrk_from_f32(h->out.dtype, values, lrk_cols(&h->out), lrk_row(&h->out, row));
}

/* The N rows of a head that make keys; head: rank * N numbers. */
static void put_keys(const halves *h, size_t head, float *numbers)
{
    const size_t rank = h->k.dim[1], N = h->k.dim[2], both = N + h->v.dim[1];
    for (size_t r = 0; r < rank; r++)
        lrk_to_f32(h->k.dtype, lrk_row(&h->k, head * rank + r), N, numbers + r * N);
    for (size_t n = 0; n < N; n++) {
        for (size_t r = 0; r < rank; r++) h->row[r] = numbers[r * N + n];
        put_row(h, head * both + n, h->row);
    }
}

static void put_values(const halves *h, size_t head)
{
    const size_t rank = h->k.dim[1], N = h->k.dim[2], V = h->v.dim[1];
    for (size_t j = 0; j < V; j++) {
        lrk_to_f32(h->v.dtype, lrk_row(&h->v, head * V + j), rank, h->row);
        put_row(h, head * (N + V) + N + j, h->row);
    }
}

static bool whole_numbers(lrk_dtype t) { return t == LRK_I32 || t == LRK_I64 || t == LRK_U8; }

static bool plain(lrk_dtype t) { return t == LRK_F32 || t == LRK_F16 || t == LRK_BF16; }

static lrk_status join_halves(list *l, halves *h, const char *name, lrk_err *err)
{
    const size_t H = h->k.dim[0], rank = h->k.dim[1], N = h->k.dim[2], V = h->v.dim[1];
    LRK_REQUIRE(err, !whole_numbers(h->k.dtype) && !whole_numbers(h->v.dtype), LRK_EINPUT,
                "%s: '%s' and '%s' hold whole numbers", l->g->path, h->k.name, h->v.name);
    LRK_REQUIRE(err, h->k.rank == 3 && h->v.rank == 3 && h->v.dim[0] == H && h->v.dim[2] == rank,
                LRK_ESHAPE, "%s: '%s' and '%s' are no halves of one matrix", l->g->path, h->k.name,
                h->v.name);
    h->out = lrk_mat(h->k.dtype == h->v.dtype && plain(h->k.dtype) ? h->k.dtype : LRK_F32,
                     H * (N + V), rank);
    LRK_TRY(lrk_alloc(l->arena, lrk_bytes(&h->out), 1, name, &h->out.data, err));
    h->row = lrk_heap_alloc(rank * (N + 1), sizeof *h->row);
    LRK_REQUIRE(err, h->row, LRK_ENOMEM, "memory: no room for %s", name);
    for (size_t head = 0; head < H; head++) {
        put_keys(h, head, h->row + rank);
        put_values(h, head);
    }
    lrk_heap_free(h->row);
    return add(l, h->out, name, err);
}

/* kv_b_proj, when its keys come; its values are found by name. */
static lrk_status add_latent(list *l, const lrk_gguf_info *info, bool keys, const char *name,
                             lrk_err *err)
{
    char k[LRK_NAME_MAX], v[LRK_NAME_MAX];
    LRK_REQUIRE(err, l->arch->latent, LRK_ESUPPORT,
                "%s: tensor '%s' is not known for architecture %s", l->g->path, info->name,
                l->arch->gguf);
    (void)lrk_name_is_latent(name, k, v);
    const lrk_gguf_info *other = lrk_gguf_tensor(l->g, keys ? v : k);
    LRK_REQUIRE(err, other, LRK_EINPUT, "%s: tensor '%s' is there, but not '%s'", l->g->path,
                info->name, keys ? v : k);
    if (!keys) return LRK_OK;
    halves h = {.k = lrk_gguf_view(l->g, info), .v = lrk_gguf_view(l->g, other)};
    return join_halves(l, &h, name, err);
}

/* Longrope factors stand in the configuration. */
static bool in_config(const char *name)
{
    return strcmp(name, "rope_factors_long.weight") == 0 ||
           strcmp(name, "rope_factors_short.weight") == 0;
}

static lrk_status add_tensor(list *l, const lrk_gguf_info *info, lrk_err *err)
{
    char name[LRK_NAME_MAX];
    bool keys, experts = false;
    const lrk_tensor view = lrk_gguf_view(l->g, info);
    if (in_config(info->name)) return LRK_OK;
    if (lrk_name_is_half(info->name, &keys, name)) return add_latent(l, info, keys, name, err);
    LRK_REQUIRE(err, lrk_name_to_hf(l->arch, info->name, 0, name, &experts), LRK_ESUPPORT,
                "%s: tensor '%s' is not known for architecture %s", l->g->path, info->name,
                l->arch->gguf);
    if (!experts) return add(l, view, name, err);
    for (size_t e = 0; e < view.dim[0]; e++) {
        (void)lrk_name_to_hf(l->arch, info->name, (int)e, name, &experts);
        LRK_TRY(add(l, lrk_expert_part(&view, e), name, err));
    }
    return LRK_OK;
}

/* How many views there can be: a tensor of experts gives many. */
static lrk_status count(list *l, lrk_err *err)
{
    for (size_t i = 0; i < l->g->n_tensors; i++) {
        char name[LRK_NAME_MAX];
        bool experts = false;
        const lrk_gguf_info *info = &l->g->tensor[i];
        (void)lrk_name_to_hf(l->arch, info->name, 0, name, &experts);
        LRK_REQUIRE(err, !experts || (info->rank == 3 && info->dim[0] <= MAX_EXPERTS), LRK_ESHAPE,
                    "%s: tensor '%s': expected three axes, the first of at most %d experts",
                    l->g->path, info->name, MAX_EXPERTS);
        l->capacity += experts ? info->dim[0] : 1;
    }
    return LRK_OK;
}

lrk_status lrk_gguf_list(const lrk_gguf *g, const lrk_arch *arch, lrk_arena *a, lrk_tensor **out,
                         size_t *n, lrk_err *err)
{
    list l = {.g = g, .arch = arch, .arena = a};
    LRK_TRY(count(&l, err));
    LRK_TRY(lrk_alloc(a, l.capacity, sizeof *l.tensor, "tensor table", &l.tensor, err));
    for (size_t i = 0; i < g->n_tensors; i++) LRK_TRY(add_tensor(&l, &g->tensor[i], err));
    *out = l.tensor;
    *n = l.n;
    return LRK_OK;
}
