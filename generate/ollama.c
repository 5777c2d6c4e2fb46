/* generate/ollama.c -- the form of a chat template as a Go template, and the Modelfile around it. */
#include "generate/ollama.h"

#include "base/file.h"
#include "base/log.h"
#include "generate/manifest.h"
#include "generate/ollama_form.h"
#include "generate/ollama_json.h"

#include <string.h>

/* Constants, and between them the parts of a date, and the list of tools. */
static void put_bytes(const char *text, size_t n, lrk_buf *out)
{
    static const char *const parts[] = {"template \"tools\" $.Tools", "slice $day 0 4", "slice $day 5 7",
                                        "slice $day 8 10",              "$month",         "slice $month 0 3"};
    size_t done = 0;
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (c < LRK_FORM_TOOLS) continue;
        lrk_go_constant(text + done, i - done, out);
        lrk_buf_printf(out, "{{ %s }}", parts[c - LRK_FORM_TOOLS]);
        done = i + 1;
    }
    lrk_go_constant(text + done, n - done, out);
}

static void put_piece(const lrk_buf *piece, lrk_buf *out)
{
    put_bytes(piece->data, piece->n, out);
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
            "\"\\u1680\" \"\\u2000\" \"\\u2001\" \"\\u2002\" \"\\u2003\" \"\\u2004\" \"\\u2005\" \"\\u2006\" "
            "\"\\u2007\" \"\\u2008\" \"\\u2009\" \"\\u200a\" \"\\u2028\" \"\\u2029\" \"\\u202f\" \"\\u205f\" "
            "\"\\u3000\""}};
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

/* Where one speaks after the other, without the last bytes of what stands between them. */
static void put_between(const lrk_form *f, lrk_speaker before, lrk_speaker who, size_t head, size_t tail, lrk_buf *out)
{
    const lrk_buf *plain = &f->between[before][who], *equipped = &f->equipped[before][who];
    const bool differ = f->tools && (!equipped->data || !plain->data || equipped->n != plain->n ||
                                     memcmp(equipped->data, plain->data, plain->n) != 0);
    if (differ) {
        lrk_buf_puts(out, "{{ if $.Tools }}");
        if (equipped->data)
            put_bytes(equipped->data + head, equipped->n - head - tail, out);
        else
            put_error("the chat template has no such turn here", out);
        lrk_buf_puts(out, "{{ else }}");
    }
    if (plain->data)
        put_bytes(plain->data + head, plain->n - head - tail, out);
    else
        put_error("the chat template has no such turn here", out);
    if (differ) lrk_buf_puts(out, "{{ end }}");
}

/* What stands before the words of `who`, by who spoke last, without its last bytes, and, behind a thought, without the
 * first ones. */
static void put_cut_head(const lrk_form *f, lrk_speaker who, size_t closing, size_t tail, lrk_buf *out)
{
    const char *word = "if";
    for (lrk_speaker before = LRK_NOBODY; before < LRK_NEXT; before++) {
        if (!f->between[before][who].data && !f->equipped[before][who].data) continue;
        lrk_buf_printf(out, "{{ %s eq $last \"%s\" }}", word, lrk_speaker_names[before]);
        put_between(f, before, who, before == LRK_THOUGHT ? closing : 0, tail, out);
        word = "else if";
    }
    lrk_buf_puts(out, "{{ else }}");
    put_error("the chat template has no such turn here", out);
    lrk_buf_puts(out, "{{ end }}");
}

static void put_head(const lrk_form *f, lrk_speaker who, lrk_buf *out)
{
    put_cut_head(f, who, 0, 0, out);
}

static void put_words(const lrk_form *f, lrk_speaker who, const char *words, lrk_buf *out)
{
    if (f->left[who] || f->right[who])
        lrk_buf_printf(out, "{{ template \"trim%d%d\" %s }}", (int)f->left[who], (int)f->right[who], words);
    else
        lrk_buf_printf(out, "{{ %s }}", words);
    lrk_buf_printf(out, "{{ $last = \"%s\" }}", lrk_speaker_names[who]);
}

static void put_turn(const lrk_form *f, lrk_speaker who, lrk_buf *out)
{
    const char *const word = who == LRK_SYSTEM ? "" : "else ";
    lrk_buf_printf(out, "{{- %sif eq .Role \"%s\" }}", word, lrk_speaker_names[who]);
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

/* Ollama looks for the text behind which calls begin, and between which thoughts stand, in what is no action of a
 * template; blanks at its ends may be trimmed there, so that those are constants. */
static void put_plain(const char *text, size_t n, lrk_buf *out)
{
    size_t begin = 0, end = n;
    while (begin < end && strchr(" \n\t", text[begin])) begin++;
    while (end > begin && strchr(" \n\t", text[end - 1])) end--;
    bool plain = end > begin && text[end - 1] != '{';
    for (size_t i = begin; i < end; i++)
        plain &= (unsigned char)text[i] < LRK_FORM_TOOLS && text[i] != '\r' && text[i] != '\0' &&
                 !(i + 1 < end && text[i] == '{' && text[i + 1] == '{') &&
                 !(i + 2 < end && memcmp(text + i, "\"\"\"", 3) == 0);
    if (!plain) {
        put_bytes(text, n, out);
        return;
    }
    lrk_go_constant(text, begin, out);
    lrk_buf_append(out, text + begin, end - begin);
    lrk_go_constant(text + end, n - end, out);
}

/* The bytes that all pieces before `who` end with, of those that stand behind the head of an answer. Fewer than these
 * begin with a bracket, so that no token is cut in two. */
static size_t common_tail(const lrk_form *f, lrk_speaker who)
{
    const lrk_buf *first = &f->between[LRK_USER][who], *head = &f->between[LRK_USER][LRK_ASSISTANT];
    if (!first->data || !head->data || first->n < head->n || memcmp(first->data, head->data, head->n) != 0) return 0;
    size_t n = first->n - head->n;
    for (size_t i = 0; i < 2 * LRK_SPEAKERS; i++) {
        const lrk_buf *p = i % 2 ? &f->equipped[i / 2][who] : &f->between[i / 2][who];
        if (!p->data) continue;
        size_t k = 0;
        while (k < n && k < p->n && p->data[p->n - 1 - k] == first->data[first->n - 1 - k]) k++;
        n = k;
    }
    while (n && n < first->n - head->n && !strchr("<[", first->data[first->n - n])) n--;
    return n;
}

/* The bytes up to the last bracket of those that all pieces behind a thought begin with. */
static size_t closing(const lrk_form *f)
{
    const lrk_buf *first = NULL;
    size_t n = 0;
    for (size_t i = 0; i < 2 * LRK_SPEAKERS; i++) {
        const lrk_buf *p = i % 2 ? &f->equipped[LRK_THOUGHT][i / 2] : &f->between[LRK_THOUGHT][i / 2];
        if (!p->data || i / 2 == LRK_NEXT) continue;
        if (!first) n = p->n;
        if (!first) first = p;
        size_t k = 0;
        while (k < n && k < p->n && p->data[k] == first->data[k]) k++;
        n = k;
    }
    while (n && !strchr(">]", first->data[n - 1])) n--;
    return n;
}

static const lrk_buf *seen(const lrk_form *f, lrk_speaker before, lrk_speaker who)
{
    return f->between[before][who].data ? &f->between[before][who] : &f->equipped[before][who];
}

static void put_thought(const lrk_form *f, lrk_buf *out)
{
    const size_t tail = common_tail(f, LRK_THOUGHT), head = closing(f);
    const lrk_buf *open = &f->between[LRK_USER][LRK_THOUGHT], *close = seen(f, LRK_THOUGHT, LRK_ANSWER);
    lrk_buf_puts(out, f->thoughts == LRK_THOUGHTS_ALL ? "{{ $thinks := .Thinking }}"
                                                      : "{{ $thinks := and .Thinking (gt $i $asked) }}");
    lrk_buf_puts(out, "{{ if $thinks }}");
    put_cut_head(f, LRK_THOUGHT, 0, tail, out);
    lrk_buf_puts(out, "{{ end }}{{ if $thinks }}");
    put_plain(open->data + open->n - tail, tail, out);
    put_words(f, LRK_THOUGHT, ".Thinking", out);
    put_plain(close->data, head, out);
    lrk_buf_puts(out, "{{ end }}");
}

static void put_content(const lrk_form *f, lrk_buf *out)
{
    if (f->thoughts) {
        lrk_buf_puts(out, "{{ if $thinks }}");
        put_cut_head(f, LRK_ANSWER, closing(f), 0, out);
        put_words(f, LRK_ANSWER, ".Content", out);
        lrk_buf_puts(out, "{{ else }}");
    }
    put_head(f, LRK_ASSISTANT, out);
    put_words(f, LRK_ASSISTANT, ".Content", out);
    if (f->thoughts) lrk_buf_puts(out, "{{ end }}");
}

static void put_calls(const lrk_form *f, lrk_buf *out)
{
    const size_t tail = common_tail(f, LRK_CALL);
    const lrk_buf *call = &f->between[LRK_USER][LRK_CALL];
    lrk_buf_puts(out, "{{ if $calls }}");
    put_cut_head(f, LRK_CALL, f->thoughts ? closing(f) : 0, tail, out);
    lrk_buf_puts(out, "{{ end }}{{ if .ToolCalls }}{{ range $k, $_ := .ToolCalls }}");
    put_plain(call->data + call->n - tail, tail, out);
    lrk_buf_puts(out, "{{ .Function.Name }}");
    put_between(f, LRK_CALL, LRK_ARGUMENTS, 0, 0, out);
    lrk_buf_puts(out, "{{ template \"object\" .Function.Arguments }}{{ if gt (len (slice $calls $k)) 1 }}");
    if (seen(f, LRK_ARGUMENTS, LRK_CALL)->data)
        put_between(f, LRK_ARGUMENTS, LRK_CALL, 0, tail, out);
    else
        put_error("the chat template has one call at a time", out);
    lrk_buf_printf(out, "{{ end }}{{ end }}{{ $last = \"%s\" }}{{ end }}", lrk_speaker_names[LRK_ARGUMENTS]);
}

/* Thought, content and calls, as far as the form has them. */
static void put_answer(const lrk_form *f, lrk_buf *out)
{
    lrk_buf_printf(out, "{{- else if eq .Role \"%s\" }}", lrk_speaker_names[LRK_ASSISTANT]);
    if (f->lost_thoughts) lrk_buf_puts(out, "{{ if .Thinking }}");
    if (f->lost_thoughts) put_error("the chat template shows thoughts as no Go template here does", out);
    if (f->lost_thoughts) lrk_buf_puts(out, "{{ end }}");
    if (!f->calls) lrk_buf_puts(out, "{{ if .ToolCalls }}");
    if (!f->calls) put_error("the chat template has no calls, or as no Go template here has them", out);
    if (!f->calls) lrk_buf_puts(out, "{{ end }}");
    if (f->calls) lrk_buf_puts(out, "{{ $calls := .ToolCalls }}");
    if (f->thoughts) put_thought(f, out);
    if (f->calls) lrk_buf_puts(out, f->speechless ? "{{ if not $calls }}" : "{{ if or .Content (not $calls) }}");
    put_content(f, out);
    if (f->calls) lrk_buf_puts(out, "{{ end }}");
    if (f->calls) put_calls(f, out);
    lrk_buf_puts(out, "\n");
}

static void put_result(const lrk_form *f, lrk_buf *out)
{
    lrk_buf_puts(out, "{{- else if eq .Role \"tool\" }}");
    put_head(f, LRK_RESULT, out);
    if (f->quoted)
        lrk_buf_printf(out, "{{ template \"string\" .Content }}{{ $last = \"%s\" }}", lrk_speaker_names[LRK_RESULT]);
    else
        put_words(f, LRK_RESULT, ".Content", out);
    lrk_buf_puts(out, "\n");
}

static void put_next(const lrk_form *f, lrk_speaker last, lrk_buf *out)
{
    if (f->quiet[last].data) {
        lrk_buf_puts(out, "{{ if and $.IsThinkSet (not $.Think) }}");
        put_piece(&f->quiet[last], out);
        lrk_buf_puts(out, "{{ else }}");
    }
    put_between(f, last, LRK_NEXT, 0, 0, out);
    if (f->quiet[last].data) lrk_buf_puts(out, "{{ end }}");
}

static void put_stop(const char *token, lrk_buf *out)
{
    lrk_buf_puts(out, "PARAMETER stop ");
    lrk_json_quote(out, token, strlen(token));
    lrk_buf_puts(out, "\n");
}

static void put_trims(const lrk_form *f, lrk_buf *out)
{
    bool made[LRK_TRIMS][LRK_TRIMS] = {{true}};
    for (lrk_speaker who = LRK_SYSTEM; who < LRK_NEXT; who++) {
        if (!made[f->left[who]][f->right[who]]) put_trim(f->left[who], f->right[who], out);
        made[f->left[who]][f->right[who]] = true;
    }
}

static void put_template(const lrk_form *f, lrk_buf *out)
{
    const bool last_thoughts = f->thoughts == LRK_THOUGHTS_LAST;
    put_trims(f, out);
    if (f->calls) lrk_go_json(f, out);
    if (has_date(f)) put_date(out);
    lrk_buf_puts(out, "{{- $last := \"\" }}\n");
    if (f->late) lrk_buf_puts(out, "{{- $held := false }}{{ $system := \"\" }}\n");
    if (last_thoughts)
        lrk_buf_puts(out, "{{- $asked := -1 }}{{ range $i, $_ := .Messages }}{{ if eq .Role \"user\" }}"
                          "{{ $asked = $i }}{{ end }}{{ end }}\n");
    lrk_buf_printf(out, "{{- range %s.Messages }}\n", f->late || last_thoughts ? "$i, $_ := " : "");
    put_turn(f, LRK_SYSTEM, out);
    put_turn(f, LRK_USER, out);
    put_answer(f, out);
    if (f->calls) put_result(f, out);
    lrk_buf_puts(out, "{{- else }}");
    put_error("the chat template has no such role here", out);
    lrk_buf_puts(out, "\n{{- end }}\n{{- end }}\n");
    const char *word = "if";
    for (lrk_speaker last = LRK_SYSTEM; last <= LRK_RESULT; last++) {
        /* an answer that ends a conversation is one to go on with */
        if (last == LRK_ASSISTANT || last == LRK_THOUGHT || last == LRK_ANSWER || last == LRK_CALL) continue;
        if (last > LRK_ASSISTANT && !f->calls) continue;
        lrk_buf_printf(out, "{{- %s eq $last \"%s\" }}", word, lrk_speaker_names[last]);
        word = "else if";
        if (seen(f, last, LRK_NEXT)->data)
            put_next(f, last, out);
        else
            put_error("the chat template has no answer to this", out);
    }
    lrk_buf_puts(out, "{{ end }}\n{{- \"\" }}");
}

static void put_stops(const char *eos, const char *stop, lrk_buf *out)
{
    if (stop) put_stop(stop, out);
    if (eos && *eos && (!stop || strcmp(stop, eos) != 0)) put_stop(eos, out);
}

static void put_model(const char *from, const char *adapter, lrk_buf *out)
{
    lrk_buf_printf(out, "FROM %s\n", from);
    if (adapter) lrk_buf_printf(out, "ADAPTER %s\n", adapter);
}

/* Ollama puts the answer behind the prompt, as a completion stands behind it in training. */
static void print_plain(const char *eos, const char *from, const char *adapter, lrk_buf *out)
{
    put_model(from, adapter, out);
    lrk_buf_puts(out, "# Trained on plain prompts, without a chat template: what is asked goes in as it stands, so\n"
                      "# that a prompt has to look as those of the training rows. A system message is not shown.\n"
                      "TEMPLATE \"\"\"{{ .Prompt }}\"\"\"\n");
    put_stops(eos, NULL, out);
}

static void print(const lrk_chat_options *chat, const lrk_form *f, const char *from, const char *adapter, lrk_buf *out)
{
    put_model(from, adapter, out);
    if (f->calls)
        lrk_buf_puts(out,
                     "# Ollama does not keep the order of a tool's members and of arguments. Here: type, function;\n"
                     "# name, description, parameters; type, properties, required; type, description, enum, items;\n"
                     "# properties and arguments by name. A model that was trained on another order sees this one.\n");
    lrk_buf_puts(out, "TEMPLATE \"\"\"");
    put_template(f, out);
    lrk_buf_puts(out, "\"\"\"\n");
    put_stops(chat->eos, f->stop.n ? f->stop.data : NULL, out);
}

static void warn_lost(const lrk_form *f, const char *where)
{
    const bool lost[] = {f->lost_tools, f->lost_calls, f->lost_thoughts};
    static const char *const what[] = {"a list of tools", "calls of tools", "thoughts beside an answer"};
    for (size_t i = 0; i < 3; i++)
        if (lost[i])
            lrk_warn("%s: the chat template shows %s in a way that has no Go template here: Ollama refuses them with "
                     "this Modelfile",
                     where, what[i]);
}

lrk_status lrk_ollama_modelfile(const lrk_model_text *m, const char *where, const char *choice,
                                const char *from, const char *adapter, lrk_buf *out, lrk_err *err)
{
    lrk_form f = {.system = false};
    lrk_template *template;
    lrk_chat_options chat = {.template = NULL};
    const bool plain = strcmp(choice, LRK_CHAT_TEMPLATE_NONE) == 0;
    LRK_TRY(lrk_text_chat(m, choice, where, !plain, &template, &chat, err));
    if (plain) {
        print_plain(chat.eos, from, adapter, out);
        return lrk_buf_check(out, err);
    }
    chat.add_generation_prompt = true;
    const lrk_status status = lrk_form_find(&chat, lrk_tokenizer_adds_bos(m->tokenizer), where, &f, err);
    if (status == LRK_OK) print(&chat, &f, from, adapter, out);
    if (f.forgets_thinking)
        lrk_warn("%s: the chat template leaves <think> blocks out of earlier answers, Ollama's templates cannot: "
                 "whoever goes on with a conversation must send its answers without them%s",
                 where, f.thoughts ? ", and thoughts as such" : "");
    warn_lost(&f, where);
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

const char *lrk_ollama_choice(const lrk_json *manifest)
{
    return lrk_manifest_trained_plain(manifest) ? LRK_CHAT_TEMPLATE_NONE : "tokenizer_default";
}

lrk_status lrk_ollama_complete(const char *directory, const char *choice, const lrk_json *manifest, lrk_err *err)
{
    lrk_model_text text = {0};
    lrk_arena a = lrk_arena_growing("Modelfile");
    const char *path = lrk_path_join(&a, directory, LRK_OLLAMA_MODEL);
    lrk_status s = path ? lrk_text_open(&text, path, err) : lrk_fail(err, LRK_ENOMEM, "memory: no room for a path");
    if (s == LRK_OK)
        s = lrk_ollama_write(&text, path, choice, directory, "./" LRK_OLLAMA_MODEL, NULL, err);
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
