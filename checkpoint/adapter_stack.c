/* checkpoint/adapter_stack.c -- adapters of all experts in one, and the modules that they stand for. */
#include "checkpoint/adapter_targets.h"

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

bool lrk_adapter_stack_of(const lrk_adapter *a, const char *path, char stack[LRK_NAME_MAX], size_t *expert,
                          bool *second)
{
    static const char *const names[][2] = {
        {"gate_proj", "gate_up_proj"}, {"w1", "gate_up_proj"}, {"up_proj", "gate_up_proj"}, {"w3", "gate_up_proj"},
        {"down_proj", "down_proj"},    {"w2", "down_proj"}};
    static const char middle[] = ".experts.";
    const char *at = strstr(path, middle), *last = strrchr(path, '.');
    const char *mixtral = at ? strstr(path, ".block_sparse_moe.experts.") : NULL;
    if (!at || last < at + sizeof middle - 1) return false;
    const size_t before = (size_t)((mixtral ? mixtral : at) - path);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(last + 1, names[i][0]) != 0) continue;
        const int n = snprintf(stack, LRK_NAME_MAX, "%.*s%s.experts.%s", (int)before, path, mixtral ? ".mlp" : "",
                               names[i][1]);
        if (expert) *expert = strtoul(at + sizeof middle - 1, NULL, 10);
        if (second) *second = i == 2 || i == 3;
        return n > 0 && n < LRK_NAME_MAX && lrk_adapter_names_parameter(a, stack);
    }
    return false;
}

/* The stack of this path, begun with the shapes of a module where it is new. */
static lrk_status stack_for(lrk_adapter *a, const char *path, const lrk_adapter_module *m, size_t experts,
                            lrk_adapter_stack **out, lrk_err *err)
{
    for (size_t i = 0; i < a->n_stacks; i++) {
        *out = &a->stack[i];
        if (strcmp(a->stack[i].path, path) == 0) return LRK_OK;
    }
    lrk_adapter_stack *s = *out = &a->stack[a->n_stacks++];
    const size_t R = lrk_rows(&m->a);
    *s = (lrk_adapter_stack){.path = lrk_strdup(&a->arena, path), .experts = experts,
                             .alpha = m->alpha, .scale = m->scale};
    LRK_REQUIRE(err, s->path, LRK_ENOMEM, "memory: no room for module names");
    s->a = lrk_mat(LRK_F32, experts * R, lrk_cols(&m->a));
    s->b = lrk_mat(LRK_F32, (is_down(s) ? 1 : 2) * lrk_rows(&m->b), R * experts);
    s->a.name = s->b.name = s->path;
    LRK_TRY(lrk_alloc(&a->arena, lrk_count(&s->a), sizeof(float), path, &s->a.data, err));
    return lrk_alloc(&a->arena, lrk_count(&s->b), sizeof(float), path, &s->b.data, err);
}

static lrk_status take_member(lrk_adapter_stack *s, const lrk_adapter_module *m, size_t e, bool second, lrk_err *err)
{
    const size_t R = lrk_rows(&m->a), rows = lrk_rows(&m->b), experts = s->experts;
    float *own = lrk_row(&s->a, e * R);
    LRK_REQUIRE(err, lrk_rows(&s->a) == experts * R && lrk_cols(&s->a) == lrk_cols(&m->a) &&
                         lrk_rows(&s->b) == (is_down(s) ? 1 : 2) * rows &&
                         (!second || memcmp(own, m->a.data, lrk_bytes(&m->a)) == 0),
                LRK_EINPUT, "module '%s' is no part of '%s' as target_parameters has it", m->path, s->path);
    memcpy(own, m->a.data, lrk_bytes(&m->a));
    for (size_t o = 0; o < rows; o++)
        for (size_t r = 0; r < R; r++)
            ((float *)lrk_row(&s->b, (second ? rows : 0) + o))[r * experts + e] = ((const float *)lrk_row(&m->b, o))[r];
    return LRK_OK;
}

/* Modules with second as said go into their stacks; taken: how many each has. */
static lrk_status gather_pass(lrk_adapter *a, size_t experts, bool pass, size_t *taken, lrk_err *err)
{
    for (size_t i = 0; i < a->n; i++) {
        const lrk_adapter_module *m = &a->module[i];
        char path[LRK_NAME_MAX];
        lrk_adapter_stack *s;
        size_t e;
        bool second;
        if (!lrk_adapter_stack_of(a, m->path, path, &e, &second) || second != pass) continue;
        LRK_TRY(stack_for(a, path, m, experts, &s, err));
        LRK_TRY(take_member(s, m, e, second, err));
        taken[s - a->stack]++;
    }
    return LRK_OK;
}

lrk_status lrk_adapter_gather(lrk_adapter *a, lrk_err *err)
{
    char path[LRK_NAME_MAX];
    size_t kept = 0, experts = 0, e, *taken;
    for (size_t i = 0; i < a->n; i++)
        if (lrk_adapter_stack_of(a, a->module[i].path, path, &e, NULL)) experts = lrk_max(experts, e + 1);
    if (!experts) return LRK_OK;
    LRK_TRY(lrk_alloc(&a->arena, a->n, sizeof *a->stack, "adapter modules", &a->stack, err));
    LRK_TRY(lrk_alloc(&a->arena, a->n, sizeof *taken, "adapter modules", &taken, err));
    LRK_TRY(gather_pass(a, experts, false, taken, err));
    LRK_TRY(gather_pass(a, experts, true, taken, err)); /* what has the A of another one comes behind */
    for (size_t i = 0; i < a->n_stacks; i++)
        LRK_REQUIRE(err, taken[i] == experts * (is_down(&a->stack[i]) ? 1 : 2), LRK_EINPUT,
                    "'%s': %zu adapters beside the parts of %zu experts", a->stack[i].path, taken[i], experts);
    for (size_t i = 0; i < a->n; i++)
        if (!lrk_adapter_stack_of(a, a->module[i].path, path, NULL, NULL)) a->module[kept++] = a->module[i];
    a->n = kept;
    return lrk_adapter_expand(a, err);
}

lrk_status lrk_adapter_expand(lrk_adapter *a, lrk_err *err)
{
    lrk_adapter_module *const old = a->module;
    size_t room = a->n;
    for (size_t i = 0; i < a->n_stacks; i++) room += a->stack[i].experts * (is_down(&a->stack[i]) ? 1 : 2);
    if (room == a->n) {
        if (a->n) qsort(a->module, a->n, sizeof *a->module, by_path);
        return LRK_OK;
    }
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
