/* checkpoint/adapter_stack.c -- adapters of all experts in one, and the modules that they stand for. */
#include "checkpoint/adapter.h"

#include "base/size.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_down(const lrk_adapter_stack *s)
{
    return lrk_ends_with(s->path, ".down_proj");
}

void lrk_adapter_stack_module(const lrk_adapter *a, const lrk_adapter_stack *s, char out[LRK_NAME_MAX])
{
    const size_t n = strlen(s->path) - strlen(strrchr(s->path, '.'));
    bool both = false;
    /* wrapped in the order in which transformers declares them: gate_up_proj inside */
    for (size_t i = 0; i < a->n_stacks && !is_down(s); i++)
        both |= is_down(&a->stack[i]) && strncmp(a->stack[i].path, s->path, n + 1) == 0;
    snprintf(out, LRK_NAME_MAX, "%.*s%s", (int)lrk_min(n, LRK_NAME_MAX - 16), s->path,
             both ? ".base_layer" : "");
}

/* Rows first .. first + n - 1 of expert e as a module. */
static lrk_status add_part(lrk_adapter *a, const lrk_adapter_stack *s, size_t e, const char *name,
                           size_t first, size_t n, lrk_err *err)
{
    lrk_adapter_module *m = &a->module[a->n];
    const size_t rank = lrk_rows(&s->a) / s->experts, E = s->experts;
    char path[LRK_NAME_MAX];
    float *b;
    const int k = snprintf(path, sizeof path, "%.*s.%zu.%s",
                           (int)(strlen(s->path) - strlen(strrchr(s->path, '.'))), s->path, e, name);
    LRK_REQUIRE(err, k > 0 && k < (int)sizeof path, LRK_EINPUT, "module '%s': name too long", s->path);
    *m = (lrk_adapter_module){.path = lrk_strdup(&a->arena, path), .alpha = s->alpha, .scale = s->scale,
                              .stacked = true};
    LRK_REQUIRE(err, m->path, LRK_ENOMEM, "memory: no room for module names");
    LRK_TRY(lrk_alloc(&a->arena, n * rank, sizeof *b, m->path, &b, err));
    for (size_t o = 0; o < n; o++)
        for (size_t r = 0; r < rank; r++)
            b[o * rank + r] = ((const float *)lrk_row(&s->b, first + o))[r * E + e];
    m->a = lrk_mat(LRK_F32, rank, lrk_cols(&s->a));
    m->a.data = lrk_row(&s->a, e * rank);
    m->b = lrk_mat(LRK_F32, n, rank);
    m->b.data = b;
    m->a.name = m->b.name = m->path;
    a->n++;
    return LRK_OK;
}

static int by_path(const void *x, const void *y)
{
    return strcmp(((const lrk_adapter_module *)x)->path, ((const lrk_adapter_module *)y)->path);
}

lrk_status lrk_adapter_expand(lrk_adapter *a, lrk_err *err)
{
    lrk_adapter_module *const old = a->module;
    size_t room = a->n;
    for (size_t i = 0; i < a->n_stacks; i++) room += a->stack[i].experts * (is_down(&a->stack[i]) ? 1 : 2);
    if (room == a->n) return LRK_OK;
    LRK_TRY(lrk_alloc(&a->arena, room, sizeof *a->module, "adapter modules", &a->module, err));
    if (a->n) memcpy(a->module, old, a->n * sizeof *old);
    for (size_t i = 0; i < a->n_stacks; i++) {
        const lrk_adapter_stack *s = &a->stack[i];
        const size_t out = lrk_rows(&s->b), half = out / 2;
        for (size_t e = 0; e < s->experts; e++) {
            if (is_down(s)) {
                LRK_TRY(add_part(a, s, e, "down_proj", 0, out, err));
                continue;
            }
            LRK_TRY(add_part(a, s, e, "gate_proj", 0, half, err));
            LRK_TRY(add_part(a, s, e, "up_proj", half, out - half, err));
        }
    }
    qsort(a->module, a->n, sizeof *a->module, by_path);
    return LRK_OK;
}
