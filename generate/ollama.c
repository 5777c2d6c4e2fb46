/* generate/ollama.c -- the form of a chat template as a Go template, and the Modelfile around it. */
#include "generate/ollama.h"

#include "base/file.h"
#include "base/log.h"
#include "generate/manifest.h"
#include "generate/ollama_form.h"

#include <string.h>

/* A constant, so that no blank of it can be trimmed. */
static void put_constant(const char *text, size_t n, lrk_buf *out)
{
    if (!n) return;
    lrk_buf_puts(out, "{{ ");
    lrk_json_quote(out, text, n);
    lrk_buf_puts(out, " }}");
}

/* Constants, and between them the parts of a date. */
static void put_piece(const lrk_buf *piece, lrk_buf *out)
{
    static const char *const parts[] = {"slice $day 0 4", "slice $day 5 7", "slice $day 8 10", "$month",
                                        "slice $month 0 3"};
    size_t done = 0;
    for (size_t i = 0; i < piece->n; i++) {
        const unsigned char c = (unsigned char)piece->data[i];
        if (c < LRK_FORM_YEAR) continue;
        put_constant(piece->data + done, i - done, out);
        lrk_buf_printf(out, "{{ %s }}", parts[c - LRK_FORM_YEAR]);
        done = i + 1;
    }
    put_constant(piece->data + done, piece->n - done, out);
}

static bool has_date(const lrk_form *f)
{
    for (size_t i = 0; i < LRK_SPEAKERS; i++)
        for (size_t k = 0; k < LRK_SPEAKERS; k++)
            for (size_t j = 0; j < f->between[i][k].n; j++)
                if ((unsigned char)f->between[i][k].data[j] >= LRK_FORM_YEAR) return true;
    return false;
}

/* $day is like 2006-01-02, $month like January. */
static void put_date(lrk_buf *out)
{
    static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
                                         "July",    "August",   "September", "October", "November", "December"};
    lrk_buf_puts(out, "{{- $day := currentDate }}\n{{- $month := slice $day 5 7 }}\n{{- ");
    for (size_t i = 0; i < 12; i++)
        lrk_buf_printf(out, "%sif eq $month \"%02zu\" }}{{ $month = \"%s\" }}{{ ", i ? "else " : "", i + 1, months[i]);
    lrk_buf_puts(out, "end }}\n");
}

/* Template "trimNM" prints what it is given without what N cuts off its beginning and M off its end. Go has no
 * subtraction: the length of a text without its first k bytes is where its last k begin. */
static void put_cut(const char *name, lrk_trim trim, const char *part, const char *rest, lrk_buf *out)
{
    static const char *const blanks[LRK_TRIMS][3] = {
        [LRK_TRIM_LINES] = {"\"\\n\""},
        [LRK_TRIM_BLANKS] = {
            "\" \" \"\\t\" \"\\n\" \"\\v\" \"\\f\" \"\\r\" \"\\x1c\" \"\\x1d\" \"\\x1e\" \"\\x1f\"",
            "\"\\u0085\" \"\\u00a0\"",
            "\"\\u1680\" \"\\u2000\" \"\\u2001\" \"\\u2002\" \"\\u2003\" \"\\u2004\" \"\\u2005\" \"\\u2006\" \"\\u2007\" "
            "\"\\u2008\" \"\\u2009\" \"\\u200a\" \"\\u2028\" \"\\u2029\" \"\\u202f\" \"\\u205f\" \"\\u3000\""}};
    for (size_t k = 1; k <= 3 && blanks[trim][k - 1]; k++) {
        lrk_buf_printf(out, "{{ else if and (ge (len .) %zu) (eq (", k);
        lrk_buf_printf(out, part, k);
        lrk_buf_printf(out, ") %s) }}{{ template \"%s\" (", blanks[trim][k - 1], name);
        lrk_buf_printf(out, rest, k);
        lrk_buf_puts(out, ") }}");
    }
}

static void put_trim(lrk_trim left, lrk_trim right, lrk_buf *out)
{
    const char name[] = {'t', 'r', 'i', 'm', (char)('0' + left), (char)('0' + right), '\0'};
    lrk_buf_printf(out, "{{- define \"%s\" }}{{ if eq . \"\" }}", name);
    put_cut(name, left, "slice . 0 %zu", "slice . %zu", out);
    put_cut(name, right, "slice . (len (slice . %zu))", "slice . 0 (len (slice . %zu))", out);
    lrk_buf_puts(out, "{{ else }}{{ . }}{{ end }}{{ end }}\n");
}

/* Fails where it is reached. */
static void put_error(const char *text, lrk_buf *out)
{
    lrk_buf_printf(out, "{{ index \"%s\" 99 }}", text);
}

/* What stands before the words of `who`, by who spoke last. */
static void put_head(const lrk_form *f, lrk_speaker who, lrk_buf *out)
{
    const char *word = "if";
    for (lrk_speaker before = LRK_NOBODY; before <= LRK_ASSISTANT; before++) {
        if (!f->between[before][who].data) continue;
        lrk_buf_printf(out, "{{ %s eq $last \"%s\" }}", word, lrk_speaker_roles[before]);
        put_piece(&f->between[before][who], out);
        word = "else if";
    }
    lrk_buf_puts(out, "{{ else }}");
    put_error("the chat template has no such turn here", out);
    lrk_buf_puts(out, "{{ end }}");
}

static void put_words(const lrk_form *f, lrk_speaker who, const char *words, lrk_buf *out)
{
    if (f->left[who] || f->right[who])
        lrk_buf_printf(out, "{{ template \"trim%d%d\" %s }}", (int)f->left[who], (int)f->right[who], words);
    else
        lrk_buf_printf(out, "{{ %s }}", words);
    lrk_buf_printf(out, "{{ $last = \"%s\" }}", lrk_speaker_roles[who]);
}

static void put_turn(const lrk_form *f, lrk_speaker who, lrk_buf *out)
{
    const char *const word = who == LRK_SYSTEM ? "" : "else ";
    lrk_buf_printf(out, "{{- %sif eq .Role \"%s\" }}", word, lrk_speaker_roles[who]);
    if (who == LRK_SYSTEM && !f->system) {
        put_error("this model takes no system message", out);
    } else if (who == LRK_SYSTEM && f->late) {
        lrk_buf_puts(out, "{{ if $last }}");
        put_error("the chat template has no such turn here", out);
        lrk_buf_puts(out, "{{ end }}{{ $held = true }}{{ $system = .Content }}");
    } else {
        if (who == LRK_USER && f->late && f->system) {
            lrk_buf_puts(out, "{{ if and $held (eq (len (slice $.Messages $i)) 1) }}");
            put_head(f, LRK_SYSTEM, out);
            put_words(f, LRK_SYSTEM, "$system", out);
            lrk_buf_puts(out, "{{ end }}");
        }
        put_head(f, who, out);
        put_words(f, who, ".Content", out);
    }
    lrk_buf_puts(out, "\n");
}

static void put_stop(const char *token, lrk_buf *out)
{
    lrk_buf_puts(out, "PARAMETER stop ");
    lrk_json_quote(out, token, strlen(token));
    lrk_buf_puts(out, "\n");
}

static void put_template(const lrk_form *f, lrk_buf *out)
{
    bool made[LRK_TRIMS][LRK_TRIMS] = {{true}};
    for (lrk_speaker who = LRK_SYSTEM; who <= LRK_ASSISTANT; who++) {
        if (!made[f->left[who]][f->right[who]]) put_trim(f->left[who], f->right[who], out);
        made[f->left[who]][f->right[who]] = true;
    }
    if (has_date(f)) put_date(out);
    lrk_buf_puts(out, "{{- $last := \"\" }}\n");
    if (f->late) lrk_buf_puts(out, "{{- $held := false }}{{ $system := \"\" }}\n");
    lrk_buf_printf(out, "{{- range %s.Messages }}\n", f->late ? "$i, $_ := " : "");
    for (lrk_speaker who = LRK_SYSTEM; who <= LRK_ASSISTANT; who++) put_turn(f, who, out);
    lrk_buf_puts(out, "{{- else }}");
    put_error("the chat template has no such role here", out);
    lrk_buf_puts(out, "\n{{- end }}\n{{- end }}\n");
    const char *word = "if";
    for (lrk_speaker last = LRK_SYSTEM; last <= LRK_USER; last++, word = "else if") {
        lrk_buf_printf(out, "{{- %s eq $last \"%s\" }}", word, lrk_speaker_roles[last]);
        if (f->between[last][LRK_NEXT].data)
            put_piece(&f->between[last][LRK_NEXT], out);
        else
            put_error("the chat template has no answer to this", out);
    }
    lrk_buf_puts(out, "{{ end }}\n{{- \"\" }}");
}

static void print(const lrk_chat_options *chat, const lrk_form *f, const char *from, const char *adapter, lrk_buf *out)
{
    const char *eos = chat->eos, *stop = f->stop.n ? f->stop.data : NULL;
    lrk_buf_printf(out, "FROM %s\n", from);
    if (adapter) lrk_buf_printf(out, "ADAPTER %s\n", adapter);
    lrk_buf_puts(out, "TEMPLATE \"\"\"");
    put_template(f, out);
    lrk_buf_puts(out, "\"\"\"\n");
    if (stop) put_stop(stop, out);
    if (eos && *eos && (!stop || strcmp(stop, eos) != 0)) put_stop(eos, out);
}

lrk_status lrk_ollama_modelfile(const lrk_model_text *m, const char *where, const char *choice,
                                const char *from, const char *adapter, lrk_buf *out, lrk_err *err)
{
    lrk_form f = {.system = false};
    lrk_template *template;
    lrk_chat_options chat = {.template = NULL};
    LRK_TRY(lrk_text_chat(m, choice, where, true, &template, &chat, err));
    chat.add_generation_prompt = true;
    const lrk_status status = lrk_form_find(&chat, lrk_tokenizer_adds_bos(m->tokenizer), where, &f, err);
    if (status == LRK_OK) print(&chat, &f, from, adapter, out);
    if (f.forgets_thinking)
        lrk_warn("%s: the chat template leaves <think> blocks out of earlier answers, Ollama's templates cannot: whoever "
                 "goes on with a conversation must send its answers without them",
                 where);
    lrk_form_free(&f);
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
    lrk_remove_files(directory, files, sizeof files / sizeof *files);
    (void)lrk_remove(directory, NULL);
}
