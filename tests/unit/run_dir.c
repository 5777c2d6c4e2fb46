/* tests/unit/run_dir.c -- the directory of a run, the progress line, signals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/signals.h"
#include "train/progress.h"
#include "train/run_dir.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define DIR "run_dir.scratch"

static lrk_arena arena;
static lrk_recipe recipe, other;

static int set_up(void **state)
{
    (void)state;
    static const char text[] = "base_model: m\ndatasets: [{path: rows.h5}]\n";
    arena = lrk_arena_growing("test");
    const char *changed[] = {"lora_r=3"};
    if (lrk_recipe_parse(&recipe, &arena, text, strlen(text), "test", NULL, 0, NULL) != LRK_OK)
        return 1;
    return lrk_recipe_parse(&other, &arena, text, strlen(text), "test", changed, 1, NULL) != LRK_OK;
}

static int tear_down(void **state)
{
    (void)state;
    lrk_arena_free(&arena);
    return 0;
}

static int remove_all(void **state)
{
    (void)state;
    char **names;
    size_t n;
    if (!lrk_is_dir(DIR)) return 0;
    if (lrk_dir_list(&arena, DIR, &names, &n, NULL) != LRK_OK) return 1;
    for (size_t i = 0; i < n; i++) (void)lrk_remove(lrk_path_join(&arena, DIR, names[i]), NULL);
    return lrk_remove(DIR, NULL) != LRK_OK;
}

static void put(const char *name)
{
    assert_int_equal(lrk_file_write(lrk_path_join(&arena, DIR, name), "x", 1, NULL), LRK_OK);
}

static bool there(const char *name) { return lrk_is_file(lrk_path_join(&arena, DIR, name)); }

static void must_open(lrk_run_dir *d, bool resume)
{
    lrk_err err = {0};
    if (lrk_run_dir_open(d, DIR, &recipe, resume, &err) != LRK_OK) fail_msg("%s", err.text);
}

static void refused(const lrk_recipe *r, bool resume, lrk_status status, const char *message)
{
    lrk_run_dir d;
    lrk_err err = {0};
    assert_int_equal(lrk_run_dir_open(&d, DIR, r, resume, &err), status);
    if (!strstr(err.text, message)) fail_msg("\"%s\" lacks \"%s\"", err.text, message);
}

static void failed_start_leaves_nothing(void **state)
{
    (void)state;
    lrk_run_dir d;
    must_open(&d, false);
    assert_true(d.fresh);
    lrk_run_dir_close(&d);
    lrk_run_dir_close(&d);
    assert_false(lrk_is_dir(DIR));

    assert_int_equal(lrk_mkdir(DIR, NULL), LRK_OK);
    must_open(&d, false);
    lrk_run_dir_close(&d);
    assert_true(lrk_is_dir(DIR)); /* was there before */
    assert_false(there("LOCK"));
}

static void a_run_is_never_written_over(void **state)
{
    (void)state;
    lrk_run_dir d;
    must_open(&d, false);
    assert_int_equal(lrk_run_dir_begin(&d, &recipe, NULL), LRK_OK);
    lrk_run_dir_close(&d);
    assert_true(there(LRK_RUN_RECIPE));
    refused(&recipe, false, LRK_EUSAGE, "not empty; give another output_dir, or --resume");
    assert_int_equal(lrk_run_dir_open(&d, DIR, &other, true, NULL), LRK_OK); /* nothing is lost */
    lrk_run_dir_close(&d);
    put("ckpt-00000002.safetensors");
    refused(&other, true, LRK_EUSAGE, "the run in it had another lora_r");
    refused(&other, true, LRK_EUSAGE,
            "; resume with the same recipe or give another output_dir; free to change are gpu");
    refused(&other, true, LRK_EUSAGE, " save_steps ");
    lrk_recipe longer = recipe;
    longer.max_steps = recipe.max_steps + 10;
    static const char begin[] = "begin another output_dir with lora_model_dir=" DIR "/" LRK_RUN_ADAPTER;
    char way[200];
    snprintf(way, sizeof way, "; to train on when it is done, %s", begin);
    refused(&longer, true, LRK_EUSAGE, way);
    assert_int_equal(lrk_mkdir(DIR "/" LRK_RUN_ADAPTER, NULL), LRK_OK);
    snprintf(way, sizeof way, "; to train on, %s", begin);
    refused(&longer, true, LRK_EUSAGE, way);
    assert_int_equal(lrk_remove(DIR "/" LRK_RUN_ADAPTER, NULL), LRK_OK);
    assert_true(there(LRK_RUN_RECIPE));

    must_open(&d, true);
    assert_false(d.fresh);
    lrk_run_dir_close(&d);
}

static void a_constant_run_can_have_another_length(void **state)
{
    (void)state;
    lrk_run_dir d;
    lrk_recipe now = recipe;
    now.lr_scheduler = LRK_SCHEDULER_CONSTANT;
    assert_int_equal(lrk_run_dir_open(&d, DIR, &now, false, NULL), LRK_OK);
    assert_int_equal(lrk_run_dir_begin(&d, &now, NULL), LRK_OK);
    put("ckpt-00000002.safetensors");
    lrk_run_dir_close(&d);
    lrk_recipe moved = now;
    moved.num_epochs = 5 * now.num_epochs;
    moved.max_steps = 1000; /* whether that is more, steps say */
    assert_int_equal(lrk_run_dir_open(&d, DIR, &moved, true, NULL), LRK_OK);
    lrk_run_dir_close(&d);
    moved.warmup_ratio = 0.5;
    refused(&moved, true, LRK_EUSAGE, "another num_epochs");
    refused(&moved, true, LRK_EUSAGE, "can have another length; ");
}

static void something_else_is_no_run(void **state)
{
    (void)state;
    assert_int_equal(lrk_mkdir(DIR, NULL), LRK_OK);
    put("thesis.txt");
    refused(&recipe, false, LRK_EUSAGE, "not empty");
    refused(&recipe, true, LRK_EUSAGE, "no run that could be resumed");
    assert_true(there("thesis.txt"));
}

static void one_process_at_a_time(void **state)
{
    (void)state;
    lrk_run_dir d;
    must_open(&d, false);
    refused(&recipe, false, LRK_ELOCKED, "held by process");
    assert_true(there("LOCK"));
    lrk_run_dir_close(&d);
    must_open(&d, false);
    lrk_run_dir_close(&d);
}

static void left_overs_are_removed(void **state)
{
    (void)state;
    lrk_run_dir d;
    assert_int_equal(lrk_mkdir(DIR, NULL), LRK_OK);
    put("ckpt-00000001.safetensors.tmp-4711");
    put("LOCK");
    must_open(&d, false);
    assert_true(d.fresh);
    assert_false(there("ckpt-00000001.safetensors.tmp-4711"));
    lrk_run_dir_close(&d);
    assert_int_equal(lrk_mkdir(DIR, NULL), LRK_OK);
    put("notes.tmp-x"); /* not ours */
    refused(&recipe, false, LRK_EUSAGE, "not empty");
}

static void checkpoints_rotate(void **state)
{
    (void)state;
    lrk_run_dir d;
    lrk_checkpoint_file *files;
    size_t n;
    bool found;
    uint64_t step;
    double loss;
    must_open(&d, false);
    assert_int_equal(lrk_run_dir_begin(&d, &recipe, NULL), LRK_OK);
    for (uint64_t s = 10; s <= 60; s += 10)
        assert_int_equal(lrk_file_write(lrk_run_dir_checkpoint(&d, s), "x", 1, NULL), LRK_OK);
    put("ckpt-x.safetensors");
    put("ckpt-123456789.safetensors"); /* nine digits sort after eight by number, not by name */
    assert_int_equal(lrk_run_dir_best(&d, &found, &step, &loss, NULL), LRK_OK);
    assert_false(found);
    assert_int_equal(lrk_run_dir_set_best(&d, 20, 0.1, NULL), LRK_OK);
    assert_int_equal(lrk_run_dir_best(&d, &found, &step, &loss, NULL), LRK_OK);
    assert_true(found && step == 20 && loss == 0.1);

    assert_int_equal(lrk_run_dir_checkpoints(&d, &files, &n, NULL), LRK_OK);
    assert_int_equal(n, 7);
    assert_true(files[0].step == 10 && files[6].step == 123456789);

    assert_int_equal(lrk_run_dir_rotate(&d, 0, NULL), LRK_OK); /* never fewer than two */
    assert_int_equal(lrk_run_dir_checkpoints(&d, &files, &n, NULL), LRK_OK);
    assert_int_equal(n, 3);
    assert_true(files[0].step == 20 && files[1].step == 60 && files[2].step == 123456789);
    assert_true(there("ckpt-x.safetensors"));
    lrk_run_dir_close(&d);
}

static void progress_line(void **state)
{
    (void)state;
    char text[200];
    lrk_progress p;
    lrk_step_record r = {.step = 100,
                         .loss = 0.25,
                         .learning_rate = 9.1e-4,
                         .tokens = 1000,
                         .trained_tokens = 500,
                         .seconds = 2.0,
                         .peak_bytes = 412900000};
    lrk_log_level(0);
    lrk_progress_begin(&p, 235);
    for (int i = 0; i < 3; i++) lrk_progress_step(&p, &r);
    lrk_progress_end();
    lrk_progress_format(&p, &r, text, sizeof text);
    assert_string_equal(
        text, "100/235  mean loss 0.250  lr 9.1e-04  500 tok/s (250 trained)  ETA 4:30  412 MB");
}

static void a_loss_that_climbs_is_warned_of_once(void **state)
{
    (void)state;
    lrk_progress p;
    lrk_step_record r = {.loss = 2.0, .tokens = 1, .trained_tokens = 1, .seconds = 1.0};
    lrk_log_level(0);
    lrk_progress_begin(&p, 100);
    for (r.step = 1; r.step <= 20; r.step++) lrk_progress_step(&p, &r);
    assert_false(p.warned);
    r.loss = 9.0;
    for (; r.step <= 24; r.step++) lrk_progress_step(&p, &r);
    assert_false(p.warned); /* the mean is below 1 + 2 * 2 */
    for (; r.step <= 40; r.step++) lrk_progress_step(&p, &r);
    assert_true(p.warned);
}

static void durations(void **state)
{
    (void)state;
    static const struct {
        double seconds;
        const char *text;
    } rows[] = {{0, "0:00"},      {59.7, "1:00"}, {3600, "1:00:00"},    {3872, "1:04:32"},
                {90000, "1d 1h"}, {-5, "0:00"},   {(double)NAN, "0:00"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[32];
        lrk_duration(rows[i].seconds, text, sizeof text);
        assert_string_equal(text, rows[i].text);
    }
}

static void first_signal_asks_second_ends(void **state)
{
    (void)state;
    const pid_t child = fork();
    if (child == 0) {
        lrk_signals_install();
        if (lrk_stop_requested()) _exit(1);
        raise(SIGTERM);
        if (!lrk_stop_requested()) _exit(2);
        raise(SIGINT);
        _exit(3);
    }
    int status = 0;
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(failed_start_leaves_nothing, remove_all, remove_all),
        cmocka_unit_test_setup_teardown(a_run_is_never_written_over, remove_all, remove_all),
        cmocka_unit_test_setup_teardown(a_constant_run_can_have_another_length, remove_all, remove_all),
        cmocka_unit_test_setup_teardown(something_else_is_no_run, remove_all, remove_all),
        cmocka_unit_test_setup_teardown(one_process_at_a_time, remove_all, remove_all),
        cmocka_unit_test_setup_teardown(left_overs_are_removed, remove_all, remove_all),
        cmocka_unit_test_setup_teardown(checkpoints_rotate, remove_all, remove_all),
        cmocka_unit_test(progress_line),
        cmocka_unit_test(a_loss_that_climbs_is_warned_of_once),
        cmocka_unit_test(durations),
        cmocka_unit_test(first_signal_asks_second_ends),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
