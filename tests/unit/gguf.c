/* tests/unit/gguf.c -- the GGUF reader against good and bad files; writing; names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "checkpoint/gguf.h"
#include "checkpoint/names.h"

#include <stdio.h>
#include <string.h>

/* A small file, piece by piece. */
static void put(lrk_buf *b, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)(v >> (8 * i));
        lrk_buf_append(b, &c, 1);
    }
}

static void text(lrk_buf *b, const char *s)
{
    put(b, strlen(s), 8);
    lrk_buf_puts(b, s);
}

static void head(lrk_buf *b, uint32_t version, uint64_t tensors, uint64_t keys)
{
    b->n = 0;
    lrk_buf_puts(b, "GGUF");
    put(b, version, 4);
    put(b, tensors, 8);
    put(b, keys, 8);
}

static void info(lrk_buf *b, const char *name, uint32_t rank, uint64_t d0, uint64_t d1,
                 uint32_t type, uint64_t offset)
{
    text(b, name);
    put(b, rank, 4);
    for (uint32_t i = 0; i < rank; i++) put(b, i == 0 ? d0 : i == 1 ? d1 : 1, 8);
    put(b, type, 4);
    put(b, offset, 8);
}

static void data(lrk_buf *b, size_t n)
{
    while (b->n % 32) put(b, 0, 1);
    for (size_t i = 0; i < n; i++) put(b, 0, 1);
}

static void expect(const lrk_buf *b, lrk_status want, const char *message)
{
    lrk_gguf g;
    lrk_err err = {0};
    const lrk_status got = lrk_gguf_parse(&g, b->data, b->n, "case", &err);
    if (got != want || !strstr(err.text, message))
        fail_msg("status %d, expected %d '%s'; message: %s", (int)got, (int)want, message,
                 err.text);
    lrk_gguf_close(&g);
}

static void test_headers(void **state)
{
    (void)state;
    lrk_buf b = {0};
    head(&b, 3, 0, 0);
    expect(&b, LRK_OK, "");
    head(&b, 2, 0, 0);
    expect(&b, LRK_OK, "");
    b.data[0] = 'g';
    expect(&b, LRK_EINPUT, "not a GGUF file");
    head(&b, 1, 0, 0);
    expect(&b, LRK_ESUPPORT, "version 1 is not supported");
    head(&b, 0x03000000, 0, 0);
    expect(&b, LRK_ESUPPORT, "big-endian");
    head(&b, 3, UINT64_MAX, 0);
    expect(&b, LRK_EINPUT, "tensors do not fit");
    head(&b, 3, 0, 1ull << 40);
    expect(&b, LRK_EINPUT, "keys do not fit");
    head(&b, 3, 0, 1);
    for (int i = 0; i < 3; i++) lrk_buf_append(&b, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
    expect(&b, LRK_EINPUT, "a key of 18446744073709551615 bytes");
    lrk_buf_free(&b);
}

static void key(lrk_buf *b, const char *name, uint32_t type)
{
    head(b, 3, 0, 1);
    text(b, name);
    put(b, type, 4);
}

static void test_keys(void **state)
{
    (void)state;
    lrk_buf b = {0};
    key(&b, "k", 13);
    put(&b, 0, 8);
    expect(&b, LRK_EINPUT, "unknown type 13");
    key(&b, "k", 7);
    put(&b, 2, 1);
    expect(&b, LRK_EINPUT, "no truth value");
    key(&b, "k", 9);
    put(&b, 9, 4);
    put(&b, 0, 8);
    expect(&b, LRK_EINPUT, "array of arrays");
    key(&b, "k", 9);
    put(&b, 8, 4);
    put(&b, 1 << 20, 8);
    expect(&b, LRK_EINPUT, "claims 1048576 strings");
    key(&b, "k", 9);
    put(&b, 10, 4);
    put(&b, UINT64_MAX / 8 + 2, 8);
    expect(&b, LRK_EINPUT, "elements; at most");
    key(&b, "k", 8);
    put(&b, UINT64_MAX, 8);
    expect(&b, LRK_EINPUT, "a string of 18446744073709551615 bytes");
    key(&b, "", 0);
    put(&b, 0, 8);
    expect(&b, LRK_EINPUT, "a key of 0 bytes");
    key(&b, "\xc0\x80", 0);
    put(&b, 0, 8);
    expect(&b, LRK_EINPUT, "not valid UTF-8");
    head(&b, 3, 0, 2);
    for (int i = 0; i < 2; i++) {
        text(&b, "k");
        put(&b, 4, 4);
        put(&b, 1, 4);
    }
    expect(&b, LRK_EINPUT, "key 'k' occurs twice");
    const uint64_t alignments[] = {0, 4, 24, 8192};
    for (size_t i = 0; i < 4; i++) {
        key(&b, "general.alignment", 4);
        put(&b, alignments[i], 4);
        expect(&b, LRK_EINPUT, "a power of two");
    }
    key(&b, "general.alignment", 10);
    put(&b, 32, 8);
    expect(&b, LRK_EINPUT, "not a u32");
    key(&b, "split.count", 2);
    put(&b, 3, 2);
    expect(&b, LRK_ESUPPORT, "one of 3 files of a split model");
    lrk_buf_free(&b);
}

static void test_tensors(void **state)
{
    (void)state;
    lrk_buf b = {0};
    const struct {
        uint32_t rank;
        uint64_t d0, d1;
        uint32_t type;
        uint64_t offset;
        size_t bytes;
        lrk_status status;
        const char *message;
    } cases[] = {
        {1, 8, 0, 0, 0, 32, LRK_OK, ""},
        {2, 32, 2, 8, 0, 68, LRK_OK, ""}, /* the last one may end unpadded */
        {2, 32, 2, 8, 0, 67, LRK_EINPUT, "truncated"},
        {0, 0, 0, 0, 0, 32, LRK_EINPUT, "0 axes"},
        {5, 1, 1, 0, 0, 32, LRK_EINPUT, "5 axes"},
        {2, 8, 0, 0, 0, 32, LRK_EINPUT, "an axis of 0"},
        {1, 1ull << 63, 0, 0, 0, 32, LRK_EINPUT, "an axis of"},
        {2, 1ull << 61, 8, 0, 0, 32, LRK_EINPUT, "more bytes than memory"},
        {3, 1ull << 62, 1ull << 62, 0, 0, 32, LRK_EINPUT, "memory"},
        {1, 33, 0, 8, 0, 64, LRK_EINPUT, "whole number of q8_0 blocks"},
        {1, 256, 0, 10, 0, 96, LRK_OK, ""},
        {1, 256, 0, 24, 0, 96, LRK_ESUPPORT, "type I8 is not supported"},
        {1, 256, 0, 31, 0, 96, LRK_ESUPPORT, "type Q4_0_4_4 is not supported"},
        {1, 256, 0, 77, 0, 96, LRK_EINPUT, "unknown type 77"},
        {1, 8, 0, 0, 32, 64, LRK_EINPUT, "offset 32 of the data, expected 0"},
        {1, 1ull << 61, 0, 0, 0, 32, LRK_EINPUT, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        head(&b, 3, 1, 0);
        info(&b, "t", cases[i].rank, cases[i].d0, cases[i].d1, cases[i].type, cases[i].offset);
        data(&b, cases[i].bytes);
        expect(&b, cases[i].status, cases[i].message);
    }
    head(&b, 3, 2, 0);
    info(&b, "t", 1, 8, 0, 0, 0);
    info(&b, "t", 1, 8, 0, 0, 32);
    data(&b, 64);
    expect(&b, LRK_EINPUT, "tensor 't' occurs twice");
    head(&b, 3, 1, 0);
    info(&b, "0123456789012345678901234567890123456789012345678901234567890123", 1, 8, 0, 0, 0);
    data(&b, 64);
    expect(&b, LRK_EINPUT, "a tensor name of 64 bytes");
    lrk_buf_free(&b);
}

/* A file of gguf-py, written again by us: the same keys, tensors and bytes; cut anywhere: refused.
 */
static void test_rewrite(void **state)
{
    (void)state;
    lrk_gguf g, again;
    lrk_gguf_writer *w = NULL;
    lrk_err err = {0};
    const char *path = LRK_SOURCE_DIR "/tests/golden/data/llama_gguf_q8_0/model.gguf";
    assert_int_equal(lrk_gguf_open(&g, path, &err), LRK_OK);
    assert_int_equal(lrk_gguf_create(&w, &err), LRK_OK);
    for (size_t i = 0; i < g.n_kv; i++) lrk_gguf_put_copy(w, &g.kv[i]);
    for (size_t i = 0; i < g.n_tensors; i++) {
        const lrk_tensor t = lrk_gguf_view(&g, &g.tensor[i]);
        assert_int_equal(lrk_gguf_declare(w, t.name, &t, &err), LRK_OK);
    }
    assert_int_equal(lrk_gguf_begin(w, "unit_gguf.out", &err), LRK_OK);
    for (size_t i = 0; i < g.n_tensors; i++) {
        const lrk_tensor t = lrk_gguf_view(&g, &g.tensor[i]);
        assert_int_equal(lrk_gguf_write(w, t.data, 1, &err), LRK_OK);
        assert_int_equal(lrk_gguf_write(w, (char *)t.data + 1, lrk_bytes(&t) - 1, &err), LRK_OK);
    }
    assert_int_equal(lrk_gguf_commit(w, &err), LRK_OK);
    lrk_gguf_writer_close(w);
    assert_int_equal(lrk_gguf_open(&again, "unit_gguf.out", &err), LRK_OK);
    assert_int_equal(again.size, g.size);
    assert_memory_equal(again.bytes, g.bytes, g.size);

    for (size_t n = 0; n < g.size - 32; n += 997) {
        lrk_gguf cut;
        err = (lrk_err){0};
        assert_int_equal(lrk_gguf_parse(&cut, g.bytes, n, "cut", &err), LRK_EINPUT);
    }
    lrk_gguf_close(&g);
    lrk_gguf_close(&again);
    assert_int_equal(lrk_remove("unit_gguf.out", &err), LRK_OK);
}

static void test_values(void **state)
{
    (void)state;
    lrk_gguf g;
    lrk_gguf_writer *w = NULL;
    lrk_err err = {0};
    lrk_arena a = lrk_arena_growing("test");
    const int32_t ids[] = {-1, 2};
    size_t size = 5, n;
    double real = 0;
    bool flag = false;
    const char *string = NULL;
    const lrk_gguf_kv *array;
    assert_int_equal(lrk_gguf_create(&w, &err), LRK_OK);
    lrk_gguf_put_u32(w, "u", 4000000000u);
    lrk_gguf_put_f32(w, "f", 0.5f);
    lrk_gguf_put_bool(w, "b", true);
    lrk_gguf_put_string(w, "s", "text", 4);
    lrk_gguf_put_string(w, "nul", "a\0b", 3);
    lrk_gguf_put_i32s(w, "i", ids, 2);
    lrk_gguf_put_strings(w, "t", 2);
    lrk_gguf_add_string(w, "", 0);
    lrk_gguf_add_string(w, "zwei", 4);
    assert_int_equal(lrk_gguf_begin(w, "unit_kv.out", &err), LRK_OK);
    assert_int_equal(lrk_gguf_commit(w, &err), LRK_OK);
    lrk_gguf_writer_close(w);
    assert_int_equal(lrk_gguf_open(&g, "unit_kv.out", &err), LRK_OK);
    assert_int_equal(lrk_gguf_opt_size(&g, "u", 0, SIZE_MAX, &size, &err), LRK_OK);
    assert_int_equal(size, 4000000000u);
    assert_int_equal(lrk_gguf_opt_size(&g, "absent", 0, 1, &size, &err), LRK_OK);
    assert_int_equal(lrk_gguf_opt_real(&g, "f", &real, &err), LRK_OK);
    assert_true(real == 0.5);
    assert_int_equal(lrk_gguf_opt_bool(&g, "b", &flag, &err), LRK_OK);
    assert_true(flag);
    assert_int_equal(lrk_gguf_opt_string(&g, "s", &a, &string, &err), LRK_OK);
    assert_string_equal(string, "text");
    assert_int_equal(lrk_gguf_opt_array(&g, "t", LRK_GGUF_STRING, &array, &err), LRK_OK);
    assert_int_equal(array->n, 2);
    assert_memory_equal(lrk_gguf_string(array, 1, &n), "zwei", 4);
    assert_int_equal(n, 4);
    assert_int_equal(lrk_gguf_opt_array(&g, "i", LRK_GGUF_I32, &array, &err), LRK_OK);
    assert_int_equal(lrk_gguf_integer(array, 0), -1);
    assert_int_equal(lrk_gguf_opt_size(&g, "u", 0, 7, &size, &err), LRK_EINPUT);
    assert_non_null(strstr(err.text, "key 'u' is 4000000000, expected 0 to 7"));
    assert_int_equal(lrk_gguf_opt_size(&g, "f", 0, 7, &size, NULL), LRK_EINPUT);
    assert_int_equal(lrk_gguf_opt_real(&g, "s", &real, NULL), LRK_EINPUT);
    assert_int_equal(lrk_gguf_opt_bool(&g, "u", &flag, NULL), LRK_EINPUT);
    assert_int_equal(lrk_gguf_opt_string(&g, "nul", &a, &string, NULL), LRK_EINPUT);
    assert_int_equal(lrk_gguf_opt_array(&g, "i", LRK_GGUF_STRING, &array, NULL), LRK_EINPUT);
    lrk_gguf_close(&g);
    lrk_arena_free(&a);
    assert_int_equal(lrk_remove("unit_kv.out", NULL), LRK_OK);
}

static void to_gguf(const char *family, const char *hf, const char *want, int part)
{
    char out[LRK_NAME_MAX];
    int expert = 77;
    if (!lrk_name_to_gguf(lrk_arch_from_hf(family), hf, out, &expert)) fail_msg("%s: no name", hf);
    assert_string_equal(out, want);
    assert_int_equal(expert, part);
}

static void to_hf(const char *family, const char *gguf, int expert, const char *want)
{
    char out[LRK_NAME_MAX];
    bool experts;
    if (!lrk_name_to_hf(lrk_arch_from_hf(family), gguf, expert, out, &experts))
        fail_msg("%s: no name", gguf);
    assert_string_equal(out, want);
    assert_int_equal(experts, expert > 0);
}

static void test_names(void **state)
{
    (void)state;
    char out[LRK_NAME_MAX], values[LRK_NAME_MAX];
    bool query, experts;
    int expert;
    const lrk_arch *llama = lrk_arch_from_gguf("llama");
    to_gguf("LlamaForCausalLM", "model.layers.17.self_attn.q_proj.weight", "blk.17.attn_q.weight",
            LRK_NO_EXPERT);
    to_hf("LlamaForCausalLM", "blk.0.ffn_norm.weight", 0,
          "model.layers.0.post_attention_layernorm.weight");
    to_hf("Gemma2ForCausalLM", "blk.0.ffn_norm.weight", 0,
          "model.layers.0.pre_feedforward_layernorm.weight");
    to_gguf("Olmo2ForCausalLM", "model.layers.3.post_attention_layernorm.weight",
            "blk.3.post_attention_norm.weight", LRK_NO_EXPERT);
    to_hf("Phi3ForCausalLM", "blk.2.ffn_up.weight", 0, "model.layers.2.mlp.gate_up_proj.weight");
    to_hf("Starcoder2ForCausalLM", "blk.2.ffn_up.bias", 0, "model.layers.2.mlp.c_fc.bias");
    to_hf("Qwen3MoeForCausalLM", "blk.10.ffn_gate_exps.weight", 127,
          "model.layers.10.mlp.experts.127.gate_proj.weight");
    to_gguf("MixtralForCausalLM", "model.layers.4.block_sparse_moe.experts.7.w2.weight",
            "blk.4.ffn_down_exps.weight", 7);
    to_hf("LlamaForCausalLM", "rope_freqs.weight", 0, "rope_freqs");
    const char *const unknown[] = {"blk..attn_q.weight",   "blk.01.attn_q.weight",
                                   "blk.x.attn_q.weight",  "blk.123456.attn_q.weight",
                                   "blk.1.attn_q.weight2", ""};
    for (size_t i = 0; i < 6; i++)
        assert_false(lrk_name_to_hf(llama, unknown[i], 0, out, &experts));
    /* a bias that llama.cpp has no place for */
    assert_false(lrk_name_to_gguf(lrk_arch_from_gguf("qwen3"),
                                  "model.layers.0.self_attn.o_proj.bias", out, &expert));
    assert_true(lrk_name_is_latent("model.layers.5.self_attn.kv_b_proj.weight", out, values));
    assert_string_equal(out, "blk.5.attn_k_b.weight");
    assert_string_equal(values, "blk.5.attn_v_b.weight");
    assert_true(lrk_name_is_half("blk.5.attn_v_b.weight", &query, out) && !query);
    assert_string_equal(out, "model.layers.5.self_attn.kv_b_proj.weight");
    const lrk_order pairs = lrk_order_of(llama, "model.layers.3.self_attn.k_proj.bias", 6, 24);
    assert_int_equal(lrk_order_of(llama, "model.layers.3.self_attn.q_proj.weight", 6, 24).kind, LRK_ORDER_PAIRS);
    assert_int_equal(lrk_order_of(llama, "model.layers.3.self_attn.v_proj.weight", 6, 24).kind, LRK_ORDER_SAME);
    /* head of 6: gguf rows hold 0 3 1 4 2 5 */
    const size_t order[] = {0, 3, 1, 4, 2, 5};
    for (size_t r = 0; r < 6; r++) {
        assert_int_equal(lrk_order_hf_row(&pairs, 12 + r), 12 + order[r]);
        assert_int_equal(lrk_order_gguf_row(&pairs, lrk_order_hf_row(&pairs, 12 + r)), 12 + r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers), cmocka_unit_test(test_keys),
        cmocka_unit_test(test_tensors), cmocka_unit_test(test_rewrite),
        cmocka_unit_test(test_values),  cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
