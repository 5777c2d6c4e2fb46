/* tests/unit/adapter_gguf.c -- adapters out of GGUF files: our own give back what was saved, those
 * of other programs what llama.cpp computes with them; damaged ones are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "checkpoint/adapter.h"
#include "scratch.h"

#include <math.h>

#define GOLDEN LRK_SOURCE_DIR "/tests/golden/data/"

enum { RANK = 3, WIDTH = 64 };

/* A file of two modules, as another program writes it; `change` leaves something out or wrong. */
typedef struct file {
    const char *type, *kind, *arch;
    float alpha;
    const char *a[2], *b[2]; /* names; NULL: not there */
    size_t rows[2], rank[2], b_rank[2];
    const char *also; /* a key more */
    float bad;        /* in place of the first number of a[0], unless 0 */
} file;

static const file good = {.type = "adapter",
                          .kind = "lora",
                          .arch = "llama",
                          .alpha = 22.5f,
                          .a = {"blk.0.attn_q.weight.lora_a", "blk.1.ffn_down.weight.lora_a"},
                          .b = {"blk.0.attn_q.weight.lora_b", "blk.1.ffn_down.weight.lora_b"},
                          .rows = {64, 64},
                          .rank = {RANK, 5},
                          .b_rank = {RANK, 5}};

static void declare(lrk_gguf_writer *w, const char *name, size_t rows, size_t cols)
{
    const lrk_tensor t = lrk_mat(LRK_F32, rows, cols);
    if (name) assert_int_equal(lrk_gguf_declare(w, name, &t, NULL), LRK_OK);
}

static void fill(lrk_gguf_writer *w, const char *name, size_t n, float first, float bad)
{
    float *v = calloc(n, sizeof *v);
    for (size_t i = 0; i < n; i++) v[i] = first + (float)i / 64.0f;
    if (bad != 0.0f) v[0] = bad;
    if (name) assert_int_equal(lrk_gguf_write(w, v, n * sizeof *v, NULL), LRK_OK);
    free(v);
}

static void put(const file *f, const char *path)
{
    lrk_gguf_writer *w = NULL;
    const size_t in[2] = {WIDTH, 128};
    assert_int_equal(lrk_gguf_create(&w, NULL), LRK_OK);
    lrk_gguf_put_string(w, "general.type", f->type, strlen(f->type));
    lrk_gguf_put_string(w, "adapter.type", f->kind, strlen(f->kind));
    lrk_gguf_put_string(w, "general.architecture", f->arch, strlen(f->arch));
    lrk_gguf_put_f32(w, "adapter.lora.alpha", f->alpha);
    if (f->also) lrk_gguf_put_string(w, f->also, "[1]", 3);
    for (int i = 0; i < 2; i++) {
        declare(w, f->a[i], f->rank[i], in[i]);
        declare(w, f->b[i], f->rows[i], f->b_rank[i]);
    }
    assert_int_equal(lrk_gguf_begin(w, path, NULL), LRK_OK);
    for (int i = 0; i < 2; i++) {
        fill(w, f->a[i], f->rank[i] * in[i], 0.25f, i ? 0.0f : f->bad);
        fill(w, f->b[i], f->rows[i] * f->b_rank[i], -0.5f, 0.0f);
    }
    assert_int_equal(lrk_gguf_commit(w, NULL), LRK_OK);
    lrk_gguf_writer_close(w);
}

static lrk_weights *llama(void)
{
    lrk_weights *w = NULL;
    assert_int_equal(lrk_weights_open(&w, GOLDEN "llama", NULL), LRK_OK);
    return w;
}

/* alpha 22.5 becomes 23, each B times 22.5 / 23, rows of q go back to halves. */
static void test_foreign(void **state)
{
    (void)state;
    lrk_weights *base = llama();
    lrk_adapter a;
    lrk_err err = {0};
    for (int zero = 0; zero < 2; zero++) {
        file f = good;
        if (zero) f.alpha = 0.0f; /* then the scale is 1 */
        put(&f, "other.gguf");
        if (lrk_adapter_load_gguf(&a, "other.gguf", base, &err) != LRK_OK) fail_msg("%s", err.text);
        assert_int_equal(lrk_adapter_check_base(&a, base, false, &err), LRK_OK);
        assert_int_equal(a.n, 2);
        assert_int_equal(a.rank, RANK);
        assert_true(a.alpha == (zero ? RANK : 23.0));
        assert_int_equal(a.n_targets, 2);
        const lrk_adapter_module *q = lrk_adapter_find(&a, "model.layers.0.self_attn.q_proj");
        const lrk_adapter_module *d = lrk_adapter_find(&a, "model.layers.1.mlp.down_proj");
        assert_true(q && d);
        const lrk_order pairs = {LRK_ORDER_PAIRS, 16, 64};
        for (size_t r = 0; r < 64; r++) {
            const size_t row = lrk_order_gguf_row(&pairs, r);
            for (size_t k = 0; k < RANK; k++) {
                const double want = -0.5 + (double)(row * RANK + k) / 64;
                const double got = (double)((float *)lrk_row(&q->b, r))[k] * q->scale;
                assert_true(fabs(got - want * (zero ? 1 : 22.5 / RANK)) <= 1e-5);
            }
        }
        assert_true(
            fabs((double)((float *)d->b.data)[0] * d->scale + 0.5 * (zero ? 1 : 22.5 / 5)) <= 1e-5);
        assert_true(((float *)q->a.data)[1] == 0.25f + 1.0f / 64.0f);
        /* and PEFT's form of it says the same */
        lrk_adapter again;
        assert_int_equal(lrk_adapter_save(&a, zero ? "zero" : "peft", &err), LRK_OK);
        if (lrk_adapter_load(&again, zero ? "zero" : "peft", &err) != LRK_OK)
            fail_msg("%s", err.text);
        for (size_t i = 0; i < 2; i++) {
            assert_true(again.module[i].scale == a.module[i].scale);
            assert_memory_equal(again.module[i].b.data, a.module[i].b.data,
                                lrk_bytes(&a.module[i].b));
        }
        lrk_adapter_free(&again);
        lrk_adapter_free(&a);
        assert_int_equal(lrk_remove("other.gguf", NULL), LRK_OK);
    }
    lrk_weights_close(base);
}

/* Ranks and alphas of their own: B comes back within a rounding, everything else as it was. */
static void test_patterns(void **state)
{
    (void)state;
    lrk_weights *base = llama();
    lrk_adapter a, b;
    lrk_err err = {0};
    if (lrk_adapter_load(&a, GOLDEN "llama/adapter", &err) != LRK_OK) fail_msg("%s", err.text);
    for (int rslora = 0; rslora < 2; rslora++) {
        a.rslora = rslora;
        for (size_t i = 0; i < a.n; i++) {
            a.module[i].alpha = i % 3 ? a.alpha : a.alpha + 3;
            a.module[i].scale = lrk_adapter_scale(&a, a.module[i].a.dim[0], a.module[i].alpha);
        }
        if (lrk_adapter_save_gguf(&a, base, NULL, "own.gguf", &err) != LRK_OK ||
            lrk_adapter_load_gguf(&b, "own.gguf", base, &err) != LRK_OK)
            fail_msg("%s", err.text);
        assert_int_equal(b.n, a.n);
        assert_int_equal(b.rslora, rslora);
        for (size_t i = 0; i < a.n; i++) {
            const lrk_adapter_module *x = &a.module[i], *y = &b.module[i];
            assert_string_equal(x->path, y->path);
            assert_true(x->alpha == y->alpha && x->scale == y->scale);
            assert_memory_equal(x->a.data, y->a.data, lrk_bytes(&x->a));
            for (size_t k = 0; k < lrk_count(&x->b); k++) {
                const float v = ((float *)x->b.data)[k], w = ((float *)y->b.data)[k];
                assert_true(fabsf(v - w) <= 2 * 0x1p-23f * fabsf(v)); /* rounded there and back */
            }
        }
        lrk_adapter_free(&b);
        assert_int_equal(lrk_remove("own.gguf", NULL), LRK_OK);
    }
    lrk_adapter_free(&a);
    lrk_weights_close(base);
}

static void refused(const lrk_weights *base, file f, lrk_status want, const char *message)
{
    lrk_adapter a;
    lrk_err err = {0};
    put(&f, "bad.gguf");
    const lrk_status got = lrk_adapter_load_gguf(&a, "bad.gguf", base, &err);
    if (got != want || !strstr(err.text, message))
        fail_msg("status %d, expected '%s', message: %s", (int)got, message, err.text);
    lrk_adapter_free(&a);
    assert_int_equal(lrk_remove("bad.gguf", NULL), LRK_OK);
}

static void test_refused(void **state)
{
    (void)state;
    lrk_weights *base = llama();
    file f = good;
    f.kind = "hypernet";
    refused(base, f, LRK_EINPUT, "no LoRA adapter");
    f = good;
    f.arch = "qwen2";
    refused(base, f, LRK_EINPUT, "for architecture 'qwen2'");
    f = good;
    f.alpha = -1.0f;
    refused(base, f, LRK_EINPUT, "adapter.lora.alpha is -1");
    f = good;
    f.b[1] = NULL;
    refused(base, f, LRK_EINPUT, "is missing, its lora_a is there");
    f = good;
    f.a[1] = NULL;
    refused(base, f, LRK_EINPUT, "2 lora_b but 1 lora_a");
    f = good;
    f.a[1] = "blk.1.ffn_down.weight";
    refused(base, f, LRK_ESUPPORT, "is neither lora_a nor lora_b");
    f = good;
    f.b_rank[0] = 4;
    refused(base, f, LRK_ESHAPE, "do not multiply");
    f = good;
    f.rows[0] = 40;
    refused(base, f, LRK_ESHAPE, "no whole number of heads");
    f = good;
    f.a[0] = "token_embd.weight.lora_a";
    f.b[0] = "token_embd.weight.lora_b";
    refused(base, f, LRK_ESUPPORT, "the embedding is not supported");
    f = good;
    f.a[0] = "blk.0.attn_w.weight.lora_a";
    f.b[0] = "blk.0.attn_w.weight.lora_b";
    refused(base, f, LRK_ESUPPORT, "is not known for architecture llama");
    f = good;
    f.bad = NAN;
    refused(base, f, LRK_EINPUT, "is not finite");
    f = good;
    f.also = "adapter.alora.invocation_tokens";
    refused(base, f, LRK_ESUPPORT, "certain tokens switch on");
    f = good;
    f.also = LRK_KEY_ADAPTER_CONFIG;
    refused(base, f, LRK_EINPUT, "expected an object");
    lrk_weights_close(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_foreign),
                                       cmocka_unit_test(test_patterns),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
