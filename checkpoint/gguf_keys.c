/* checkpoint/gguf_keys.c -- gguf_keys.def as two tables, and which rows an architecture has. */
#include "checkpoint/gguf_keys.h"

enum { OPTIONAL, NEEDED };

static const lrk_size_key sizes[] = {
#define SIZE(groups, need, hf, gguf) {groups, need, hf, gguf},
#define REAL(groups, hf, gguf, otherwise)
#include "checkpoint/gguf_keys.def"
#undef SIZE
#undef REAL
};
static const lrk_real_key reals[] = {
#define SIZE(groups, need, hf, gguf)
#define REAL(groups, hf, gguf, otherwise) {groups, hf, gguf, otherwise},
#include "checkpoint/gguf_keys.def"
#undef SIZE
#undef REAL
};

static bool has(const lrk_arch *a, unsigned groups) { return !groups || (groups & a->keys); }

const lrk_size_key *lrk_size_key_next(const lrk_arch *a, const lrk_size_key *k)
{
    const lrk_size_key *end = sizes + sizeof sizes / sizeof sizes[0];
    for (k = k ? k + 1 : sizes; k < end; k++)
        if (has(a, k->groups)) return k;
    return NULL;
}

const lrk_real_key *lrk_real_key_next(const lrk_arch *a, const lrk_real_key *k)
{
    const lrk_real_key *end = reals + sizeof reals / sizeof reals[0];
    for (k = k ? k + 1 : reals; k < end; k++)
        if (has(a, k->groups)) return k;
    return NULL;
}
