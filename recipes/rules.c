/* recipes/rules.c -- keys that need or contradict each other, and values that follow from others.
 */
#include "recipes/reader.h"

#include "base/text.h"

#include <string.h>

static const lrk_yaml *given(const lrk_reader *r, const char *name)
{
    return r->given[lrk_key_find(lrk_recipe_keys, name) - lrk_recipe_keys];
}

static void both(lrk_reader *r, const char *a, const char *b)
{
    lrk_mistake(r, given(r, b), b, "stands beside %s; give one of them", a);
}

static void targets(lrk_reader *r)
{
    const lrk_strings *t = &r->recipe->lora_target_modules;
    if (t->n == 0)
        lrk_mistake(r, given(r, "lora_target_modules"), "lora_target_modules",
                    "no module is named; all-linear takes every one but the head");
    for (size_t i = 0; t->n > 1 && i < t->n; i++)
        if (strcmp(t->item[i], "all-linear") == 0)
            lrk_mistake(r, given(r, "lora_target_modules"), "lora_target_modules",
                        "all-linear stands alone, not in a list of names");
}

static void patterns(lrk_reader *r)
{
    static const char *const keys[] = {"rank_pattern", "alpha_pattern", "layers_to_transform", "layers_pattern"};
    const lrk_recipe *p = r->recipe;
    const lrk_strings *t = &p->lora_target_modules;
    for (size_t i = 0; p->lora_model_dir && i < sizeof keys / sizeof *keys; i++)
        if (given(r, keys[i]))
            lrk_mistake(r, given(r, keys[i]), keys[i], "the adapter of lora_model_dir says it; leave this out");
    for (size_t i = 0; i < p->rank_pattern.n; i++)
        if (p->rank_pattern.value[i] != (double)(size_t)p->rank_pattern.value[i])
            lrk_mistake(r, given(r, "rank_pattern"), "rank_pattern", "%s: a rank is a whole number, got %g",
                        p->rank_pattern.key[i], p->rank_pattern.value[i]);
    if (p->layers_pattern.n && !p->layers_to_transform.n)
        lrk_mistake(r, given(r, "layers_pattern"), "layers_pattern", "needs layers_to_transform");
    if (p->layers_to_transform.n && t->scalar && t->item[0][strcspn(t->item[0], ".*+?|()[]{}^$\\")] != '\0')
        lrk_mistake(r, given(r, "layers_to_transform"), "layers_to_transform",
                    "needs names in lora_target_modules; a pattern names layers itself");
}

/* Axolotl's word for two keys at once. */
static void adapter(lrk_reader *r)
{
    lrk_recipe *p = r->recipe;
    if (p->adapter == LRK_ADAPTER_QLORA && !p->load_in_4bit)
        lrk_mistake(r, given(r, "adapter"), "adapter", "qlora needs load_in_4bit: true beside it; else say lora");
    p->adapter = LRK_ADAPTER_LORA;
}

static void saved(lrk_reader *r)
{
    const lrk_recipe *p = r->recipe;
    const bool rows = p->peft_trainable_token_indices.n > 0;
    if (p->peft_ensure_weight_tying && !p->lora_modules_to_save.n && !rows && !p->lora_model_dir)
        lrk_mistake(r, given(r, "peft_ensure_weight_tying"), "peft_ensure_weight_tying",
                    "needs lora_modules_to_save: embed_tokens or lm_head");
    if (p->peft_init_lora_weights != LRK_INIT_TRUE && p->lora_model_dir)
        lrk_mistake(r, given(r, "peft_init_lora_weights"), "peft_init_lora_weights",
                    "the adapter of lora_model_dir is where training begins; leave this out");
    if (p->peft_init_lora_weights != LRK_INIT_TRUE && p->peft_use_dora)
        lrk_mistake(r, given(r, "peft_init_lora_weights"), "peft_init_lora_weights",
                    "DoRA begins with B = 0 only; say true, or peft_use_dora: false");
    if (rows && p->lora_model_dir)
        lrk_mistake(r, given(r, "peft_trainable_token_indices"), "peft_trainable_token_indices",
                    "the adapter of lora_model_dir says what is trained; leave this out");
    if (p->lora_modules_to_save.n && p->lora_model_dir)
        lrk_mistake(r, given(r, "lora_modules_to_save"), "lora_modules_to_save",
                    "the adapter of lora_model_dir says what is trained; leave this out");
}

static void new_tokens(lrk_reader *r)
{
    static const char *const keys[] = {"tokens", "add_tokens", "add_special_tokens",
                                       "special_tokens.additional_special_tokens"};
    const lrk_recipe *p = r->recipe;
    const lrk_strings *const lists[] = {&p->tokens, &p->add_tokens, &p->add_special_tokens,
                                        &p->special_tokens_additional_special_tokens};
    for (size_t k = 0; k < sizeof lists / sizeof *lists; k++)
        for (size_t i = 0; i < lists[k]->n; i++)
            if (!*lists[k]->item[i]) lrk_mistake(r, given(r, keys[k]), keys[k], "an empty text is no token");
}

static void missing(lrk_reader *r)
{
    if (!given(r, "base_model"))
        lrk_mistake(r, NULL, "base_model", "is missing: a Hugging Face directory or a GGUF file");
    if (!given(r, "datasets"))
        lrk_mistake(r, NULL, "datasets", "is missing, as in datasets: [{path: rows.h5}]");
}

/* Not given, or given as ours. */
static bool is_ours(const char *theirs, const char *ours) { return !theirs || strcmp(theirs, ours) == 0; }

/* Whether turns are named as rows of a shape, which is then found by itself, call them. */
static bool turns_as_known(const lrk_recipe_dataset *d)
{
    const bool roles = is_ours(d->message_field_role, "role") && is_ours(d->message_field_content, "content");
    const bool from = is_ours(d->message_field_role, "from") && is_ours(d->message_field_content, "value");
    const bool talk = is_ours(d->field_messages, "conversations");
    if (d->type == LRK_ROWS_SHAREGPT) return talk && from;
    return (is_ours(d->field_messages, "messages") && roles) || (d->field_messages && talk && (roles || from));
}

/* Names that members have anyway name nothing. */
static void settle_names(lrk_recipe_dataset *d)
{
    const struct {
        const char **theirs, *ours;
    } members[] = {{&d->field_system, "system"}, {&d->field_instruction, "instruction"}, {&d->field_input, "input"},
                   {&d->field_output, "output"}, {&d->field, "text"}};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (is_ours(*members[i].theirs, members[i].ours)) *members[i].theirs = NULL;
    if (turns_as_known(d)) d->field_messages = d->message_field_role = d->message_field_content = NULL;
}

/* Shape and templates are for JSONL; a data set that was imported has been shaped. */
static void rows(lrk_reader *r, const char *name, const lrk_recipe_datasets *list)
{
    for (size_t i = 0; i < list->n; i++) {
        lrk_recipe_dataset *d = &list->item[i];
        settle_names(d);
        const bool named = d->field_messages || d->message_field_role || d->message_field_content || d->field_system ||
                           d->field_instruction || d->field_input || d->field_output || d->field;
        const bool shaped = d->type != LRK_ROWS_AUTO || d->prompt || d->completion || named;
        if (!d->prompt != !d->completion)
            lrk_mistake(r, given(r, name), name, "%s: prompt and completion go together", d->path);
        if (d->prompt && d->type != LRK_ROWS_AUTO)
            lrk_mistake(r, given(r, name), name, "%s: prompt stands beside type; give one of them",
                        d->path);
        if (d->prompt && named)
            lrk_mistake(r, given(r, name), name,
                        "%s: prompt names members of a row itself, and field_... is for shapes", d->path);
        if (shaped && (lrk_ends_with(d->path, ".h5") || lrk_ends_with(d->path, ".hdf5")))
            lrk_mistake(r, given(r, name), name,
                        "%s: type, prompt, completion and field_... are for JSONL; an imported data set has its shape",
                        d->path);
    }
}

/* Dropout draws for each row. */
static void sharing(lrk_reader *r)
{
    lrk_recipe *p = r->recipe;
    if (p->lora_dropout <= 0) return;
    if (p->share_prefixes && given(r, "share_prefixes"))
        lrk_mistake(r, given(r, "share_prefixes"), "share_prefixes",
                    "with lora_dropout each row is computed by itself; say lora_dropout: 0, or leave this out");
    p->share_prefixes = false;
}

/* Others count as micro_batch_size the runs of sequence_len tokens that they fill. A recipe that speaks of tokens, as
 * each that is printed here, means what is meant here. */
static void packing(lrk_reader *r)
{
    const char *what = !r->recipe->sample_packing
                           ? "is taken for true: rows share a run of tokens and never see each other, so that the "
                             "result is that of one row after the other"
                           : "a micro-batch holds micro_batch_size rows here, however short they are; others fill "
                             "sequence_len tokens with rows and count them as one: raise micro_batch_size for as many "
                             "rows a step";
    if (!r->recipe->sample_packing || (given(r, "sample_packing") && !given(r, "micro_batch_tokens")))
        lrk_recipe_note(r, given(r, "sample_packing"), "sample_packing", what);
    r->recipe->sample_packing = true;
}

static void data(lrk_reader *r)
{
    const lrk_recipe *p = r->recipe;
    if (p->datasets.n == 0) lrk_mistake(r, given(r, "datasets"), "datasets", "the list is empty");
    if (!p->base_model) lrk_mistake(r, given(r, "base_model"), "base_model", "has no value");
    if (p->test_datasets.n && p->val_set_size > 0) both(r, "test_datasets", "val_set_size");
    if (p->val_set_size > 1 && p->val_set_size != (double)(size_t)p->val_set_size)
        lrk_mistake(r, given(r, "val_set_size"), "val_set_size",
                    "expected a share below 1 or a whole number of rows, got %g", p->val_set_size);
    if (p->roles_to_train.n == 0 && !p->train_on_inputs)
        lrk_mistake(r, given(r, "roles_to_train"), "roles_to_train", "nothing would be trained");
    if (p->micro_batch_tokens && p->micro_batch_tokens < p->sequence_len)
        lrk_mistake(r, given(r, "micro_batch_tokens"), "micro_batch_tokens",
                    "%zu is less than one row of sequence_len (%zu)", p->micro_batch_tokens,
                    p->sequence_len);
    static const char *const templates[] = {"tokenizer_default", "chatml", "llama3", "alpaca"};
    bool named = lrk_ends_with(p->chat_template, ".jinja");
    for (size_t i = 0; i < sizeof templates / sizeof *templates; i++)
        named = named || strcmp(p->chat_template, templates[i]) == 0;
    if (!named)
        lrk_mistake(r, given(r, "chat_template"), "chat_template",
                    "expected tokenizer_default (the model's own), chatml, llama3, alpaca or a file that ends in "
                    ".jinja, got %s",
                    p->chat_template);
}

/* Whoever names steps alone gets them, over as many epochs as they take. */
static void length(lrk_reader *r)
{
    lrk_recipe *p = r->recipe;
    if (p->max_steps && !given(r, "num_epochs")) p->num_epochs = 1e6; /* the most there may be */
}

static void schedule(lrk_reader *r)
{
    lrk_recipe *p = r->recipe;
    if (p->warmup_steps && p->warmup_ratio > 0) both(r, "warmup_steps", "warmup_ratio");
    if (p->cosine_min_lr_ratio > 0 && p->lr_scheduler != LRK_SCHEDULER_COSINE)
        lrk_mistake(r, given(r, "cosine_min_lr_ratio"), "cosine_min_lr_ratio",
                    "needs lr_scheduler: cosine");
    if (p->save_steps && given(r, "saves_per_epoch") && p->saves_per_epoch)
        both(r, "save_steps", "saves_per_epoch");
    if (p->save_steps) p->saves_per_epoch = 0;
}

/* Who says that no row is kept for it has none; the rest of a recipe that was made for more changes nothing. */
static void no_evaluation(lrk_reader *r)
{
    lrk_recipe *p = r->recipe;
    const char *key = p->eval_steps ? "eval_steps" : "evals_per_epoch";
    if (!given(r, "val_set_size") || p->eval_strategy != LRK_EVAL_AUTO || !given(r, key)) return;
    lrk_recipe_note(r, given(r, key), key, "nothing is evaluated, for val_set_size is 0");
    p->eval_steps = p->evals_per_epoch = 0;
}

static void evaluation(lrk_reader *r)
{
    lrk_recipe *p = r->recipe;
    const bool data_there = p->test_datasets.n || p->val_set_size > 0;
    const int said = p->eval_strategy;
    if (p->eval_steps && p->evals_per_epoch) both(r, "eval_steps", "evals_per_epoch");
    if (!data_there) no_evaluation(r);

    if (said == LRK_EVAL_AUTO)
        p->eval_strategy = p->eval_steps                      ? LRK_EVAL_STEPS
                           : p->evals_per_epoch || data_there ? LRK_EVAL_EPOCH
                                                              : LRK_EVAL_NO;
    if (p->eval_strategy == LRK_EVAL_EPOCH && p->evals_per_epoch == 0) p->evals_per_epoch = 1;

    const lrk_yaml *at = given(r, "eval_strategy");
    if (p->eval_strategy == LRK_EVAL_STEPS && !p->eval_steps)
        lrk_mistake(r, at, "eval_strategy", "steps needs eval_steps");
    if (p->eval_strategy != LRK_EVAL_STEPS && p->eval_steps)
        lrk_mistake(r, given(r, "eval_steps"), "eval_steps", "needs eval_strategy: steps");
    if (p->eval_strategy != LRK_EVAL_EPOCH && p->evals_per_epoch)
        lrk_mistake(r, given(r, "evals_per_epoch"), "evals_per_epoch",
                    "needs eval_strategy: epoch");
    if (p->eval_strategy != LRK_EVAL_NO && !data_there)
        lrk_mistake(r, at, "eval_strategy",
                    "there is nothing to evaluate on; give test_datasets or val_set_size");
    const char *const none = data_there ? "needs an evaluation, and eval_strategy is no"
                                        : "needs an evaluation: give test_datasets or val_set_size";
    if (p->eval_strategy == LRK_EVAL_NO && p->load_best_model_at_end)
        lrk_mistake(r, given(r, "load_best_model_at_end"), "load_best_model_at_end", none);
    if (p->eval_strategy == LRK_EVAL_NO && p->early_stopping_patience)
        lrk_mistake(r, given(r, "early_stopping_patience"), "early_stopping_patience", none);
}

void lrk_recipe_rules(lrk_reader *r)
{
    missing(r);
    if (r->n_mistakes) return; /* what follows would complain of defaults in place of mistakes */
    data(r);
    sharing(r);
    rows(r, "datasets", &r->recipe->datasets);
    rows(r, "test_datasets", &r->recipe->test_datasets);
    adapter(r);
    packing(r);
    new_tokens(r);
    targets(r);
    saved(r);
    patterns(r);
    length(r);
    schedule(r);
    evaluation(r);
}
