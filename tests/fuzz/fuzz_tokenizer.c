/* tests/fuzz/fuzz_tokenizer.c -- a tokenizer.json from a stranger, and text for it behind a byte 1;
 * or a GGUF file with a vocabulary, which a text of our own goes through. Whatever is accepted
 * encodes every text to ids inside the vocabulary, in ascending places, and decodes them to UTF-8.
 */
#include "base/file.h"
#include "generate/model_text.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void encode(const lrk_tokenizer *t, const char *text, size_t n)
{
    lrk_ids ids = {.n = 0};
    lrk_buf out = {.n = 0};
    lrk_err err = {.status = LRK_OK};
    const lrk_status s = lrk_encode(t, text, n, true, &ids, &err);
    LRK_ASSERT((s == LRK_OK) == (lrk_utf8_check(text, n) == n));
    if (s == LRK_OK) {
        for (size_t i = 0; i < ids.n; i++) {
            LRK_ASSERT(ids.id[i] < lrk_tokenizer_size(t));
            LRK_ASSERT(ids.begin[i] <= n);
        }
        LRK_ASSERT(lrk_decode(t, ids.id, ids.n, false, &out, &err) == LRK_OK);
        for (size_t i = 0; i < out.n; i++) /* a token may stand for NUL */
            if (out.data[i] == '\0') out.data[i] = ' ';
        LRK_ASSERT(!out.n || lrk_utf8_check(out.data, out.n) == out.n);
    }
    lrk_buf_free(&out);
    lrk_ids_free(&ids);
}

static void from_gguf(const uint8_t *data, size_t size)
{
    static const char text[] = "He's at 12:30, caf\u00e9 <s>  x\n\n e\u0301 aab ab\ufb01  ";
    lrk_gguf g = {.path = NULL};
    lrk_model_text m = {.tokenizer = NULL};
    lrk_err err = {.status = LRK_OK};
    if (lrk_gguf_parse(&g, data, size, "fuzz", &err) == LRK_OK &&
        lrk_text_from_gguf(&m, &g, &err) == LRK_OK)
        encode(m.tokenizer, text, sizeof text - 1);
    lrk_text_close(&m);
    lrk_gguf_close(&g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data, *mark = size ? memchr(text, 0x01, size) : NULL;
    const size_t n = mark ? (size_t)(mark - text) : size;
    lrk_tokenizer *t = NULL;
    lrk_err err = {.status = LRK_OK};
    if (size >= 4 && memcmp(data, "GGUF", 4) == 0) {
        from_gguf(data, size);
        return 0;
    }
    const lrk_status s = lrk_tokenizer_parse(&t, text, n, "fuzz", &err);
    LRK_ASSERT((s == LRK_OK) == (err.status == LRK_OK) && (s == LRK_OK) == (t != NULL));
    if (t && mark) encode(t, mark + 1, size - n - 1);
    lrk_tokenizer_free(t);
    return 0;
}
