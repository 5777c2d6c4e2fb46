/* tests/model/aside.c -- results of layers that wait in this process's memory change no bit. With the
 * argument CUDA on a GPU or the emulator, where copies must be neither late nor early
 * (LRK_EMULATOR_STREAMS=early); on the CPU nothing is put aside. */
#include "model/toy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { PASSES = 3, MOST_TOKENS = 32 };

static const lrk_lora_options lora = {.rank = 4, .alpha = 8, .seed = 3, .dropout = 0.2};
static lrk_device device = LRK_CPU;

typedef struct result {
    float *gradients;
    size_t bytes, step, host;
} result;

/* The gradients of three passes of one shape: on a GPU the second is recorded, the third replayed. */
static result measure(size_t layers, lrk_recompute how)
{
    lrk_engine e;
    lrk_err err = {0};
    lrk_toy toy = {.arena = lrk_arena_growing("toy"), .type = LRK_F32, .decoder = lrk_toy_decoder(LRK_TOY_LLAMA)};
    toy.decoder.layers = layers;
    const lrk_engine_options o = {.device = device, .decoder = toy.decoder, .find = lrk_toy_find, .ctx = &toy,
                                  .lora = &lora, .train = true, .compute = LRK_C_F32, .recompute = how,
                                  .max_tokens = MOST_TOKENS, .max_segments = 4};
    if (lrk_engine_open(&e, &o, &err) != LRK_OK) fail_msg("%s", err.text);
    lrk_toy_adapters(&e.model);
    const size_t n = lrk_count(&e.model.gradients);
    result r = {malloc(PASSES * n * sizeof(float)), PASSES * n * sizeof(float), e.bytes.step, e.bytes.host};
    for (size_t pass = 0; pass < PASSES; pass++) {
        lrk_toy_batch t;
        double loss;
        lrk_toy_rows(&t, (size_t[]){9, 17}, 2, 1, 2 * pass, 50);
        lrk_model_set_dropout(&e.model, 7, (uint32_t)pass);
        lrk_engine_begin(&e);
        if (lrk_engine_gradients(&e, &t.b, 0.02, &loss, &err) != LRK_OK) fail_msg("%s", err.text);
        if (lrk_engine_loss(&e, &t.b, &loss, &err) != LRK_OK) fail_msg("%s", err.text);
        if (lrk_device_download(device, r.gradients + pass * n, e.model.gradients.data, n * sizeof(float),
                                &err) != LRK_OK)
            fail_msg("%s", err.text);
    }
    lrk_engine_close(&e);
    lrk_arena_free(&toy.arena);
    return r;
}

static void results_put_aside_change_no_bit(void **state)
{
    (void)state;
    for (size_t layers = 1; layers <= 6; layers++) {
        const result here = measure(layers, LRK_KEEP_LAYERS), away = measure(layers, LRK_KEEP_AWAY);
        assert_memory_equal(here.gradients, away.gradients, here.bytes);
        /* all but two layers' results: width numbers in f32 for each token */
        const size_t one = MOST_TOKENS * lrk_toy_decoder(LRK_TOY_LLAMA).width * sizeof(float);
        const size_t gone = device == LRK_CPU || layers < 2 ? 0 : (layers - 2) * one;
        assert_int_equal(away.host, gone);
        assert_int_equal(here.step - away.step, gone);
        free(here.gradients);
        free(away.gradients);
    }
}

int main(int argc, char **argv)
{
    if (!lrk_toy_device(argc, argv, &device)) return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(results_put_aside_change_no_bit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
