/* tests/unit/resume.c -- states of training: round trip, every flipped bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "checkpoint/resume.h"

#include <string.h>

static void save(const char *path, float first, int64_t step)
{
    float a[6], m[2];
    lrk_tensor ta = lrk_mat(LRK_F32, 2, 3), tm = lrk_vec(LRK_F32, 2);
    const lrk_tensor *both[] = {&tm, &ta};
    lrk_err err = {0};
    lrk_json *facts = lrk_json_object();
    for (int i = 0; i < 6; i++) a[i] = first + (float)i;
    for (int i = 0; i < 2; i++) m[i] = -first;
    ta.name = "adapter";
    ta.data = a;
    tm.name = "moment";
    tm.data = m;
    lrk_json_set(facts, "step", lrk_json_new_integer(step));
    lrk_json_set(facts, "loss", lrk_json_new_real(0.1));
    if (lrk_state_save(path, both, 2, facts, &err) != LRK_OK) fail_msg("%s", err.text);
    lrk_json_free(facts);
}

static void test_round_trip(void **state)
{
    (void)state;
    lrk_state s;
    lrk_err err = {0};
    float a[6];
    lrk_tensor ta = lrk_mat(LRK_F32, 2, 3);
    ta.name = "adapter";
    ta.data = a;
    save("unit_state", 0.5f, 1ll << 60);
    assert_int_equal(lrk_state_load(&s, "unit_state", &err), LRK_OK);
    assert_int_equal(lrk_json_integer(lrk_json_get(s.facts, "step")), 1ll << 60);
    assert_true(lrk_json_number(lrk_json_get(s.facts, "loss")) == 0.1);
    assert_int_equal(lrk_state_read(&s, &ta, &err), LRK_OK);
    for (int i = 0; i < 6; i++) assert_true(a[i] == 0.5f + (float)i);
    ta.dim[0] = 3;
    assert_int_equal(lrk_state_read(&s, &ta, &err), LRK_EINPUT);
    assert_non_null(strstr(err.text, "a state of another run"));
    ta.name = "absent";
    assert_int_equal(lrk_state_read(&s, &ta, NULL), LRK_EINPUT);
    lrk_state_close(&s);
    assert_int_equal(
        lrk_state_load(&s, LRK_SOURCE_DIR "/tests/golden/data/llama/model.safetensors", NULL),
        LRK_EINPUT);
}

/* One wrong bit anywhere, or any missing end, and the file is refused. */
static void test_damage(void **state)
{
    (void)state;
    lrk_map m = {0};
    lrk_state s;
    save("unit_state", 0.5f, 7);
    assert_int_equal(lrk_map_open(&m, "unit_state", NULL), LRK_OK);
    unsigned char *copy = lrk_heap_alloc(m.size, 1);
    memcpy(copy, m.data, m.size);
    for (size_t i = 0; i < m.size; i++) {
        copy[i] ^= (unsigned char)(1u << (i % 8));
        if (lrk_state_parse(&s, copy, m.size, "damaged", NULL) != LRK_EINPUT)
            fail_msg("byte %zu of %zu may be wrong", i, m.size);
        copy[i] = m.data[i];
        assert_int_equal(lrk_state_parse(&s, copy, i, "damaged", NULL), LRK_EINPUT);
    }
    lrk_heap_free(copy);
    lrk_map_close(&m);
    assert_int_equal(lrk_remove("unit_state", NULL), LRK_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip),
                                       cmocka_unit_test(test_damage)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
