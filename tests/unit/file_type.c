/* tests/unit/file_type.c -- the element type of each tensor, as llama-quantize chose it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "checkpoint/file_type.h"

#include <stdio.h>

static const lrk_file_facts model = {.layers = 24, .heads = 4, .key_heads = 1, .values = 24};

static char letter(lrk_dtype t)
{
    switch (t) {
    case LRK_Q2_K:
        return '2';
    case LRK_Q3_K:
        return '3';
    case LRK_Q4_K:
        return '4';
    case LRK_Q5_K:
        return '5';
    case LRK_Q6_K:
        return '6';
    case LRK_IQ4_XS:
        return 'x';
    default:
        return '?';
    }
}

/* Recorded from llama.cpp (tests/peer/quantize.py) for a model of 24 layers, 4 heads, 1 key head.
 */
static void test_mixes(void **state)
{
    (void)state;
    static const struct {
        const char *name, *values, *down;
        char out, embedding;
    } cases[] = {
        {"q2_k", "444444444444444444444444", "333333333333333333333333", '3', '2'},
        {"q3_k_m", "554444444444444444444444", "544444444444444444444444", '4', '3'},
        {"q3_k_l", "555555555555555555555555", "555555555555555555555555", '5', '3'},
        {"q4_k_s", "555544444444444444444444", "555444444444444444444444", '4', '4'},
        {"q4_k_m", "666446446446446446446666", "666446446446446446446666", '4', '4'},
        {"q5_k_m", "666556556556556556556666", "666556556556556556556666", '5', '5'},
        {"iq4_xs", "555555555555555555555555", "555xxxxxxxxxxxxxxxxxxxxx", 'x', 'x'},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const lrk_file_type *f = lrk_file_type_find(cases[i].name);
        char values[25] = {0}, down[25] = {0}, name[64];
        assert_non_null(f);
        for (size_t k = 0; k < 24; k++) {
            snprintf(name, sizeof name, "blk.%zu.attn_v.weight", k);
            values[k] = letter(lrk_file_type_choose(f, &model, name, k, 512));
            snprintf(name, sizeof name, "blk.%zu.ffn_down.weight", k);
            down[k] = letter(lrk_file_type_choose(f, &model, name, 0, 512));
        }
        assert_string_equal(values, cases[i].values);
        assert_string_equal(down, cases[i].down);
        const char *out = "blk.3.attn_output.weight", *embedding = "token_embd.weight";
        assert_int_equal(letter(lrk_file_type_choose(f, &model, out, 0, 256)), cases[i].out);
        assert_int_equal(letter(lrk_file_type_choose(f, &model, embedding, 0, 256)),
                         cases[i].embedding);
        assert_int_equal(lrk_file_type_choose(f, &model, "output.weight", 0, 256), LRK_Q6_K);
    }
}

static void test_exceptions(void **state)
{
    (void)state;
    const lrk_file_type *q4 = lrk_file_type_find("Q4_K"), *q8 = lrk_file_type_find("q8_0");
    const char *up = "blk.0.ffn_up.weight", *embedding = "token_embd.weight";
    lrk_file_facts m = model;
    assert_string_equal(q4->name, "q4_k_m");
    assert_int_equal(q4->id, 15);
    assert_null(lrk_file_type_find("q4_k_x"));
    assert_string_equal(lrk_file_type_find("torch.bfloat16")->name, "bf16");
    assert_string_equal(lrk_file_type_find("Float16")->name, "f16");
    assert_string_equal(lrk_file_type_find("fp32")->name, "f32");
    /* rows that are no whole number of blocks */
    assert_int_equal(lrk_file_type_choose(q4, &m, up, 0, 96), LRK_Q5_0);
    assert_int_equal(lrk_file_type_choose(q4, &m, up, 0, 40), LRK_F16);
    assert_int_equal(lrk_file_type_choose(q4, &m, "output.weight", 0, 96), LRK_Q8_0);
    /* what stays as it is */
    assert_int_equal(lrk_file_type_choose(q4, &m, "blk.0.attn_norm.weight", 0, 256), LRK_F32);
    assert_int_equal(lrk_file_type_choose(q4, &m, "blk.0.ffn_gate_inp.weight", 0, 256), LRK_F32);
    assert_int_equal(lrk_file_type_choose(q4, &m, "blk.0.attn_q.bias", 0, 256), LRK_F32);
    /* a tied embedding is the head */
    m.tied = true;
    assert_int_equal(lrk_file_type_choose(q4, &m, embedding, 0, 256), LRK_Q6_K);
    assert_int_equal(lrk_file_type_choose(q8, &m, embedding, 0, 256), LRK_Q8_0);
    /* eight experts; the size at which heads share values */
    m.experts = 8;
    assert_int_equal(lrk_file_type_choose(q4, &m, "blk.0.attn_k.weight", 0, 256), LRK_Q8_0);
    assert_int_equal(lrk_file_type_choose(q4, &m, "blk.0.attn_output.weight", 0, 256), LRK_Q5_K);
    m = (lrk_file_facts){.layers = 80, .heads = 64, .key_heads = 8, .values = 80};
    assert_int_equal(lrk_file_type_choose(q4, &m, "blk.10.attn_v.weight", 10, 256), LRK_Q5_K);
    m.key_heads = 64;
    assert_int_equal(lrk_file_type_choose(q4, &m, "blk.10.attn_v.weight", 10, 256), LRK_Q4_K);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mixes),
        cmocka_unit_test(test_exceptions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
