/* checkpoint/names.c -- the tables of architectures and names, and the order of rows. */
#include "checkpoint/names.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const lrk_arch archs[] = {
#define X(gguf, hf, model_type, ...) {gguf, hf, model_type, __VA_ARGS__},
#include "checkpoint/archs.def"
#undef X
};

static const struct {
    unsigned dialects;
    const char *name[2]; /* Hugging Face, GGUF */
} pairs[] = {
#define X(dialects, hf, gguf) {dialects, {hf, gguf}},
#include "checkpoint/names.def"
#undef X
};

enum { ARCHS = sizeof archs / sizeof archs[0], PAIRS = sizeof pairs / sizeof pairs[0] };

static const char kv_b[] = "model.layers.#.self_attn.kv_b_proj.weight";
static const char k_b[] = "blk.#.attn_k_b.weight", v_b[] = "blk.#.attn_v_b.weight";

const lrk_arch *lrk_arch_from_gguf(const char *gguf)
{
    for (size_t i = 0; i < ARCHS; i++)
        if (strcmp(archs[i].gguf, gguf) == 0) return &archs[i];
    return NULL;
}

const lrk_arch *lrk_arch_from_hf(const char *hf)
{
    for (size_t i = 0; i < ARCHS; i++)
        if (strcmp(archs[i].hf, hf) == 0) return &archs[i];
    return NULL;
}

const lrk_arch *lrk_arch_from_type(const char *model_type)
{
    for (size_t i = 0; i < ARCHS; i++)
        if (strcmp(archs[i].model_type, model_type) == 0) return &archs[i];
    return NULL;
}

void lrk_arch_list(char out[LRK_ARCH_LIST], bool gguf)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < ARCHS; i++) {
        const char *name = gguf ? archs[i].gguf : archs[i].hf;
        if (i && strcmp(name, gguf ? archs[i - 1].gguf : archs[i - 1].hf) == 0) continue;
        const int n = snprintf(out + used, LRK_ARCH_LIST - used, "%s%s", used ? ", " : "", name);
        if (n < 0 || (size_t)n >= LRK_ARCH_LIST - used) return;
        used += (size_t)n;
    }
}

/* The numbers of a name. */
typedef struct numbers {
    int layer, expert; /* -1: none */
} numbers;

/* One to five digits; a number has one spelling: no leading zero. */
static bool take_number(const char **s, int *out)
{
    const size_t n = strspn(*s, "0123456789");
    if (n == 0 || n > 5 || (n > 1 && **s == '0')) return false;
    *out = (int)strtol(*s, NULL, 10);
    *s += n;
    return true;
}

/* Whether name is `pattern` with numbers in place of '#' and '*'. */
static bool matches(const char *name, const char *pattern, numbers *found)
{
    *found = (numbers){-1, LRK_NO_EXPERT};
    for (; *pattern; pattern++) {
        if (*pattern == '#' || *pattern == '*') {
            if (!take_number(&name, *pattern == '#' ? &found->layer : &found->expert)) return false;
        } else if (*name++ != *pattern) {
            return false;
        }
    }
    return *name == '\0';
}

static bool fill(const char *pattern, numbers with, char out[LRK_NAME_MAX])
{
    size_t n = 0;
    for (; *pattern && n < LRK_NAME_MAX - 8; pattern++) {
        if (*pattern == '#' || *pattern == '*')
            n += (size_t)snprintf(out + n, 8, "%d", *pattern == '#' ? with.layer : with.expert);
        else
            out[n++] = *pattern;
    }
    out[n] = '\0';
    return !*pattern;
}

static bool holds(const lrk_arch *a, size_t i)
{
    unsigned dialects = a->names ? a->names : LRK_NAMES_LLAMA;
    if (a->bias && (dialects & LRK_NAMES_BIASED_OUTPUT)) dialects |= LRK_NAMES_OUTPUT_BIAS;
    if (a->mlp_bias && !a->names) dialects |= LRK_NAMES_MLP_BIAS;
    return pairs[i].dialects & dialects;
}

bool lrk_name_to_gguf(const lrk_arch *a, const char *hf, char out[LRK_NAME_MAX], int *expert)
{
    numbers found;
    for (size_t i = 0; i < PAIRS; i++) {
        if (!holds(a, i) || !matches(hf, pairs[i].name[0], &found)) continue;
        *expert = found.expert;
        return fill(pairs[i].name[1], found, out);
    }
    return false;
}

bool lrk_name_to_hf(const lrk_arch *a, const char *gguf, int expert, char out[LRK_NAME_MAX],
                    bool *experts)
{
    numbers found;
    for (size_t i = 0; i < PAIRS; i++) {
        if (!holds(a, i) || !matches(gguf, pairs[i].name[1], &found)) continue;
        *experts = strchr(pairs[i].name[0], '*') != NULL;
        found.expert = expert;
        return fill(pairs[i].name[0], found, out);
    }
    return false;
}

/* The first name that an architecture has for this one; that of all others where it is not known. */
static const char *first_of(const lrk_arch *a, const char *gguf, const char *usual)
{
    for (size_t i = 0; a && i < PAIRS; i++)
        if (holds(a, i) && strcmp(pairs[i].name[1], gguf) == 0) return pairs[i].name[0];
    return usual;
}

const char *lrk_name_of_embedding(const lrk_arch *a)
{
    return first_of(a, "token_embd.weight", "model.embed_tokens.weight");
}

const char *lrk_name_of_head(const lrk_arch *a)
{
    return first_of(a, "output.weight", "lm_head.weight");
}

bool lrk_name_is_latent(const char *hf, char keys[LRK_NAME_MAX], char values[LRK_NAME_MAX])
{
    numbers found;
    return matches(hf, kv_b, &found) && fill(k_b, found, keys) && fill(v_b, found, values);
}

bool lrk_name_is_half(const char *gguf, bool *keys, char hf[LRK_NAME_MAX])
{
    numbers found;
    *keys = matches(gguf, k_b, &found);
    return (*keys || matches(gguf, v_b, &found)) && fill(kv_b, found, hf);
}

bool lrk_name_is_norm(const char *hf)
{
    return lrk_ends_with(hf, "norm.weight");
}

bool lrk_name_is_router(const char *gguf)
{
    numbers found;
    return matches(gguf, "blk.#.ffn_gate_inp.weight", &found);
}

/* A weight or bias of queries or keys. */
static bool is_qk(const char *hf)
{
    static const char *const patterns[] = {
        "model.layers.#.self_attn.q_proj.weight", "model.layers.#.self_attn.k_proj.weight",
        "model.layers.#.self_attn.q_proj.bias", "model.layers.#.self_attn.k_proj.bias"};
    numbers found;
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        if (matches(hf, patterns[i], &found)) return true;
    return false;
}

lrk_order lrk_order_of(const lrk_arch *a, const char *hf, size_t head_dim, size_t rows)
{
    const lrk_order_kind kind = a && a->permuted_qk && is_qk(hf)                      ? LRK_ORDER_PAIRS
                                : a && a->by_head && strstr(hf, ".query_key_value.") ? LRK_ORDER_KINDS
                                                                                     : LRK_ORDER_SAME;
    return (lrk_order){kind, head_dim, rows};
}

bool lrk_order_fits(const lrk_order *o)
{
    const size_t whole = o->kind == LRK_ORDER_KINDS ? 3 * o->head : o->head;
    return o->kind == LRK_ORDER_SAME || (o->head && o->head % 2 == 0 && o->rows % whole == 0);
}

size_t lrk_order_hf_row(const lrk_order *o, size_t row)
{
    if (o->kind == LRK_ORDER_SAME) return row;
    const size_t r = row % o->head, all = o->rows / 3; /* those of a kind */
    if (o->kind == LRK_ORDER_KINDS) return (row % all / o->head * 3 + row / all) * o->head + r;
    return row - r + (r % 2) * (o->head / 2) + r / 2;
}

size_t lrk_order_gguf_row(const lrk_order *o, size_t row)
{
    if (o->kind == LRK_ORDER_SAME) return row;
    const size_t r = row % o->head, half = o->head / 2, part = row / o->head;
    if (o->kind == LRK_ORDER_KINDS) return part % 3 * (o->rows / 3) + part / 3 * o->head + r;
    return row - r + 2 * (r % half) + r / half;
}
