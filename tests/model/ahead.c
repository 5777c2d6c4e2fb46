/* tests/model/ahead.c -- training on a GPU reads the loss of a step when the next one has been asked for: however
 * many steps it takes, the GPU has nothing left to do no more often than for one that pauses. With the argument CUDA
 * on the emulator, which counts; there is nothing to see elsewhere. */
#include "lorikeet.h"
#include "model/toy.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#ifdef LRK_EMULATOR
enum { COUNTED = true };
uint64_t lrk_emulator_idle(void);
#else
enum { COUNTED = false };
static uint64_t lrk_emulator_idle(void) { return 0; }
#endif

static lrk_device device = LRK_CPU;

static void write_run(void)
{
    FILE *rows = fopen("rows.jsonl", "w");
    assert_non_null(rows);
    for (int i = 0; i < 6; i++)
        fprintf(rows, "{\"prompt\": \"row %d asks\\n\", \"completion\": \"and %d answers\"}\n", i, i);
    assert_int_equal(fclose(rows), 0);
    scratch_text("recipe.yaml", "base_model: " LRK_SOURCE_DIR "/tests/golden/data/llama\n"
                                "lora_r: 4\n"
                                "datasets: [{path: rows.jsonl}]\n"
                                "micro_batch_size: 2\n"
                                "gradient_accumulation_steps: 2\n"
                                "num_epochs: 100\n"
                                "save_steps: 100\n"
                                "compute_dtype: f32\n"
                                "device: cuda\n");
}

/* How often the GPU ran out of work, from the start to the end of a run. */
static uint64_t idle_in(const char *name, const char *steps, const char *saves)
{
    char out[64];
    lorikeet_error error = {0};
    const uint64_t before = lrk_emulator_idle();
    snprintf(out, sizeof out, "output_dir=%s", name);
    if (lorikeet_train("recipe.yaml", (const char *const[]){out, steps, saves}, 3, NULL, &error) != 0)
        fail_msg("%s", error.text);
    return lrk_emulator_idle() - before;
}

static void losses_are_read_a_step_late(void **state)
{
    (void)state;
    if (device == LRK_CPU || !COUNTED) skip();
    write_run();
    const uint64_t few = idle_in("few", "max_steps=3", "save_steps=100");
    assert_int_equal(idle_in("many", "max_steps=8", "save_steps=100"), few);
    assert_true(idle_in("saving", "max_steps=8", "save_steps=2") > few); /* a checkpoint has to wait */
}

int main(int argc, char **argv)
{
    if (!lrk_toy_device(argc, argv, &device)) return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(losses_are_read_a_step_late)};
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
