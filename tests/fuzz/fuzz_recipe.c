/* tests/fuzz/fuzz_recipe.c -- a recipe from a stranger. What is accepted prints, reads back, and
 * prints the same; equal recipes have equal hashes. What follows a byte 1 is an override. */
#include "base/log.h"
#include "recipes/recipe.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same_when_read_back(const lrk_recipe *r)
{
    lrk_arena a = lrk_arena_growing("fuzz");
    lrk_err err = {0};
    lrk_buf first = {0}, second = {0};
    lrk_recipe again;
    char hash[65], hash_again[65];
    LRK_ASSERT(lrk_recipe_print(r, &first, &err) == LRK_OK);
    if (first.n < 60 * 1024) {
        if (lrk_recipe_parse(&again, &a, first.data, first.n, "again", NULL, 0, &err) != LRK_OK)
            LRK_BUG("%s\n%s", err.text, first.data);
        LRK_ASSERT(lrk_recipe_print(&again, &second, &err) == LRK_OK);
        if (strcmp(first.data, second.data) != 0) LRK_BUG("%s\n%s", first.data, second.data);
        LRK_ASSERT(lrk_recipe_sha256(r, hash, &err) == LRK_OK);
        LRK_ASSERT(lrk_recipe_sha256(&again, hash_again, &err) == LRK_OK);
        LRK_ASSERT(strcmp(hash, hash_again) == 0);
    }
    lrk_buf_free(&first);
    lrk_buf_free(&second);
    lrk_arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lrk_log_level(0);
    lrk_arena a = lrk_arena_growing("fuzz");
    lrk_err err = {0};
    lrk_recipe r;
    char *text = lrk_strndup(&a, (const char *)data, size);
    if (text) {
        const char *mark = memchr(text, 0x01, size);
        const size_t n = mark ? (size_t)(mark - text) : size;
        const char *override = mark ? mark + 1 : NULL;
        const lrk_status s =
            lrk_recipe_parse(&r, &a, text, n, "fuzz", &override, override ? 1 : 0, &err);
        if (s == LRK_OK) same_when_read_back(&r);
        LRK_ASSERT((s == LRK_OK) == (err.status == LRK_OK));
    }
    lrk_arena_free(&a);
    return 0;
}
