/* checkpoint/names.c -- the tables of names and the order of rows. */
#include "checkpoint/names.h"

#include <stdio.h>
#include <string.h>

static const lrk_arch archs[] = {
    {"llama", "LlamaForCausalLM", "llama", true},
    {"llama", "MistralForCausalLM", "mistral", true},
    {"qwen2", "Qwen2ForCausalLM", "qwen2", false},
    {"qwen3", "Qwen3ForCausalLM", "qwen3", false},
};

static const char *const pairs[][2] = {
#define X(hf, gguf) {hf, gguf},
#include "checkpoint/names.def"
#undef X
};

enum { ARCHS = sizeof archs / sizeof archs[0], PAIRS = sizeof pairs / sizeof pairs[0] };

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

void lrk_arch_list(char *out, size_t size, bool gguf)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < ARCHS; i++) {
        const char *name = gguf ? archs[i].gguf : archs[i].hf;
        if (i && strcmp(name, gguf ? archs[i - 1].gguf : archs[i - 1].hf) == 0) continue;
        const int n = snprintf(out + used, size - used, "%s%s", used ? ", " : "", name);
        if (n < 0 || (size_t)n >= size - used) return;
        used += (size_t)n;
    }
}

/* Whether name is `pattern` with digits in place of '#'; *digits is their place and *n their
 * number. A layer has one spelling: no leading zero, at most five digits. */
static bool matches(const char *name, const char *pattern, const char **digits, size_t *n)
{
    const size_t head = strcspn(pattern, "#");
    if (strncmp(name, pattern, head) != 0) return false;
    if (!pattern[head]) return name[head] == '\0';
    *digits = name + head;
    *n = strspn(*digits, "0123456789");
    if (*n == 0 || *n > 5 || (*n > 1 && **digits == '0')) return false;
    return strcmp(*digits + *n, pattern + head + 1) == 0;
}

static bool translate(const char *name, size_t from, char out[LRK_NAME_MAX])
{
    for (size_t i = 0; i < PAIRS; i++) {
        const char *digits = "", *to = pairs[i][1 - from];
        size_t n = 0;
        if (!matches(name, pairs[i][from], &digits, &n)) continue;
        const size_t head = strcspn(to, "#");
        const int w = snprintf(out, LRK_NAME_MAX, "%.*s%.*s%s", (int)head, to, (int)n, digits,
                               to[head] ? to + head + 1 : "");
        return w > 0 && w < LRK_NAME_MAX;
    }
    return false;
}

bool lrk_name_to_gguf(const char *hf, char out[LRK_NAME_MAX]) { return translate(hf, 0, out); }

bool lrk_name_to_hf(const char *gguf, char out[LRK_NAME_MAX]) { return translate(gguf, 1, out); }

bool lrk_name_is_qk(const char *hf, bool *query)
{
    static const char *const patterns[] = {
        "model.layers.#.self_attn.q_proj.weight", "model.layers.#.self_attn.k_proj.weight",
        "model.layers.#.self_attn.q_proj.bias", "model.layers.#.self_attn.k_proj.bias"};
    for (size_t i = 0; i < 4; i++) {
        const char *digits;
        size_t n;
        if (!matches(hf, patterns[i], &digits, &n)) continue;
        *query = i % 2 == 0;
        return true;
    }
    return false;
}

size_t lrk_qk_hf_row(size_t row, size_t head_dim)
{
    const size_t r = row % head_dim;
    return row - r + (r % 2) * (head_dim / 2) + r / 2;
}

size_t lrk_qk_gguf_row(size_t row, size_t head_dim)
{
    const size_t r = row % head_dim, half = head_dim / 2;
    return row - r + 2 * (r % half) + r / half;
}
