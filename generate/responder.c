/* generate/responder.c -- opens a model and lets it answer. */
#include "generate/responder.h"

#include "base/file.h"
#include "base/sha256.h"
#include "base/size.h"
#include "generate/manifest.h"
#include "generate/text_files.h"

#include <string.h>

static lrk_status open_all(lrk_responder *r, lrk_err *err)
{
    const lrk_responder_options *o = &r->options;
    LRK_TRY(lrk_base_open(&r->base, o->model, err));
    const char *text = lrk_text_path(o->model, o->adapter);
    LRK_TRY(lrk_text_open(&r->text, text, err));
    if (o->adapter) LRK_TRY(lrk_adapter_load(&r->adapter, o->adapter, err));
    if (o->adapter) LRK_TRY(lrk_base_fit(&r->base, &r->adapter, o->any_base, err));
    return lrk_text_check_rows(&r->text, r->base.decoder.vocabulary, text, err);
}

lrk_status lrk_responder_open(lrk_responder *r, const lrk_responder_options *o, lrk_err *err)
{
    *r = (lrk_responder){.options = *o};
    const lrk_status status = open_all(r, err);
    if (status != LRK_OK) lrk_responder_close(r);
    return status;
}

void lrk_responder_close(lrk_responder *r)
{
    lrk_engine_close(&r->engine);
    r->engine_open = false;
    lrk_template_free(r->chat);
    r->chat = NULL;
    lrk_adapter_free(&r->adapter);
    lrk_text_close(&r->text);
    lrk_base_close(&r->base);
}

static lrk_status encode(const lrk_responder *r, const char *text, size_t n, bool bos, lrk_ids *ids,
                         lrk_err *err)
{
    LRK_TRY(lrk_encode(r->text.tokenizer, text, n, false, ids, err));
    const int64_t id = lrk_tokenizer_special(r->text.tokenizer, LRK_TOKEN_BOS);
    if (!bos || id < 0 || !lrk_tokenizer_adds_bos(r->text.tokenizer)) return LRK_OK;
    if (ids->n && ids->id[0] == (uint32_t)id) return LRK_OK; /* the prompt brings its own */
    uint32_t *grown = lrk_heap_grow(ids->id, ids->n + 1, sizeof *grown);
    LRK_REQUIRE(err, grown, LRK_ENOMEM, "memory: no room for a prompt");
    size_t *begin = lrk_heap_grow(ids->begin, ids->n + 1, sizeof *begin);
    ids->id = grown;
    LRK_REQUIRE(err, begin, LRK_ENOMEM, "memory: no room for a prompt");
    ids->begin = begin;
    memmove(grown + 1, grown, ids->n * sizeof *grown);
    memmove(begin + 1, begin, ids->n * sizeof *begin);
    grown[0] = (uint32_t)id;
    begin[0] = 0;
    ids->capacity = ++ids->n;
    return LRK_OK;
}

lrk_status lrk_responder_text(const lrk_responder *r, const char *text, size_t n, lrk_ids *ids,
                              lrk_err *err)
{
    return encode(r, text, n, true, ids, err);
}

/* A conversation is nothing that it has seen. */
static void note_plain(const lrk_responder_options *o)
{
    const char *name = o->adapter ? o->adapter : o->model;
    lrk_json *m = NULL;
    if (o->chat_template) return;
    (void)lrk_manifest_of_model(&m, name, NULL);
    if (lrk_manifest_trained_plain(m)) lrk_manifest_note_plain(name);
    lrk_json_free(m);
}

lrk_status lrk_responder_messages(lrk_responder *r, lrk_json *messages, lrk_json *tools,
                                  lrk_ids *ids, lrk_err *err)
{
    if (!r->chat) {
        lrk_arena a = lrk_arena_growing("chat template");
        const char *choice;
        lrk_status s = lrk_text_choice(r->options.chat_template, r->options.adapter, &a, &choice, err);
        if (s == LRK_OK)
            s = lrk_text_chat(&r->text, choice, r->options.model, true, &r->chat, &r->chat_options, err);
        lrk_arena_free(&a);
        LRK_TRY(s);
        note_plain(&r->options);
        r->chat_options.add_generation_prompt = true;
    }
    const size_t n = lrk_json_size(messages);
    const char *last = n ? lrk_json_string(lrk_json_get(lrk_json_at(messages, n - 1), "role"), NULL) : NULL;
    LRK_REQUIRE(err, !last || strcmp(last, "assistant") != 0, LRK_EINPUT,
                "messages: the last turn is the assistant's, so the model would see the answer and write another "
                "one; leave that turn out");
    lrk_chat_text text = {0};
    LRK_TRY(lrk_chat_messages(&r->chat_options, messages, tools, &text, err));
    const lrk_status status = encode(r, text.text.data ? text.text.data : "", text.text.n,
                                     text.add_bos, ids, err);
    lrk_chat_text_free(&text);
    return status;
}

static lrk_status add_turn(lrk_json *messages, const char *role, const char *content, lrk_err *err)
{
    const size_t n = strlen(content);
    LRK_REQUIRE(err, lrk_utf8_check(content, n) == n, LRK_EINPUT, "the %s message is not UTF-8",
                role);
    lrk_json *turn = lrk_json_object();
    lrk_json_set(turn, "role", lrk_json_c_string(role));
    lrk_json_set(turn, "content", lrk_json_new_string(content, n));
    lrk_json_add(messages, turn);
    return LRK_OK;
}

lrk_status lrk_responder_message(lrk_responder *r, const char *system, const char *message,
                                 lrk_ids *ids, lrk_err *err)
{
    lrk_json *messages = lrk_json_array();
    lrk_status status = system ? add_turn(messages, "system", system, err) : LRK_OK;
    if (status == LRK_OK) status = add_turn(messages, "user", message, err);
    if (status == LRK_OK) status = lrk_responder_messages(r, messages, NULL, ids, err);
    lrk_json_free(messages);
    return status;
}

void lrk_responder_reserve(lrk_responder *r, size_t slots, size_t capacity, size_t run_tokens)
{
    if (r->slots >= slots && r->capacity >= capacity && r->run_tokens >= run_tokens) return;
    lrk_engine_close(&r->engine);
    r->engine_open = false;
    r->slots = slots;
    r->capacity = capacity;
    r->run_tokens = run_tokens;
}

/* With the room that was reserved. */
static lrk_status open_engine(lrk_responder *r, lrk_err *err)
{
    if (r->engine_open) return LRK_OK;
    const lrk_lora_options lora = lrk_adapter_options(&r->adapter);
    const size_t slots = r->slots, more = slots > 1; /* for what prompts begin with alike */
    const lrk_engine_options o = {.device = r->options.device, .decoder = r->base.decoder,
                                  .find = lrk_base_find, .ctx = &r->base, .lora = r->options.adapter ? &lora : NULL,
                                  .compute = r->options.compute,
                                  .max_tokens = lrk_max(slots + more, r->run_tokens),
                                  .max_segments = slots + more, .max_logits = slots + more,
                                  .cache_slots = slots + more, .cache_capacity = r->capacity};
    lrk_engine_close(&r->engine); /* one that failed behind its opening */
    LRK_TRY(lrk_engine_open(&r->engine, &o, err));
    LRK_TRY(lrk_base_check_names(&r->base, &r->engine.model, err));
    if (r->options.adapter) LRK_TRY(lrk_adapter_into_model(&r->adapter, &r->engine.model, err));
    r->engine_open = true; /* only now: without its adapter it would answer as the base does */
    return LRK_OK;
}

lrk_status lrk_responder_loss(lrk_responder *r, const lrk_flat_run *run, double *loss, lrk_err *err)
{
    LRK_TRY(open_engine(r, err));
    LRK_ASSERT(run->n_tokens <= r->engine.options.max_tokens && run->n_segments <= r->engine.options.max_segments);
    return lrk_engine_loss(&r->engine, run, loss, err);
}

/* Room for n ids. */
static bool answer_room(lrk_answer *a, size_t n)
{
    if (n <= a->capacity) return true;
    const size_t capacity = lrk_max(n, a->capacity ? 2 * a->capacity : 64);
    uint32_t *ids = lrk_heap_grow(a->ids, capacity, sizeof *ids);
    if (!ids) return false;
    a->ids = ids;
    a->capacity = capacity;
    return true;
}

typedef struct lrk_collector {
    lrk_responder *r;
    lrk_answer *answers;
    const lrk_answering *how;
    lrk_buf piece;
    lrk_status status; /* the first failure; err has its message */
    lrk_err *err;
} lrk_collector;

/* ---- finished answers in a journal ---- */

static lrk_json *ids_as_json(const lrk_answer *a)
{
    lrk_json *ids = lrk_json_array();
    for (size_t i = 0; i < a->n; i++) lrk_json_add(ids, lrk_json_new_integer(a->ids[i]));
    return ids;
}

static void keep(lrk_collector *c, size_t sequence)
{
    const lrk_answer *a = &c->answers[sequence];
    if (!c->how->journal) return;
    lrk_json *value = lrk_json_object();
    lrk_json_set(value, "ids", ids_as_json(a));
    lrk_json_set(value, "finished", lrk_json_new_bool(a->finished));
    c->status = lrk_journal_add(c->how->journal, c->how->part, sequence, value, c->err);
}

static lrk_status take_back(const lrk_responder *r, const lrk_answering *how, const lrk_json *value, lrk_answer *a,
                            lrk_err *err)
{
    const lrk_json *ids = lrk_json_get(value, "ids"), *finished = lrk_json_get(value, "finished");
    const size_t n = lrk_json_size(ids);
    if (!lrk_json_is(ids, LRK_JSON_ARRAY) || !lrk_json_is(finished, LRK_JSON_BOOL) || n > how->max_tokens || a->known)
        return lrk_journal_damaged(how->journal, err);
    LRK_REQUIRE(err, answer_room(a, n), LRK_ENOMEM, "memory: no room for an answer");
    for (a->n = 0; a->n < n; a->n++) {
        const lrk_json *id = lrk_json_at(ids, a->n);
        if (!lrk_json_is(id, LRK_JSON_INTEGER) || lrk_json_integer(id) < 0 ||
            (uint64_t)lrk_json_integer(id) >= r->base.decoder.vocabulary)
            return lrk_journal_damaged(how->journal, err);
        a->ids[a->n] = (uint32_t)lrk_json_integer(id);
    }
    a->finished = lrk_json_bool(finished);
    a->known = true;
    return LRK_OK;
}

static lrk_status restore(const lrk_responder *r, const lrk_answering *how, lrk_answer *answers, size_t n, lrk_err *err)
{
    const char *part;
    const lrk_json *value;
    size_t number;
    for (size_t i = 0; (value = lrk_journal_piece(how->journal, i, &part, &number)); i++) {
        if (strcmp(part, how->part) != 0) continue;
        if (number >= n) return lrk_journal_damaged(how->journal, err);
        LRK_TRY(take_back(r, how, value, &answers[number], err));
    }
    return LRK_OK;
}

static bool all_known(const lrk_answer *answers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!answers[i].known) return false;
    return true;
}

static bool is_known(void *ctx, size_t sequence)
{
    return ((const lrk_collector *)ctx)->answers[sequence].known;
}

static lrk_status hash_file(const char *dir, const char *name, lrk_json *key, lrk_err *err)
{
    char hex[65];
    lrk_map m = {0};
    lrk_arena a = lrk_arena_growing("path");
    const char *path = lrk_path_join(&a, dir, name);
    lrk_status s = path ? lrk_map_open(&m, path, err) : lrk_fail(err, LRK_ENOMEM, "memory: no room for a path");
    if (s == LRK_OK) {
        lrk_sha256_hex(m.data, m.size, hex);
        lrk_json_set_text(key, name, hex);
    }
    lrk_map_close(&m);
    lrk_arena_free(&a);
    return s;
}

lrk_status lrk_responder_key(const lrk_responder *r, lrk_json **out, lrk_err *err)
{
    char hex[65];
    size_t n;
    const uint32_t *ends = lrk_tokenizer_ends(r->text.tokenizer, &n);
    lrk_json *key = lrk_json_object();
    lrk_status s = LRK_OK;
    lrk_json_set_text(key, "lorikeet", LRK_VERSION);
    lrk_weights_sha256(r->base.weights, hex);
    lrk_json_set_text(key, "model", hex);
    lrk_sha256_hex(ends, n * sizeof *ends, hex);
    lrk_json_set_text(key, "ends", hex);
    lrk_json_set_text(key, "device", lrk_device_name(r->options.device));
    lrk_json_set_text(key, "compute", lrk_compute_name(r->options.compute));
    if (r->options.adapter) s = hash_file(r->options.adapter, LRK_ADAPTER_CONFIG, key, err);
    if (s == LRK_OK && r->options.adapter) s = hash_file(r->options.adapter, LRK_ADAPTER_TENSORS, key, err);
    if (s == LRK_OK)
        *out = key;
    else
        lrk_json_free(key);
    return s;
}

/* ---- tokens as they come ---- */

static bool line_ends(lrk_collector *c, lrk_answer *a, uint32_t id)
{
    c->piece.n = 0;
    if (lrk_token_bytes(c->r->text.tokenizer, id, &c->piece, NULL) != LRK_OK) return false;
    for (size_t i = 0; i < c->piece.n; i++) {
        if (c->piece.data[i] == '\n' && a->begun) return true;
        a->begun |= !strchr(" \t\r\n", c->piece.data[i]);
    }
    return false;
}

static bool collect(void *ctx, size_t sequence, uint32_t id, bool done)
{
    lrk_collector *c = ctx;
    lrk_answer *a = &c->answers[sequence];
    if (c->status != LRK_OK) return false;
    if (done) {
        a->finished = a->n < c->how->max_tokens;
        keep(c, sequence);
        return false;
    }
    if (!answer_room(a, a->n + 1)) {
        c->status = lrk_fail(c->err, LRK_ENOMEM, "memory: no room for an answer");
        return false;
    }
    a->ids[a->n++] = id;
    if (c->how->token) c->how->token(c->how->ctx, sequence, id);
    if (!c->how->stop_at_newline || !line_ends(c, a, id)) return true;
    a->finished = true;
    keep(c, sequence);
    return false;
}

/* What is not known yet. */
static lrk_status ask(lrk_responder *r, const lrk_prompt *prompts, lrk_answer *answers, size_t n, size_t longest,
                      const lrk_answering *how, lrk_err *err)
{
    const size_t capacity = longest + how->max_tokens;
    const size_t slots = lrk_min(how->slots ? how->slots : LRK_ANSWER_SLOTS, lrk_max(n, 1));
    lrk_responder_reserve(r, slots, capacity, lrk_min(LRK_ANSWER_RUN, lrk_max(slots * capacity, 1)));
    LRK_TRY(open_engine(r, err));
    lrk_collector c = {.r = r, .answers = answers, .how = how, .err = err};
    lrk_generation g = {.sampler = how->sampler, .slots = slots, .max_tokens = how->max_tokens,
                        .token = collect, .ctx = &c, .stop = how->stop, .known = is_known};
    g.ends = lrk_tokenizer_ends(r->text.tokenizer, &g.n_ends);
    const lrk_status status = lrk_generate(&r->engine, prompts, n, &g, err);
    lrk_buf_free(&c.piece);
    return status == LRK_OK ? c.status : status;
}

lrk_status lrk_responder_answer(lrk_responder *r, lrk_answer *answers, size_t n,
                                const lrk_answering *how, lrk_err *err)
{
    size_t longest = 0;
    lrk_prompt *prompts;
    lrk_arena a = lrk_arena_growing("prompts");
    lrk_status status = lrk_alloc(&a, n, sizeof *prompts, "prompts", &prompts, err);
    for (size_t i = 0; status == LRK_OK && i < n; i++) {
        prompts[i] = (lrk_prompt){answers[i].prompt.id, answers[i].prompt.n};
        longest = lrk_max(longest, prompts[i].n);
        answers[i].n = 0;
        answers[i].finished = answers[i].begun = answers[i].known = false;
    }
    if (status == LRK_OK) status = restore(r, how, answers, n, err);
    const size_t positions = r->base.decoder.max_positions;
    if (status == LRK_OK && (longest > positions || how->max_tokens > positions - longest))
        status = longest < positions
                     ? lrk_fail(err, LRK_EVALUE,
                                "the longest prompt has %zu tokens, with %zu new ones it exceeds the "
                                "model's %zu positions; --max-tokens %zu fits",
                                longest, how->max_tokens, positions, positions - longest)
                     : lrk_fail(err, LRK_EVALUE, "the longest prompt has %zu tokens, the model %zu positions", longest,
                                positions);
    if (status == LRK_OK && !all_known(answers, n)) status = ask(r, prompts, answers, n, longest, how, err);
    lrk_arena_free(&a);
    return status;
}

lrk_status lrk_responder_decode(const lrk_responder *r, const lrk_answer *a, lrk_buf *out,
                                lrk_err *err)
{
    return lrk_decode(r->text.tokenizer, a->ids, a->n, true, out, err);
}

void lrk_answer_free(lrk_answer *a)
{
    lrk_ids_free(&a->prompt);
    lrk_heap_free(a->ids);
    *a = (lrk_answer){0};
}
