/* generate/adapter_fit.c -- an adapter that began as a part of its base becomes one for the whole of it. */
#include "base/dtype.h"
#include "base/quant.h"
#include "base/size.h"
#include "generate/adapter_io.h"
#include "models/modules.h"
#include "models/principal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

double lrk_adapter_doubled(double alpha, bool rslora)
{
    return alpha * (rslora ? sqrt(2.0) : 2.0);
}

lrk_status lrk_adapter_join(lrk_arena *arena, const char *path, lrk_tensor *a, lrk_tensor *b, const lrk_tensor *a0,
                            const lrk_tensor *b0, lrk_err *err)
{
    const size_t R = lrk_rows(a), in = lrk_cols(a), out = lrk_rows(b);
    float *top, *both;
    LRK_TRY(lrk_alloc(arena, 2 * R * in, sizeof *top, path, &top, err));
    LRK_TRY(lrk_alloc(arena, out * 2 * R, sizeof *both, path, &both, err));
    memcpy(top, a->data, lrk_bytes(a));
    memcpy(top + R * in, a0->data, lrk_bytes(a0));
    for (size_t i = 0; i < out; i++) {
        memcpy(both + 2 * i * R, lrk_row(b, i), R * sizeof *both);
        memcpy(both + (2 * i + 1) * R, lrk_row(b0, i), R * sizeof *both);
    }
    *a = lrk_mat(LRK_F32, 2 * R, in);
    *b = lrk_mat(LRK_F32, out, 2 * R);
    a->data = top;
    b->data = both;
    a->name = b->name = path;
    return LRK_OK;
}

/* scratch: for the weight, where the file has it askew */
static lrk_status settle(lrk_adapter *a, const lrk_weights *base, lrk_adapter_module *m, size_t number,
                         lrk_arena *scratch, lrk_err *err)
{
    const lrk_beginning begin = {strcmp(a->begun, "pissa") == 0 ? LRK_BEGIN_PISSA : LRK_BEGIN_OLORA, -1};
    lrk_tensor weight, a0 = m->a, b0 = m->b, found = m->b;
    const bool there = lrk_adapter_base_matrix(base, m->path, &weight);
    LRK_ASSERT(there);
    LRK_REQUIRE(err, !lrk_dtype_quantized(weight.dtype), LRK_ESUPPORT,
                "%s: init_lora_weights: %s takes its part out of weights of 16 or 32 bits, and %s stores %s", m->path,
                a->begun, lrk_weights_path(base), lrk_dtype_name(weight.dtype));
    LRK_TRY(lrk_alloc(&a->arena, lrk_count(&a0), sizeof(float), m->path, &a0.data, err));
    LRK_TRY(lrk_alloc(&a->arena, lrk_count(&b0), sizeof(float), m->path, &b0.data, err));
    LRK_TRY(lrk_alloc(&a->arena, lrk_count(&b0), sizeof(float), m->path, &found.data, err));
    LRK_TRY(lrk_st_align(&weight, scratch, err));
    const lrk_principal part = {.path = m->path, .weight = &weight, .rank = lrk_rows(&m->a), .scale = m->scale,
                                .rng = {.site = LRK_SITE_INIT + (uint32_t)number}};
    LRK_TRY(lrk_principal_part(&part, &begin, true, a0.data, found.data, err));
    const lrk_order order = lrk_weights_order(base, weight.name, lrk_rows(&b0));
    for (size_t i = 0; i < lrk_rows(&b0); i++) {
        const float *from = lrk_row(&found, lrk_order_gguf_row(&order, i));
        for (size_t r = 0; r < part.rank; r++) ((float *)lrk_row(&b0, i))[r] = -from[r];
    }
    m->alpha = lrk_adapter_doubled(m->alpha, a->rslora);
    return lrk_adapter_join(&a->arena, m->path, &m->a, &m->b, &a0, &b0, err);
}

/* How long w has to be for what stands in its place. 0: as long as it is, or nobody can say what the rows between
 * are. */
static size_t rows_wanted(const lrk_adapter_whole *k, size_t stored)
{
    if (!k->rows.n) return lrk_rows(&k->weight) > stored ? lrk_rows(&k->weight) : 0;
    const size_t last = (size_t)k->rows.id[k->rows.n - 1];
    if (last < stored) return 0;
    return lrk_row_place(k->rows.id, k->rows.n, (int32_t)stored) + (last - stored) == k->rows.n - 1 ? last + 1 : 0;
}

static lrk_status grow(const lrk_adapter *a, lrk_weights *base, lrk_err *err)
{
    size_t rows = 0;
    for (size_t i = 0; i < a->n_whole && (a->has_tokenizer || a->resized[0].rank); i++) {
        lrk_tensor w;
        if (lrk_weights_find(base, lrk_name_of_embedding(lrk_weights_arch(base)), &w))
            rows = lrk_max(rows, rows_wanted(&a->whole[i], lrk_rows(&w)));
    }
    return rows ? lrk_weights_grow(base, rows, err) : LRK_OK;
}

/* Every row, from the adapter where it has them. */
static lrk_status lengthen(lrk_adapter *a, lrk_adapter_whole *k, const lrk_tensor *stored, lrk_err *err)
{
    const size_t V = lrk_rows(stored), C = lrk_cols(stored), old = lrk_rows(&k->weight);
    float *to;
    if (old == V) return LRK_OK;
    LRK_TRY(lrk_alloc(&a->arena, V * C, sizeof *to, k->path, &to, err));
    memcpy(to, k->weight.data, old * C * sizeof *to);
    for (size_t r = old; r < V; r++) lrk_to_f32(stored->dtype, lrk_row(stored, r), C, to + r * C);
    k->weight.dim[0] = V;
    k->weight.data = to;
    return LRK_OK;
}

/* Its rows and those of `added`, which are the base's. */
static lrk_status join_rows(lrk_adapter *a, lrk_adapter_whole *k, const lrk_tensor *stored, lrk_row_list added,
                            lrk_err *err)
{
    const lrk_row_list old = k->rows;
    const size_t C = lrk_cols(stored), most = old.n + added.n;
    const lrk_tensor from = k->weight;
    int32_t *id;
    size_t n = 0;
    LRK_TRY(lrk_alloc(&a->arena, most, sizeof *id, "token ids", &id, err));
    k->weight = lrk_mat(LRK_F32, most, C);
    k->weight.name = k->path;
    LRK_TRY(lrk_alloc(&a->arena, most * C, sizeof(float), k->path, &k->weight.data, err));
    for (size_t i = 0, j = 0; i < old.n || j < added.n; n++) {
        const bool own = i < old.n && (j == added.n || old.id[i] <= added.id[j]);
        id[n] = own ? old.id[i] : added.id[j];
        if (own) memcpy(lrk_row(&k->weight, n), lrk_row(&from, i), C * sizeof(float));
        else lrk_to_f32(stored->dtype, lrk_row(stored, (size_t)id[n]), C, lrk_row(&k->weight, n));
        if (j < added.n && added.id[j] == id[n]) j++;
        i += own;
    }
    k->weight.dim[0] = n;
    k->rows = (lrk_row_list){id, n};
    return LRK_OK;
}

static lrk_status extend(lrk_adapter *a, const lrk_base_model *b, lrk_row_list added, lrk_err *err)
{
    const lrk_names *named = lrk_names_of(&b->decoder);
    const char *const path[LRK_ADAPTER_WHOLE] = {named->embedding, LRK_HEAD_PATH};
    const char *const weight[LRK_ADAPTER_WHOLE] = {named->embedding, b->decoder.tied ? named->embedding : named->head};
    bool whole = false;
    for (size_t i = 0; i < a->n_whole; i++) whole = whole || !a->whole[i].rows.n;
    const bool alone = b->decoder.tied && !lrk_adapter_whole_of(a, LRK_ADAPTER_HEAD);
    for (int role = 0; role < LRK_ADAPTER_WHOLE; role++) {
        lrk_adapter_whole *k = (lrk_adapter_whole *)(uintptr_t)lrk_adapter_whole_of(a, role);
        char name[LRK_NAME_MAX];
        lrk_tensor stored;
        if (!k && b->decoder.tied && (whole || (alone && role == LRK_ADAPTER_HEAD))) continue;
        snprintf(name, sizeof name, "%s.weight", weight[role]);
        LRK_TRY(lrk_base_find((void *)(uintptr_t)b, name, &stored, err));
        if (k && !k->rows.n) {
            LRK_TRY(lengthen(a, k, &stored, err));
            continue;
        }
        if (!k) {
            k = &a->whole[a->n_whole++];
            *k = (lrk_adapter_whole){.path = path[role]};
        }
        LRK_TRY(join_rows(a, k, &stored, added, err));
    }
    return LRK_OK;
}

lrk_status lrk_base_extend(lrk_base_model *b, lrk_adapter *a, size_t rows, lrk_row_list added, lrk_err *err)
{
    LRK_TRY(lrk_base_grow(b, rows, err));
    return added.n ? extend(a, b, added, err) : LRK_OK;
}

lrk_status lrk_base_fit(lrk_base_model *b, lrk_adapter *a, bool any_hash, lrk_err *err)
{
    LRK_TRY(lrk_adapter_fit(a, b->weights, any_hash, err));
    return lrk_base_grow(b, 0, err);
}

lrk_status lrk_adapter_fit(lrk_adapter *a, lrk_weights *base, bool any_hash, lrk_err *err)
{
    LRK_TRY(lrk_adapter_take_resized(a, base, any_hash, err));
    LRK_TRY(grow(a, base, err));
    LRK_TRY(lrk_adapter_check_base(a, base, any_hash, err));
    if (!a->begun) return LRK_OK;
    for (size_t i = 0; i < a->n; i++) {
        lrk_arena scratch = lrk_arena_growing("weight");
        const lrk_status status = settle(a, base, &a->module[i], i, &scratch, err);
        lrk_arena_free(&scratch);
        LRK_TRY(status);
    }
    a->rank *= 2;
    a->alpha = lrk_adapter_doubled(a->alpha, a->rslora);
    a->begun = NULL;
    return LRK_OK;
}
