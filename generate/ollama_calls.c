/* generate/ollama_calls.c -- what answers with thoughts, calls and lists of tools add to a chat template's form. */
#include "generate/ollama_scene.h"

#include <string.h>

typedef lrk_form_source source;
typedef lrk_scene scene;
typedef const char *const talks[]; /* as lrk_scene.talk; ended by NULL */

/* False where what is said is not all there, in order, or pieces contradict each other. */
static bool split(const scene *c, const lrk_buf *text, lrk_pieces out)
{
    size_t end = 0;
    lrk_speaker before = LRK_NOBODY;
    for (size_t i = 0; i < c->n; i++) {
        const lrk_scene_item *it = &c->items[i];
        const size_t n = it->end - it->begin;
        const char *at = lrk_scene_find(text->data + end, text->n - end, c->shown.data + it->begin, n);
        if (!at) return false;
        const size_t begin = (size_t)(at - text->data);
        if (!lrk_form_keep(&out[before][it->who], text->data + end, begin - end)) return false;
        end = begin + n;
        before = it->who;
    }
    return lrk_form_keep(&out[before][LRK_NEXT], text->data + end, text->n - end);
}

static lrk_status read_day(const source *s, lrk_form *f, scene *c, size_t day, lrk_pieces out, bool *ok, lrk_err *err)
{
    lrk_buf text = {0};
    s->chat->now = lrk_form_now(day);
    lrk_status status = lrk_scene_render(s, c, &text, ok, err);
    if (status == LRK_OK && *ok && c->n_tools) status = lrk_scene_cut_tools(f, c->tools, &text, ok, err);
    if (status == LRK_OK && *ok) {
        *ok = split(c, &text, out);
        status = lrk_pieces_check(out, err);
    }
    lrk_buf_free(&text);
    return status;
}

static lrk_status read_talk(const source *s, lrk_form *f, const char *talk, size_t n_tools, lrk_pieces to, bool *ok,
                            lrk_err *err)
{
    lrk_pieces on[LRK_FORM_DAYS] = {{{{0}}}}, both = {{{0}}};
    scene c = {.talk = talk, .n_tools = n_tools};
    lrk_status status = lrk_scene_build(s, f, &c, err);
    *ok = true;
    for (size_t day = 0; day < LRK_FORM_DAYS && status == LRK_OK && *ok; day++)
        status = read_day(s, f, &c, day, on[day], ok, err);
    if (status == LRK_OK && *ok) {
        *ok = lrk_pieces_join(on[0], on[1], both) && lrk_pieces_add(to, both);
        status = lrk_pieces_check(both, err);
        if (status == LRK_OK) status = lrk_pieces_check(to, err);
    }
    lrk_pieces_free(both);
    for (size_t day = 0; day < LRK_FORM_DAYS; day++) lrk_pieces_free(on[day]);
    lrk_scene_free(&c);
    return status;
}

/* The first `must` have to be readable; what others alone would show is not there where they are not. */
static lrk_status read_talks(source *s, lrk_form *f, talks list, size_t must, size_t n_tools, lrk_pieces to, bool *ok,
                             lrk_err *err)
{
    s->mark = "one";
    *ok = true;
    for (size_t i = 0; list[i] && *ok; i++) {
        bool read;
        LRK_TRY(read_talk(s, f, list[i], n_tools, to, &read, err));
        *ok = read || i >= must;
    }
    return LRK_OK;
}

/* ---- trying them ---- */

/* False where a piece is missing. */
static bool compose(const lrk_form *f, const scene *c, const lrk_buf *tools, bool with_next, lrk_buf *text)
{
    lrk_speaker before = LRK_NOBODY;
    for (size_t i = 0; i < c->n + with_next; i++) {
        const lrk_speaker who = i < c->n ? c->items[i].who : LRK_NEXT;
        const lrk_buf *piece = c->n_tools ? &f->equipped[before][who] : &f->between[before][who];
        if (!piece->data) return false;
        lrk_form_say(piece, tools, text);
        if (i < c->n) lrk_buf_append(text, c->shown.data + c->items[i].begin, c->items[i].end - c->items[i].begin);
        before = who;
    }
    return true;
}

/* *ok: the template makes the same text on the third day, or the form has none. */
static lrk_status try_scene(const source *s, const lrk_form *f, scene *c, bool *ok, lrk_err *err)
{
    lrk_buf want = {0}, got = {0}, list = {0};
    s->chat->now = lrk_form_now(LRK_FORM_DAYS);
    c->on_trial = true;
    lrk_status status = lrk_scene_build(s, f, c, err);
    if (status == LRK_OK && c->n_tools) status = lrk_scene_say_tools(f, c->tools, &list, err);
    if (status == LRK_OK) status = lrk_buf_check(&list, err);
    *ok = true;
    if (status == LRK_OK && compose(f, c, &list, true, &got)) {
        status = lrk_buf_check(&got, err);
        if (status == LRK_OK) status = lrk_scene_render(s, c, &want, ok, err);
        if (status == LRK_OK && *ok) *ok = lrk_form_same(&got, &want);
    }
    lrk_buf_free(&list);
    lrk_buf_free(&want);
    lrk_buf_free(&got);
    lrk_scene_free(c);
    return status;
}

static lrk_status try_talks(source *s, const lrk_form *f, talks list, bool with_tools, bool *ok, lrk_err *err)
{
    static const char *const marks[] = {"drei\nund \"mehr\"", "vier \xc3\xa9 <b>", "f\xc3\xbcnf & \\", "{{ sechs }}"};
    *ok = true;
    for (size_t i = 0; list[i] && *ok; i++) {
        scene c = {.talk = list[i], .n_tools = with_tools ? 1 + i % 3 : 0};
        s->mark = marks[i % 4];
        LRK_TRY(try_scene(s, f, &c, ok, err));
    }
    return LRK_OK;
}

static lrk_status try_padded(source *s, const lrk_form *f, const char *talk, lrk_speaker who, bool with_tools, bool *ok,
                             lrk_err *err)
{
    scene c = {.talk = talk, .n_tools = with_tools, .padded = who};
    s->mark = "sieben";
    return try_scene(s, f, &c, ok, err);
}

static lrk_status find_trim(source *s, lrk_form *f, const char *talk, lrk_speaker who, bool *ok, lrk_err *err)
{
    for (;;) {
        LRK_TRY(try_padded(s, f, talk, who, false, ok, err));
        if (*ok) return LRK_OK;
        if (++f->left[who] < LRK_TRIMS) continue;
        f->left[who] = LRK_TRIM_NONE;
        if (++f->right[who] < LRK_TRIMS) continue;
        f->right[who] = LRK_TRIM_NONE;
        return LRK_OK;
    }
}

/* ---- calls, thoughts, tools, and answers without thinking ---- */

static bool is_of(lrk_speaker who, lrk_speaker first, lrk_speaker last)
{
    return who >= first && who <= last;
}

static void forget(lrk_form *f, lrk_speaker first, lrk_speaker last)
{
    for (lrk_speaker i = LRK_NOBODY; i < LRK_SPEAKERS; i++)
        for (lrk_speaker k = LRK_NOBODY; k < LRK_SPEAKERS; k++) {
            if (!is_of(i, first, last) && !is_of(k, first, last)) continue;
            lrk_buf_free(&f->between[i][k]);
        }
}

/* Whether the template has anything of the one conversation that it has not of the other. */
static lrk_status differs(source *s, const lrk_form *f, scene *a, scene *b, bool *yes, lrk_err *err)
{
    lrk_buf one = {0}, two = {0};
    bool takes = false, takes_too = false;
    s->mark = "seen";
    s->chat->now = lrk_form_now(0);
    lrk_status status = lrk_scene_build(s, f, a, err);
    if (status == LRK_OK) status = lrk_scene_build(s, f, b, err);
    if (status == LRK_OK) status = lrk_scene_render(s, a, &one, &takes, err);
    if (status == LRK_OK) status = lrk_scene_render(s, b, &two, &takes_too, err);
    *yes = takes && takes_too && !lrk_form_same(&one, &two);
    lrk_buf_free(&one);
    lrk_buf_free(&two);
    lrk_scene_free(a);
    lrk_scene_free(b);
    return status;
}

static const char *const call_talks[] = {"uct",    "ubt",   "suct",  "uctau", "ucttau",
                                         "udttau", "ubtau", "uctct", "uctbt", "uctu", NULL};
static const char *const call_trials[] = {"uct",     "suct",  "ubt",       "uctau", "suctau", "udtt", "sudttau",
                                          "uctct",   "uauct", "uctbtctau", "uctuct", "suctauct", "uctu",
                                          "ubtaubt", NULL};

static lrk_status attempt_calls(source *s, lrk_form *f, bool *ok, lrk_err *err)
{
    LRK_TRY(read_talks(s, f, call_talks, 2, 0, f->between, ok, err));
    if (*ok) LRK_TRY(try_talks(s, f, call_trials, false, ok, err));
    if (*ok) LRK_TRY(find_trim(s, f, "uct", LRK_RESULT, ok, err));
    if (*ok) *ok = !f->quoted || (!f->left[LRK_RESULT] && !f->right[LRK_RESULT]);
    if (*ok) LRK_TRY(try_padded(s, f, "ubt", LRK_ASSISTANT, false, ok, err));
    if (!*ok) forget(f, LRK_CALL, LRK_RESULT);
    return LRK_OK;
}

static lrk_status find_calls(source *s, lrk_form *f, lrk_err *err)
{
    for (size_t i = 0; i < 4 && !f->calls && !f->late; i++) {
        f->quoted = i & 1;
        f->speechless = i & 2;
        LRK_TRY(attempt_calls(s, f, &f->calls, err));
    }
    scene with = {.talk = "uctu"}, without = {.talk = "uetu"};
    return f->calls ? LRK_OK : differs(s, f, &with, &without, &f->lost_calls, err);
}

static const char *const past_talks[] = {"uhu", "umt", "ukt", "umtau", NULL};
static const char *const past_trials[] = {"uhu", "uhuau", "suhuhu", "uauhu", "ukt", "umt", "uktktau", NULL};
static const char *const last_talks[] = {"ukt", "umt", "uktkt", "uctkt", NULL};
static const char *const last_trials[] = {"ukt", "umt", "uktau", "uauhukt", "uktmt", "uctkt", "uktct", "sumtauktkt",
                                          "uhu", NULL};

static lrk_status attempt_thoughts(source *s, lrk_form *f, bool *ok, lrk_err *err)
{
    const bool all = f->thoughts == LRK_THOUGHTS_ALL;
    LRK_TRY(read_talks(s, f, all ? past_talks : last_talks, 1, 0, f->between, ok, err));
    if (*ok) LRK_TRY(try_talks(s, f, all ? past_trials : last_trials, false, ok, err));
    if (*ok) LRK_TRY(find_trim(s, f, all ? "uhu" : "ukt", LRK_THOUGHT, ok, err));
    if (*ok) LRK_TRY(find_trim(s, f, all ? "uhu" : "umt", LRK_ANSWER, ok, err));
    return LRK_OK;
}

static lrk_status find_thoughts(source *s, lrk_form *f, lrk_err *err)
{
    scene before = {.talk = "uhuhu"}, bare = {.talk = "uauau"}, behind = {.talk = "ukt"}, too = {.talk = "uct"};
    bool past, last, ok = false;
    LRK_TRY(differs(s, f, &before, &bare, &past, err));
    LRK_TRY(differs(s, f, &behind, &too, &last, err));
    if (!past && !last) return LRK_OK;
    f->thoughts = past ? LRK_THOUGHTS_ALL : LRK_THOUGHTS_LAST;
    if (!f->late && (past || f->calls)) LRK_TRY(attempt_thoughts(s, f, &ok, err));
    if (ok) return LRK_OK;
    f->thoughts = LRK_THOUGHTS_UNSEEN;
    f->lost_thoughts = true;
    forget(f, LRK_THOUGHT, LRK_ANSWER);
    return LRK_OK;
}

static const char *const plain_talks[] = {"u", "su", "uau", "suau", "uasu", "s", NULL};
static const char *const plain_trials[] = {"u", "uauau", "su", "suauau", "suasu", "uasu", "s", NULL};

/* The pieces beside tools, in the style that f has. */
static lrk_status read_equipped(source *s, lrk_form *f, bool *ok, lrk_err *err)
{
    const bool all = f->thoughts == LRK_THOUGHTS_ALL, thinks = f->thoughts != LRK_THOUGHTS_UNSEEN;
    bool too = true;
    LRK_TRY(read_talks(s, f, plain_talks, 1, 2, f->equipped, ok, err));
    if (*ok) LRK_TRY(read_talks(s, f, call_talks, 2, 2, f->equipped, ok, err));
    if (*ok && thinks) LRK_TRY(read_talks(s, f, all ? past_talks : last_talks, 1, 2, f->equipped, &too, err));
    *ok = *ok && too;
    if (*ok) LRK_TRY(try_talks(s, f, plain_trials, true, ok, err));
    if (*ok) LRK_TRY(try_talks(s, f, call_trials, true, ok, err));
    if (*ok && thinks) LRK_TRY(try_talks(s, f, all ? past_trials : last_trials, true, ok, err));
    for (lrk_speaker who = f->system ? LRK_SYSTEM : LRK_USER; who <= LRK_RESULT && *ok; who++)
        if (who != LRK_THOUGHT && who != LRK_ANSWER)
            LRK_TRY(try_padded(s, f, f->system ? "suauct" : "uauct", who, true, ok, err));
    return LRK_OK;
}

static lrk_status find_tools(source *s, lrk_form *f, lrk_err *err)
{
    static const int indents[] = {0, 4, 2};
    scene with = {.talk = "u", .n_tools = 2}, without = {.talk = "u"};
    bool ok;
    LRK_TRY(differs(s, f, &with, &without, &f->lost_tools, err));
    for (size_t i = 0; i < 12 && f->lost_tools && f->calls; i++) {
        f->tools = LRK_TOOLS_LIST + (lrk_tool_list)(i / 3);
        f->indent = indents[i % 3];
        LRK_TRY(read_equipped(s, f, &ok, err));
        f->lost_tools = !ok;
        if (ok) break;
        lrk_pieces_free(f->equipped);
        lrk_buf_free(&f->separator);
    }
    if (f->lost_tools) f->tools = LRK_TOOLS_UNSEEN;
    return LRK_OK;
}

/* What stands behind the last words where enable_thinking is false, into *piece; *ok: what comes before is the same. */
static lrk_status read_quiet(source *s, lrk_form *f, scene *c, bool *ok, lrk_err *err)
{
    lrk_buf text = {0}, head = {0}, list = {0};
    s->chat->now = lrk_form_now(LRK_FORM_DAYS);
    s->chat->no_thinking = true;
    lrk_status status = lrk_scene_build(s, f, c, err);
    if (status == LRK_OK && c->n_tools) status = lrk_scene_say_tools(f, c->tools, &list, err);
    if (status == LRK_OK) status = lrk_scene_render(s, c, &text, ok, err);
    if (status == LRK_OK && *ok && compose(f, c, &list, false, &head)) {
        status = lrk_buf_check(&head, err);
        const lrk_speaker last = c->items[c->n - 1].who;
        *ok = status == LRK_OK && head.n <= text.n && memcmp(head.data, text.data, head.n) == 0 &&
              lrk_form_keep(&f->quiet[last], text.data + head.n, text.n - head.n);
        if (status == LRK_OK) status = lrk_buf_check(&f->quiet[last], err);
    }
    s->chat->no_thinking = false;
    lrk_buf_free(&list);
    lrk_buf_free(&head);
    lrk_buf_free(&text);
    lrk_scene_free(c);
    return status;
}

static lrk_status find_quiet(source *s, lrk_form *f, lrk_err *err)
{
    static const char *const with_calls[] = {"u", "su", "uau", "suau", "uct", "suctau", "sudtt", NULL};
    const size_t n = f->late ? 0 : f->calls ? 7 : 4;
    bool ok = true, changes = false;
    for (size_t i = 0; i < n && ok; i++) {
        scene c = {.talk = with_calls[i], .n_tools = i % 2 && f->tools};
        if (!f->system && c.talk[0] == 's') continue;
        s->mark = "acht";
        LRK_TRY(read_quiet(s, f, &c, &ok, err));
    }
    for (size_t i = 0; i < LRK_SPEAKERS; i++)
        changes |= f->quiet[i].data && f->between[i][LRK_NEXT].data &&
                   !lrk_form_same(&f->quiet[i], &f->between[i][LRK_NEXT]);
    for (size_t i = 0; i < LRK_SPEAKERS && (!ok || !changes); i++) lrk_buf_free(&f->quiet[i]);
    return LRK_OK;
}

lrk_status lrk_form_find_more(lrk_form_source *s, lrk_form *f, lrk_err *err)
{
    LRK_TRY(find_calls(s, f, err));
    LRK_TRY(find_thoughts(s, f, err));
    LRK_TRY(find_tools(s, f, err));
    return find_quiet(s, f, err);
}
