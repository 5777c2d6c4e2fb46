/* train/session.c -- opens what a recipe names. */
#include "train/session.h"

#include "base/log.h"
#include "base/size.h"
#include "base/threads.h"
#include "generate/ollama.h"
#include "generate/responder.h"
#include "models/choose.h"
#include "train/recompute.h"
#include "train/start.h"

#include <math.h>
#include <string.h>

/* device: cuda is not opened here: a plan may be made for a GPU that is not there. */
static lrk_status choose_device(lrk_session *s, lrk_err *err)
{
    s->device = LRK_CUDA;
    if (s->recipe->device == LRK_DEVICE_CUDA) return LRK_OK;
    return lrk_device_choose(s->recipe->device == LRK_DEVICE_AUTO ? "auto" : "cpu", &s->device, err);
}

/* LongRoPE turns the tokens of a row by its length, which rows that share some need not have in common. */
static bool turns_by_length(const lrk_session *s)
{
    const lrk_rope *rope = &s->base.decoder.rope;
    return rope->kind == LRK_ROPE_LONGROPE && (double)s->recipe->sequence_len > rope->original;
}

static lrk_batch_options batch_options(const lrk_session *s)
{
    const lrk_recipe *r = s->recipe;
    return (lrk_batch_options){
        .rows_per_step = r->micro_batch_size * r->gradient_accumulation_steps,
        .rows_per_micro = r->micro_batch_size,
        .tokens_per_micro = r->micro_batch_tokens,
        .epochs = r->num_epochs,
        .max_steps = r->max_steps,
        .seed = r->seed,
        .shuffle = true,
        .val_set_size = r->val_set_size,
        .share_prefixes = r->share_prefixes && !turns_by_length(s),
    };
}

/* The key of tokens is a hash of the data set among others. */
static void warn_of_known_rows(const lrk_session *s)
{
    for (size_t i = 0; i < s->eval_data.n; i++)
        for (size_t k = 0; k < s->train_data.n; k++)
            if (strcmp(lrk_tokens_key(s->eval_data.set[i]), lrk_tokens_key(s->train_data.set[k])) == 0)
                lrk_warn("test_datasets: %s holds the rows that are trained on: its loss says nothing of new ones",
                         s->recipe->test_datasets.item[i].path);
}

static lrk_status open_batches(lrk_session *s, lrk_err *err)
{
    const lrk_recipe *r = s->recipe;
    lrk_batch_options o = batch_options(s);
    LRK_TRY(lrk_corpus_open(&s->train_data, r, &r->datasets, &s->text, err));
    LRK_TRY(lrk_batches_open(&s->train, s->train_data.set, s->train_data.n, &o, err));
    const bool held_out = r->val_set_size > 0.0;
    if (!r->test_datasets.n && !held_out) return LRK_OK;
    o.epochs = 1.0;
    o.max_steps = 0;
    o.shuffle = false;
    o.held_out = held_out;
    if (held_out)
        return lrk_batches_open(&s->eval, s->train_data.set, s->train_data.n, &o, err);
    LRK_TRY(lrk_corpus_open(&s->eval_data, r, &r->test_datasets, &s->text, err));
    warn_of_known_rows(s);
    return lrk_batches_open(&s->eval, s->eval_data.set, s->eval_data.n, &o, err);
}

static lrk_status open_targets(lrk_session *s, lrk_err *err)
{
    const lrk_recipe *r = s->recipe;
    const lrk_strings *t = &r->lora_target_modules, *x = &r->exclude_modules, *p = &r->lora_target_parameters;
    LRK_TRY(lrk_targets_open(&s->targets, "lora_target_modules", t->item, t->n, t->scalar, err));
    if (p->n) {
        LRK_TRY(lrk_targets_open(&s->parameters, "lora_target_parameters", p->item, p->n, false, err));
        s->targets.parameters = &s->parameters;
    }
    if (x->n) {
        LRK_TRY(lrk_targets_open(&s->excluded, "exclude_modules", x->item, x->n, x->scalar, err));
        s->targets.exclude = &s->excluded;
    }
    return lrk_targets_refine(&s->targets, r, err);
}

static void tell_growth(lrk_session *s)
{
    const size_t stored = s->base.decoder.vocabulary, n = lrk_tokenizer_size(s->text.tokenizer);
    const size_t new = s->new_tokens.rows.n;
    s->new_tokens.before = stored;
    if (n > stored)
        lrk_note("%zu token%s new; the embedding of %s grows from %zu to %zu rows", new, new == 1 ? " is" : "s are",
                 s->recipe->base_model, stored, n);
}

/* The adapter that training starts from gets rows for the tokens that the recipe adds to its own. */
static lrk_status extend(lrk_session *s, lrk_err *err)
{
    if (!s->new_tokens.rows.n) return LRK_OK;
    tell_growth(s);
    return lrk_base_extend(&s->base, &s->start, lrk_tokenizer_size(s->text.tokenizer), s->new_tokens.rows, err);
}

static lrk_status start_from(lrk_session *s, const char *path, lrk_err *err)
{
    const lrk_recipe *r = s->recipe;
    const bool given = lrk_recipe_gives(r, "lora_target_modules") || lrk_recipe_gives(r, "exclude_modules");
    LRK_TRY(lrk_adapter_load(&s->start, path, err));
    LRK_TRY(lrk_base_fit(&s->base, &s->start, false, err));
    lrk_adapter_sha256(&s->start, s->start_sha256);
    LRK_TRY(extend(s, err));
    if (given) LRK_TRY(open_targets(s, err));
    LRK_TRY(lrk_start_check(&s->start, r, given ? &s->targets : NULL, &s->base.decoder, err));
    s->lora = lrk_adapter_options(&s->start);
    s->lora.dropout = r->lora_dropout;
    s->lora.seed = r->seed;
    return LRK_OK;
}

/* As peft_init_lora_weights says. */
static lrk_beginning beginning(int word)
{
    if (word == LRK_INIT_TRUE) return (lrk_beginning){.kind = LRK_BEGIN_PLAIN};
    if (word == LRK_INIT_OLORA) return (lrk_beginning){.kind = LRK_BEGIN_OLORA};
    return (lrk_beginning){LRK_BEGIN_PISSA, word == LRK_INIT_PISSA ? -1 : 1 << (word - LRK_INIT_PISSA_1)};
}

static lrk_status choose_adapter(lrk_session *s, lrk_err *err)
{
    const lrk_recipe *r = s->recipe;
    if (r->lora_model_dir) return start_from(s, r->lora_model_dir, err);
    LRK_TRY(open_targets(s, err));
    LRK_TRY(lrk_saved_choose(&s->saved, r, &s->base.decoder, s->new_tokens.rows, err));
    s->lora = (lrk_lora_options){.rank = r->lora_r, .alpha = r->lora_alpha,
                                 .dropout = r->lora_dropout, .rslora = r->peft_use_rslora,
                                 .begin = beginning(r->peft_init_lora_weights),
                                 .dora = r->peft_use_dora, .whole = s->saved.bits,
                                 .rows = {s->saved.rows[0], s->saved.rows[1]}, .seed = r->seed,
                                 .select = lrk_targets_select,
                                 .ctx = &s->targets};
    return LRK_OK;
}

static bool has_plain_matrix(const lrk_weights *w)
{
    for (size_t i = 0; i < lrk_weights_count(w); i++) {
        const lrk_tensor *t = lrk_weights_at(w, i);
        if (t->rank == 2 && strstr(t->name, ".layers.") && !lrk_dtype_quantized(t->dtype))
            return true;
    }
    return false;
}

lrk_weight_bits lrk_recipe_bits(const lrk_recipe *r)
{
    if (!r->load_in_4bit) return LRK_AS_STORED;
    return r->bnb_4bit_use_double_quant ? LRK_AS_NF4_TWICE : LRK_AS_NF4;
}

static lrk_status choose_engine(lrk_session *s, lrk_err *err)
{
    static const char *const types[] = {[LRK_COMPUTE_AUTO] = "auto", [LRK_COMPUTE_F32] = "f32",
                                        [LRK_COMPUTE_BF16] = "bf16"};
    lrk_compute compute;
    if (s->recipe->load_in_4bit && !has_plain_matrix(s->base.weights))
        lrk_warn("load_in_4bit: %s is quantized already; its weights stay as they are", s->recipe->base_model);
    if (s->base.decoder.dropout > 0.0)
        lrk_warn("%s: config.json asks for dropout of %g inside the model while it trains, which is not applied; "
                 "lora_dropout is",
                 s->recipe->base_model, s->base.decoder.dropout);
    LRK_TRY(lrk_compute_choose(types[s->recipe->compute_dtype], s->device, &compute, err));
    s->engine = (lrk_engine_options){.device = s->device, .decoder = s->base.decoder, .find = lrk_base_find,
                                     .ctx = &s->base, .lora = &s->lora, .train = true,
                                     .bits = lrk_recipe_bits(s->recipe),
                                     .compute = compute};
    return LRK_OK;
}

static void size_engine(lrk_session *s)
{
    const bool evaluates = s->eval && s->recipe->eval_strategy != LRK_EVAL_NO;
    const lrk_batch_limits *const limits[] = {lrk_batches_limits(s->train),
                                              evaluates ? lrk_batches_limits(s->eval) : NULL};
    for (int i = 0; i < 2 && limits[i]; i++) {
        s->engine.max_tokens = lrk_max(s->engine.max_tokens, limits[i]->micro_tokens);
        s->engine.max_segments = lrk_max(s->engine.max_segments, limits[i]->micro_segments);
        s->engine.max_trained = lrk_max(s->engine.max_trained, limits[i]->micro_trained);
    }
}

/* Weights go to a GPU while text is read. What stands against it is told when the engine is opened. */
static void send_weights(lrk_session *s)
{
    if (s->device == LRK_CPU || lrk_device_open(s->device, &s->gpu, NULL) != LRK_OK) return;
    if (lrk_weights_ahead_begin(&s->ahead, &s->engine, NULL) == LRK_OK) s->engine.ahead = &s->ahead;
}

static void choose_schedule(lrk_session *s)
{
    static const lrk_schedule_kind kinds[] = {LRK_SCHEDULE_CONSTANT, LRK_SCHEDULE_LINEAR,
                                              LRK_SCHEDULE_COSINE};
    const lrk_recipe *r = s->recipe;
    const uint64_t steps = lrk_batches_limits(s->train)->steps;
    s->schedule = (lrk_schedule){.kind = kinds[r->lr_scheduler], .peak = r->learning_rate,
                                 .min_ratio = r->cosine_min_lr_ratio, .warmup = r->warmup_steps,
                                 .total = steps};
    if (r->warmup_ratio > 0.0)
        s->schedule.warmup = (uint64_t)ceil(r->warmup_ratio * (double)steps);
    if (steps < r->max_steps)
        lrk_warn("max_steps %llu is not reached: num_epochs %g ends after %llu step%s; leave num_epochs out, or "
                 "give more of them",
                 (unsigned long long)r->max_steps, r->num_epochs, (unsigned long long)steps,
                 steps == 1 ? "" : "s");
    if (s->schedule.warmup >= steps)
        lrk_warn("the run has %llu step%s and warms up for %llu: it never reaches learning_rate",
                 (unsigned long long)steps, steps == 1 ? "" : "s", (unsigned long long)s->schedule.warmup);
}

/* What stands against an output in the templates is told before the run, not behind it. */
static lrk_status check_chat(const lrk_session *s, lrk_err *err)
{
    const lrk_recipe *r = s->recipe;
    const lrk_corpus_chat chat = lrk_corpus_template(&s->train_data, r);
    lrk_buf scratch = {0};
    if (chat.several)
        lrk_warn("the data sets have different chat templates; outputs carry that of the first");
    if (!r->export_ollama.n) return LRK_OK;
    const lrk_status status = lrk_ollama_modelfile(&s->text, r->base_model, chat.choice, "", NULL, &scratch, err);
    lrk_buf_free(&scratch);
    return lrk_err_prefix(err, status, "export.ollama");
}

static bool adds_tokens(const lrk_recipe *r)
{
    return r->added_tokens_overrides.n || r->tokens.n || r->add_tokens.n || r->add_special_tokens.n ||
           r->special_tokens_bos_token || r->special_tokens_eos_token || r->special_tokens_pad_token ||
           r->special_tokens_unk_token || r->special_tokens_additional_special_tokens.n;
}

/* The tokenizer, with the tokens that the recipe adds, and rows for them. */
static lrk_status open_text(lrk_session *s, lrk_err *err)
{
    const lrk_recipe *r = s->recipe;
    const char *path = lrk_text_path(r->base_model, r->lora_model_dir);
    LRK_TRY(lrk_text_open(&s->text, path, err));
    if (!adds_tokens(r)) return LRK_OK;
    if (!r->lora_model_dir) LRK_TRY(lrk_text_check_rows(&s->text, s->base.decoder.vocabulary, r->base_model, err));
    LRK_TRY(lrk_new_tokens_add(&s->new_tokens, r, &s->text, path, err));
    if (r->lora_model_dir) return LRK_OK; /* the adapter has rows that come first */
    tell_growth(s);
    return lrk_base_grow(&s->base, lrk_tokenizer_size(s->text.tokenizer), err);
}

static lrk_status open_all(lrk_session *s, bool runs, lrk_err *err)
{
    const lrk_recipe *r = s->recipe;
    LRK_TRY(choose_device(s, err));
    LRK_REQUIRE(err, r->base_model, LRK_EUSAGE, "base_model is not set");
    LRK_REQUIRE(err, r->datasets.n, LRK_EUSAGE, "datasets is empty: there is nothing to train on");
    if (r->threads) lrk_threads_set((int)r->threads);
    LRK_TRY(lrk_recipe_sha256(r, s->recipe_sha256, err));
    LRK_TRY(lrk_recipe_steps_sha256(r, s->steps_sha256, err));
    LRK_TRY(lrk_base_open(&s->base, r->base_model, err));
    lrk_weights_sha256(s->base.weights, s->base_sha256);
    if (adds_tokens(r)) LRK_TRY(open_text(s, err));
    LRK_TRY(choose_adapter(s, err));
    LRK_REQUIRE(err, !s->lora.whole || !r->export_adapter_gguf, LRK_EUSAGE,
                "export.adapter_gguf: a GGUF adapter cannot hold what lora_modules_to_save and "
                "peft_trainable_token_indices train, nor the rows of tokens that a recipe adds; use export.gguf");
    LRK_TRY(choose_engine(s, err));
    if (runs) send_weights(s);
    if (!s->text.tokenizer) LRK_TRY(open_text(s, err));
    LRK_TRY(lrk_text_check_rows(&s->text, s->base.decoder.vocabulary, r->base_model, err));
    LRK_TRY(open_batches(s, err));
    LRK_REQUIRE(err, s->eval || (r->export_max_kl <= 0.0 && r->export_min_top1 <= 0.0), LRK_EUSAGE,
                "export.%s: there are no held-out rows to measure on; name some in test_datasets, or set "
                "val_set_size",
                r->export_max_kl > 0.0 ? "max_kl" : "min_top1");
    LRK_TRY(check_chat(s, err));
    size_engine(s);
    LRK_TRY(lrk_recompute_choose(s, err));
    choose_schedule(s);
    return LRK_OK;
}

static lrk_status try_model(lrk_session *s, lrk_err *err)
{
    lrk_engine_bytes bytes;
    LRK_TRY(lrk_base_open(&s->base, s->recipe->base_model, err));
    if (adds_tokens(s->recipe)) LRK_TRY(open_text(s, err));
    LRK_TRY(choose_adapter(s, err));
    LRK_TRY(choose_engine(s, err));
    s->engine.max_tokens = s->engine.max_segments = s->engine.max_trained = 1;
    return lrk_session_bytes(s, &bytes, err);
}

lrk_status lrk_session_try_model(const lrk_recipe *recipe, lrk_err *err)
{
    lrk_session s = {.recipe = recipe};
    const lrk_status status = try_model(&s, err);
    lrk_session_close(&s);
    return status;
}

lrk_status lrk_session_open(lrk_session *s, const lrk_recipe *recipe, bool runs, lrk_err *err)
{
    *s = (lrk_session){.recipe = recipe};
    const lrk_status status = open_all(s, runs, err);
    if (status != LRK_OK) lrk_session_close(s);
    return status;
}

void lrk_session_close(lrk_session *s)
{
    lrk_weights_ahead_end(&s->ahead);
    lrk_batches_close(s->train);
    lrk_batches_close(s->eval);
    s->train = s->eval = NULL;
    lrk_corpus_close(&s->train_data);
    lrk_corpus_close(&s->eval_data);
    lrk_targets_close(&s->targets);
    lrk_targets_close(&s->parameters);
    lrk_targets_close(&s->excluded);
    lrk_saved_free(&s->saved);
    lrk_new_tokens_free(&s->new_tokens);
    lrk_adapter_free(&s->start);
    lrk_text_close(&s->text);
    lrk_base_close(&s->base);
}

/* every: given outright; else `times` in an epoch. */
static uint64_t interval(const lrk_session *s, uint64_t every, size_t times)
{
    const uint64_t epoch = lrk_batches_limits(s->train)->first_epoch_steps;
    if (every || !times) return every;
    return epoch > times ? (epoch + times - 1) / times : 1;
}

uint64_t lrk_session_eval_steps(const lrk_session *s)
{
    const lrk_recipe *r = s->recipe;
    if (!s->eval || r->eval_strategy == LRK_EVAL_NO) return 0;
    const size_t times = r->evals_per_epoch ? r->evals_per_epoch : 1;
    return interval(s, r->eval_strategy == LRK_EVAL_EPOCH ? 0 : r->eval_steps, times);
}

uint64_t lrk_session_save_steps(const lrk_session *s)
{
    return interval(s, s->recipe->save_steps, s->recipe->saves_per_epoch);
}
