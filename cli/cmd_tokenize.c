/* cli/cmd_tokenize.c -- lorikeet tokenize: text to ids and back. */
#include "base/json.h"
#include "cli/command.h"
#include "generate/model_text.h"

#include <inttypes.h>
#include <stdio.h>

enum { MAX_JSON = 1 << 30, MAX_INPUT = 1 << 30 };

static lrk_status print(lrk_buf *b, lrk_status s, lrk_err *err)
{
    if (s == LRK_OK) s = lrk_buf_check(b, err);
    if (s == LRK_OK && (fwrite(b->data, 1, b->n, stdout) != b->n || fflush(stdout) != 0))
        s = lrk_fail(err, LRK_EIO, "standard output: writing failed");
    lrk_buf_free(b);
    return s;
}

/* A file that holds one array. */
static lrk_status load_array(lrk_json **out, const char *path, lrk_err *err)
{
    LRK_TRY(lrk_json_load(out, path, MAX_JSON, err));
    if (lrk_json_is(*out, LRK_JSON_ARRAY)) return LRK_OK;
    lrk_json_free(*out);
    return lrk_fail(err, LRK_EINPUT, "%s: expected an array", path);
}

static lrk_status encode_one(const lrk_tokenizer *t, const lrk_json *v, bool special, lrk_ids *ids,
                             lrk_buf *b, lrk_err *err)
{
    size_t n = 0;
    const char *text = lrk_json_string(v, &n);
    LRK_REQUIRE(err, text, LRK_EINPUT, "expected a string");
    LRK_TRY(lrk_encode(t, text, n, special, ids, err));
    lrk_buf_puts(b, "[");
    for (size_t i = 0; i < ids->n; i++) lrk_buf_printf(b, "%s%" PRIu32, i ? ", " : "", ids->id[i]);
    lrk_buf_puts(b, "]");
    return LRK_OK;
}

static lrk_status encode_file(const lrk_tokenizer *t, const char *path, bool special, lrk_err *err)
{
    lrk_json *texts;
    lrk_ids ids = {.n = 0};
    lrk_buf b = {.n = 0};
    lrk_status s = LRK_OK;
    LRK_TRY(load_array(&texts, path, err));
    lrk_buf_puts(&b, "[");
    for (size_t i = 0; s == LRK_OK && i < lrk_json_size(texts); i++) {
        if (i) lrk_buf_puts(&b, ", ");
        s = encode_one(t, lrk_json_at(texts, i), special, &ids, &b, err);
        if (s != LRK_OK) s = lrk_err_prefix(err, s, "%s: element %zu", path, i);
    }
    lrk_buf_puts(&b, "]\n");
    lrk_json_free(texts);
    lrk_ids_free(&ids);
    return print(&b, s, err);
}

static lrk_status decode_one(const lrk_tokenizer *t, const lrk_json *list, lrk_ids *ids, lrk_buf *b,
                             lrk_err *err)
{
    lrk_buf text = {.n = 0};
    LRK_REQUIRE(err, lrk_json_is(list, LRK_JSON_ARRAY), LRK_EINPUT, "expected an array of ids");
    const size_t n = lrk_json_size(list);
    if (n > ids->capacity) {
        uint32_t *grown = lrk_heap_grow(ids->id, n, sizeof *grown);
        LRK_REQUIRE(err, grown, LRK_ENOMEM, "no memory for %zu ids", n);
        ids->id = grown;
        ids->capacity = n;
    }
    for (size_t i = 0; i < n; i++) {
        const lrk_json *id = lrk_json_at(list, i);
        LRK_REQUIRE(err,
                    lrk_json_is(id, LRK_JSON_INTEGER) && lrk_json_integer(id) >= 0 &&
                        lrk_json_integer(id) <= UINT32_MAX,
                    LRK_EINPUT, "id %zu: expected a number from 0 on", i);
        ids->id[i] = (uint32_t)lrk_json_integer(id);
    }
    const lrk_status s = lrk_decode(t, ids->id, n, false, &text, err);
    if (s == LRK_OK) lrk_json_quote(b, text.n ? text.data : "", text.n);
    lrk_buf_free(&text);
    return s;
}

static lrk_status decode_file(const lrk_tokenizer *t, const char *path, lrk_err *err)
{
    lrk_json *lists;
    lrk_ids ids = {.n = 0};
    lrk_buf b = {.n = 0};
    lrk_status s = LRK_OK;
    LRK_TRY(load_array(&lists, path, err));
    lrk_buf_puts(&b, "[");
    for (size_t i = 0; s == LRK_OK && i < lrk_json_size(lists); i++) {
        if (i) lrk_buf_puts(&b, ", ");
        s = decode_one(t, lrk_json_at(lists, i), &ids, &b, err);
        if (s != LRK_OK) s = lrk_err_prefix(err, s, "%s: element %zu", path, i);
    }
    lrk_buf_puts(&b, "]\n");
    lrk_json_free(lists);
    lrk_ids_free(&ids);
    return print(&b, s, err);
}

static lrk_status read_input(lrk_buf *text, lrk_err *err)
{
    char block[1 << 14];
    for (size_t n; (n = fread(block, 1, sizeof block, stdin)) > 0;) {
        LRK_REQUIRE(err, text->n + n <= MAX_INPUT, LRK_EVALUE, "standard input: more than 1 GiB");
        lrk_buf_append(text, block, n);
    }
    LRK_REQUIRE(err, !ferror(stdin), LRK_EIO, "standard input: reading failed");
    return lrk_buf_check(text, err);
}

/* What an id stands for by itself. */
static lrk_status piece_text(const lrk_tokenizer *t, uint32_t id, lrk_buf *piece, lrk_err *err)
{
    lrk_stream alone = {.begun = true};
    piece->n = 0;
    LRK_TRY(lrk_stream_push(t, &alone, id, false, piece, err));
    lrk_stream_end(&alone, piece);
    return LRK_OK;
}

/* One line: each id with the text it stands for. */
static lrk_status show(const lrk_tokenizer *t, const lrk_ids *ids, lrk_buf *b, lrk_err *err)
{
    lrk_buf piece = {.n = 0};
    lrk_status s = LRK_OK;
    for (size_t i = 0; s == LRK_OK && i < ids->n; i++) {
        s = piece_text(t, ids->id[i], &piece, err);
        lrk_buf_printf(b, "%s%" PRIu32 " ", i ? ", " : "", ids->id[i]);
        lrk_json_quote(b, piece.n ? piece.data : "", piece.n);
    }
    lrk_buf_puts(b, "\n");
    lrk_buf_free(&piece);
    return s;
}

/* The same as JSON. */
static lrk_status show_json(const lrk_tokenizer *t, const lrk_ids *ids, lrk_buf *b, lrk_err *err)
{
    lrk_buf piece = {.n = 0};
    lrk_json *list = lrk_json_array();
    lrk_status s = LRK_OK;
    for (size_t i = 0; s == LRK_OK && i < ids->n; i++) {
        lrk_json *token = lrk_json_object();
        s = piece_text(t, ids->id[i], &piece, err);
        lrk_json_set_count(token, "id", ids->id[i]);
        lrk_json_set(token, "text", lrk_json_new_string(piece.n ? piece.data : "", piece.n));
        lrk_json_add(list, token);
    }
    if (s == LRK_OK) s = lrk_json_dump(list, 0, b, err);
    lrk_buf_puts(b, "\n");
    lrk_json_free(list);
    lrk_buf_free(&piece);
    return s;
}

static lrk_status encode_input(const lrk_tokenizer *t, bool special, bool json, lrk_err *err)
{
    lrk_buf text = {.n = 0}, b = {.n = 0};
    lrk_ids ids = {.n = 0};
    lrk_status s = read_input(&text, err);
    if (s == LRK_OK) s = lrk_encode(t, text.data, text.n, special, &ids, err);
    if (s == LRK_OK) s = json ? show_json(t, &ids, &b, err) : show(t, &ids, &b, err);
    lrk_buf_free(&text);
    lrk_ids_free(&ids);
    return print(&b, s, err);
}

static lrk_status run(int argc, char **argv, lrk_err *err)
{
    const char *model = NULL, *texts = NULL, *ids = NULL;
    bool no_special = false, json = false;
    const lrk_option options[] = {{"model", LRK_OPTION_STRING, &model, true, NULL},
                                  {"texts", LRK_OPTION_STRING, &texts, false, NULL},
                                  {"ids", LRK_OPTION_STRING, &ids, false, NULL},
                                  {"no-special", LRK_OPTION_FLAG, &no_special, false, NULL},
                                  {"json", LRK_OPTION_FLAG, &json, false, NULL}};
    LRK_TRY(lrk_options_parse(options, sizeof options / sizeof *options, &argc, argv, err));
    LRK_REQUIRE(err, argc == 0, LRK_EUSAGE, "tokenize: %s: nothing was expected here", argv[0]);
    LRK_REQUIRE(err, !texts || !ids, LRK_EUSAGE, "tokenize: --texts and --ids: one of them");
    lrk_model_text m;
    LRK_TRY(lrk_text_open(&m, model, err));
    lrk_status s;
    if (texts)
        s = encode_file(m.tokenizer, texts, !no_special, err);
    else if (ids)
        s = decode_file(m.tokenizer, ids, err);
    else
        s = encode_input(m.tokenizer, !no_special, json, err);
    lrk_text_close(&m);
    return s;
}

const lrk_command lrk_command_tokenize = {
    .name = "tokenize",
    .summary = "turn text into token ids, or ids into text",
    .help = "usage: lorikeet tokenize --model PATH [--texts FILE | --ids FILE] [--no-special] [--json]\n"
            "\n"
            "Gives the ids that the model's own tokenizer gives. Without a file, reads text from\n"
            "standard input and prints one line of ids with what they stand for.\n"
            "\n"
            "  --model PATH   a GGUF file, a Hugging Face directory, or a tokenizer.json\n"
            "  --texts FILE   JSON, an array of strings; prints an array of arrays of ids\n"
            "  --ids FILE     JSON, an array of arrays of ids; prints an array of strings\n"
            "  --no-special   adds no token that begins or ends a text\n"
            "  --json         without a file: an array of ids and texts; with one, JSON comes anyway\n"
            "\n"
            "Texts of special tokens (<|im_end|>) become these tokens, with --no-special as well.\n"
            "\n"
            "example: printf 'How many orders today?' | lorikeet tokenize --model model.gguf\n",
    .run = run,
};
