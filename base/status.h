/* base/status.h -- status codes, the error message, and the macros that carry them.
 *
 * Every function that can fail returns lrk_status and takes an lrk_err as its last argument. The
 * message says what, got, expected, where, and how to mend it:
 *     recipe.yaml:14:9: lora_rnak: unknown key, did you mean lora_r?
 * err may be NULL; it is untouched on success, so calls chain with LRK_TRY. The first error wins:
 * nobody overwrites a message that is already there, so clean-up code may fail quietly.
 */
#ifndef LRK_BASE_STATUS_H
#define LRK_BASE_STATUS_H
#include <stdarg.h>

/* name, exit code of the program, what it means */
#define LRK_STATUS_MAP(X)                                             \
    X(OK, 0, "ok")                                                    \
    X(EUSAGE, 2, "wrong usage or recipe")                             \
    X(EINPUT, 3, "bad input")                                         \
    X(ESHAPE, 3, "shapes do not fit")                                 \
    X(EVALUE, 3, "value out of range")                                \
    X(ESUPPORT, 3, "not supported")                                   \
    X(EIO, 4, "input or output failed")                               \
    X(ENOMEM, 5, "out of memory")                                     \
    X(EGPU, 6, "GPU error")                                           \
    X(ENUMERIC, 7, "numbers went wrong")                              \
    X(ELOCKED, 8, "in use by another process")                        \
    X(EINTERNAL, 9, "internal error")                                 \
    X(STOPPED, 75, "stopped by a signal")

typedef enum lrk_status {
#define LRK_STATUS_ENUM(name, code, text) LRK_##name,
    LRK_STATUS_MAP(LRK_STATUS_ENUM)
#undef LRK_STATUS_ENUM
} lrk_status;

typedef struct lrk_err {
    lrk_status status; /* LRK_OK while empty */
    char text[2000];   /* one message, NUL-terminated, no final newline */
} lrk_err;

int lrk_exit_code(lrk_status s);
const char *lrk_status_text(lrk_status s);

/* Stores the message unless err is NULL or already holds one; returns s. */
lrk_status lrk_fail(lrk_err *err, lrk_status s, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " in front of a message that is there, to add where it happened; returns s. */
lrk_status lrk_err_prefix(lrk_err *err, lrk_status s, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Our own broken invariant: prints file, line and text to standard error and aborts. */
__attribute__((noreturn)) void lrk_bug(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define LRK_REQUIRE(err, cond, status, ...)                    \
    do {                                                       \
        if (!(cond)) return lrk_fail(err, status, __VA_ARGS__); \
    } while (0)

#define LRK_TRY(call)                             \
    do {                                          \
        const lrk_status lrk_try_ = (call);       \
        if (lrk_try_ != LRK_OK) return lrk_try_;  \
    } while (0)

/* The same inside a function that has something to release: sets `status` and jumps. */
#define LRK_TRY_GOTO(status, label, call)   \
    do {                                    \
        (status) = (call);                  \
        if ((status) != LRK_OK) goto label; \
    } while (0)

#define LRK_BUG(...) lrk_bug(__FILE__, __LINE__, __VA_ARGS__)
#define LRK_ASSERT(cond)                                   \
    do {                                                   \
        if (!(cond)) LRK_BUG("invariant broken: %s", #cond); \
    } while (0)

#endif /* LRK_BASE_STATUS_H */
