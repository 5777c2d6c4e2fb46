/* checkpoint/file_type.c -- the table of file types and the rules of the mixes. */
#include "checkpoint/file_type.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* Numbers: enum llama_ftype of llama.cpp, include/llama.h. */
enum {
    F32 = 0,
    F16 = 1,
    Q4_0 = 2,
    Q4_1 = 3,
    Q8_0 = 7,
    Q5_0 = 8,
    Q5_1 = 9,
    Q2_K = 10,
    Q3_K_S = 11,
    Q3_K_M = 12,
    Q3_K_L = 13,
    Q4_K_S = 14,
    Q4_K_M = 15,
    Q5_K_S = 16,
    Q5_K_M = 17,
    Q6_K = 18,
    IQ4_NL = 25,
    IQ4_XS = 30,
    BF16 = 32
};

/* The first of an element type is the one for lrk_file_type_of. */
static const lrk_file_type types[] = {
    {"f32", F32, LRK_F32},          {"f16", F16, LRK_F16},        {"bf16", BF16, LRK_BF16},
    {"q8_0", Q8_0, LRK_Q8_0},       {"q4_0", Q4_0, LRK_Q4_0},     {"q4_1", Q4_1, LRK_Q4_1},
    {"q5_0", Q5_0, LRK_Q5_0},       {"q5_1", Q5_1, LRK_Q5_1},     {"q2_k", Q2_K, LRK_Q2_K},
    {"q3_k_m", Q3_K_M, LRK_Q3_K},   {"q3_k_s", Q3_K_S, LRK_Q3_K}, {"q3_k_l", Q3_K_L, LRK_Q3_K},
    {"q4_k_m", Q4_K_M, LRK_Q4_K},   {"q4_k_s", Q4_K_S, LRK_Q4_K}, {"q5_k_m", Q5_K_M, LRK_Q5_K},
    {"q5_k_s", Q5_K_S, LRK_Q5_K},   {"q6_k", Q6_K, LRK_Q6_K},     {"iq4_nl", IQ4_NL, LRK_IQ4_NL},
    {"iq4_xs", IQ4_XS, LRK_IQ4_XS},
};

/* Types of files that come from elsewhere and whose tensors are carried over. */
static const lrk_file_type others[] = {
    {"iq2_xxs", 19, LRK_IQ2_XXS}, {"iq2_xs", 20, LRK_IQ2_XS}, {"iq3_xxs", 23, LRK_IQ3_XXS},
    {"iq1_s", 24, LRK_IQ1_S},     {"iq3_s", 26, LRK_IQ3_S},   {"iq2_m", 29, LRK_IQ2_S},
    {"iq1_m", 31, LRK_IQ1_M},     {"tq1_0", 36, LRK_TQ1_0},   {"tq2_0", 37, LRK_TQ2_0},
    {"mxfp4", 38, LRK_MXFP4},     {"nvfp4", 39, LRK_NVFP4},   {"q1_0", 40, LRK_Q1_0},
};

enum { TYPES = sizeof types / sizeof *types, OTHERS = sizeof others / sizeof *others };

const lrk_file_type *lrk_file_type_find(const char *name)
{
    static const char *const medium[][2] = {
        {"q3_k", "q3_k_m"}, {"q4_k", "q4_k_m"}, {"q5_k", "q5_k_m"}};
    name = lrk_dtype_usual(name);
    for (size_t i = 0; i < 3; i++)
        if (strcasecmp(name, medium[i][0]) == 0) name = medium[i][1];
    for (size_t i = 0; i < TYPES; i++)
        if (strcasecmp(name, types[i].name) == 0) return &types[i];
    return NULL;
}

const char *lrk_file_type_nearest(const char *name)
{
    lrk_nearest near = {.word = name};
    for (size_t i = 0; i < TYPES; i++) lrk_nearest_offer(&near, types[i].name);
    return near.best;
}

void lrk_file_type_list(char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < TYPES; i++) {
        const int n = snprintf(out + used, size - used, "%s%s", i ? ", " : "", types[i].name);
        if (n < 0 || (size_t)n >= size - used) return;
        used += (size_t)n;
    }
}

const lrk_file_type *lrk_file_type_of(lrk_dtype dtype)
{
    for (size_t i = 0; i < TYPES; i++)
        if (types[i].dtype == dtype) return &types[i];
    for (size_t i = 0; i < OTHERS; i++)
        if (others[i].dtype == dtype) return &others[i];
    return NULL;
}

typedef enum part { HEAD, EMBEDDING, VALUES, KEYS, ATTENTION_OUT, DOWN, REST } part;

static part part_of(const char *name)
{
    static const struct {
        const char *text;
        part part;
    } inside[] = {{"attn_qkv.weight", VALUES},
                  {"attn_kv_b.weight", VALUES},
                  {"attn_v.weight", VALUES},
                  {"attn_k.weight", KEYS},
                  {"attn_output.weight", ATTENTION_OUT},
                  {"ffn_down", DOWN}};
    if (strcmp(name, "output.weight") == 0) return HEAD;
    if (strcmp(name, "token_embd.weight") == 0) return EMBEDDING;
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++)
        if (strstr(name, inside[i].text)) return inside[i].part;
    return REST;
}

bool lrk_file_type_values(const char *name) { return part_of(name) == VALUES; }

/* Small, or harmful to round: norms, biases, the router of a mixture of experts. */
static bool stays_f32(const char *name)
{
    static const char weight[] = "weight";
    const size_t n = strlen(name), w = sizeof weight - 1;
    return n < w || strcmp(name + n - w, weight) != 0 || strstr(name, "_norm.weight") ||
           strstr(name, "ffn_gate_inp.weight");
}

/* The first and the last eighth of the layers, and every third between. */
static bool needs_more(size_t i, size_t n)
{
    return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2;
}

static lrk_dtype values_type(const lrk_file_type *f, const lrk_file_facts *m, size_t i)
{
    const bool grouped = m->key_heads && m->heads / m->key_heads >= 4;
    lrk_dtype t = f->dtype;
    if (m->experts == 8) return LRK_Q8_0;
    switch (f->id) {
    case Q2_K:
        t = grouped ? LRK_Q4_K : LRK_Q3_K;
        break;
    case Q3_K_M:
        t = i < 2 ? LRK_Q5_K : LRK_Q4_K;
        break;
    case Q3_K_L:
        t = LRK_Q5_K;
        break;
    case IQ4_NL:
    case IQ4_XS:
        if (grouped) t = LRK_Q5_K;
        break;
    case Q4_K_S:
        if (i < 4) t = LRK_Q5_K;
        break;
    case Q4_K_M:
    case Q5_K_M:
        if (needs_more(i, m->values)) t = LRK_Q6_K;
        break;
    default:
        break;
    }
    /* in models of this size eight heads share the values */
    const bool large = m->layers == 80 && m->heads != m->key_heads;
    return large && (t == LRK_Q3_K || t == LRK_Q4_K) ? LRK_Q5_K : t;
}

static lrk_dtype down_type(const lrk_file_type *f, size_t i, size_t n)
{
    switch (f->id) {
    case Q2_K:
        return LRK_Q3_K;
    case Q3_K_M:
        return i < n / 16 ? LRK_Q5_K : LRK_Q4_K;
    case Q3_K_L:
        return LRK_Q5_K;
    case Q4_K_S:
    case IQ4_NL:
    case IQ4_XS:
        return i < n / 8 ? LRK_Q5_K : f->dtype;
    case Q4_K_M:
    case Q5_K_M:
        return needs_more(i, n) ? LRK_Q6_K : f->dtype;
    default:
        return f->dtype;
    }
}

static lrk_dtype attention_out_type(const lrk_file_type *f, size_t experts)
{
    const bool below_five = f->dtype == LRK_Q2_K || f->dtype == LRK_Q3_K || f->dtype == LRK_Q4_K ||
                            f->dtype == LRK_IQ4_NL || f->dtype == LRK_IQ4_XS;
    if (experts == 8) return below_five && f->id != Q3_K_L ? LRK_Q5_K : f->dtype;
    switch (f->id) {
    case Q2_K:
        return LRK_Q3_K;
    case Q3_K_M:
        return LRK_Q4_K;
    case Q3_K_L:
        return LRK_Q5_K;
    default:
        return f->dtype;
    }
}

/* Where a row is no whole number of blocks. */
static lrk_dtype fallback(lrk_dtype t, size_t cols)
{
    if (cols % lrk_dtype_block(t) == 0) return t;
    switch (t) {
    case LRK_IQ4_XS:
        t = LRK_IQ4_NL;
        break;
    case LRK_Q2_K:
    case LRK_Q3_K:
        t = LRK_Q4_0;
        break;
    case LRK_Q4_K:
        t = LRK_Q5_0;
        break;
    case LRK_Q5_K:
        t = LRK_Q5_1;
        break;
    case LRK_Q6_K:
        t = LRK_Q8_0;
        break;
    default:
        break;
    }
    return cols % lrk_dtype_block(t) ? LRK_F16 : t;
}

lrk_dtype lrk_file_type_choose(const lrk_file_type *f, const lrk_file_facts *m, const char *name,
                               size_t value, size_t cols)
{
    const char *number = strncmp(name, "blk.", 4) == 0 ? name + 4 : "0";
    part p = part_of(name);
    lrk_dtype t = f->dtype;
    if (stays_f32(name)) return LRK_F32;
    if (!lrk_dtype_quantized(t)) return t;
    if (p == EMBEDDING && m->tied) p = HEAD;
    if (p == HEAD && t != LRK_Q8_0) t = cols % lrk_dtype_block(t) ? LRK_Q8_0 : LRK_Q6_K;
    if (p == VALUES) t = values_type(f, m, value);
    if (p == KEYS && m->experts == 8) t = LRK_Q8_0;
    if (p == ATTENTION_OUT) t = attention_out_type(f, m->experts);
    if (p == DOWN) t = down_type(f, strtoul(number, NULL, 10), m->layers);
    return fallback(t, cols);
}
