/* tests/unit/batch.c -- steps and micro-batches: every row once an epoch, targets shifted inside
 * segments, limits exact, what rows share once, and the same batches again after a stop. */
#include "data/batch.h"
#include "data/import.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { ROWS = 101 };
static lrk_tokenizer *tokenizer;
static lrk_tokens *set[2], *alike;

static lrk_tokens *tokens_of(const char *path, lrk_buf *text)
{
    lrk_err err = {0};
    lrk_import_report r;
    lrk_tokens *t = NULL;
    const lrk_import_input in = {"in.jsonl", NULL};
    const lrk_import_options io = {.inputs = &in, .n_inputs = 1, .out = path};
    const lrk_token_options o = {.chat = {.eos = "<|eot_id|>"}};
    scratch_text("in.jsonl", text->data);
    lrk_buf_free(text);
    if (lrk_import(&io, &r, &err) != LRK_OK ||
        lrk_tokens_open(&t, path, NULL, tokenizer, &o, &err) != LRK_OK)
        fprintf(stderr, "%s\n", err.text);
    return t;
}

static lrk_tokens *make(const char *path, int rows, int salt)
{
    lrk_buf text = {0};
    for (int i = 0; i < rows; i++) {
        lrk_buf_printf(&text, "{\"prompt\": \"%d\", \"completion\": \"%d ", salt, i);
        for (int k = 0; k < (i * 37) % 23; k++) lrk_buf_puts(&text, "zq");
        lrk_buf_puts(&text, "\"}\n");
    }
    return tokens_of(path, &text);
}

/* Prompts of 40 words that all have, 30 that each third has, and some of their own. */
static lrk_tokens *make_alike(const char *path)
{
    lrk_buf text = {0};
    for (int i = 0; i < ROWS; i++) {
        lrk_buf_puts(&text, "{\"prompt\": \"");
        for (int k = 0; k < 40; k++) lrk_buf_printf(&text, "all%d ", k);
        for (int k = 0; k < 30; k++) lrk_buf_printf(&text, "of %d ", i % 3);
        lrk_buf_printf(&text, "%d\", \"completion\": \"%d\"}\n", i * i, i);
    }
    return tokens_of(path, &text);
}

static int setup(void **state)
{
    const char *path = LRK_SOURCE_DIR "/tests/golden/data/llama/tokenizer.json";
    if (scratch_enter(state) != 0 || lrk_tokenizer_from_json(&tokenizer, path, NULL) != LRK_OK)
        return -1;
    set[0] = make("a.h5", ROWS, 7);
    set[1] = make("b.h5", 20, 8);
    alike = make_alike("c.h5");
    return set[0] && set[1] && alike ? 0 : -1;
}

static int teardown(void **state)
{
    lrk_tokens_close(set[0]);
    lrk_tokens_close(set[1]);
    lrk_tokens_close(alike);
    lrk_tokenizer_free(tokenizer);
    return scratch_leave(state);
}

static lrk_batches *open_batches(size_t n_sets, lrk_batch_options o)
{
    lrk_err err = {0};
    lrk_batches *b;
    if (lrk_batches_open(&b, set, n_sets, &o, &err) != LRK_OK) fail_msg("%s", err.text);
    return b;
}

static const lrk_batch_options usual = {
    .rows_per_step = 16, .tokens_per_micro = 90, .epochs = 2, .seed = 42, .shuffle = true};

/* One micro-batch against the rows it says it holds. */
static void check_micro(const lrk_micro_batch *m, size_t *seen)
{
    size_t at = 0, trained = 0;
    for (size_t s = 0; s < m->n_segments; s++) {
        const int32_t *g = m->segments + s * LRK_SEG_FIELDS;
        const size_t in_b = m->rows[s] >= ROWS, example = (size_t)m->rows[s] - in_b * ROWS;
        uint32_t ids[256];
        uint8_t mask[256];
        const size_t n = lrk_tokens_length(set[in_b], example);
        assert_int_equal(lrk_tokens_read(set[in_b], example, ids, mask, NULL), LRK_OK);
        const int32_t expected[LRK_SEG_FIELDS] = {(int32_t)at, (int32_t)n,  0,
                                                      -1,          (int32_t)at, (int32_t)n};
        assert_memory_equal(g, expected, sizeof expected);
        for (size_t i = 0; i < n; i++, at++) {
            const bool target = i + 1 < n && mask[i + 1];
            assert_int_equal(m->ids[at], ids[i]);
            assert_int_equal(m->targets[at], target ? (int32_t)ids[i + 1] : -1);
            trained += target;
        }
        seen[m->rows[s]]++;
    }
    assert_int_equal(at, m->n_tokens);
    assert_int_equal(trained, m->n_trained);
}

static void every_row_comes_once_an_epoch(void **state)
{
    (void)state;
    lrk_batches *b = open_batches(2, usual);
    const lrk_batch_limits *l = lrk_batches_limits(b);
    lrk_batch_limits got = {0};
    const lrk_step *s;
    size_t seen[ROWS + 20] = {0};
    for (uint64_t step = 0;; step++) {
        assert_int_equal(lrk_batches_next(b, &s, NULL), LRK_OK);
        if (!s) break;
        assert_int_equal(s->step, step);
        assert_int_equal(s->epoch, step / 8);
        assert_int_equal(s->n_rows, step % 8 == 7 ? 121 - 7 * 16 : 16);
        size_t tokens = 0, trained = 0;
        for (size_t k = 0; k < s->n_micro; k++) {
            const lrk_micro_batch *m = &s->micro[k];
            check_micro(m, seen);
            assert_true(m->n_tokens <= 90);
            tokens += m->n_tokens;
            trained += m->n_trained;
            if (m->n_tokens > got.micro_tokens) got.micro_tokens = m->n_tokens;
            if (m->n_segments > got.micro_segments) got.micro_segments = m->n_segments;
            if (m->n_trained > got.micro_trained) got.micro_trained = m->n_trained;
        }
        assert_true(tokens == s->n_tokens && trained == s->n_trained);
        if (s->n_micro > got.step_micro) got.step_micro = s->n_micro;
        if (tokens > got.step_tokens) got.step_tokens = tokens;
        got.steps++;
        got.tokens += tokens;
        got.trained += trained;
        got.rows += s->n_rows;
        if (step % 8 == 7)
            for (size_t i = 0; i < ROWS + 20; i++) assert_int_equal(seen[i], s->epoch + 1);
    }
    assert_int_equal(got.micro_tokens, l->micro_tokens);
    assert_int_equal(got.micro_segments, l->micro_segments);
    assert_int_equal(got.micro_trained, l->micro_trained);
    assert_int_equal(got.step_micro, l->step_micro);
    assert_int_equal(got.step_tokens, l->step_tokens);
    assert_true(got.steps == 16 && l->steps == 16 && l->first_epoch_steps == 8);
    assert_true(got.tokens == l->tokens && got.trained == l->trained && got.rows == l->rows);
    lrk_batches_close(b);
}

/* A number that depends on every token of a step. */
static uint64_t digest(const lrk_step *s)
{
    uint64_t h = s->step * 31 + s->n_micro;
    for (size_t k = 0; k < s->n_micro; k++)
        for (size_t i = 0; i < s->micro[k].n_tokens; i++)
            h = h * 1099511628211u + (uint64_t)s->micro[k].ids[i] +
                (uint64_t)s->micro[k].targets[i];
    return h;
}

static void a_run_that_stopped_goes_on_with_the_same_batches(void **state)
{
    (void)state;
    uint64_t whole[64];
    lrk_batch_cursor at[64];
    const lrk_step *s;
    size_t n = 0;
    lrk_batches *b = open_batches(1, usual);
    for (;; n++) {
        at[n] = lrk_batches_cursor(b);
        assert_int_equal(lrk_batches_next(b, &s, NULL), LRK_OK);
        if (!s) break;
        whole[n] = digest(s);
    }
    assert_true(n == 14 && whole[0] != whole[7]);
    lrk_batches_close(b);
    for (size_t stop = 0; stop <= n; stop++) {
        b = open_batches(1, usual);
        assert_int_equal(lrk_batches_seek(b, at[stop], NULL), LRK_OK);
        for (size_t i = stop; i < n; i++) {
            assert_int_equal(lrk_batches_next(b, &s, NULL), LRK_OK);
            assert_true(s && digest(s) == whole[i]);
        }
        assert_int_equal(lrk_batches_next(b, &s, NULL), LRK_OK);
        assert_null(s);
        lrk_batch_cursor wrong = at[stop];
        wrong.step++;
        assert_int_equal(lrk_batches_seek(b, wrong, NULL), LRK_EINPUT);
        wrong = at[stop];
        wrong.position++;
        assert_int_equal(lrk_batches_seek(b, wrong, NULL), LRK_EINPUT);
        lrk_batches_close(b);
    }
}

static void order_follows_the_seed(void **state)
{
    (void)state;
    uint64_t first[3];
    const lrk_step *s;
    for (int i = 0; i < 3; i++) {
        lrk_batch_options o = usual;
        o.seed = i == 2 ? 43 : 42;
        lrk_batches *b = open_batches(1, o);
        assert_int_equal(lrk_batches_next(b, &s, NULL), LRK_OK);
        first[i] = digest(s);
        lrk_batches_close(b);
    }
    assert_true(first[0] == first[1] && first[0] != first[2]);
    uint64_t row[2] = {0}; /* and each epoch has an order of its own */
    lrk_batches *two = open_batches(1, usual);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(lrk_batches_next(two, &s, NULL), LRK_OK);
        if (i % 7) continue;
        for (size_t k = 0; k < s->n_micro; k++)
            for (size_t j = 0; j < s->micro[k].n_segments; j++)
                row[i / 7] = row[i / 7] * 131 + s->micro[k].rows[j];
    }
    assert_true(row[0] != row[1]);
    lrk_batches_close(two);
    lrk_batch_options o = usual;
    o.shuffle = false;
    lrk_batches *b = open_batches(1, o);
    assert_int_equal(lrk_batches_next(b, &s, NULL), LRK_OK);
    for (size_t k = 0; k < s->n_micro; k++)
        for (size_t i = 0; i < s->micro[k].n_segments; i++) assert_true(s->micro[k].rows[i] < 16);
    lrk_batches_close(b);
}

static void the_length_of_a_run_is_what_was_asked(void **state)
{
    (void)state;
    lrk_batch_options o = usual;
    const struct {
        double epochs;
        uint64_t max, steps;
    } cases[] = {{1, 0, 7},     {0.5, 0, 4}, {2.5, 0, 18}, {3, 5, 5},
                 {0.001, 0, 1}, {1, 100, 7}, {5, 9, 9}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        o.epochs = cases[i].epochs;
        o.max_steps = cases[i].max;
        lrk_batches *b = open_batches(1, o);
        const lrk_step *s;
        uint64_t steps = 0;
        for (;; steps++) {
            assert_int_equal(lrk_batches_next(b, &s, NULL), LRK_OK);
            if (!s) break;
        }
        assert_int_equal(steps, cases[i].steps);
        assert_int_equal(lrk_batches_limits(b)->steps, cases[i].steps);
        lrk_batches_close(b);
    }
}

static void budgets_are_kept(void **state)
{
    (void)state;
    const lrk_step *s;
    lrk_batch_options o = {
        .tokens_per_step = 200, .rows_per_micro = 3, .epochs = 1, .seed = 1, .shuffle = true};
    lrk_batches *b = open_batches(1, o);
    size_t rows = 0;
    for (;;) {
        assert_int_equal(lrk_batches_next(b, &s, NULL), LRK_OK);
        if (!s) break;
        assert_true(s->n_tokens <= 200);
        rows += s->n_rows;
        for (size_t k = 0; k < s->n_micro; k++) assert_true(s->micro[k].n_segments <= 3);
        assert_int_equal(s->n_micro, (s->n_rows + 2) / 3); /* first fit leaves no gaps */
    }
    assert_int_equal(rows, ROWS);
    lrk_batches_close(b);
    o.tokens_per_step = 1; /* every row is a step of its own */
    b = open_batches(1, o);
    assert_int_equal(lrk_batches_limits(b)->steps, ROWS);
    lrk_batches_close(b);
    lrk_err err = {0};
    o.tokens_per_micro = 5;
    assert_int_equal(lrk_batches_open(&b, set, 1, &o, &err), LRK_EUSAGE);
    assert_non_null(strstr(err.text, "micro_batch_tokens is 5, but the longest row has"));
}

static void rows_held_out_are_the_others(void **state)
{
    (void)state;
    const double sizes[] = {0.2, 13, 1e-4};
    const size_t wanted[] = {24, 13, 1}; /* of 121 */
    for (int i = 0; i < 3; i++) {
        size_t seen[ROWS + 20] = {0}, n[2] = {0};
        for (int held = 0; held < 2; held++) {
            lrk_batch_options o = usual;
            const lrk_step *s;
            o.epochs = 1;
            o.val_set_size = sizes[i];
            o.held_out = held;
            lrk_batches *b = open_batches(2, o);
            for (;;) {
                assert_int_equal(lrk_batches_next(b, &s, NULL), LRK_OK);
                if (!s) break;
                n[held] += s->n_rows;
                for (size_t k = 0; k < s->n_micro; k++) check_micro(&s->micro[k], seen);
            }
            lrk_batches_close(b);
        }
        for (size_t k = 0; k < ROWS + 20; k++) assert_int_equal(seen[k], 1);
        assert_int_equal(n[1], wanted[i]);
    }
    lrk_batches *b;
    lrk_batch_options o = usual;
    o.val_set_size = 101;
    assert_int_equal(lrk_batches_open(&b, set, 1, &o, NULL), LRK_EUSAGE);
}

/* The row that ends with segment s, put together from its ancestors, against the row itself; returns how
 * many of its tokens stand in segments before it. */
static size_t check_row(const lrk_micro_batch *m, size_t s)
{
    uint32_t ids[512];
    uint8_t mask[512];
    const size_t n = lrk_tokens_length(alike, (size_t)m->rows[s]);
    assert_true(n <= 512);
    assert_int_equal(lrk_tokens_read(alike, (size_t)m->rows[s], ids, mask, NULL), LRK_OK);
    size_t end = n;
    for (int32_t at = (int32_t)s; at >= 0;) {
        const int32_t *g = m->segments + (size_t)at * LRK_SEG_FIELDS;
        const size_t first = (size_t)g[LRK_SEG_POSITION], start = (size_t)g[LRK_SEG_START];
        assert_int_equal(first + (size_t)g[LRK_SEG_LENGTH], end);
        for (size_t i = first; i < end; i++) {
            const bool target = i + 1 < n && mask[i + 1];
            assert_int_equal(m->ids[start + i - first], ids[i]);
            assert_int_equal(m->targets[start + i - first], target ? (int32_t)ids[i + 1] : -1);
        }
        assert_true(g[LRK_SEG_PARENT] < at && (g[LRK_SEG_PARENT] < 0) == (first == 0));
        end = first;
        at = g[LRK_SEG_PARENT];
    }
    return (size_t)m->segments[s * LRK_SEG_FIELDS + LRK_SEG_POSITION];
}

static bool has_children(const lrk_micro_batch *m, size_t s)
{
    for (size_t k = s + 1; k < m->n_segments; k++)
        if (m->segments[k * LRK_SEG_FIELDS + LRK_SEG_PARENT] == (int32_t)s) return true;
    return false;
}

static void what_rows_begin_with_stands_once(void **state)
{
    (void)state;
    for (size_t tokens = 0; tokens <= 500; tokens += 500) {
        lrk_batch_options o = usual;
        o.share_prefixes = true;
        o.tokens_per_micro = tokens;
        lrk_batches *b;
        assert_int_equal(lrk_batches_open(&b, &alike, 1, &o, NULL), LRK_OK);
        const lrk_batch_limits *l = lrk_batches_limits(b);
        size_t seen[ROWS] = {0}, most_segments = 0, most_tokens = 0, computed = 0, all = 0;
        for (const lrk_step *s;;) {
            assert_int_equal(lrk_batches_next(b, &s, NULL), LRK_OK);
            if (!s) break;
            size_t in_step = 0;
            for (size_t k = 0; k < s->n_micro; k++) {
                const lrk_micro_batch *m = &s->micro[k];
                for (size_t i = 0; i < m->n_segments; i++) {
                    if (has_children(m, i)) continue;
                    seen[m->rows[i]]++;
                    /* all but alone in its micro-batch: the first piece of what all have */
                    if (check_row(m, i) == 0) assert_int_equal(m->n_segments, 1);
                }
                assert_true(!tokens || m->n_tokens <= tokens);
                most_segments = m->n_segments > most_segments ? m->n_segments : most_segments;
                most_tokens = m->n_tokens > most_tokens ? m->n_tokens : most_tokens;
                in_step += m->n_tokens;
            }
            assert_int_equal(in_step, s->n_computed);
            computed += in_step;
            all += s->n_tokens;
        }
        for (size_t i = 0; i < ROWS; i++) assert_int_equal(seen[i], 2);
        assert_true(most_segments == l->micro_segments && most_tokens == l->micro_tokens);
        assert_true(computed == l->computed && all == l->tokens && (tokens ? 1 : 3) * computed < all);
        lrk_batches_close(b);
    }
}

static void rows_that_share_nothing_stand_as_ever(void **state)
{
    (void)state;
    lrk_batch_options o = usual;
    lrk_batches *apart = open_batches(2, o);
    o.share_prefixes = true;
    lrk_batches *b = open_batches(2, o);
    for (const lrk_step *s, *t;;) {
        assert_int_equal(lrk_batches_next(apart, &s, NULL), LRK_OK);
        assert_int_equal(lrk_batches_next(b, &t, NULL), LRK_OK);
        if (!s) break;
        assert_true(digest(s) == digest(t) && t->n_computed == t->n_tokens);
    }
    lrk_batches_close(apart);
    lrk_batches_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_comes_once_an_epoch),
        cmocka_unit_test(a_run_that_stopped_goes_on_with_the_same_batches),
        cmocka_unit_test(order_follows_the_seed),
        cmocka_unit_test(the_length_of_a_run_is_what_was_asked),
        cmocka_unit_test(budgets_are_kept),
        cmocka_unit_test(rows_held_out_are_the_others),
        cmocka_unit_test(what_rows_begin_with_stands_once),
        cmocka_unit_test(rows_that_share_nothing_stand_as_ever),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
