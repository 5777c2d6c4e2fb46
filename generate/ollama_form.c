/* generate/ollama_form.c -- finding the pieces of a chat template, and trying them. */
#include "generate/ollama_form_private.h"

#include <string.h>

const char *const lrk_speaker_names[LRK_SPEAKERS] = {"",       "system", "user",      "assistant", "thought",
                                                     "answer", "call",   "arguments", "result",    ""};

typedef struct talk {
    const char *who;    /* a letter a message: s, u, a */
    bool may_fail;      /* then the pieces that it alone has are not there */
    lrk_speaker padded; /* whose words have blanks around them */
} talk;

static const talk probes[] = {{.who = "uau"}, {.who = "suau"}, {.who = "su"}, {"uasu", .may_fail = true},
                              {"s", .may_fail = true}};
static const talk trials[] = {{.who = "u"}, {.who = "uauau"}, {.who = "su"}, {.who = "suauau"},
                              {"suasu", .may_fail = true}, {"uasu", .may_fail = true}, {"s", .may_fail = true}};

typedef struct day {
    const char *now, *parts[5];
} day;
enum { DAYS = LRK_FORM_DAYS };
static const day days[DAYS + 1] = {{"2001-02-03T04:05:06", {"2001", "02", "03", "February", "Feb"}},
                                   {"2042-12-31T23:59:59", {"2042", "12", "31", "December", "Dec"}},
                                   {"2017-09-08T12:30:00", {"2017", "09", "08", "September", "Sep"}}};

typedef lrk_form_source source;

static lrk_speaker speaker(const talk *t, size_t i)
{
    return t->who[i] == 's' ? LRK_SYSTEM : t->who[i] == 'u' ? LRK_USER : LRK_ASSISTANT;
}

void lrk_form_words(const source *s, lrk_speaker who, bool padded, size_t i, const lrk_form *f, lrk_buf *b)
{
    static const char *const left[LRK_TRIMS] = {"\n \t", " \t", ""}, *const right[LRK_TRIMS] = {"\t \n", "\t ", ""};
    lrk_buf_printf(b, "%s%zu %s %s.%s", padded ? left[f ? f->left[who] : LRK_TRIM_NONE] : "", i,
                   who == LRK_THOUGHT ? "thinks" : "says", s->mark,
                   padded ? right[f ? f->right[who] : LRK_TRIM_NONE] : "");
}

static void content(const source *s, const talk *t, size_t i, const lrk_form *f, lrk_buf *b)
{
    lrk_form_words(s, speaker(t, i), speaker(t, i) == t->padded, i, f, b);
}

static lrk_status render(const source *s, const talk *t, lrk_chat_text *out, lrk_err *err)
{
    lrk_json *messages = lrk_json_array();
    lrk_status status = LRK_OK;
    for (size_t i = 0; t->who[i] && status == LRK_OK; i++) {
        lrk_buf b = {0};
        lrk_json *m = lrk_json_object();
        content(s, t, i, NULL, &b);
        status = lrk_buf_check(&b, err);
        lrk_json_set(m, "role", lrk_json_c_string(lrk_speaker_names[speaker(t, i)]));
        lrk_json_set(m, "content", lrk_json_new_string(b.data ? b.data : "", b.n));
        lrk_json_add(messages, m);
        lrk_buf_free(&b);
    }
    if (status == LRK_OK) status = lrk_chat_messages(s->chat, messages, NULL, out, err);
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

/* The message that is shown as the k-th. */
static size_t shown(const talk *t, bool late, size_t k)
{
    const size_t n = strlen(t->who);
    if (!late || t->who[0] != 's' || k + 1 == n) return k;
    return k + 2 == n ? 0 : k + 1;
}

static void put_piece(lrk_buf *to, const char *text, size_t n)
{
    lrk_buf_append(to, text, n);
    lrk_buf_puts(to, ""); /* an empty piece is one that was seen */
}

bool lrk_form_same(const lrk_buf *a, const lrk_buf *b)
{
    return a->n == b->n && memcmp(a->data, b->data, a->n) == 0;
}

bool lrk_form_keep(lrk_buf *piece, const char *text, size_t n)
{
    if (piece->data) return piece->n == n && memcmp(piece->data, text, n) == 0;
    put_piece(piece, text, n);
    return true;
}

static void read_stop(const lrk_chat_text *r, const lrk_span *span, lrk_form *f)
{
    const char *p = r->text.data + span->begin;
    size_t n = span->end - span->begin;
    for (; n && strchr(" \n\r\t", *p); n--) p++;
    if (!f->stop.n) lrk_buf_append(&f->stop, p, n);
}

/* Takes one rendering apart; false where it is no such form. */
static bool read_pieces(const talk *t, const lrk_chat_text *r, lrk_form *f)
{
    size_t end = 0, turn = 0;
    lrk_speaker before = LRK_NOBODY;
    for (size_t i = 0; i < r->rendered.n_spans; i++) {
        const lrk_span *span = &r->rendered.spans[i];
        if (span->kind == LRK_SPAN_END && before == LRK_ASSISTANT) read_stop(r, span, f);
        if (span->kind == LRK_SPAN_END) continue;
        if (!t->who[turn] || span->message != shown(t, f->late, turn)) return false;
        const lrk_speaker who = speaker(t, span->message);
        if (!lrk_form_keep(&f->between[before][who], r->text.data + end, span->begin - end)) return false;
        end = span->end;
        before = who;
        turn++;
    }
    return !t->who[turn] && lrk_form_keep(&f->between[before][LRK_NEXT], r->text.data + end, r->text.n - end);
}

bool lrk_pieces_add(lrk_pieces to, lrk_pieces from)
{
    for (size_t i = 0; i < LRK_SPEAKERS; i++)
        for (size_t k = 0; k < LRK_SPEAKERS; k++)
            if (to[i][k].data && from[i][k].data && !lrk_form_same(&to[i][k], &from[i][k])) return false;
    for (size_t i = 0; i < LRK_SPEAKERS; i++)
        for (size_t k = 0; k < LRK_SPEAKERS; k++)
            if (from[i][k].data) lrk_form_keep(&to[i][k], from[i][k].data, from[i][k].n);
    return true;
}

lrk_status lrk_pieces_check(lrk_pieces p, lrk_err *err)
{
    for (size_t i = 0; i < LRK_SPEAKERS; i++)
        for (size_t k = 0; k < LRK_SPEAKERS; k++) LRK_TRY(lrk_buf_check(&p[i][k], err));
    return LRK_OK;
}

void lrk_pieces_free(lrk_pieces p)
{
    for (size_t i = 0; i < LRK_SPEAKERS; i++)
        for (size_t k = 0; k < LRK_SPEAKERS; k++) {
            lrk_buf_free(&p[i][k]);
            p[i][k] = (lrk_buf){0};
        }
}

static bool add(lrk_form *f, lrk_form *g)
{
    if (!lrk_pieces_add(f->between, g->between)) return false;
    if (!f->stop.n) lrk_buf_append(&f->stop, g->stop.data ? g->stop.data : "", g->stop.n);
    return true;
}

static lrk_status check_memory(lrk_form *f, lrk_err *err)
{
    LRK_TRY(lrk_pieces_check(f->between, err));
    return lrk_buf_check(&f->stop, err);
}

/* Adds to f what one rendering shows. */
static lrk_status learn(const source *s, const talk *t, const lrk_chat_text *r, lrk_form *f, lrk_err *err)
{
    lrk_form g = {.late = f->late};
    const bool taken = read_pieces(t, r, &g) && add(f, &g);
    lrk_status status = check_memory(&g, err);
    if (status == LRK_OK) status = check_memory(f, err);
    if (status == LRK_OK && !taken && !t->may_fail) status = no_form(s, err);
    f->system = f->system || (taken && t->who[0] == 's');
    lrk_form_free(&g);
    return status;
}

static lrk_status probe(const source *s, const talk *t, lrk_form *f, lrk_err *err)
{
    lrk_chat_text r = {0};
    lrk_err why = {0};
    lrk_status status = render(s, t, &r, &why);
    if (status == LRK_OK)
        status = learn(s, t, &r, f, err);
    else if (status != LRK_ENOMEM && (t->may_fail || t->who[0] == 's'))
        status = LRK_OK; /* a template may refuse system turns; then so does the Go template */
    else
        lrk_fail(err, status, "%s", why.text);
    lrk_chat_text_free(&r);
    return status;
}

/* The form on one day. */
static lrk_status probe_all(source *s, const char *now, bool late, lrk_form *f, lrk_err *err)
{
    f->late = late;
    s->chat->now = now;
    s->mark = "one";
    for (size_t i = 0; i < sizeof probes / sizeof *probes; i++)
        if (!late || !probes[i].may_fail) LRK_TRY(probe(s, &probes[i], f, err));
    return LRK_OK;
}

/* The longest part of a date that stands at both places, each by its day; 5: none does. */
static size_t part_at(const char *a, size_t n, const char *b, size_t m)
{
    size_t best = 5, length = 0;
    for (size_t p = 0; p < 5; p++) {
        const char *x = days[0].parts[p], *y = days[1].parts[p];
        if (strlen(x) <= length || strlen(x) > n || strlen(y) > m || memcmp(a, x, strlen(x)) != 0 ||
            memcmp(b, y, strlen(y)) != 0)
            continue;
        best = p;
        length = strlen(x);
    }
    return best;
}

/* One piece of what two days show; false where they differ by more than dates. */
static bool join_piece(const lrk_buf *a, const lrk_buf *b, lrk_buf *out)
{
    size_t i = 0, k = 0;
    put_piece(out, "", 0);
    while (i < a->n && k < b->n) {
        const size_t p = part_at(a->data + i, a->n - i, b->data + k, b->n - k);
        if (p == 5 && a->data[i] != b->data[k]) return false;
        const char c = p == 5 ? a->data[i] : (char)(LRK_FORM_YEAR + p);
        lrk_buf_append(out, &c, 1);
        i += p == 5 ? 1 : strlen(days[0].parts[p]);
        k += p == 5 ? 1 : strlen(days[1].parts[p]);
    }
    return i == a->n && k == b->n;
}

bool lrk_pieces_join(lrk_pieces a, lrk_pieces b, lrk_pieces out)
{
    for (size_t i = 0; i < LRK_SPEAKERS; i++)
        for (size_t k = 0; k < LRK_SPEAKERS; k++)
            if (a[i][k].data && b[i][k].data && !join_piece(&a[i][k], &b[i][k], &out[i][k])) return false;
    return true;
}

static lrk_status join_days(const source *s, lrk_form *a, lrk_form *b, lrk_form *f, lrk_err *err)
{
    LRK_REQUIRE(err, lrk_pieces_join(a->between, b->between, f->between), LRK_ESUPPORT,
                "%s: its chat template prints the time in a way that Go templates for Ollama cannot, which "
                "know year, month and day: it has no Go template here; write the Modelfile by hand",
                s->where);
    f->system = a->system && b->system;
    f->late = a->late;
    lrk_buf_append(&f->stop, a->stop.data ? a->stop.data : "", a->stop.n);
    return check_memory(f, err);
}

void lrk_form_say(const lrk_buf *piece, const lrk_buf *tools, lrk_buf *b)
{
    for (size_t i = 0; i < piece->n; i++) {
        const unsigned char c = (unsigned char)piece->data[i];
        if (c == LRK_FORM_TOOLS && tools)
            lrk_buf_append(b, tools->data, tools->n);
        else if (c >= LRK_FORM_YEAR)
            lrk_buf_puts(b, days[DAYS].parts[c - LRK_FORM_YEAR]);
        else
            lrk_buf_append(b, piece->data + i, 1);
    }
}

static lrk_status try_on(const source *s, const talk *t, const lrk_form *f, lrk_err *err)
{
    lrk_chat_text r = {0};
    lrk_buf b = {0};
    lrk_speaker before = LRK_NOBODY;
    for (size_t k = 0; k <= strlen(t->who); k++) {
        const size_t i = t->who[k] ? shown(t, f->late, k) : k;
        const lrk_speaker who = t->who[k] ? speaker(t, i) : LRK_NEXT;
        lrk_form_say(&f->between[before][who], NULL, &b);
        if (t->who[k]) content(s, t, i, f, &b);
        before = who;
    }
    lrk_status status = lrk_buf_check(&b, err);
    if (status == LRK_OK) status = render(s, t, &r, err);
    if (status == LRK_OK && !lrk_form_same(&r.text, &b)) status = no_form(s, err);
    lrk_chat_text_free(&r);
    lrk_buf_free(&b);
    return status;
}

const char *lrk_form_now(size_t i)
{
    return days[i].now;
}

/* What a conversation that may fail has alone: a system message behind an answer, or all by itself. */
static void forget(const talk *t, lrk_form *f)
{
    lrk_buf *piece = &f->between[t->who[1] ? LRK_ASSISTANT : LRK_SYSTEM][t->who[1] ? LRK_SYSTEM : LRK_NEXT];
    lrk_buf_free(piece);
    *piece = (lrk_buf){0};
}

static lrk_status find_trims(const source *s, lrk_form *f, lrk_err *err)
{
    for (lrk_speaker who = f->system ? LRK_SYSTEM : LRK_USER; who <= LRK_ASSISTANT; who++) {
        const talk t = {f->system ? "suau" : "uau", .padded = who};
        lrk_err why = {0};
        for (lrk_status status; (status = try_on(s, &t, f, &why)) != LRK_OK; why = (lrk_err){0}) {
            if (status == LRK_ENOMEM) return lrk_fail(err, status, "%s", why.text);
            if (++f->left[who] < LRK_TRIMS) continue;
            f->left[who] = LRK_TRIM_NONE;
            if (++f->right[who] == LRK_TRIMS) return no_form(s, err);
        }
    }
    return LRK_OK;
}

static lrk_status try_all(source *s, lrk_form *f, lrk_err *err)
{
    static const char *const marks[] = {"drei\nund \"mehr\"", "vier \xc3\xa9", "f\xc3\xbcnf", "{{ sechs }}"};
    s->chat->now = days[DAYS].now;
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
        const talk *t = &trials[i];
        s->mark = marks[i % 4];
        if ((!f->system && t->who[0] == 's') || (f->late && t->may_fail)) continue;
        lrk_err why = {0};
        const lrk_status status = try_on(s, t, f, &why);
        if (status == LRK_ENOMEM || (status != LRK_OK && !t->may_fail)) return lrk_fail(err, status, "%s", why.text);
        if (status != LRK_OK) forget(t, f);
    }
    return find_trims(s, f, err);
}

/* Whether the thinking of an answer is gone once something follows it. */
static lrk_status find_forgetting(const source *s, lrk_form *f, lrk_err *err)
{
    static const char thoughtful[] =
        "[{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", \"content\": "
        "\"<think>\\nhow so\\n</think>\\n\\nthus\"}, {\"role\": \"user\", \"content\": \"q\"}]";
    lrk_json *messages;
    lrk_chat_text r = {0};
    lrk_err why = {0};
    LRK_TRY(lrk_json_parse(&messages, thoughtful, strlen(thoughtful), "a conversation", err));
    const lrk_status status = lrk_chat_messages(s->chat, messages, NULL, &r, &why);
    if (status == LRK_OK) f->forgets_thinking = !strstr(r.text.data, "how so");
    lrk_chat_text_free(&r);
    lrk_json_free(messages);
    /* a template that refuses this says nothing about it */
    return status == LRK_ENOMEM ? lrk_fail(err, status, "%s", why.text) : LRK_OK;
}

static void cut_bos(lrk_buf *first, const char *bos)
{
    const size_t n = strlen(bos);
    if (first->n < n || memcmp(first->data, bos, n) != 0) return;
    memmove(first->data, first->data + n, first->n - n + 1);
    first->n -= n;
}

lrk_status lrk_form_find(lrk_chat_options *chat, bool adds_bos, const char *where, lrk_form *f, lrk_err *err)
{
    source s = {.chat = chat, .where = where};
    lrk_form on[DAYS] = {{.late = false}, {.late = false}};
    lrk_err why = {0}, too = {0};
    lrk_status status = probe_all(&s, days[0].now, false, &on[0], &why);
    if (status == LRK_ESUPPORT) {
        lrk_form_free(&on[0]);
        on[0] = (lrk_form){.late = false};
        const lrk_status late = probe_all(&s, days[0].now, true, &on[0], &too);
        if (late == LRK_ENOMEM) why = too;
        if (late == LRK_OK || late == LRK_ENOMEM) status = late;
    }
    if (status != LRK_OK) lrk_fail(err, status, "%s", why.text);
    if (status == LRK_OK) status = probe_all(&s, days[1].now, on[0].late, &on[1], err);
    if (status == LRK_OK) status = join_days(&s, &on[0], &on[1], f, err);
    for (size_t i = 0; i < DAYS; i++) lrk_form_free(&on[i]);
    LRK_TRY(status);
    LRK_TRY(try_all(&s, f, err));
    LRK_TRY(find_forgetting(&s, f, err));
    LRK_TRY(lrk_form_find_more(&s, f, err));
    for (lrk_speaker who = LRK_SYSTEM; adds_bos && chat->bos && who <= LRK_USER; who++) {
        cut_bos(&f->between[LRK_NOBODY][who], chat->bos);
        cut_bos(&f->equipped[LRK_NOBODY][who], chat->bos);
    }
    return LRK_OK;
}

void lrk_form_free(lrk_form *f)
{
    lrk_pieces_free(f->between);
    lrk_pieces_free(f->equipped);
    for (size_t i = 0; i < LRK_SPEAKERS; i++) lrk_buf_free(&f->quiet[i]);
    lrk_buf_free(&f->separator);
    lrk_buf_free(&f->stop);
}
