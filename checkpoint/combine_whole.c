/* checkpoint/combine_whole.c -- embedding and head of the combined adapter, or rows of them. */
#include "base/quant.h"
#include "base/size.h"
#include "base/text.h"
#include "checkpoint/combine.h"

#include <math.h>
#include <string.h>

/* One of the two, of those adapters that have it. */
typedef struct replaced {
    const lrk_adapter_whole **whole;
    double *weight;
    size_t n;
    lrk_tensor stored; /* the base's */
} replaced;

static lrk_status collect(replaced *r, const lrk_adapter *adapter, const double *weight, size_t n, int role,
                          lrk_arena *arena, lrk_err *err)
{
    LRK_TRY(lrk_alloc(arena, n, sizeof *r->whole, "adapters", &r->whole, err));
    LRK_TRY(lrk_alloc(arena, n, sizeof *r->weight, "adapters", &r->weight, err));
    for (size_t i = 0; i < n; i++) {
        const lrk_adapter_whole *w = lrk_adapter_whole_of(&adapter[i], role);
        if (!w) continue;
        r->whole[r->n] = w;
        r->weight[r->n++] = weight[i];
    }
    return LRK_OK;
}

/* Every row that an adapter has; n 0: one has all. */
static lrk_status list_rows(const replaced *r, lrk_arena *arena, lrk_row_list *out, lrk_err *err)
{
    unsigned char *there;
    int32_t *id;
    const size_t V = lrk_rows(&r->stored);
    *out = (lrk_row_list){NULL, 0};
    for (size_t i = 0; i < r->n; i++)
        if (!r->whole[i]->rows.n) return LRK_OK;
    LRK_TRY(lrk_alloc(arena, V, 1, "rows", &there, err));
    LRK_TRY(lrk_alloc(arena, V, sizeof *id, "rows", &id, err));
    for (size_t i = 0; i < r->n; i++)
        for (size_t k = 0; k < r->whole[i]->rows.n; k++) there[r->whole[i]->rows.id[k]] = 1;
    for (size_t v = 0; v < V; v++)
        if (there[v]) id[out->n++] = (int32_t)v;
    out->id = id;
    return LRK_OK;
}

/* base: room for the row as it is stored, which may lie askew, and as f32. */
static void sum_row(const replaced *r, size_t row, void *stored, float *base, float *out)
{
    const size_t C = lrk_cols(&r->stored);
    memcpy(stored, lrk_row(&r->stored, row), lrk_row_bytes(r->stored.dtype, C));
    lrk_to_f32(r->stored.dtype, stored, C, base);
    for (size_t c = 0; c < C; c++) {
        double sum = (double)base[c];
        for (size_t i = 0; i < r->n; i++) {
            const lrk_adapter_whole *w = r->whole[i];
            const size_t place = w->rows.n ? lrk_row_place(w->rows.id, w->rows.n, (int32_t)row) : row;
            if (w->rows.n && place == w->rows.n) continue;
            sum += r->weight[i] * ((double)((const float *)lrk_row(&w->weight, place))[c] - (double)base[c]);
        }
        out[c] = (float)sum;
    }
}

static lrk_status sum(const replaced *r, lrk_adapter_whole *w, lrk_arena *scratch, lrk_err *err)
{
    const size_t C = lrk_cols(&r->stored);
    void *stored;
    float *base;
    LRK_TRY(lrk_alloc(scratch, 1, lrk_row_bytes(r->stored.dtype, C), "row", &stored, err));
    LRK_TRY(lrk_alloc(scratch, C, sizeof *base, "row", &base, err));
    for (size_t i = 0; i < lrk_rows(&w->weight); i++) {
        float *out = lrk_row(&w->weight, i);
        sum_row(r, w->rows.n ? (size_t)w->rows.id[i] : i, stored, base, out);
        for (size_t c = 0; c < C; c++)
            LRK_REQUIRE(err, isfinite(out[c]), LRK_ENUMERIC,
                        "'%s': the combination is not finite in f32; the weights are too large", w->path);
    }
    return LRK_OK;
}

static lrk_status combine_role(lrk_adapter *out, replaced *r, lrk_arena *scratch, lrk_err *err)
{
    lrk_adapter_whole *w = &out->whole[out->n_whole];
    *w = (lrk_adapter_whole){.path = r->whole[0]->path};
    LRK_TRY(list_rows(r, &out->arena, &w->rows, err));
    w->weight = lrk_mat(LRK_F32, w->rows.n ? w->rows.n : lrk_rows(&r->stored), lrk_cols(&r->stored));
    w->weight.name = w->path;
    LRK_TRY(lrk_alloc(&out->arena, lrk_count(&w->weight), sizeof(float), w->path, &w->weight.data, err));
    out->n_whole++;
    return sum(r, w, scratch, err);
}

/* modules_to_save: the last names; where the two go on as one, as the adapter has it that trained them so. */
static lrk_status name_saved(lrk_adapter *out, const lrk_adapter *adapter, size_t n, bool as_one, lrk_err *err)
{
    const char **name;
    size_t saved = 0;
    for (size_t i = 0; i < n && as_one; i++) {
        if (!adapter[i].tied || !adapter[i].n_save) continue;
        out->tied = true;
        out->save = adapter[i].save;
        out->n_save = adapter[i].n_save;
        return LRK_OK;
    }
    LRK_TRY(lrk_alloc(&out->arena, LRK_ADAPTER_WHOLE, sizeof *name, "modules_to_save", &name, err));
    for (size_t i = 0; i < out->n_whole; i++)
        if (!out->whole[i].rows.n) name[saved++] = lrk_last_name(out->whole[i].path);
    out->save = name;
    out->n_save = saved;
    return LRK_OK;
}

/* Whether all that train anything of the two train them as one; refused where some do. */
static lrk_status choose_tie(const lrk_adapter *adapter, size_t n, const lrk_weights *base, bool *as_one, lrk_err *err)
{
    size_t one = 0, apart = 0;
    for (size_t i = 0; i < n; i++) {
        if (!adapter[i].n_whole) continue;
        if (lrk_adapter_as_one(&adapter[i])) one++;
        else apart++;
    }
    LRK_REQUIRE(err, !one || !apart, LRK_ESUPPORT,
                "%s ties its head to its embedding; %zu of the adapters that train them go on with the two as one, and "
                "%zu part them, which cannot be combined",
                lrk_weights_path(base), one, apart);
    *as_one = one > 0;
    return LRK_OK;
}

static lrk_status combine(lrk_adapter *out, const lrk_adapter *adapter, const double *weight, size_t n,
                          const lrk_weights *base, lrk_arena *scratch, lrk_err *err)
{
    const lrk_arch *arch = lrk_weights_arch(base);
    const char *names[] = {lrk_name_of_embedding(arch), lrk_name_of_head(arch)};
    lrk_tensor head;
    const bool tied = !lrk_weights_find(base, names[LRK_ADAPTER_HEAD], &head);
    bool as_one = false;
    if (tied) LRK_TRY(choose_tie(adapter, n, base, &as_one, err));
    for (int role = 0; role < LRK_ADAPTER_WHOLE; role++) {
        replaced r = {0};
        LRK_TRY(collect(&r, adapter, weight, n, role, scratch, err));
        if (!r.n || (as_one && role == LRK_ADAPTER_HEAD)) continue;
        LRK_REQUIRE(err, lrk_weights_find(base, names[tied ? LRK_ADAPTER_EMBEDDING : role], &r.stored), LRK_EINPUT,
                    "%s: %s is missing", lrk_weights_path(base), names[role]);
        LRK_TRY(combine_role(out, &r, scratch, err));
    }
    LRK_TRY(name_saved(out, adapter, n, as_one, err));
    if (!out->tied) return LRK_OK;
    for (size_t i = 0; i < n; i++) { /* the one copy, under the head's key too */
        const lrk_adapter_whole *w = lrk_adapter_whole_of(&adapter[i], LRK_ADAPTER_HEAD);
        if (!w || w->rows.n) continue;
        out->whole[out->n_whole++] = (lrk_adapter_whole){.path = w->path, .weight = out->whole[0].weight};
        break;
    }
    return LRK_OK;
}

lrk_status lrk_combine_whole(lrk_adapter *out, const lrk_adapter *adapter, const double *weight, size_t n,
                             const lrk_weights *base, lrk_err *err)
{
    lrk_arena scratch = lrk_arena_growing("combined rows");
    lrk_status status = combine(out, adapter, weight, n, base, &scratch, err);
    if (status == LRK_OK) status = lrk_adapter_check_base(out, base, true, err);
    lrk_arena_free(&scratch);
    return status;
}
