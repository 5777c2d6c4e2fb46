/* tests/unit/base.c -- arenas, numbers, hashes, random numbers, files, JSON. */
#include "base/dtype.h"
#include "base/file.h"
#include "base/json.h"
#include "base/rng.h"
#include "base/sha256.h"
#include "base/threads.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void arenas_hand_out_aligned_pieces(void **state)
{
    (void)state;
    lrk_err err = {0};
    lrk_arena a, count = lrk_arena_count("count");
    char *p, *q;
    assert_int_equal(lrk_arena_fixed(&a, "run", 4096, &err), LRK_OK);
    assert_int_equal(lrk_alloc(&a, 3, 5, "p", &p, &err), LRK_OK);
    const size_t mark = lrk_arena_mark(&a);
    assert_int_equal(lrk_alloc(&a, 100, 1, "q", &q, &err), LRK_OK);
    assert_true((uintptr_t)q % LRK_ALIGN == 0 && q == p + LRK_ALIGN);
    assert_int_equal(lrk_alloc(&a, 4096, 1, "too much", &q, &err), LRK_ENOMEM);
    assert_non_null(strstr(err.text, "too much"));
    lrk_arena_reset(&a, mark);
    assert_int_equal(a.used, 64);
    assert_int_equal(a.peak, 192);
    lrk_arena_free(&a);

    err = (lrk_err){0};
    assert_int_equal(lrk_alloc(&count, 1000, 1000, "c", &p, &err), LRK_OK);
    assert_null(p);
    assert_int_equal(count.peak, 1000000);
    assert_int_equal(lrk_alloc(&count, SIZE_MAX / 2, 4, "c", &p, &err), LRK_ENOMEM);

    lrk_arena g = lrk_arena_growing("g");
    for (size_t i = 1; i < 300; i++) {
        assert_int_equal(lrk_alloc(&g, i, 997, "piece", &p, NULL), LRK_OK);
        assert_true((uintptr_t)p % LRK_ALIGN == 0);
        memset(p, 1, i * 997);
    }
    lrk_arena_free(&g);
}

static void half_types_round_to_nearest_even(void **state)
{
    (void)state;
    assert_int_equal(lrk_f32_to_bf16(1.00390625f), 0x3f80); /* a tie goes to the even one */
    assert_int_equal(lrk_f32_to_bf16(1.01171875f), 0x3f82);
    assert_true(isnan(lrk_bf16_to_f32(lrk_f32_to_bf16(NAN))));
    for (uint32_t h = 0; h < 0x10000; h++) {
        const float f = lrk_f16_to_f32((uint16_t)h);
        if (isnan(f))
            assert_true(isnan(lrk_f16_to_f32(lrk_f32_to_f16(f))));
        else
            assert_int_equal(lrk_f32_to_f16(f), h);
    }
    assert_int_equal(lrk_f32_to_f16(65519.0f), 0x7bff);
    assert_int_equal(lrk_f32_to_f16(65520.0f), 0x7c00);
    assert_int_equal(lrk_f32_to_f16(0x1p-25f), 0);
    assert_int_equal(lrk_f32_to_f16(0x1.8p-25f), 1);
    assert_int_equal(lrk_f32_to_f16(2049.0f), 0x6800);
}

static void sha256_of_known_texts(void **state)
{
    (void)state;
    char hex[65];
    lrk_sha256_hex("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    const char *two = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    lrk_sha256_hex(two, strlen(two), hex);
    assert_string_equal(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    lrk_sha256_hex("", 0, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* Known answers of the Random123 distribution, philox4x32 with 10 rounds. */
static void philox_gives_the_published_numbers(void **state)
{
    (void)state;
    uint32_t out[4];
    lrk_rng_block((lrk_rng){0}, 0, out);
    const uint32_t zeros[4] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
    assert_memory_equal(out, zeros, sizeof out);
    lrk_rng_block((lrk_rng){0xffffffffffffffff, 0xffffffff, 0xffffffff}, 0xffffffffffffffff, out);
    const uint32_t ones[4] = {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd};
    assert_memory_equal(out, ones, sizeof out);
    double sum = 0, square = 0;
    for (uint64_t i = 0; i < 100000; i++) {
        const double x = lrk_rng_normal((lrk_rng){7, LRK_SITE_TEST, 0}, i);
        sum += x;
        square += x * x;
    }
    assert_true(fabs(sum / 1e5) < 0.015 && fabs(square / 1e5 - 1) < 0.02);
}

static void normals_are_the_same_many_at_once(void **state)
{
    (void)state;
    const lrk_rng r = {7, LRK_SITE_TEST, 0};
    for (uint64_t first = 0; first < 3; first++) {
        for (size_t n = 0; n < 2000; n += n < 5 ? 1 : 499) {
            double out[2000];
            out[n] = -1.0;
            lrk_rng_normals(r, first, n, out);
            for (size_t i = 0; i < n; i++) assert_true(out[i] == lrk_rng_normal(r, first + i));
            assert_true(out[n] == -1.0);
        }
    }
}

static void paths_have_names(void **state)
{
    (void)state;
    static const char *const paths[][2] = {{"owner/name", "name"}, {"/some/where/name", "name"}, {"name//", "name"},
                                           {"name", "name"}, {"/name/", "name"}, {"", ""}, {"//", ""}, {NULL, ""}};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        size_t n;
        const char *name = lrk_path_name(paths[i][0], &n);
        assert_int_equal(n, strlen(paths[i][1]));
        assert_memory_equal(name, paths[i][1], n);
    }
}

/* In a process of its own: the second signal ends it. _exit tells what went wrong before. */
static void stopped_write(const char *path)
{
    lrk_writer *w;
    lrk_err err = {0};
    lrk_writers_stop_on_signal();
    if (lrk_writer_open(&w, path, &err) != LRK_OK || lrk_write(w, "half", 4, &err) != LRK_OK) _exit(1);
    raise(SIGINT);
    if (lrk_write(w, "more", 4, &err) != LRK_STOPPED) _exit(2);
    lrk_writer_close(w);
    raise(SIGTERM); /* the second one ends the process */
    _exit(3);
}

/* One that is killed leaves its temporary file; the next writer of that path removes it. */
static void killed_write(const char *path)
{
    lrk_writer *w;
    lrk_err err = {0};
    if (lrk_writer_open(&w, path, &err) != LRK_OK) _exit(1);
    raise(SIGKILL);
}

static void signals_leave_nothing_behind(void **state)
{
    (void)state;
    void (*const writes[])(const char *) = {stopped_write, killed_write};
    const int ends[] = {SIGTERM, SIGKILL};
    char dir[] = "/tmp/lrk-base-XXXXXX";
    lrk_err err = {0};
    lrk_arena a = lrk_arena_growing("test");
    assert_non_null(mkdtemp(dir));
    const char *path = lrk_path_join(&a, dir, "x");
    for (int i = 0; i < 2; i++) {
        char **names;
        size_t n;
        int status;
        bool empty;
        const pid_t child = fork();
        if (child == 0) writes[i](path);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == ends[i]);
        assert_int_equal(lrk_dir_list(&a, dir, &names, &n, &err), LRK_OK);
        assert_int_equal(n, i); /* x.tmp-PID */
        assert_int_equal(lrk_dir_is_empty(dir, &empty, &err), LRK_OK);
        assert_true(empty);
    }
    char **names;
    size_t n;
    assert_int_equal(lrk_file_write(path, "x", 1, &err), LRK_OK);
    assert_int_equal(lrk_dir_list(&a, dir, &names, &n, &err), LRK_OK);
    assert_int_equal(n, 1);
    assert_string_equal(names[0], "x");
    assert_int_equal(lrk_remove(path, &err), LRK_OK);
    assert_int_equal(lrk_remove(dir, &err), LRK_OK);
    lrk_arena_free(&a);
}

/* As root a rename would put a file in the place of /dev/null. */
static void devices_are_written_to_and_never_replaced(void **state)
{
    (void)state;
    lrk_err err = {0};
    char dir[] = "/tmp/lrk-base-XXXXXX", got[5] = "";
    struct stat st;
    assert_non_null(mkdtemp(dir));
    lrk_arena a = lrk_arena_growing("test");
    char *path = lrk_path_join(&a, dir, "pipe");
    assert_int_equal(mkfifo(path, 0600), 0);
    const int reader = open(path, O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    assert_int_equal(lrk_check_output(path, &err), LRK_OK);
    assert_int_equal(lrk_file_write(path, "text", 4, &err), LRK_OK);
    assert_int_equal(read(reader, got, sizeof got), 4);
    assert_string_equal(got, "text");
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISFIFO(st.st_mode));
    close(reader);
    assert_int_equal(lrk_dir_clear(dir, &err), LRK_OK);
    assert_int_equal(lrk_remove(dir, &err), LRK_OK);
    lrk_arena_free(&a);
}

static void files_appear_whole_or_not_at_all(void **state)
{
    (void)state;
    lrk_err err = {0};
    char dir[] = "/tmp/lrk-base-XXXXXX";
    assert_non_null(mkdtemp(dir));
    lrk_arena a = lrk_arena_growing("test");
    char *path = lrk_path_join(&a, dir, "x"), *data;
    size_t n;
    lrk_writer *w;
    assert_int_equal(lrk_writer_open(&w, path, &err), LRK_OK);
    assert_int_equal(lrk_write(w, "half", 4, &err), LRK_OK);
    lrk_writer_close(w);
    assert_false(lrk_is_file(path));
    bool empty;
    assert_int_equal(lrk_dir_is_empty(dir, &empty, &err), LRK_OK);
    assert_true(empty);
    char *big = calloc(1, 1000000);
    memset(big, 'a', 999999);
    big[500000] = '\n';
    assert_int_equal(lrk_file_write(path, big, 1000000, &err), LRK_OK);
    assert_int_equal(lrk_file_read(&a, path, 2000000, &data, &n, &err), LRK_OK);
    assert_int_equal(n, 1000000);
    assert_memory_equal(data, big, n);
    free(big);
    lrk_lines *lines;
    char *line;
    size_t length;
    assert_int_equal(lrk_lines_open(&lines, path, 600000, &err), LRK_OK);
    assert_int_equal(lrk_lines_next(lines, &line, &length, &err), LRK_OK);
    assert_int_equal(length, 500000);
    assert_int_equal(lrk_lines_next(lines, &line, &length, &err), LRK_OK);
    assert_int_equal(length, 499999);
    assert_int_equal(lrk_lines_next(lines, &line, &length, &err), LRK_OK);
    assert_null(line);
    lrk_lines_close(lines);
    assert_int_equal(lrk_file_read(&a, path, 10, &data, &n, &err), LRK_EINPUT);
    static const char pointer[] = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7\n";
    lrk_map map;
    err = (lrk_err){0};
    assert_int_equal(lrk_file_write(path, pointer, sizeof pointer - 1, NULL), LRK_OK);
    assert_int_equal(lrk_file_read(&a, path, 1000, &data, &n, &err), LRK_EINPUT);
    assert_non_null(strstr(err.text, "git lfs pull"));
    err = (lrk_err){0};
    assert_int_equal(lrk_map_open(&map, path, &err), LRK_EINPUT);
    assert_non_null(strstr(err.text, "git lfs pull"));
    assert_int_equal(lrk_lines_open(&lines, path, 1000, &err), LRK_OK);
    err = (lrk_err){0};
    assert_int_equal(lrk_lines_next(lines, &line, &length, &err), LRK_EINPUT);
    assert_non_null(strstr(err.text, "git lfs pull"));
    lrk_lines_close(lines);
    lrk_lock lock, second;
    err = (lrk_err){0};
    char *lock_path = lrk_path_join(&a, dir, "LOCK");
    assert_int_equal(lrk_lock_take(&lock, lock_path, &err), LRK_OK);
    assert_int_equal(lrk_lock_take(&second, lock_path, &err), LRK_ELOCKED);
    lrk_lock_release(&lock);
    assert_int_equal(lrk_remove(path, &err), LRK_OK);
    assert_int_equal(lrk_remove(lock_path, &err), LRK_OK);
    assert_int_equal(rmdir(dir), 0);
    lrk_arena_free(&a);
}

static void messages_hold_no_control_characters(void **state)
{
    (void)state;
    lrk_err err = {0};
    (void)lrk_fail(&err, LRK_EINPUT, "tensor '%s'\nis odd", "a\033[2Jb\177c\r.");
    assert_string_equal(err.text, "tensor 'a?[2Jb?c?.'\nis odd");
    assert_int_equal(lrk_err_prefix(&err, LRK_EINPUT, "%s", "x\033y"), LRK_EINPUT);
    assert_string_equal(err.text, "x?y: tensor 'a?[2Jb?c?.'\nis odd");
}

static void utf8_is_checked(void **state)
{
    (void)state;
    assert_int_equal(lrk_utf8_check("a\xc3\xa9\xf0\x9f\x9a\x80", 7), 7);
    assert_int_equal(lrk_utf8_check("a\xc0\x80", 3), 1);
    assert_int_equal(lrk_utf8_check("\xed\xa0\x80", 3), 0);
    assert_int_equal(lrk_utf8_check("ab\xe2\x82", 4), 2);
    assert_int_equal(lrk_utf8_check("a\0b", 3), 1);
}

static void json_is_strict_and_keeps_order(void **state)
{
    (void)state;
    lrk_err err = {0};
    lrk_json *v;
    lrk_buf b = {0};
    const char *text = "{\"z\": 1, \"a\": [true, null, \"\\u00e9\"], \"m\": 0.5}";
    assert_int_equal(lrk_json_parse(&v, text, strlen(text), "t", &err), LRK_OK);
    assert_int_equal(lrk_json_dump(v, 0, &b, &err), LRK_OK);
    assert_string_equal(b.data, "{\"z\": 1, \"a\": [true, null, \"\xc3\xa9\"], \"m\": 0.5}");
    lrk_json_free(v);
    lrk_buf_free(&b);
    const char *bad[] = {"{\"a\":1,\"a\":2}", "{} x", "\"\\u0000\"", "[1,]", "\"\xff\"", ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err = (lrk_err){0};
        assert_int_equal(lrk_json_parse(&v, bad[i], strlen(bad[i]), "t.json", &err), LRK_EINPUT);
        assert_non_null(strstr(err.text, "t.json:"));
    }
}

/* Text that is not UTF-8 spoils the object it is in, by name, and no other. */
static void json_refuses_what_is_not_utf8(void **state)
{
    (void)state;
    for (int as_key = 0; as_key < 2; as_key++) {
        lrk_err err = {0};
        lrk_buf b = {0};
        lrk_json *bad = lrk_json_object(), *inner = lrk_json_array(), *good = lrk_json_object();
        lrk_json_add(inner, lrk_json_new_string(as_key ? "path" : "pa\xffth", as_key ? 4 : 5));
        lrk_json_set(bad, as_key ? "pa\xffth" : "path", inner);
        assert_int_equal(lrk_json_dump(bad, 0, &b, &err), LRK_EINPUT);
        assert_non_null(strstr(err.text, "'pa\xffth' is not UTF-8"));
        b.n = 0;
        lrk_json_set(good, "path", lrk_json_new_string("p\0\xc3\xa9", 4));
        assert_int_equal(lrk_json_dump(good, 0, &b, &err), LRK_OK);
        assert_string_equal(b.data, "{\"path\": \"p\\u0000\xc3\xa9\"}");
        lrk_json_free(bad);
        lrk_json_free(good);
        lrk_buf_free(&b);
    }
}

static void square(void *ctx, size_t task, int worker)
{
    (void)worker;
    ((size_t *)ctx)[task] += task * task;
}

static void every_task_runs_once(void **state)
{
    (void)state;
    static size_t done[1000];
    lrk_threads_set(4);
    lrk_parallel(1000, square, done);
    for (size_t i = 0; i < 1000; i++) assert_int_equal(done[i], i * i);
    lrk_threads_set(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arenas_hand_out_aligned_pieces),
        cmocka_unit_test(half_types_round_to_nearest_even),
        cmocka_unit_test(sha256_of_known_texts),
        cmocka_unit_test(philox_gives_the_published_numbers),
        cmocka_unit_test(normals_are_the_same_many_at_once),
        cmocka_unit_test(paths_have_names),
        cmocka_unit_test(files_appear_whole_or_not_at_all),
        cmocka_unit_test(signals_leave_nothing_behind),
        cmocka_unit_test(devices_are_written_to_and_never_replaced),
        cmocka_unit_test(messages_hold_no_control_characters),
        cmocka_unit_test(utf8_is_checked),
        cmocka_unit_test(json_is_strict_and_keeps_order),
        cmocka_unit_test(json_refuses_what_is_not_utf8),
        cmocka_unit_test(every_task_runs_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
