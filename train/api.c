/* train/api.c -- the public interface of include/lorikeet.h on top of the library's own. */
#include "lorikeet.h"

#include "base/log.h"
#include "base/signals.h"
#include "base/threads.h"
#include "generate/merge_model.h"
#include "generate/responder.h"
#include "models/choose.h"
#include "train/run.h"

#include <string.h>

/* An lrk_err of our own, turned into the caller's at the end. */
static int finish(lrk_status status, const lrk_err *err, lorikeet_error *error)
{
    const int code = lrk_exit_code(status);
    if (code && error) {
        error->code = code;
        memcpy(error->text, err->text, sizeof error->text);
    }
    return code;
}

void lorikeet_set_threads(int threads)
{
    lrk_threads_set(threads);
}

void lorikeet_set_verbosity(int level)
{
    lrk_log_level(level);
}

void lorikeet_stop(void)
{
    lrk_stop_request(true);
}

void lorikeet_clear_stop(void)
{
    lrk_stop_request(false);
}

const char *lorikeet_version(void)
{
    return LRK_VERSION;
}

static void copy_plan(const lrk_plan *p, const lrk_session *s, lorikeet_plan *out)
{
    const lrk_batch_limits *l = lrk_batches_limits(s->train);
    *out = (lorikeet_plan){.bytes = p->bytes.total,
                           .bytes_weights = p->bytes.weights,
                           .bytes_adapters = p->bytes.engine.adapters + p->bytes.engine.shadow +
                                             p->bytes.engine.gradients + p->bytes.engine.moments,
                           .bytes_activations = p->bytes.engine.step,
                           .parameters = lrk_decoder_parameters(&s->base.decoder),
                           .trained_parameters = p->trainable,
                           .rows = s->train_data.total.kept,
                           .tokens = s->train_data.total.tokens,
                           .trained_tokens = s->train_data.total.trained,
                           .steps = l->steps,
                           .flops = p->flops};
}

int lorikeet_plan_recipe(const char *recipe, const char *const *overrides, size_t n,
                         lorikeet_plan *plan, lorikeet_error *error)
{
    lrk_err err = {0};
    lrk_recipe r;
    lrk_session s = {0};
    lrk_plan p;
    lrk_arena a = lrk_arena_growing("recipe");
    lrk_status status = lrk_recipe_load(&r, &a, recipe, overrides, n, &err);
    if (status == LRK_OK) status = lrk_session_open(&s, &r, false, &err);
    if (status == LRK_OK) status = lrk_plan_make(&p, &s, false, &err);
    if (status == LRK_OK) copy_plan(&p, &s, plan);
    lrk_session_close(&s);
    lrk_arena_free(&a);
    return finish(status, &err, error);
}

int lorikeet_train(const char *recipe, const char *const *overrides, size_t n,
                   const lorikeet_train_options *options, lorikeet_error *error)
{
    lrk_err err = {0};
    lrk_recipe r;
    lrk_arena a = lrk_arena_growing("recipe");
    lrk_status status = lrk_recipe_load(&r, &a, recipe, overrides, n, &err);
    if (status == LRK_OK) status = lrk_run_recipe(&r, options && options->resume, NULL, NULL, NULL, &err);
    lrk_arena_free(&a);
    return finish(status, &err, error);
}

struct lorikeet_model {
    lrk_responder responder;
    lrk_arena strings;
};

static lrk_status open_model(lorikeet_model *m, const char *path, const char *adapter, lrk_err *err)
{
    m->strings = lrk_arena_growing("model");
    lrk_responder_options o = {.model = lrk_strdup(&m->strings, path),
                               .adapter = adapter ? lrk_strdup(&m->strings, adapter) : NULL};
    LRK_REQUIRE(err, o.model && (o.adapter || !adapter), LRK_ENOMEM, "memory: no room for a path");
    LRK_TRY(lrk_device_choose("auto", &o.device, err));
    LRK_TRY(lrk_compute_choose("auto", o.device, &o.compute, err));
    return lrk_responder_open(&m->responder, &o, err);
}

int lorikeet_open(lorikeet_model **model, const char *path, const char *adapter,
                  lorikeet_error *error)
{
    lrk_err err = {0};
    lorikeet_model *m = lrk_heap_alloc(1, sizeof *m);
    lrk_status status = m ? open_model(m, path, adapter, &err)
                          : lrk_fail(&err, LRK_ENOMEM, "memory: no room for a model");
    if (status == LRK_OK)
        *model = m;
    else
        lorikeet_close(m);
    return finish(status, &err, error);
}

void lorikeet_close(lorikeet_model *m)
{
    if (!m) return;
    lrk_responder_close(&m->responder);
    lrk_arena_free(&m->strings);
    lrk_heap_free(m);
}

static lrk_status prompt_ids(lorikeet_model *m, const char *prompt, int chat, lrk_ids *ids,
                             lrk_err *err)
{
    if (!chat) return lrk_responder_text(&m->responder, prompt, strlen(prompt), ids, err);
    return lrk_responder_message(&m->responder, NULL, prompt, ids, err);
}

int lorikeet_answer(lorikeet_model *m, const char *prompt, int chat,
                    const lorikeet_sampling *sampling, char **answer, lorikeet_error *error)
{
    static const lorikeet_sampling usual = {.max_tokens = 256, .top_p = 1.0};
    const lorikeet_sampling *s = sampling ? sampling : &usual;
    const lrk_answering how = {.sampler = {.temperature = s->temperature, .top_k = s->top_k,
                                           .top_p = s->top_p > 0.0 ? s->top_p : 1.0,
                                           .seed = s->seed},
                               .max_tokens = s->max_tokens ? s->max_tokens : 256,
                               .stop = lrk_stop_requested};
    lrk_err err = {0};
    lrk_answer a = {0};
    lrk_buf text = {0};
    lrk_status status = prompt_ids(m, prompt, chat, &a.prompt, &err);
    if (status == LRK_OK) status = lrk_responder_answer(&m->responder, &a, 1, &how, &err);
    lrk_buf_append(&text, "", 0);
    if (status == LRK_OK) status = lrk_responder_decode(&m->responder, &a, &text, &err);
    if (status == LRK_OK) status = lrk_buf_check(&text, &err);
    lrk_answer_free(&a);
    if (status == LRK_OK)
        *answer = text.data;
    else
        lrk_buf_free(&text);
    return finish(status, &err, error);
}

void lorikeet_free(void *p)
{
    lrk_heap_free(p);
}

static bool ends_in_gguf(const char *path)
{
    const size_t n = strlen(path);
    return n > 5 && strcmp(path + n - 5, ".gguf") == 0;
}

int lorikeet_merge(const char *base, const char *adapter, const char *out, const char *type,
                   lorikeet_error *error)
{
    lrk_err err = {0};
    lrk_weights *w = NULL;
    lrk_adapter a = {0};
    lrk_merge_report report;
    lrk_merge_options o = {.out = out, .gguf = ends_in_gguf(out)};
    char known[256];
    lrk_status status = LRK_OK;
    if (type) {
        o.type = lrk_file_type_find(type);
        lrk_file_type_list(known, sizeof known);
        if (!o.type)
            status = lrk_fail(&err, LRK_EUSAGE, "type '%s' is unknown; known are %s", type, known);
    }
    if (status == LRK_OK) status = lrk_weights_open(&w, base, &err);
    if (status == LRK_OK) status = lrk_base_check_weights(w, o.gguf, &err);
    if (status == LRK_OK) status = lrk_adapter_load(&a, adapter, &err);
    if (status == LRK_OK) status = lrk_adapter_fit(&a, w, false, &err);
    const lrk_merge_request request = {.adapter = adapter};
    if (status == LRK_OK) status = lrk_merge_described(w, &a, &request, &o, &report, &err);
    lrk_adapter_free(&a);
    lrk_weights_close(w);
    return finish(status, &err, error);
}
