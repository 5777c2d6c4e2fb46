/* tests/unit/recipe.c -- recipes as the program sees them: defaults, values, what follows from
 * what, hashes, the tables. Messages are in tests/cli/recipe.sh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "recipes/recipe.h"
#include "recipes/schema.h"

#include <string.h>

#define BASE "base_model: m\ndatasets: [{path: rows.h5}]\n"

static lrk_arena arena;

static void read(lrk_recipe *r, const char *text)
{
    lrk_err err = {0};
    if (lrk_recipe_parse(r, &arena, text, strlen(text), "test", NULL, 0, &err) != LRK_OK)
        fail_msg("%s", err.text);
}

static void refuse(const char *text, const char *message)
{
    lrk_err err = {0};
    lrk_recipe r;
    assert_int_equal(lrk_recipe_parse(&r, &arena, text, strlen(text), "test", NULL, 0, &err),
                     LRK_EUSAGE);
    if (!strstr(err.text, message)) fail_msg("\"%s\" lacks \"%s\"", err.text, message);
}

static void defaults(void **state)
{
    (void)state;
    lrk_recipe r;
    read(&r, BASE);
    assert_string_equal(r.base_model, "m");
    assert_int_equal(r.adapter, LRK_ADAPTER_LORA);
    assert_int_equal(r.lora_r, 16);
    assert_true(r.lora_alpha == 32.0 && r.lora_dropout == 0.0);
    assert_int_equal(r.lora_target_modules.n, 1);
    assert_string_equal(r.lora_target_modules.item[0], "all-linear");
    assert_true(r.adam_beta1 == 0.9 && r.adam_beta2 == 0.999 && r.adam_epsilon == 1e-8);
    assert_int_equal(r.lr_scheduler, LRK_SCHEDULER_COSINE);
    assert_int_equal(r.eval_strategy, LRK_EVAL_NO);
    assert_int_equal(r.save_steps, 0);
    assert_int_equal(r.saves_per_epoch, 1);
    assert_int_equal(r.datasets.n, 1);
    assert_string_equal(r.datasets.item[0].path, "rows.h5");
    assert_null(r.datasets.item[0].prompt);
    assert_null(r.lora_model_dir);
    assert_null(r.validator_command);
    assert_int_equal(r.export_gguf.n, 0);
}

/* Maps and lists of numbers, printed so that they read back. */
static void patterns(void **state)
{
    (void)state;
    lrk_recipe r, again;
    lrk_buf b = {0};
    lrk_err err = {0};
    read(&r, BASE "rank_pattern: {'layers\\.0\\..*': 4, down_proj: 8}\nalpha_pattern: {q_proj: 2.5}\n"
                  "layers_to_transform: [0, 3]\n");
    assert_int_equal(r.rank_pattern.n, 2);
    assert_string_equal(r.rank_pattern.key[0], "layers\\.0\\..*");
    assert_true(r.rank_pattern.value[0] == 4.0 && r.rank_pattern.value[1] == 8.0);
    assert_true(r.alpha_pattern.value[0] == 2.5);
    assert_int_equal(r.layers_to_transform.n, 2);
    assert_int_equal(r.layers_to_transform.item[1], 3);
    assert_int_equal(lrk_recipe_print(&r, &b, &err), LRK_OK);
    read(&again, b.data);
    assert_string_equal(again.rank_pattern.key[0], "layers\\.0\\..*");
    assert_int_equal(again.layers_to_transform.item[0], 0);
    lrk_buf_free(&b);
}

/* Ids of tokens: a list, or lists by module; printed so that they read back. */
static void tokens(void **state)
{
    (void)state;
    lrk_recipe r, again;
    lrk_err err = {0};
    for (int i = 0; i < 2; i++) {
        lrk_buf b = {0};
        read(&r, i ? BASE "trainable_token_indices: {embed_tokens: [7, 3], lm_head: 5}\n"
                   : BASE "peft_trainable_token_indices: [9, 2]\n");
        assert_int_equal(lrk_recipe_print(&r, &b, &err), LRK_OK);
        read(&again, b.data);
        lrk_buf_free(&b);
        const lrk_token_lists *t = &again.peft_trainable_token_indices;
        assert_int_equal(t->n, i ? 2 : 1);
        if (i) assert_string_equal(t->module[1], "lm_head");
        if (!i) assert_null(t->module[0]);
        assert_int_equal(t->ids[0].n, 2);
        assert_int_equal(t->ids[0].item[0], i ? 7 : 9);
        if (i) assert_int_equal(t->ids[1].item[0], 5);
    }
}

static void every_kind(void **state)
{
    (void)state;
    lrk_recipe r;
    read(&r, "model: 'x y'\n"
             "lora_target: [q_proj, v_proj]\n"
             "datasets:\n"
             "  - path: a.jsonl\n"
             "    prompt: \"Q: {nl}\\n\"\n"
             "    completion: \"{a}\"\n"
             "  - {path: b.h5, split: train}\n"
             "test_datasets: [{path: t.json, type: alpaca}]\n"
             "learning_rate: 1e-3\n"
             "gradient_checkpointing: true\n"
             "bf16: true\n"
             "evaluation_strategy: steps\n"
             "eval_steps: 20\n"
             "save_steps: 5\n"
             "validator: {command: ./check -}\n"
             "export:\n"
             "  gguf: [q8_0, f16]\n");
    assert_string_equal(r.base_model, "x y");
    assert_int_equal(r.lora_target_modules.n, 2);
    assert_false(r.lora_target_modules.scalar);
    assert_int_equal(r.datasets.n, 2);
    assert_int_equal(r.test_datasets.item[0].type, LRK_ROWS_INSTRUCTION);
    assert_string_equal(r.datasets.item[0].prompt, "Q: {nl}\n");
    assert_string_equal(r.datasets.item[1].split, "train");
    assert_int_equal(r.datasets.item[1].type, LRK_ROWS_AUTO);
    assert_int_equal(r.gradient_checkpointing, LRK_RECOMPUTE_LAYER);
    assert_int_equal(r.compute_dtype, LRK_COMPUTE_BF16);
    assert_int_equal(r.eval_strategy, LRK_EVAL_STEPS);
    assert_int_equal(r.saves_per_epoch, 0);
    assert_string_equal(r.validator_command, "./check -");
    assert_string_equal(r.export_gguf.item[1], "f16");
}

static void evaluation_follows(void **state)
{
    (void)state;
    lrk_recipe r;
    read(&r, BASE "val_set_size: 0.1\n");
    assert_int_equal(r.eval_strategy, LRK_EVAL_EPOCH);
    assert_int_equal(r.evals_per_epoch, 1);
    read(&r, BASE "val_set_size: 100\nevals_per_epoch: 4\n");
    assert_int_equal(r.evals_per_epoch, 4);
    read(&r, BASE "val_set_size: 100\neval_steps: 7\n");
    assert_int_equal(r.eval_strategy, LRK_EVAL_STEPS);
    read(&r, BASE "val_set_size: 100\neval_strategy: no\n");
    assert_int_equal(r.eval_strategy, LRK_EVAL_NO);
    refuse(BASE "eval_strategy: epoch\n", "nothing to evaluate on");
}

static void hashes(void **state)
{
    (void)state;
    lrk_recipe a, b;
    char x[65], y[65];
    lrk_err err = {0};
    read(&a, BASE "lora_r: 8\n");
    read(&b, "# the same\nlora_rank: 8\nthreads: 3\noutput_dir: elsewhere\n" BASE);
    assert_int_equal(lrk_recipe_sha256(&a, x, &err), LRK_OK);
    assert_int_equal(lrk_recipe_sha256(&b, y, &err), LRK_OK);
    assert_string_equal(x, y);
    b.lora_r = 9;
    assert_int_equal(lrk_recipe_sha256(&b, y, &err), LRK_OK);
    assert_string_not_equal(x, y);
}

/* What the rows of schema.def promise each other. */
static void tables_are_sound(void **state)
{
    (void)state;
    const lrk_key *const tables[] = {lrk_recipe_keys, lrk_dataset_keys};
    for (size_t t = 0; t < 2; t++)
        for (const lrk_key *k = tables[t]; k->name; k++) {
            if (k->kind == LRK_KEY_SECTION) continue;
            char word[64];
            assert_ptr_equal(lrk_key_find(tables[t], k->name), k);
            for (const char *rest = k->aliases; lrk_next_word(&rest, ' ', word);)
                if (lrk_key_find(tables[t], word) != k) fail_msg("%s stands for two keys", word);
            if (k->kind == LRK_KEY_ENUM)
                assert_true(lrk_domain_choice(k->domain, k->fallback) >= 0);
        }
    for (const lrk_foreign_key *f = lrk_foreign_keys; f->name; f++)
        if (lrk_key_find(lrk_recipe_keys, f->name)) fail_msg("%s is refused and accepted", f->name);
    for (const lrk_foreign_key *f = lrk_translated_keys; f->name; f++)
        if (!lrk_key_find(lrk_recipe_keys, f->ours)) fail_msg("%s: no key %s", f->name, f->ours);
    for (const lrk_foreign_key *f = lrk_refused_values; f->name; f++)
        if (!lrk_key_find(lrk_recipe_keys, f->name)) fail_msg("no key %s", f->name);
}

static const struct {
    const char *key;
    int value;
    const char *word;
} choices[] = {
    {"peft_init_lora_weights", LRK_INIT_PISSA_1 + 6, "pissa_niter_64"},
    {"peft_init_lora_weights", LRK_INIT_OLORA, "olora"},
    {"train_on_eos", LRK_EOS_TURN, "turn"},
    {"train_on_eos", LRK_EOS_NONE, "none"},
    {"excess_length_strategy", LRK_EXCESS_TRUNCATE, "truncate"},
    {"lr_scheduler", LRK_SCHEDULER_LINEAR, "linear"},
    {"device", LRK_DEVICE_CUDA, "cuda"},
    {"compute_dtype", LRK_COMPUTE_BF16, "bf16"},
    {"gradient_checkpointing", LRK_RECOMPUTE_MLP, "mlp"},
    {"eval_strategy", LRK_EVAL_AUTO, "auto"},
};

static void enumerators_match_the_schema(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++)
        assert_int_equal(lrk_domain_choice(lrk_key_find(lrk_recipe_keys, choices[i].key)->domain,
                                           choices[i].word),
                         choices[i].value);
    const char *types = lrk_key_find(lrk_dataset_keys, "type")->domain;
    assert_int_equal(lrk_domain_choice(types, "text"), LRK_ROWS_TEXT);
    assert_int_equal(lrk_domain_choice(types, "sharegpt"), LRK_ROWS_SHAREGPT);
}

static void domains(void **state)
{
    (void)state;
    assert_true(lrk_domain_holds("(0,1]", 1.0) && lrk_domain_holds("(0,1]", 1e-300));
    assert_false(lrk_domain_holds("(0,1]", 0.0) || lrk_domain_holds("(0,1]", 1.0000001));
    assert_true(lrk_domain_holds("[0,1)", 0.0) && !lrk_domain_holds("[0,1)", 1.0));
    assert_true(lrk_domain_holds("", -5.0));
    assert_int_equal(lrk_domain_choice("a|b=c", "c"), 1);
    assert_int_equal(lrk_domain_choice("a|b=c", "d"), -1);
    assert_int_equal(lrk_domain_choice("a|b=c", ""), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(patterns), cmocka_unit_test(tokens), cmocka_unit_test(every_kind),
        cmocka_unit_test(hashes),
        cmocka_unit_test(evaluation_follows),
        cmocka_unit_test(domains),
        cmocka_unit_test(tables_are_sound),
        cmocka_unit_test(enumerators_match_the_schema),
    };
    lrk_log_level(0);
    arena = lrk_arena_growing("test");
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    lrk_arena_free(&arena);
    return failed;
}
