/* tests/fuzz/fuzz_config.c -- any bytes as config.json of a model. */
#include "base/json.h"
#include "models/decoder.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static float frequencies[512];
    lrk_json *config;
    lrk_decoder d;
    lrk_err err = {0};
    if (lrk_json_parse(&config, (const char *)data, size, "fuzz", &err) != LRK_OK) return 0;
    if (lrk_decoder_read(&d, config, "fuzz", &err) == LRK_OK) {
        if (d.head_size > 1024 || d.heads % d.key_heads || lrk_decoder_parameters(&d) == 0)
            LRK_BUG("a decoder that cannot be");
        lrk_rope_frequencies(&d.rope, d.rotary, false, frequencies);
    } else if (err.status == LRK_OK) {
        LRK_BUG("a failure without a message");
    }
    lrk_json_free(config);
    return 0;
}
