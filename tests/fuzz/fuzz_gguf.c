/* tests/fuzz/fuzz_gguf.c -- any bytes as a GGUF file: every key and tensor is read. */
#include "checkpoint/weights.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static double read_keys(const lrk_gguf *g)
{
    double sum = 0;
    for (size_t i = 0; i < g->n_kv; i++) {
        const lrk_gguf_kv *kv = &g->kv[i];
        for (size_t k = 0; k < kv->n; k++) {
            size_t n;
            if (kv->type == LRK_GGUF_STRING) {
                const char *s = lrk_gguf_string(kv, k, &n);
                for (size_t j = 0; j < n; j++) sum += (double)s[j];
            } else {
                sum += lrk_gguf_number(kv, k);
            }
        }
        LRK_ASSERT(lrk_gguf_find(g, kv->key) == kv);
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lrk_gguf g;
    lrk_json *config = NULL;
    volatile double sum = 0; /* so that no read is optimized away */
    if (lrk_gguf_parse(&g, data, size, "fuzz", NULL) != LRK_OK) return 0;
    sum += read_keys(&g);
    for (size_t i = 0; i < g.n_tensors; i++) {
        const lrk_tensor t = lrk_gguf_view(&g, &g.tensor[i]);
        const unsigned char *p = t.data;
        for (size_t k = 0; k < lrk_bytes(&t); k++) sum += (double)p[k];
    }
    if (lrk_gguf_config(&g, &config, NULL) == LRK_OK) {
        lrk_arena a = lrk_arena_growing("fuzz");
        lrk_tensor *list;
        size_t n;
        if (lrk_gguf_list(&g, lrk_arch_of(config), &a, &list, &n, NULL) == LRK_OK)
            for (size_t i = 0; i < n; i++) sum += (double)strlen(list[i].name);
        lrk_arena_free(&a);
        lrk_json_free(config);
    }
    (void)sum;
    lrk_gguf_close(&g);
    return 0;
}
