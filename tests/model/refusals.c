/* tests/model/refusals.c -- what a model does not compute is refused when it is planned. With the argument CUDA for a
 * GPU, or for the emulator where that is linked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/toy.h"

static lrk_device device = LRK_CPU;

static bool select_shared(void *ctx, const char *path, size_t *rank, double *alpha)
{
    (void)ctx, (void)rank, (void)alpha;
    return strstr(path, ".shared_expert.");
}

static bool select_routed(void *ctx, const char *path, size_t *rank, double *alpha)
{
    (void)ctx, (void)rank, (void)alpha;
    return strstr(path, ".experts.") && !strstr(path, "_up_proj") && !strstr(path, "experts.down_proj");
}

/* Neither DoRA nor dropout beside experts, routed ones and a shared one behind a gate: refused by name. */
static void experts_refuse_what_their_adapters_have_not(void **state)
{
    (void)state;
    lrk_toy toy = {.arena = lrk_arena_growing("toy"), .type = LRK_F32, .decoder = lrk_toy_decoder(LRK_TOY_EXPERTS)};
    toy.decoder.gated_shared = true;
    for (int i = 0; i < 4; i++) {
        lrk_lora_options o = {.rank = 2, .alpha = 2, .select = i < 2 ? select_shared : select_routed};
        lrk_engine_bytes bytes;
        lrk_err err = {0};
        o.dora = i % 2;
        o.dropout = i % 2 ? 0.0 : 0.1;
        const lrk_engine_options e = {.device = device, .decoder = toy.decoder, .find = lrk_toy_find, .ctx = &toy,
                                      .lora = &o, .train = true, .max_tokens = 8, .max_segments = 1};
        assert_int_equal(lrk_engine_plan(&e, &bytes, &err), LRK_ESUPPORT);
        assert_non_null(strstr(err.text, i % 2 ? "DoRA beside experts is not supported" : "whose adapters have none"));
    }
    lrk_arena_free(&toy.arena);
}

int main(int argc, char **argv)
{
    if (!lrk_toy_device(argc, argv, &device)) return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(experts_refuse_what_their_adapters_have_not)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
