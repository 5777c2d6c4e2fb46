/* tests/fuzz/fuzz_state.c -- any bytes as the state of a run. What is damaged must be refused: the
 * hash is over all that is used. */
#include "checkpoint/resume.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const float saved[4] = {1.0f, -2.0f, 0.5f, 4.0f};
    float read[4] = {0};
    lrk_state s = {0};
    lrk_err err = {0};
    if (lrk_state_parse(&s, data, size, "fuzz", &err) != LRK_OK) {
        if (err.status == LRK_OK) LRK_BUG("a failure without a message");
        return 0;
    }
    lrk_tensor t = lrk_vec(LRK_F32, 4);
    t.name = "adapter";
    t.data = read;
    if (lrk_state_read(&s, &t, NULL) == LRK_OK && memcmp(read, saved, sizeof saved) != 0)
        LRK_BUG("a damaged state was taken");
    lrk_state_close(&s);
    return 0;
}
