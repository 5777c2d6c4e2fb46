/* cli/data_show.c -- lorikeet data show: one row as the model will see it. */
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "checkpoint/adapter.h"
#include "cli/command.h"
#include "cli/data_commands.h"
#include "data/import.h"
#include "data/tokens.h"
#include "generate/text_files.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static lrk_status open_text(lrk_data_view *v, const char *model, const char *adapter, const char *chat_template,
                            lrk_err *err)
{
    const char *kind = lrk_dataset_kind(v->data), *choice;
    const bool turns = strcmp(kind, "prompt") != 0 && strcmp(kind, "text") != 0;
    lrk_arena a = lrk_arena_growing("chat template");
    lrk_status s = lrk_text_choice(chat_template, adapter, &a, &choice, err);
    if (s == LRK_OK) s = lrk_text_open(&v->model, lrk_text_path(model, adapter), err);
    if (s == LRK_OK) s = lrk_text_chat(&v->model, choice, model, turns, &v->template, &v->chat, err);
    lrk_arena_free(&a);
    return s;
}

/* What is called a data set is opened as one, so that of a damaged file that is said. */
static lrk_status open_data(lrk_data_view *v, const lrk_data_input *in, lrk_err *err)
{
    const bool named = lrk_ends_with(in->path, ".h5") || lrk_ends_with(in->path, ".hdf5");
    if (named && !in->shape && !in->prompt && !in->completion) return lrk_dataset_open(&v->data, in->path, err);
    lrk_import_options o = {.prompt = in->prompt, .completion = in->completion};
    lrk_arena a = lrk_arena_growing("path");
    char *path;
    lrk_status s = in->shape ? lrk_shape_from_name(in->shape, &o.shape, err) : LRK_OK;
    if (s == LRK_OK && !in->prompt != !in->completion)
        s = lrk_fail(err, LRK_EUSAGE, "--prompt and --completion belong together");
    if (s == LRK_OK) s = lrk_import_cached(in->path, &o, NULL, &a, &path, err);
    if (s == LRK_OK) s = lrk_dataset_open(&v->data, path, err);
    lrk_arena_free(&a);
    return s;
}

lrk_status lrk_data_view_open(lrk_data_view *v, const lrk_data_input *in, const char *model, const char *adapter,
                              const char *chat_template, lrk_err *err)
{
    *v = (lrk_data_view){.path = in->path};
    lrk_writers_stop_on_signal();
    if (adapter) LRK_TRY(lrk_adapter_check_path(adapter, err));
    lrk_status s = open_data(v, in, err);
    if (s == LRK_OK && model) s = open_text(v, model, adapter, chat_template, err);
    if (s != LRK_OK) lrk_data_view_close(v);
    return s;
}

void lrk_data_view_close(lrk_data_view *v)
{
    lrk_template_free(v->template);
    lrk_text_close(&v->model);
    lrk_dataset_close(v->data);
    *v = (lrk_data_view){0};
}

/* A turn and its tokens; tokens before a turn's first span are its header. */
typedef struct turn {
    const char *role;
    size_t tokens, trained;
} turn;

/* Turn of the token that begins at byte `at`: that of the next span to end; behind the last span,
 * the last turn. */
static size_t turn_at(const lrk_chat_text *t, size_t at)
{
    const lrk_rendered *r = &t->rendered;
    for (size_t i = 0; i < r->n_spans; i++)
        if (r->spans[i].end > at) return r->spans[i].message;
    return r->n_spans ? r->spans[r->n_spans - 1].message : 0;
}

static lrk_status count_turns(const lrk_row_tokens *t, lrk_arena *a, turn **turns, size_t *n,
                              lrk_err *err)
{
    const lrk_rendered *r = &t->text.rendered;
    *n = 1;
    for (size_t i = 0; i < r->n_spans; i++)
        if (r->spans[i].message >= *n) *n = r->spans[i].message + 1;
    LRK_TRY(lrk_alloc(a, *n, sizeof **turns, "turns", turns, err));
    for (size_t i = 0; i < r->n_spans; i++) (*turns)[r->spans[i].message].role = r->spans[i].role;
    for (size_t i = 0; i < t->ids.n; i++) {
        turn *u = &(*turns)[turn_at(&t->text, t->ids.begin[i])];
        u->tokens++;
        u->trained += t->mask[i];
    }
    return LRK_OK;
}

/* A stranger's text must not steer the terminal: control bytes are shown, not sent. */
static void put_safely(const char *s, size_t n, bool newlines)
{
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)s[i];
        if (c == '\n' && !newlines)
            fputs("\\n", stdout);
        else if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
            printf("\\x%02x", (unsigned)c);
        else
            putchar(c);
    }
}

/* The text, trained tokens between marks. */
static void print_text(const lrk_row_tokens *t, size_t sequence_len, bool colour)
{
    const char *on = colour ? "\033[1;32m" : "[[", *off = colour ? "\033[0m" : "]]";
    const char *cut = colour ? "\033[31m<cut>\033[2m" : "<cut>";
    const lrk_buf *text = &t->text.text;
    bool trained = false;
    size_t written = 0;
    for (size_t i = 0; i <= t->ids.n; i++) {
        const bool end = i == t->ids.n;
        const size_t at = end ? text->n : t->ids.begin[i];
        const bool now = !end && t->mask[i] && (!sequence_len || i < sequence_len);
        if (at > written) {
            put_safely(text->data + written, at - written, true);
            written = at;
        }
        if (trained && !now) fputs(off, stdout);
        if (sequence_len && i == sequence_len && !end) fputs(cut, stdout);
        if (now && !trained) fputs(on, stdout);
        trained = now;
    }
    puts(colour ? "\033[0m" : "");
}

static lrk_status print_tokens(const lrk_tokenizer *tok, const lrk_row_tokens *t,
                               size_t sequence_len, lrk_err *err)
{
    lrk_buf piece = {0};
    lrk_status s = LRK_OK;
    for (size_t i = 0; s == LRK_OK && i < t->ids.n; i++) {
        piece.n = 0;
        s = lrk_token_bytes(tok, t->ids.id[i], &piece, err);
        const bool cut = sequence_len && i >= sequence_len;
        printf("%6zu %8" PRIu32 "  %s  ", i, t->ids.id[i],
               cut          ? "cut    "
               : t->mask[i] ? "trained"
                            : "       ");
        put_safely(piece.data ? piece.data : "", piece.n, false);
        putchar('\n');
    }
    lrk_buf_free(&piece);
    return s;
}

static void print_head(lrk_data_view *v, const lrk_record *r, const lrk_row_tokens *t,
                       const turn *turns, size_t n, size_t sequence_len)
{
    printf("%s, row %" PRIu64 ": %zu tokens, %zu trained (%.0f %%)\n", lrk_record_where(v->data, r),
           r->row, t->ids.n, t->trained,
           t->ids.n ? 100.0 * (double)t->trained / (double)t->ids.n : 0.0);
    for (size_t i = 0; i < n && t->text.rendered.n_spans; i++) {
        const char *role = turns[i].role ? turns[i].role : "";
        const size_t length = strlen(role), width = 10;
        fputs("  ", stdout);
        put_safely(role, length, false);
        printf("%*s %6zu tokens %6zu trained\n", length < width ? (int)(width - length) : 0, "",
               turns[i].tokens, turns[i].trained);
    }
    if (!t->trained) printf("  no token is trained: such a row is refused\n");
    if (sequence_len && t->ids.n > sequence_len)
        printf("  longer than sequence_len %zu: %zu tokens would be cut\n", sequence_len,
               t->ids.n - sequence_len);
    printf("\n");
}

static lrk_status print_json(lrk_data_view *v, const lrk_record *r, const lrk_row_tokens *t,
                             const turn *turns, size_t n, lrk_err *err)
{
    lrk_json *o = lrk_json_object(), *ids = lrk_json_array(), *mask = lrk_json_array();
    lrk_json *list = lrk_json_array();
    const char *where = lrk_record_where(v->data, r);
    for (size_t i = 0; i < t->ids.n; i++) {
        lrk_json_add(ids, lrk_json_new_integer(t->ids.id[i]));
        lrk_json_add(mask, lrk_json_new_integer(t->mask[i]));
    }
    for (size_t i = 0; i < n && t->text.rendered.n_spans; i++) {
        lrk_json *u = lrk_json_object();
        const char *role = turns[i].role ? turns[i].role : "";
        lrk_json_set(u, "role", lrk_json_c_string(role));
        lrk_json_set_count(u, "tokens", turns[i].tokens);
        lrk_json_set_count(u, "trained", turns[i].trained);
        lrk_json_add(list, u);
    }
    lrk_json_set_count(o, "row", r->row);
    lrk_json_set(o, "where", lrk_json_c_string(where));
    lrk_json_set(o, "text", lrk_json_new_string(t->text.text.data, t->text.text.n));
    lrk_json_set(o, "ids", ids);
    lrk_json_set(o, "mask", mask);
    lrk_json_set(o, "turns", list);
    return lrk_print_json(o, err);
}

typedef struct show_options {
    const char *model, *adapter, *split, *chat_template, *thinking;
    size_t row, sequence_len;
    bool train_on_inputs, tokens, json;
} show_options;

/* The row's number in the file. */
static lrk_status find_row(lrk_data_view *v, const show_options *o, uint64_t *row, lrk_err *err)
{
    const int split = o->split ? lrk_dataset_split(v->data, o->split) : -1;
    LRK_REQUIRE(err, !o->split || split >= 0, LRK_EINPUT, "%s: no split '%.40s'", v->path, o->split);
    const uint64_t rows =
        o->split ? lrk_dataset_split_rows(v->data, (size_t)split) : lrk_dataset_rows(v->data);
    LRK_REQUIRE(err, o->row < rows, LRK_EUSAGE,
                "%s: row %zu: there are %" PRIu64 "%s%s, counted from 0", v->path, o->row, rows,
                o->split ? " in split " : "", o->split ? o->split : "");
    *row = o->row;
    return o->split ? lrk_dataset_split_read(v->data, (size_t)split, o->row, 1, row, err) : LRK_OK;
}

static lrk_status show(lrk_data_view *v, const show_options *o, lrk_arena *a, lrk_row_tokens *t,
                       lrk_err *err)
{
    uint64_t row;
    lrk_record r;
    turn *turns;
    size_t n;
    v->chat.train_on_inputs = o->train_on_inputs;
    LRK_TRY(lrk_thinking_choose(o->thinking, &v->chat.thinking, err));
    LRK_TRY(find_row(v, o, &row, err));
    LRK_TRY(lrk_dataset_read(v->data, row, a, &r, err));
    const lrk_status s = lrk_row_tokenize(&r, v->model.tokenizer, &v->chat, t, err);
    if (s != LRK_OK) return lrk_err_prefix(err, s, "%s", lrk_record_where(v->data, &r));
    LRK_TRY(count_turns(t, a, &turns, &n, err));
    if (o->json) return print_json(v, &r, t, turns, n, err);
    print_head(v, &r, t, turns, n, o->sequence_len);
    if (o->tokens) return print_tokens(v->model.tokenizer, t, o->sequence_len, err);
    print_text(t, o->sequence_len, isatty(STDOUT_FILENO) && !lrk_env("NO_COLOR"));
    return LRK_OK;
}

lrk_status lrk_data_show_run(int argc, char **argv, lrk_err *err)
{
    show_options o = {0};
    lrk_data_input in = {.path = NULL};
    const lrk_option options[] = {{"model", LRK_OPTION_STRING, &o.model, true, NULL},
                                  {"adapter", LRK_OPTION_STRING, &o.adapter, false, NULL},
                                  {"row", LRK_OPTION_SIZE, &o.row, false, NULL},
                                  {"split", LRK_OPTION_STRING, &o.split, false, NULL},
                                  {"chat-template", LRK_OPTION_STRING, &o.chat_template, false, NULL},
                                  {"sequence-len", LRK_OPTION_SIZE, &o.sequence_len, false, LRK_RANGE_TOKENS},
                                  {"train-on-inputs", LRK_OPTION_FLAG, &o.train_on_inputs, false, NULL},
                                  {"thinking-blocks", LRK_OPTION_STRING, &o.thinking, false, NULL},
                                  LRK_DATA_INPUT_OPTIONS(in),
                                  {"tokens", LRK_OPTION_FLAG, &o.tokens, false, NULL},
                                  {"json", LRK_OPTION_FLAG, &o.json, false, NULL}};
    LRK_TRY(lrk_options_parse(options, sizeof options / sizeof *options, &argc, argv, err));
    LRK_REQUIRE(err, argc == 1, LRK_EUSAGE, "data show: expected one data set, got %d", argc);
    lrk_data_view v;
    in.path = argv[0];
    LRK_TRY(lrk_data_view_open(&v, &in, o.model, o.adapter, o.chat_template, err));
    lrk_arena a = lrk_arena_growing("row");
    lrk_row_tokens t = {0};
    const lrk_status s = show(&v, &o, &a, &t, err);
    lrk_row_tokens_free(&t);
    lrk_arena_free(&a);
    lrk_data_view_close(&v);
    return s;
}
