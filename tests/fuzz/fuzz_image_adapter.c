/* tests/fuzz/fuzz_image_adapter.c -- any bytes as a LoRA file of an image model. */
#include "checkpoint/image_adapter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lrk_safetensors s;
    lrk_image_adapter a;
    lrk_err err = {0};
    if (lrk_st_parse(&s, data, size, "fuzz", NULL) != LRK_OK) return 0;
    const lrk_status status = lrk_image_adapter_of(&a, &s, &err);
    LRK_ASSERT((status == LRK_OK) == (err.status == LRK_OK));
    lrk_st_close(&s);
    for (size_t i = 0; status == LRK_OK && i < a.n; i++) {
        const lrk_adapter_module *m = &a.module[i].m;
        char original[LRK_FLAT_MAX];
        lrk_image_original(a.module[i].flat, original);
        LRK_ASSERT(*m->path && m->a.dim[0] == m->b.dim[1] && m->scale == m->scale);
    }
    if (status == LRK_OK) lrk_image_adapter_free(&a);
    return 0;
}
