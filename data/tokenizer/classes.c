/* data/tokenizer/classes.c -- tables of character classes. */
#include "data/tokenizer/classes.h"

static const uint32_t runs[] = {
#include "data/tokenizer/classes.def"
};
static const uint32_t word_edges[] = {
#include "data/tokenizer/word.def"
};
enum { RUNS = sizeof runs / sizeof *runs, EDGES = sizeof word_edges / sizeof *word_edges };

static unsigned bit_of(uint32_t run) { return run & 15 ? 1u << ((run & 15) - 1) : 0; }

void lrk_classes_fill(lrk_classes *k)
{
    for (size_t r = 0; r < RUNS; r++) {
        const uint32_t end = r + 1 < RUNS ? runs[r + 1] >> 4 : 65536;
        for (uint32_t c = runs[r] >> 4; c < end && c < 65536; c++)
            k->low[c] = (uint8_t)bit_of(runs[r]);
    }
}

unsigned lrk_class_search(uint32_t c)
{
    size_t low = 0, high = RUNS;
    while (high - low > 1) {
        const size_t middle = (low + high) / 2;
        if (runs[middle] >> 4 <= c)
            low = middle;
        else
            high = middle;
    }
    return bit_of(runs[low]);
}

bool lrk_class_is_word(uint32_t c)
{
    size_t low = 0, high = EDGES; /* edges at or before c */
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (word_edges[middle] <= c)
            low = middle + 1;
        else
            high = middle;
    }
    return low & 1;
}
