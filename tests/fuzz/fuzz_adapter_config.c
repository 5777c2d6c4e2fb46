/* tests/fuzz/fuzz_adapter_config.c -- any bytes as adapter_config.json. */
#include "checkpoint/adapter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lrk_adapter a;
    size_t rank;
    double alpha;
    if (lrk_adapter_parse_config(&a, (const char *)data, size, "fuzz", NULL) != LRK_OK) return 0;
    (void)lrk_adapter_of_module(&a, "model.layers.0.self_attn.q_proj", &rank, &alpha, NULL);
    (void)lrk_adapter_of_module(&a, "", &rank, &alpha, NULL);
    lrk_adapter_free(&a);
    return 0;
}
