/* train/manifest.c -- a run described for its outputs. */
#include "train/manifest.h"

#include "data/dataset.h"
#include "train/metrics.h"

#include <string.h>

static lrk_status put_losses(lrk_json *o, const lrk_training *t, lrk_arena *a, lrk_err *err)
{
    lrk_curve c;
    LRK_TRY(lrk_metrics_read(&c, a, t->dir->metrics, err));
    if (c.n_train) {
        lrk_json_set(o, "first_loss", lrk_json_new_real(c.train[0].loss));
        lrk_json_set(o, "last_loss", lrk_json_new_real(c.train[c.n_train - 1].loss));
    }
    if (c.n_eval) lrk_json_set(o, "eval_loss", lrk_json_new_real(c.eval[c.n_eval - 1].loss));
    if (t->state.evaluated) lrk_json_set(o, "best_eval_loss", lrk_json_new_real(t->state.best_loss));
    return LRK_OK;
}

static lrk_status put_training(lrk_json *root, const lrk_training *t, lrk_arena *a, lrk_err *err)
{
    const lrk_session *s = t->session;
    const lrk_batch_limits *l = lrk_batches_limits(s->train);
    lrk_json *o = lrk_json_object();
    lrk_json_set(root, "training", o);
    lrk_json_set_count(o, "steps", t->state.step);
    lrk_json_set_count(o, "rows", lrk_batches_rows(s->train));
    if (s->recipe->val_set_size > 0.0) lrk_json_set_count(o, "held_out_rows", lrk_batches_rows(s->eval));
    lrk_json_set_count(o, "tokens", l->tokens);
    lrk_json_set_count(o, "trained_tokens", l->trained);
    lrk_json_set_count(o, "computed_tokens", l->computed);
    lrk_json_set_count(o, "seed", s->recipe->seed);
    lrk_json_set_text(o, "compute", lrk_compute_name(s->engine.compute));
    lrk_json_set_text(o, "device", lrk_device_name(s->device));
    lrk_json_set_text(o, "chat_template", lrk_corpus_template(&s->train_data, s->recipe).choice);
    lrk_json_set_text(o, "tokenizer_sha256", lrk_tokenizer_sha256(s->text.tokenizer));
    return put_losses(o, t, a, err);
}

static lrk_status put_data(lrk_json *list, const lrk_recipe_datasets *from, const char *use,
                           lrk_arena *a, lrk_err *err)
{
    for (size_t i = 0; i < from->n; i++) {
        const lrk_recipe_dataset *e = &from->item[i];
        const char *path;
        lrk_dataset *d;
        LRK_TRY(lrk_corpus_dataset(e, a, &path, err));
        LRK_TRY(lrk_dataset_open(&d, path, err));
        const int split = e->split ? lrk_dataset_split(d, e->split) : -1;
        lrk_json *o = lrk_json_object();
        lrk_json_set_text(o, "path", e->path);
        lrk_json_set_text(o, "use", use);
        lrk_json_set_text(o, "split", e->split);
        lrk_json_set_count(o, "rows", split >= 0 ? lrk_dataset_split_rows(d, (size_t)split)
                                                 : lrk_dataset_rows(d));
        lrk_json_set_text(o, "sha256", lrk_dataset_sha256(d));
        lrk_json_add(list, o);
        lrk_dataset_close(d);
    }
    return LRK_OK;
}

static lrk_status put_recipe(lrk_json *root, const lrk_session *s, lrk_err *err)
{
    lrk_buf text = {0};
    lrk_json *o = lrk_json_object();
    lrk_json_set(root, "recipe", o);
    lrk_json_set_text(o, "sha256", s->recipe_sha256);
    const lrk_status status = lrk_recipe_print(s->recipe, &text, err);
    if (status == LRK_OK) lrk_json_set(o, "yaml", lrk_json_new_string(text.data, text.n));
    lrk_buf_free(&text);
    return status;
}

static void put_vocabulary(lrk_json *root, const lrk_session *s)
{
    const lrk_row_list *rows = &s->new_tokens.rows;
    if (!rows->n) return;
    lrk_json *o = lrk_json_object(), *list = lrk_json_array();
    for (size_t i = 0; i < rows->n; i++) {
        size_t n;
        const char *text = lrk_token_text(s->text.tokenizer, (uint32_t)rows->id[i], &n);
        lrk_json_add(list, lrk_utf8_check(text, n) == n ? lrk_json_new_string(text, n) : lrk_json_new_null());
    }
    lrk_json_set(o, "new_tokens", list);
    lrk_json_set_count(o, "rows_before", s->new_tokens.before);
    lrk_json_set_count(o, "rows", s->base.decoder.vocabulary);
    lrk_json_set(root, "vocabulary", o);
}

/* That of an adapter which training started from: its tokens come first. */
static void put_earlier_vocabulary(lrk_json *root, lrk_json *earlier)
{
    lrk_json *now = lrk_json_get(root, "vocabulary"), *o = lrk_json_object(), *list = lrk_json_array();
    const lrk_json *const lists[] = {lrk_json_get(earlier, "new_tokens"), lrk_json_get(now, "new_tokens")};
    lrk_json *before = lrk_json_get(earlier, "rows_before"), *rows = lrk_json_get(now ? now : earlier, "rows");
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < lrk_json_size(lists[k]); i++) lrk_json_add(list, lrk_json_ref(lrk_json_at(lists[k], i)));
    lrk_json_set(o, "new_tokens", list);
    if (before) lrk_json_set(o, "rows_before", lrk_json_ref(before));
    if (rows) lrk_json_set(o, "rows", lrk_json_ref(rows));
    lrk_json_set(root, "vocabulary", o);
}

/* lora_model_dir: what that adapter learned, and where, is in this one. */
static lrk_status put_start(lrk_json *root, const lrk_session *s, lrk_err *err)
{
    static const char *const kept[] = {"base", "trained_for"};
    const char *path = s->recipe->lora_model_dir;
    lrk_json *from, *o = lrk_json_object();
    if (path) lrk_json_set(root, "start", lrk_json_ref(o));
    lrk_status status = path ? lrk_manifest_of_model(&from, path, err) : LRK_OK;
    if (path && status == LRK_OK) {
        lrk_json *bases = lrk_json_get(from, "trained_for"), *vocabulary = lrk_json_get(from, "vocabulary");
        lrk_json_set_text(o, "name", path);
        lrk_json_set_text(o, "sha256", s->start_sha256);
        for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
            lrk_json *v = lrk_json_get(from, kept[i]);
            if (v) lrk_json_set(o, kept[i], lrk_json_ref(v));
        }
        lrk_manifest_keep(o, from);
        if (bases) lrk_json_set(root, "trained_for", lrk_json_ref(bases));
        if (vocabulary) put_earlier_vocabulary(root, vocabulary);
        lrk_json_free(from);
    }
    lrk_json_free(o);
    return status;
}

lrk_status lrk_training_manifest(lrk_json **out, const lrk_training *t, const lrk_adapter *a,
                                 lrk_err *err)
{
    lrk_json *root;
    lrk_arena paths = lrk_arena_growing("manifest");
    const lrk_recipe *r = t->session->recipe;
    LRK_TRY(lrk_manifest_new(&root, "PEFT adapter", t->session->base.weights, a, NULL, err));
    lrk_json *data = lrk_json_array();
    lrk_json_set(root, "data", data);
    put_vocabulary(root, t->session);
    lrk_status status = put_training(root, t, &paths, err);
    if (status == LRK_OK) status = put_data(data, &r->datasets, "training", &paths, err);
    if (status == LRK_OK) status = put_data(data, &r->test_datasets, "evaluation", &paths, err);
    if (status == LRK_OK) status = put_recipe(root, t->session, err);
    if (status == LRK_OK) status = put_start(root, t->session, err);
    lrk_arena_free(&paths);
    if (status == LRK_OK)
        *out = root;
    else
        lrk_json_free(root);
    return status;
}
