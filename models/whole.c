/* models/whole.c -- names and start values of weights that are trained whole. */
#include "models/whole.h"

#include "base/arena.h"
#include "base/quant.h"
#include "base/size.h"
#include "models/modules.h"

#include <string.h>

static bool ends_in(const char *path, const char *name)
{
    const size_t n = strlen(path), k = strlen(name);
    return k > 0 && k <= n && strcmp(path + n - k, name) == 0;
}

unsigned lrk_whole_named(const lrk_decoder *d, const char *name)
{
    const lrk_names *own = lrk_names_of(d);
    if (ends_in(own->embedding, name) || strcmp(name, "embed_tokens") == 0) return LRK_WHOLE_EMBEDDING;
    return ends_in(own->head, name) || strcmp(name, "lm_head") == 0 ? LRK_WHOLE_HEAD : 0u;
}

lrk_status lrk_whole_start(const lrk_whole *w, lrk_device device, lrk_err *err)
{
    enum { ROWS = 256 };
    const size_t rows = lrk_rows(&w->weight), cols = lrk_cols(&w->weight);
    float *numbers = lrk_heap_alloc(ROWS * cols, sizeof *numbers);
    LRK_REQUIRE(err, numbers, LRK_ENOMEM, "memory: no room for the start values of %s", w->path);
    for (size_t r = 0; r < rows; r += ROWS) {
        const size_t n = lrk_min(ROWS, rows - r);
        for (size_t i = 0; i < n; i++) {
            const size_t row = w->rows.n ? (size_t)w->rows.id[r + i] : r + i;
            lrk_to_f32(w->stored.dtype, lrk_row(&w->stored, row), cols, numbers + i * cols);
        }
        lrk_device_upload(device, lrk_row(&w->weight, r), numbers, n * cols * sizeof *numbers);
    }
    lrk_heap_free(numbers);
    return LRK_OK;
}
