/* data/check.h -- what is wrong, and what is odd, about a data set.
 *
 * Reads every row (its hash, its text, and with a tokenizer its tokens). Memory: about 50 bytes a
 * row, for duplicates, leaks and the distribution of lengths.
 */
#ifndef LRK_DATA_CHECK_H
#define LRK_DATA_CHECK_H
#include "data/tokens.h"

enum { LRK_CHECK_BUCKETS = 24, LRK_CHECK_LISTED = 20 };

typedef struct lrk_check_options {
    const lrk_tokenizer *tokenizer; /* NULL: no tokens are counted */
    lrk_chat_options chat;
    size_t sequence_len; /* 0: no limit */
} lrk_check_options;

typedef struct lrk_check_report {
    uint64_t rows;
    /* Rows that can never be trained; the data set fails its check. */
    uint64_t no_answer; /* nothing in it is said by an assistant, or the answer is blank */
    uint64_t failed;    /* the template or the tokenizer refused it */
    uint64_t untrained; /* it has tokens, but no target */
    uint64_t too_long;  /* more than sequence_len tokens */
    lrk_buf list;       /* the first of these, one a line: "rows.jsonl:14: why" */
    /* Odd, not wrong. [a][b], a != b: rows of split b that are also in split a; the same for their
     * prompts alone, whatever the answers. [a][a]: rows of a that repeat an earlier one of a. */
    uint64_t equal_rows[LRK_MAX_SPLITS][LRK_MAX_SPLITS];
    uint64_t equal_prompts[LRK_MAX_SPLITS][LRK_MAX_SPLITS];
    uint64_t special_text; /* rows whose text spells a special token */
    uint64_t across;       /* rows with a token across the end of a prompt (lrk_row_tokens) */
    /* With a tokenizer: rows that have tokens. */
    uint64_t counted, tokens, trained;
    uint32_t shortest, median, p90, p99, longest;
    uint64_t bucket[LRK_CHECK_BUCKETS]; /* rows of 2^i .. 2^(i+1) - 1 tokens */
} lrk_check_report;

/* LRK_EINPUT where the file itself is damaged. Rows that can never be trained are no error here:
 * see the report, which the caller frees in any case. */
lrk_status lrk_data_check(lrk_dataset *d, const lrk_check_options *o, lrk_check_report *r,
                          lrk_err *err);
bool lrk_check_passed(const lrk_check_report *r);
void lrk_check_free(lrk_check_report *r);

#endif /* LRK_DATA_CHECK_H */
