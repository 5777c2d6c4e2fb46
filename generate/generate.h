/* generate/generate.h -- continues sequences of tokens, many at a time.
 *
 * Each of the engine's cache slots carries a sequence. A run takes one token of every sequence under
 * way and as many prompt tokens of new ones as fit; a slot that becomes free takes the next prompt.
 * Long prompts enter in pieces. Sequences do not see each other.
 *
 * What all prompts begin with is computed once where the engine has a slot more than there are sequences at
 * a time: that slot holds it, as the parent of all sequences. Where all are known nothing is computed.
 */
#ifndef LRK_GENERATE_GENERATE_H
#define LRK_GENERATE_GENERATE_H
#include "generate/sampler.h"
#include "models/engine.h"

typedef struct lrk_prompt {
    const uint32_t *ids;
    size_t n; /* at least 1 */
} lrk_prompt;

/* Called with every token as it comes; the end token that finishes a sequence is not passed on.
 * `done` is set in the one last call for a sequence, whose `id` means nothing. Return false to end
 * this sequence early: no further call for it. */
typedef bool (*lrk_token_fn)(void *ctx, size_t sequence, uint32_t id, bool done);

typedef struct lrk_generation {
    lrk_sampler sampler;
    size_t slots;            /* sequences at a time; 0: as many as the engine has slots */
    size_t max_tokens;       /* new ones, of each sequence */
    const uint32_t *ends;    /* ids that end a sequence, ascending */
    size_t n_ends;
    lrk_token_fn token;
    void *ctx;
    bool (*stop)(void);      /* polled between runs; NULL: never */
    /* This sequence is left out: its tokens are known already. NULL: none is. */
    bool (*known)(void *ctx, size_t sequence);
} lrk_generation;

/* The engine must have been opened with cache slots, max_tokens >= slots, max_segments >= slots and
 * max_logits >= slots. A prompt that does not fit the cache with at least one new token: LRK_EVALUE.
 * A sequence that fills its slot ends there. LRK_STOPPED when `stop` said so. */
lrk_status lrk_generate(lrk_engine *e, const lrk_prompt *prompts, size_t n, const lrk_generation *g,
                        lrk_err *err);

#endif /* LRK_GENERATE_GENERATE_H */
