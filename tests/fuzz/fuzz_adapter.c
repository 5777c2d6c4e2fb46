/* tests/fuzz/fuzz_adapter.c -- any bytes as an adapter: adapter_config.json up to the first zero byte, behind it
 * adapter_model.safetensors. */
#include "checkpoint/adapter.h"

#include <math.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void is_matrix(const lrk_tensor *t, size_t rows, size_t cols)
{
    LRK_ASSERT(t->rank == 2 && t->dtype == LRK_F32 && t->dim[0] == rows && t->dim[1] == cols);
    for (size_t i = 0; i < lrk_count(t); i++) LRK_ASSERT(isfinite(((const float *)t->data)[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lrk_adapter a;
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    const size_t n = zero ? (size_t)(zero - data) : size, rest = zero ? size - n - 1 : 0;
    if (lrk_adapter_parse(&a, (const char *)data, n, data + size - rest, rest, "fuzz", NULL) != LRK_OK) return 0;
    for (size_t i = 0; i < a.n; i++) {
        const lrk_adapter_module *m = &a.module[i];
        LRK_ASSERT(i == 0 || strcmp(a.module[i - 1].path, m->path) <= 0);
        is_matrix(&m->a, m->a.dim[0], m->a.dim[1]);
        is_matrix(&m->b, m->b.dim[0], m->a.dim[0]);
        LRK_ASSERT(isfinite(m->scale));
    }
    for (size_t i = 0; i < a.n_whole; i++)
        is_matrix(&a.whole[i].weight, a.whole[i].weight.dim[0], a.whole[i].weight.dim[1]);
    lrk_adapter_free(&a);
    return 0;
}
