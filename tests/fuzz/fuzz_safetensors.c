/* tests/fuzz/fuzz_safetensors.c -- any bytes as a safetensors file and as a state of training. */
#include "checkpoint/resume.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lrk_safetensors s;
    lrk_state state;
    if (lrk_st_parse(&s, data, size, "fuzz", NULL) == LRK_OK) {
        unsigned sum = 0;
        for (size_t i = 0; i < s.n; i++) {
            lrk_tensor t;
            if (lrk_st_view(&s, &s.entry[i], &t, NULL) != LRK_OK) continue;
            const unsigned char *p = t.data;
            for (size_t k = 0; k < lrk_bytes(&t); k++) sum += p[k];
            LRK_ASSERT(lrk_st_find(&s, s.entry[i].name) == &s.entry[i]);
            LRK_ASSERT(lrk_bytes(&t) == s.entry[i].end - s.entry[i].begin);
        }
        LRK_ASSERT(sum < 0xffffffffu || size > 1 << 20);
        lrk_st_close(&s);
    }
    if (lrk_state_parse(&state, data, size, "fuzz", NULL) == LRK_OK) lrk_state_close(&state);
    return 0;
}
