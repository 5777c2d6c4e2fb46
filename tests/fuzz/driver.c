/* tests/fuzz/driver.c -- replays a corpus through a fuzz target, then a fixed number of mutations
 * of it, so that every run of the tests fuzzes a little without libFuzzer. Usage: replay_x CORPUS
 */
#include "base/arena.h"
#include "base/file.h"
#include "base/log.h"
#include "base/rng.h"

#include <stdio.h>
#include <string.h>

enum { MUTATIONS = 4000, LONGEST = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t draws;

static size_t draw(size_t below)
{
    return below
               ? (size_t)lrk_rng_below((lrk_rng){.seed = 17, .site = LRK_SITE_TEST}, draws++, below)
               : 0;
}

/* An exact copy on the heap, so that a read past the end is seen. */
static void run(const char *data, size_t n)
{
    uint8_t *copy = lrk_heap_alloc(n ? n : 1, 1);
    if (!copy) return;
    memcpy(copy, data, n);
    (void)LLVMFuzzerTestOneInput(copy, n);
    lrk_heap_free(copy);
}

/* One to four small damages: a byte changed, a bit turned, a piece cut out, doubled, or the rest
 * cut off. */
static size_t damage(char *data, size_t n, size_t room)
{
    for (size_t k = 1 + draw(4); k && n; k--) {
        const size_t at = draw(n), length = 1 + draw(draw(8) ? 4 : n - at);
        const size_t piece = at + length > n ? n - at : length;
        switch (draw(5)) {
        case 0:
            data[at] = (char)draw(256);
            break;
        case 1:
            data[at] = (char)(data[at] ^ (1 << draw(8)));
            break;
        case 2:
            memmove(data + at, data + at + piece, n - at - piece);
            n -= piece;
            break;
        case 3:
            if (n + piece > room) break;
            memmove(data + at + piece, data + at, n - at);
            n += piece;
            break;
        default:
            if (draw(8) == 0) n = at;
        }
    }
    return n;
}

int main(int argc, char **argv)
{
    lrk_arena a = lrk_arena_growing("corpus");
    lrk_err err = {0};
    char **names;
    size_t n_names;
    if (argc != 2 || lrk_dir_list(&a, argv[1], &names, &n_names, &err) != LRK_OK || n_names == 0) {
        fprintf(stderr, "no corpus: %s\n", argc == 2 ? argv[1] : "usage: replay_x CORPUS");
        return 1;
    }
    lrk_log_level(0);
    run("", 0);
    char *work = lrk_heap_alloc(LONGEST, 1);
    for (size_t i = 0; work && i < n_names; i++) {
        char *data, *path = lrk_path_join(&a, argv[1], names[i]);
        size_t n;
        if (!path || lrk_file_read(&a, path, LONGEST / 2, &data, &n, &err) != LRK_OK) {
            fprintf(stderr, "%s: %s\n", names[i], err.text);
            return 1;
        }
        run(data, n);
        for (size_t m = 0; m < MUTATIONS / n_names + 1; m++) {
            memcpy(work, data, n);
            run(work, damage(work, n, LONGEST));
        }
    }
    printf("%zu files, about %d mutations\n", n_names, MUTATIONS);
    lrk_heap_free(work);
    lrk_arena_free(&a);
    return 0;
}
