/* generate/ollama.c -- a chat template as a Go template, and the Modelfile around it. */
#include "generate/ollama.h"

#include "base/file.h"
#include "generate/manifest.h"

#include <string.h>

typedef enum speaker { NOBODY, SYSTEM, USER, ASSISTANT, NEXT, SPEAKERS } speaker;
static const char *const roles[SPEAKERS] = {"", "system", "user", "assistant", ""};

/* What stands between what the one says and what the other says; data NULL: never seen. */
typedef struct form {
    lrk_buf between[SPEAKERS][SPEAKERS];
    lrk_buf stop; /* the token that ends an answer */
    bool system;
} form;

typedef struct source {
    lrk_chat_options chat;
    const char *where;
    bool adds_bos; /* the tokenizer does */
} source;

enum { MOST = 6 };
typedef struct talk {
    speaker who[MOST];
    size_t n;
    const char *mark; /* makes the contents of two talks differ */
} talk;

static const talk probes[] = {{{USER, ASSISTANT, USER}, 3, "one"},
                              {{SYSTEM, USER, ASSISTANT, USER}, 4, "two"}};
static const talk trials[] = {{{USER}, 1, "drei\nund \"mehr\""},
                              {{USER, ASSISTANT, USER, ASSISTANT, USER}, 5, "vier \xc3\xa9"},
                              {{SYSTEM, USER}, 2, "f\xc3\xbcnf"},
                              {{SYSTEM, USER, ASSISTANT, USER, ASSISTANT, USER}, 6, "{{ sechs }}"}};

static void content(const talk *t, size_t i, lrk_buf *b)
{
    lrk_buf_printf(b, "%zu says %s.", i, t->mark);
}

static lrk_status render(const source *s, const talk *t, lrk_chat_text *out, lrk_err *err)
{
    lrk_json *messages = lrk_json_array();
    for (size_t i = 0; i < t->n; i++) {
        lrk_buf b = {0};
        lrk_json *m = lrk_json_object();
        const char *role = roles[t->who[i]];
        content(t, i, &b);
        lrk_json_set(m, "role", lrk_json_c_string(role));
        lrk_json_set(m, "content", lrk_json_new_string(b.data ? b.data : "", b.n));
        lrk_json_add(messages, m);
        lrk_buf_free(&b);
    }
    const lrk_status status = lrk_chat_messages(&s->chat, messages, NULL, out, err);
    lrk_json_free(messages);
    return status;
}

static lrk_status no_form(const source *s, lrk_err *err)
{
    return lrk_fail(err, LRK_ESUPPORT,
                    "%s: its chat template puts more than fixed pieces between the turns of a "
                    "conversation, so that it has no Go template here; write the Modelfile by hand",
                    s->where);
}

static bool keep(lrk_buf *piece, const char *text, size_t n)
{
    if (piece->data) return piece->n == n && memcmp(piece->data, text, n) == 0;
    lrk_buf_append(piece, text, n);
    lrk_buf_puts(piece, ""); /* an empty piece is one that was seen */
    return true;
}

/* Takes the pieces of one rendering apart. */
static lrk_status read_pieces(const source *s, const talk *t, const lrk_chat_text *r, form *f,
                              lrk_err *err)
{
    size_t end = 0, turn = 0;
    for (size_t i = 0; i < r->rendered.n_spans; i++) {
        const lrk_span *span = &r->rendered.spans[i];
        if (span->kind == LRK_SPAN_END && turn && t->who[turn - 1] == ASSISTANT && !f->stop.n) {
            const char *p = r->text.data + span->begin;
            size_t n = span->end - span->begin;
            for (; n && strchr(" \n\r\t", *p); n--) p++;
            lrk_buf_append(&f->stop, p, n);
        }
        if (span->kind == LRK_SPAN_END) continue;
        if (span->message != turn || turn == t->n) return no_form(s, err);
        const speaker before = turn ? t->who[turn - 1] : NOBODY;
        if (!keep(&f->between[before][t->who[turn]], r->text.data + end, span->begin - end))
            return no_form(s, err);
        end = span->end;
        turn++;
    }
    if (turn != t->n || !keep(&f->between[t->who[turn - 1]][NEXT], r->text.data + end, r->text.n - end))
        return no_form(s, err);
    return LRK_OK;
}

static lrk_status probe(const source *s, form *f, lrk_err *err)
{
    for (size_t i = 0; i < sizeof probes / sizeof *probes; i++) {
        lrk_chat_text r = {0};
        lrk_err why = {0};
        lrk_status status = render(s, &probes[i], &r, &why);
        /* a template may refuse system turns; then so does the Go template */
        if (status != LRK_OK && status != LRK_ENOMEM && probes[i].who[0] == SYSTEM) continue;
        if (status != LRK_OK)
            lrk_fail(err, status, "%s", why.text);
        else
            status = read_pieces(s, &probes[i], &r, f, err);
        lrk_chat_text_free(&r);
        LRK_TRY(status);
        f->system = f->system || probes[i].who[0] == SYSTEM;
    }
    return LRK_OK;
}

static lrk_status try_on(const source *s, const talk *t, const form *f, lrk_err *err)
{
    lrk_chat_text r = {0};
    lrk_buf b = {0};
    for (size_t i = 0; i <= t->n; i++) {
        const lrk_buf *piece =
            &f->between[i ? t->who[i - 1] : NOBODY][i < t->n ? t->who[i] : NEXT];
        lrk_buf_append(&b, piece->data ? piece->data : "", piece->n);
        if (i < t->n) content(t, i, &b);
    }
    lrk_status status = lrk_buf_check(&b, err);
    if (status == LRK_OK) status = render(s, t, &r, err);
    if (status == LRK_OK && (r.text.n != b.n || memcmp(r.text.data, b.data, b.n) != 0))
        status = no_form(s, err);
    lrk_chat_text_free(&r);
    lrk_buf_free(&b);
    return status;
}

/* The pieces are read on one day and tried on another. */
static lrk_status find_form(source *s, form *f, lrk_err *err)
{
    static const char day[] = "2001-02-03T04:05:06", other[] = "2042-12-31T23:59:59";
    s->chat.now = day;
    LRK_TRY(probe(s, f, err));
    LRK_TRY(try_on(s, &trials[0], f, err));
    s->chat.now = other;
    LRK_REQUIRE(err, try_on(s, &trials[0], f, NULL) == LRK_OK, LRK_ESUPPORT,
                "%s: its chat template prints the date, in a way that Go templates for Ollama cannot: it "
                "has no Go template here; write the Modelfile by hand",
                s->where);
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++)
        if (f->system || trials[i].who[0] != SYSTEM) LRK_TRY(try_on(s, &trials[i], f, err));
    for (speaker who = SYSTEM; s->adds_bos && s->chat.bos && who <= USER; who++) {
        lrk_buf *first = &f->between[NOBODY][who];
        const size_t n = strlen(s->chat.bos);
        if (first->n < n || memcmp(first->data, s->chat.bos, n) != 0) continue;
        memmove(first->data, first->data + n, first->n - n + 1);
        first->n -= n;
    }
    return LRK_OK;
}

/* ---- writing ---- */

/* {{ "..." }}: a constant, so that no blank of it can be trimmed. */
static void put_piece(const lrk_buf *piece, lrk_buf *out)
{
    if (!piece->n) return;
    lrk_buf_puts(out, "{{ ");
    lrk_json_quote(out, piece->data, piece->n);
    lrk_buf_puts(out, " }}");
}

static void put_turn(const form *f, speaker who, lrk_buf *out)
{
    lrk_buf_printf(out, "{{- %sif eq .Role \"%s\" }}", who == SYSTEM ? "" : "else ", roles[who]);
    if (who == SYSTEM && !f->system)
        lrk_buf_puts(out, "{{ index \"this model takes no system message\" 99 }}");
    const char *word = "if";
    for (speaker before = NOBODY; before <= ASSISTANT; before++) {
        if (!f->between[before][who].n) continue;
        lrk_buf_printf(out, "{{ %s eq $last \"%s\" }}", word, roles[before]);
        put_piece(&f->between[before][who], out);
        word = "else if";
    }
    if (*word == 'e') lrk_buf_puts(out, "{{ end }}");
    lrk_buf_puts(out, "{{ .Content }}\n");
}

static void put_stop(const char *token, lrk_buf *out)
{
    lrk_buf_puts(out, "PARAMETER stop ");
    lrk_json_quote(out, token, strlen(token));
    lrk_buf_puts(out, "\n");
}

static void print(const source *s, const form *f, const char *from, const char *adapter, lrk_buf *out)
{
    const char *eos = s->chat.eos, *stop = f->stop.n ? f->stop.data : NULL;
    lrk_buf_printf(out, "FROM %s\n", from);
    if (adapter) lrk_buf_printf(out, "ADAPTER %s\n", adapter);
    lrk_buf_puts(out, "TEMPLATE \"\"\"{{- $last := \"\" }}\n{{- range .Messages }}\n");
    for (speaker who = SYSTEM; who <= ASSISTANT; who++) put_turn(f, who, out);
    lrk_buf_puts(out, "{{- end }}\n{{- $last = .Role }}\n{{- end }}\n");
    if (f->between[USER][NEXT].n) {
        lrk_buf_puts(out, "{{- if eq $last \"user\" }}");
        put_piece(&f->between[USER][NEXT], out);
        lrk_buf_puts(out, "{{ end }}\n");
    }
    lrk_buf_puts(out, "{{- \"\" }}\"\"\"\n");
    if (stop) put_stop(stop, out);
    if (eos && *eos && (!stop || strcmp(stop, eos) != 0)) put_stop(eos, out);
}

lrk_status lrk_ollama_modelfile(const lrk_model_text *m, const char *where, const char *choice,
                                const char *from, const char *adapter, lrk_buf *out, lrk_err *err)
{
    form f = {.system = false};
    lrk_template *template;
    source s = {.where = where, .adds_bos = lrk_tokenizer_adds_bos(m->tokenizer)};
    LRK_TRY(lrk_text_chat(m, choice, where, true, &template, &s.chat, err));
    s.chat.add_generation_prompt = true;
    const lrk_status status = find_form(&s, &f, err);
    if (status == LRK_OK) print(&s, &f, from, adapter, out);
    for (size_t i = 0; i < SPEAKERS; i++)
        for (size_t k = 0; k < SPEAKERS; k++) lrk_buf_free(&f.between[i][k]);
    lrk_buf_free(&f.stop);
    lrk_template_free(template);
    LRK_TRY(status);
    return lrk_buf_check(out, err);
}

lrk_status lrk_ollama_write(const lrk_model_text *m, const char *where, const char *choice,
                            const char *directory, const char *from, const char *adapter,
                            lrk_err *err)
{
    lrk_buf text = {0};
    lrk_arena a = lrk_arena_growing("Modelfile");
    const char *path = lrk_path_join(&a, directory, LRK_MODELFILE);
    lrk_status status = path ? lrk_ollama_modelfile(m, where, choice, from, adapter, &text, err)
                             : lrk_fail(err, LRK_ENOMEM, "memory: no room for a path");
    if (status == LRK_OK) status = lrk_file_write(path, text.data, text.n, err);
    lrk_buf_free(&text);
    lrk_arena_free(&a);
    return status;
}

lrk_status lrk_ollama_complete(const char *directory, const lrk_json *manifest, lrk_err *err)
{
    lrk_model_text text = {0};
    lrk_arena a = lrk_arena_growing("Modelfile");
    const char *path = lrk_path_join(&a, directory, LRK_OLLAMA_MODEL);
    lrk_status s = path ? lrk_text_open(&text, path, err) : lrk_fail(err, LRK_ENOMEM, "memory: no room for a path");
    if (s == LRK_OK)
        s = lrk_ollama_write(&text, path, "tokenizer_default", directory, "./" LRK_OLLAMA_MODEL, NULL, err);
    if (s == LRK_OK) s = lrk_manifest_write(manifest, directory, err);
    lrk_text_close(&text);
    lrk_arena_free(&a);
    return s;
}

void lrk_ollama_remove(const char *directory)
{
    static const char *const files[] = {LRK_OLLAMA_MODEL, "base.gguf", "adapter.gguf", LRK_MODELFILE,
                                        LRK_MANIFEST, LRK_MODEL_CARD};
    lrk_arena a = lrk_arena_growing("bundle");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const char *path = lrk_path_join(&a, directory, files[i]);
        if (path) (void)lrk_remove(path, NULL);
    }
    (void)lrk_remove(directory, NULL);
    lrk_arena_free(&a);
}
