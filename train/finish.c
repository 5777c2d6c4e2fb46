/* train/finish.c -- final artefacts of a run. */
#include "train/finish.h"

#include "base/file.h"
#include "base/log.h"
#include "base/signals.h"
#include "generate/adapter_dir.h"
#include "generate/merge_model.h"
#include "generate/ollama.h"
#include "train/certificate.h"
#include "train/manifest.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static lrk_status load_best(lrk_training *t, lrk_err *err)
{
    bool found;
    uint64_t step;
    double loss;
    if (!t->session->recipe->load_best_model_at_end) return LRK_OK;
    LRK_TRY(lrk_run_dir_best(t->dir, &found, &step, &loss, err));
    if (!found || step == t->state.step) return LRK_OK;
    lrk_run_state best;
    const char *path = lrk_run_dir_checkpoint(t->dir, step);
    LRK_REQUIRE(err, path, LRK_ENOMEM, "memory: no room for a path");
    LRK_TRY(lrk_run_state_load(path, &best, t->session, t->engine, err));
    lrk_note("taking the adapter of step %llu, the best one", (unsigned long long)step);
    return LRK_OK;
}

static bool all_finite(const lrk_tensor *t, bool *any)
{
    const float *p = t->data;
    for (size_t i = 0; t->rank && i < lrk_count(t); i++) {
        if (!isfinite(p[i])) return false;
        *any |= fabsf(p[i]) > 0.0f;
    }
    return true;
}

static lrk_status check_trained(const lrk_adapter *a, lrk_err *err)
{
    bool any = false, any_a = false;
    for (size_t i = 0; i < a->n; i++)
        LRK_REQUIRE(err, all_finite(&a->module[i].a, &any_a) && all_finite(&a->module[i].b, &any) &&
                             all_finite(&a->module[i].m, &any_a),
                    LRK_ENUMERIC, "the adapter holds a number that is not finite; it is not written");
    for (size_t i = 0; i < a->n_whole; i++)
        LRK_REQUIRE(err, all_finite(&a->whole[i].weight, &any_a), LRK_ENUMERIC,
                    "the trained %s holds a number that is not finite; it is not written", a->whole[i].path);
    LRK_REQUIRE(err, any, LRK_ENUMERIC,
                "training left every B of the adapter at zero: nothing was learned; is the learning "
                "rate 0, or the run a single warm-up step?");
    return LRK_OK;
}

static void note(lrk_json *notes, const char *key, const char *value)
{
    lrk_json_set(notes, key, lrk_json_c_string(value));
}

static lrk_json *pattern_object(const lrk_patterns *p, double factor)
{
    lrk_json *o = lrk_json_object();
    for (size_t i = 0; i < p->n; i++) {
        const double v = factor * p->value[i];
        lrk_json_set(o, p->key[i], v == floor(v) ? lrk_json_new_integer((int64_t)v) : lrk_json_new_real(v));
    }
    return o;
}

/* What the recipe says of ranks and layers, in its own words. */
static lrk_json *given(const lrk_recipe *r, bool doubled)
{
    const double rank = doubled ? 2.0 : 1.0, alpha = doubled ? lrk_adapter_doubled(1.0, r->peft_use_rslora) : 1.0;
    lrk_json *o = lrk_json_object(), *layers = lrk_json_array(), *names = lrk_json_array();
    if (r->rank_pattern.n) lrk_json_set(o, "rank_pattern", pattern_object(&r->rank_pattern, rank));
    if (r->alpha_pattern.n) lrk_json_set(o, "alpha_pattern", pattern_object(&r->alpha_pattern, alpha));
    for (size_t i = 0; i < r->layers_to_transform.n; i++)
        lrk_json_add(layers, lrk_json_new_integer((int64_t)r->layers_to_transform.item[i]));
    for (size_t i = 0; i < r->layers_pattern.n; i++) lrk_json_add(names, lrk_json_c_string(r->layers_pattern.item[i]));
    if (r->layers_to_transform.n) lrk_json_set(o, "layers_to_transform", lrk_json_ref(layers));
    if (r->layers_pattern.n) lrk_json_set(o, "layers_pattern", lrk_json_ref(names));
    lrk_json_free(layers);
    lrk_json_free(names);
    return o;
}

static lrk_status gather(lrk_adapter *a, const lrk_training *t, lrk_err *err)
{
    const lrk_session *s = t->session;
    const lrk_recipe *r = s->recipe;
    char number[32];
    *a = (lrk_adapter){.base_model = r->base_model, .rank = r->lora_r, .alpha = r->lora_alpha,
                       .dropout = r->lora_dropout, .rslora = r->peft_use_rslora,
                       .dora = r->peft_use_dora, .part = lrk_weights_outer(s->base.weights) != NULL,
                       .given = given(r, s->lora.begin.kind != LRK_BEGIN_PLAIN),
                       .arena = lrk_arena_growing("adapter")};
    if (s->start.n) {
        a->rank = s->start.rank;
        a->alpha = s->start.alpha;
        a->rslora = s->start.rslora;
        a->dora = s->start.dora;
    }
    if (s->lora.begin.kind) {
        a->rank *= 2;
        a->alpha = lrk_adapter_doubled(a->alpha, a->rslora);
    }
    LRK_TRY(lrk_adapter_from_model(a, &t->engine->model, err));
    a->notes = lrk_json_object();
    note(a->notes, LRK_NOTE_BASE, s->base_sha256);
    note(a->notes, LRK_NOTE_TOKENIZER, lrk_tokenizer_sha256(s->text.tokenizer));
    note(a->notes, LRK_NOTE_RECIPE, s->recipe_sha256);
    snprintf(number, sizeof number, "%llu", (unsigned long long)t->state.step);
    note(a->notes, LRK_NOTE_STEPS, number);
    return LRK_OK;
}

/* A run that is resumed after its last step has the adapter it had: what it exported stands. What has no `last`, the
 * file that is written last (NULL: it is one file), was never finished; and what another recipe made is that of a
 * shorter run, which this one goes on from. */
static lrk_status is_whole(const lrk_training *t, const char *path, const char *last, bool *whole, lrk_err *err)
{
    lrk_json *m;
    const char *mark = last ? lrk_path_join(&t->dir->arena, path, last) : path;
    LRK_REQUIRE(err, mark, LRK_ENOMEM, "memory: no room for a path");
    *whole = lrk_is_file(mark);
    if (!*whole) return LRK_OK;
    LRK_TRY(lrk_manifest_of_model(&m, path, err));
    const char *recipe = lrk_json_word(lrk_json_get(m, "recipe"), "sha256");
    *whole = recipe && strcmp(recipe, t->session->recipe_sha256) == 0;
    lrk_json_free(m);
    return LRK_OK;
}

/* What is not whole makes way. */
static lrk_status look_for(const lrk_training *t, const char *path, const char *last, bool *there, lrk_err *err)
{
    LRK_TRY(is_whole(t, path, last, there, err));
    if (*there) return LRK_OK;
    return lrk_is_dir(path) ? lrk_dir_clear(path, err) : lrk_remove(path, err);
}

/* The models that the adapter was merged into. */
typedef struct merged_outputs {
    const char *tokenizer, *chat_template; /* that were trained with; NULL: the base's own */
    lrk_json *manifest;
    lrk_output *item;
    size_t n;
} merged_outputs;

/* One of them, and what it says of itself. */
static lrk_status write_model(const lrk_training *t, const lrk_adapter *a, const char *output,
                              lrk_merge_options *o, merged_outputs *outputs, lrk_merge_report *report,
                              lrk_err *err)
{
    lrk_manifest_text text = {0};
    lrk_json_set(outputs->manifest, "output", lrk_json_c_string(output));
    lrk_status status = lrk_manifest_print(outputs->manifest, &text, err);
    o->extra = text.file;
    o->n_extra = 2;
    o->origin = &text.origin;
    if (status == LRK_OK) status = lrk_merge_model(t->session->base.weights, a, o, report, err);
    lrk_manifest_text_free(&text);
    return status;
}

/* bundle: the directory that the file lies in, or NULL. */
static lrk_status merge(const lrk_training *t, const lrk_adapter *a, const char *name, const char *type,
                        const char *bundle, merged_outputs *outputs, lrk_err *err)
{
    lrk_output *out = &outputs->item[outputs->n];
    lrk_merge_report *report = &out->report;
    lrk_merge_options o = {.out = lrk_run_dir_file(t->dir, name), .gguf = type != NULL,
                           .tokenizer = outputs->tokenizer, .chat_template = outputs->chat_template};
    LRK_REQUIRE(err, o.out, LRK_ENOMEM, "memory: no room for a path");
    bool there;
    LRK_TRY(bundle ? look_for(t, bundle, LRK_MODEL_CARD, &there, err)
                   : look_for(t, o.out, type ? NULL : "config.json", &there, err));
    out->path = o.out;
    out->name = o.out + strlen(o.out) - strlen(name);
    outputs->n++;
    if (there) {
        lrk_note("%s: is here already", o.out);
        return LRK_OK;
    }
    if (type) {
        o.type = lrk_file_type_find(type);
        LRK_REQUIRE(err, o.type, LRK_EUSAGE, "export: %s: unknown type", type);
    }
    if (bundle) LRK_TRY(lrk_mkdir(bundle, err));
    const char *output = bundle ? "model for Ollama" : type ? "merged GGUF model" : "merged model";
    lrk_status status = write_model(t, a, output, &o, outputs, report, err);
    if (status == LRK_OK && bundle)
        status = lrk_ollama_complete(bundle, lrk_ollama_choice(outputs->manifest), outputs->manifest, err);
    if (status != LRK_OK && bundle) lrk_ollama_remove(bundle);
    LRK_TRY(status);
    lrk_note("%s: %zu merged and %zu unchanged tensors, %.1f MB%s", o.out, report->merged,
             report->carried, (double)report->bytes / 1e6,
             report->needs_tokenizer ? "; put the base model's tokenizer files beside it" : "");
    return LRK_OK;
}

static lrk_status export_merged(const lrk_training *t, const lrk_adapter *a, merged_outputs *outputs,
                                lrk_err *err)
{
    const lrk_recipe *r = t->session->recipe;
    char name[64];
    if (r->export_merged) LRK_TRY(merge(t, a, LRK_RUN_MERGED, NULL, NULL, outputs, err));
    for (size_t i = 0; i < r->export_gguf.n; i++) {
        snprintf(name, sizeof name, "merged-%s.gguf", r->export_gguf.item[i]);
        LRK_TRY(merge(t, a, name, r->export_gguf.item[i], NULL, outputs, err));
    }
    for (size_t i = 0; i < r->export_ollama.n; i++) {
        snprintf(name, sizeof name, LRK_RUN_OLLAMA "%s", r->export_ollama.item[i]);
        const char *bundle = lrk_run_dir_file(t->dir, name);
        LRK_REQUIRE(err, bundle, LRK_ENOMEM, "memory: no room for a path");
        snprintf(name, sizeof name, LRK_RUN_OLLAMA "%s/" LRK_OLLAMA_MODEL, r->export_ollama.item[i]);
        LRK_TRY(merge(t, a, name, r->export_ollama.item[i], bundle, outputs, err));
    }
    return LRK_OK;
}

static lrk_status note_table(const lrk_certificate *c, lrk_err *err)
{
    lrk_buf table = {0};
    lrk_certificate_table(c, &table);
    lrk_buf_append(&table, "", 1);
    const lrk_status status = lrk_buf_check(&table, err);
    for (char *line = table.data, *end; status == LRK_OK && (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        lrk_note("%s", line);
    }
    lrk_buf_free(&table);
    return status;
}

/* A file, a directory with the files in it, or the bundle that a file is part of. */
static lrk_status remove_output(const char *path, lrk_err *err)
{
    static const char part[] = "/" LRK_OLLAMA_MODEL;
    const size_t n = strlen(path), end = sizeof part - 1;
    lrk_arena a = lrk_arena_growing("path");
    const bool bundle = n > end && strcmp(path + n - end, part) == 0;
    const char *whole = bundle ? lrk_strndup(&a, path, n - end) : path;
    lrk_status status = whole ? LRK_OK : lrk_fail(err, LRK_ENOMEM, "memory: no room for a path");
    if (status == LRK_OK && lrk_is_dir(whole)) status = lrk_dir_clear(whole, err);
    if (status == LRK_OK) status = lrk_remove(whole, err);
    lrk_arena_free(&a);
    return status;
}

static void note_removed(const lrk_certificate *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (!c->output[i].past_limit) continue;
        lrk_note("%s: was past the limit and is removed", c->output[i].path);
        n++;
    }
    if (n)
        lrk_note("the adapter stays; `lorikeet train RECIPE --resume` with another export.max_kl or export.min_top1 "
                 "(0: no limit) makes %s again and keeps %s, as does `lorikeet merge`",
                 n == 1 ? "it" : "them", n == 1 ? "it" : "them");
}

/* How far the merged models are from base + adapter. One past a limit does not stay. */
static lrk_status certify(const lrk_training *t, merged_outputs *outputs, lrk_err *err)
{
    const lrk_session *s = t->session;
    const lrk_recipe *r = s->recipe;
    lrk_exam exam = {0};
    lrk_certificate c = {.model = r->base_model, .adapter = lrk_run_dir_file(t->dir, LRK_RUN_ADAPTER),
                         .bits = lrk_recipe_bits(r), .device = s->device, .max_kl = r->export_max_kl,
                         .min_top1 = r->export_min_top1, .stop = lrk_stop_requested,
                         .output = outputs->item, .n = outputs->n};
    const char *path = lrk_run_dir_file(t->dir, LRK_CERTIFICATE);
    const lrk_exam_options e = {.recipe = r, .rows = r->export_check_rows};
    LRK_REQUIRE(err, c.adapter && path, LRK_ENOMEM, "memory: no room for a path");
    lrk_engine_close(t->engine); /* its memory is for two models now */
    lrk_status status = LRK_OK;
    if (s->eval && r->export_check_rows) {
        status = lrk_exam_open(&exam, &e, &s->text, err);
        c.exam = &exam;
    }
    if (status == LRK_OK) status = lrk_certificate_look(&c, true, err);
    if (status == LRK_OK) status = lrk_certify(&c, err);
    if (status == LRK_OK) status = lrk_certificate_write(&c, path, err);
    if (status == LRK_OK) status = note_table(&c, err);
    for (size_t i = 0; status == LRK_OK && i < c.n; i++)
        if (c.output[i].past_limit) status = remove_output(c.output[i].path, err);
    if (status == LRK_OK) note_removed(&c);
    if (status == LRK_OK) status = lrk_certificate_check(&c, err);
    lrk_exam_close(&exam);
    return status;
}

static lrk_status export_certified(const lrk_training *t, const lrk_adapter *a, merged_outputs *outputs,
                                   lrk_err *err)
{
    const lrk_recipe *r = t->session->recipe;
    outputs->item = lrk_heap_alloc(1 + r->export_gguf.n + r->export_ollama.n, sizeof *outputs->item);
    LRK_REQUIRE(err, outputs->item, LRK_ENOMEM, "memory: no room for a list of outputs");
    lrk_status status = export_merged(t, a, outputs, err);
    if (status == LRK_OK && outputs->n) status = certify(t, outputs, err);
    lrk_heap_free(outputs->item);
    return status;
}

static lrk_status save_gguf(const lrk_training *t, const lrk_adapter *a, const lrk_json *manifest, lrk_err *err)
{
    const char *path = lrk_run_dir_file(t->dir, LRK_RUN_ADAPTER_GGUF);
    LRK_REQUIRE(err, path, LRK_ENOMEM, "memory: no room for a path");
    LRK_TRY(lrk_manifest_save_gguf(a, t->session->base.weights, manifest, path, err));
    lrk_note("%s: the adapter for llama.cpp", path);
    return LRK_OK;
}

typedef struct adapter_text {
    const lrk_training *t;
    merged_outputs *outputs; /* are told what was written */
} adapter_text;

/* The files of a tokenizer that has more tokens than the base's. */
static lrk_status save_tokenizer(const adapter_text *x, const char *directory, lrk_err *err)
{
    const lrk_session *s = x->t->session;
    const char *start = s->recipe->lora_model_dir;
    x->outputs->tokenizer = directory;
    if (s->new_tokens.files.n) return lrk_text_files_write(&s->new_tokens.files, directory, err);
    if (start && lrk_text_path(s->recipe->base_model, start) == start)
        return lrk_text_files_copy(start, directory, err);
    x->outputs->tokenizer = NULL;
    return LRK_OK;
}

/* What serving has to see is what training saw. */
static lrk_status save_text(void *ctx, const char *directory, lrk_err *err)
{
    const adapter_text *x = ctx;
    const lrk_session *s = x->t->session;
    const char *path = lrk_path_join(&x->t->dir->arena, directory, LRK_CHAT_TEMPLATE_FILE);
    const char *text = lrk_corpus_template(&s->train_data, s->recipe).text;
    LRK_REQUIRE(err, path, LRK_ENOMEM, "memory: no room for a path");
    LRK_TRY(save_tokenizer(x, directory, err));
    x->outputs->chat_template = text;
    return text ? lrk_file_write(path, text, strlen(text), err) : LRK_OK;
}

/* The card of a shorter run's adapter says of the one that is written over it that it is whole, and the certificate
 * that its models were measured: both go before. */
static lrk_status forget_shorter(const lrk_training *t, const char *adapter, lrk_err *err)
{
    bool same;
    const char *card = lrk_path_join(&t->dir->arena, adapter, LRK_MODEL_CARD);
    const char *certificate = lrk_run_dir_file(t->dir, LRK_CERTIFICATE);
    LRK_REQUIRE(err, card && certificate, LRK_ENOMEM, "memory: no room for a path");
    LRK_TRY(is_whole(t, adapter, LRK_MANIFEST, &same, err));
    if (same) return LRK_OK;
    LRK_TRY(lrk_remove(card, err));
    return lrk_remove(certificate, err);
}

/* What is made of the adapter, which is written, may be stopped, and made by the next run. */
static lrk_status export_stoppable(const lrk_training *t, const lrk_adapter *a, merged_outputs *outputs, lrk_err *err)
{
    lrk_err why = {0};
    lrk_writers_stop(true);
    const lrk_status status = export_certified(t, a, outputs, &why);
    lrk_writers_stop(false);
    if (status != LRK_STOPPED) return lrk_fail(err, status, "%s", why.text);
    return lrk_fail(err, LRK_STOPPED, "stopped; the adapter is written, the same command with --resume makes the rest");
}

/* adapter/ with manifest and card, then what is made of it. */
static lrk_status write_outputs(const lrk_training *t, const lrk_adapter *a, lrk_json *manifest,
                                lrk_err *err)
{
    merged_outputs outputs = {.manifest = manifest};
    adapter_text text = {t, &outputs};
    const char *path = lrk_run_dir_file(t->dir, LRK_RUN_ADAPTER);
    LRK_REQUIRE(err, path, LRK_ENOMEM, "memory: no room for a path");
    LRK_TRY(forget_shorter(t, path, err));
    LRK_TRY(lrk_adapter_dir_write(a, path, manifest, save_text, &text, err));
    lrk_note("%s: the adapter for PEFT", path);
    if (t->session->recipe->export_adapter_gguf) LRK_TRY(save_gguf(t, a, manifest, err));
    return export_stoppable(t, a, &outputs, err);
}

static lrk_status holds(const lrk_training *t, const char *name, const char *last, bool *there, lrk_err *err)
{
    const char *path = lrk_run_dir_file(t->dir, name);
    LRK_REQUIRE(err, path, LRK_ENOMEM, "memory: no room for a path");
    return *there ? is_whole(t, path, last, there, err) : LRK_OK;
}

lrk_status lrk_training_is_finished(lrk_training *t, bool *there, lrk_err *err)
{
    const lrk_recipe *r = t->session->recipe;
    const char *certificate = lrk_run_dir_file(t->dir, LRK_CERTIFICATE);
    char name[64];
    LRK_REQUIRE(err, certificate, LRK_ENOMEM, "memory: no room for a path");
    *there = lrk_is_file(certificate) || !(r->export_merged || r->export_gguf.n || r->export_ollama.n);
    LRK_TRY(holds(t, LRK_RUN_ADAPTER, LRK_MODEL_CARD, there, err));
    if (r->export_adapter_gguf) LRK_TRY(holds(t, LRK_RUN_ADAPTER_GGUF, NULL, there, err));
    if (r->export_merged) LRK_TRY(holds(t, LRK_RUN_MERGED, "config.json", there, err));
    for (size_t i = 0; i < r->export_gguf.n; i++) {
        snprintf(name, sizeof name, "merged-%s.gguf", r->export_gguf.item[i]);
        LRK_TRY(holds(t, name, NULL, there, err));
    }
    for (size_t i = 0; i < r->export_ollama.n; i++) {
        snprintf(name, sizeof name, LRK_RUN_OLLAMA "%s", r->export_ollama.item[i]);
        LRK_TRY(holds(t, name, LRK_MODEL_CARD, there, err));
    }
    return LRK_OK;
}

lrk_status lrk_training_finish(lrk_training *t, lrk_err *err)
{
    lrk_adapter a;
    LRK_TRY(load_best(t, err));
    lrk_status status = gather(&a, t, err);
    if (status == LRK_OK) status = check_trained(&a, err);
    lrk_json *manifest = NULL;
    if (status == LRK_OK) status = lrk_training_manifest(&manifest, t, &a, err);
    if (status == LRK_OK) status = write_outputs(t, &a, manifest, err);
    lrk_json_free(manifest);
    lrk_adapter_free(&a);
    return status;
}
