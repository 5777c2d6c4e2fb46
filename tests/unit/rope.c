/* tests/unit/rope.c -- frequencies of rotary embedding: the bits of transformers 5.17, of each scaling rule.
 *
 * Numbers: ROPE_INIT_FUNCTIONS[rope_type](config, "cpu"), and LlamaRotaryEmbedding.compute_default_rope_parameters, with
 * torch 2.13. Its powf is off by one unit now and then; these are not such.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "models/rope.h"

#include <stdio.h>
#include <string.h>

typedef struct rule {
    size_t rotary, max_positions;
    const char *parameters; /* ' for " */
    float frequencies[32];
} rule;

/* clang-format off */
static const rule rules[] = {
    {64, 8192,
     "{'rope_type': 'default', 'rope_theta': 100000.0}",
     {
      0x1p+0f, 0x1.654a0cp-1f, 0x1.f2a79ep-2f, 0x1.5bf9fep-2f, 0x1.e5a846p-3f, 0x1.52e812p-3f, 0x1.d8ffacp-4f,
      0x1.4a12acp-4f, 0x1.ccab84p-5f, 0x1.41783ap-5f, 0x1.c0a9a4p-6f, 0x1.39172ep-6f, 0x1.b4f7e4p-7f, 0x1.30ee0ap-7f,
      0x1.a9942ap-8f, 0x1.28fb5cp-8f, 0x1.9e7c7p-9f, 0x1.213db6p-9f, 0x1.93aeb8p-10f, 0x1.19b3b6p-10f,
      0x1.892918p-11f, 0x1.125c04p-11f, 0x1.7ee9aep-12f, 0x1.0b3552p-12f, 0x1.74eea6p-13f, 0x1.043e56p-13f,
      0x1.6b3636p-14f, 0x1.faeba8p-15f, 0x1.61bea4p-15f, 0x1.edb52cp-16f, 0x1.58863ap-16f, 0x1.e0d6dap-17f}},
    {64, 131072,
     "{'rope_type': 'llama3', 'rope_theta': 500000.0, 'factor': 32.0, 'low_freq_factor': 1.0, 'high_freq_f"
     "actor': 4.0, 'original_max_position_embeddings': 8192}",
     {
      0x1p+0f, 0x1.53c38cp-1f, 0x1.c2ef78p-2f, 0x1.2b3dc6p-2f, 0x1.8d276p-3f, 0x1.078d4p-3f, 0x1.5dc95ap-4f,
      0x1.d03ccep-5f, 0x1.34119p-5f, 0x1.98de92p-6f, 0x1.0f5386p-6f, 0x1.681adap-7f, 0x1.ddee9ep-8f, 0x1.3d2804p-8f,
      0x1.a4ee4p-9f, 0x1.524f36p-10f, 0x1.c26c4p-12f, 0x1.9731eep-14f, 0x1.46831ap-16f, 0x1.b15902p-17f,
      0x1.1f91fp-17f, 0x1.7da9e8p-18f, 0x1.fa8b86p-19f, 0x1.5024d6p-19f, 0x1.be2188p-20f, 0x1.280d96p-20f,
      0x1.88ec2p-21f, 0x1.04be68p-21f, 0x1.5a0f4ep-22f, 0x1.cb4a9ap-23f, 0x1.30c94ep-23f, 0x1.94836p-24f}},
    {16, 4096,
     "{'rope_type': 'linear', 'rope_theta': 10000.0, 'factor': 3.0}",
     {
      0x1.555556p-2f, 0x1.afc19ep-4f, 0x1.111112p-5f, 0x1.5967b2p-7f, 0x1.b4e81ap-9f, 0x1.1452f6p-10f,
      0x1.5d867ep-12f, 0x1.ba1e56p-14f}},
    {32, 131072,
     "{'rope_type': 'yarn', 'rope_theta': 1000000.0, 'factor': 4.0, 'original_max_position_embeddings': 32"
     "768}",
     {
      0x1p+0f, 0x1.afd136p-2f, 0x1.6c310ep-3f, 0x1.33281ap-4f, 0x1.030dc6p-5f, 0x1.b4f7e4p-7f, 0x1.39417p-8f,
      0x1.b32624p-10f, 0x1.205bcp-11f, 0x1.61beap-13f, 0x1.74eea6p-15f, 0x1.3a8748p-16f, 0x1.094564p-17f,
      0x1.bf749ep-19f, 0x1.796182p-20f, 0x1.3e47c8p-21f}},
    {12, 64,
     "{'rope_type': 'longrope', 'rope_theta': 10000.0, 'original_max_position_embeddings': 16, 'short_fact"
     "or': [1.0, 1.1, 1.3, 1.7, 2.2, 3.1], 'long_factor': [1.5, 3.0, 6.0, 7.0, 8.0, 9.0]}",
     {
      0x1p+0f, 0x1.911dd6p-3f, 0x1.247dd2p-5f, 0x1.818182p-8f, 0x1.00b6eep-10f, 0x1.3a00fcp-13f}},
};
/* clang-format on */

static lrk_rope read(const rule *r)
{
    char text[512];
    snprintf(text, sizeof text, "%s", r->parameters);
    for (char *p = text; *p; p++)
        if (*p == '\'') *p = '"';
    const lrk_rope_context context = {.where = "rope", .pairs = r->rotary / 2, .max_positions = r->max_positions};
    lrk_rope rope = {.kind = LRK_ROPE_DEFAULT};
    lrk_json *j = NULL;
    lrk_err err = {.status = LRK_OK};
    if (lrk_json_parse(&j, text, strlen(text), "rope", &err) != LRK_OK) fail_msg("%s", err.text);
    if (lrk_rope_read(&rope, j, &context, &err) != LRK_OK) fail_msg("%s", err.text);
    lrk_json_free(j);
    return rope;
}

static void bits_of_the_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const rule *r = &rules[i];
        const lrk_rope rope = read(r);
        float got[32];
        lrk_rope_frequencies(&rope, r->rotary, false, got);
        for (size_t k = 0; k < r->rotary / 2; k++)
            if (memcmp(&got[k], &r->frequencies[k], sizeof *got) != 0)
                fail_msg("rule %zu, pair %zu: %a, not %a", i, k, (double)got[k], (double)r->frequencies[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bits_of_the_reference)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
