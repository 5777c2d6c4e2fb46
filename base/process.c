/* base/process.c -- pipes to a program. */
#include "base/process.h"

#include "base/arena.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 1 << 16 };
static const double seconds_to_end = 2.0, seconds_to_learn = 0.5;

struct lrk_process {
    const char *command;
    lrk_arena arena;
    pid_t pid; /* 0: it has ended and was waited for */
    int status;
    int in, out; /* our ends; -1: closed */
    lrk_buf line;
    size_t taken; /* bytes of line that the last answer holds */
};

static void close_end(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

/* The child gets the usual handling of signals back: ours ignores SIGPIPE. */
static int attributes(posix_spawnattr_t *a)
{
    sigset_t set;
    sigemptyset(&set);
    int e = posix_spawnattr_setsigmask(a, &set);
    sigaddset(&set, SIGPIPE);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    if (!e) e = posix_spawnattr_setsigdefault(a, &set);
    if (!e) e = posix_spawnattr_setpgroup(a, 0);
    if (!e)
        e = posix_spawnattr_setflags(a, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
                                            POSIX_SPAWN_SETSIGMASK);
    return e;
}

static int spawn(lrk_process *p, int child_in, int child_out)
{
    char shell[] = "sh", flag[] = "-c";
    char *command = lrk_strdup(&p->arena, p->command);
    char *const argv[] = {shell, flag, command, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t a;
    if (!command) return ENOMEM;
    int e = posix_spawn_file_actions_init(&files);
    if (e) return e;
    e = posix_spawnattr_init(&a);
    if (!e) {
        e = attributes(&a);
        if (!e) e = posix_spawn_file_actions_adddup2(&files, child_in, STDIN_FILENO);
        if (!e) e = posix_spawn_file_actions_adddup2(&files, child_out, STDOUT_FILENO);
        if (!e) e = posix_spawn(&p->pid, "/bin/sh", &files, &a, argv, environ);
        posix_spawnattr_destroy(&a);
    }
    posix_spawn_file_actions_destroy(&files);
    return e;
}

static lrk_status start(lrk_process *p, lrk_err *err)
{
    int to[2], from[2];
    LRK_REQUIRE(err, pipe2(to, O_CLOEXEC) == 0, LRK_EIO, "%s: no pipe: %s", p->command,
                strerror(errno));
    p->in = to[1];
    if (pipe2(from, O_CLOEXEC) != 0) {
        close(to[0]);
        return lrk_fail(err, LRK_EIO, "%s: no pipe: %s", p->command, strerror(errno));
    }
    p->out = from[0];
    const int e = spawn(p, to[0], from[1]);
    if (e) p->pid = 0;
    close(to[0]);
    close(from[1]);
    LRK_REQUIRE(err, !e, LRK_EIO, "%s: cannot be started: %s", p->command, strerror(e));
    LRK_REQUIRE(err, fcntl(p->in, F_SETFL, O_NONBLOCK) == 0 && fcntl(p->out, F_SETFL, O_NONBLOCK) == 0,
                LRK_EIO, "%s: pipe: %s", p->command, strerror(errno));
    return LRK_OK;
}

lrk_status lrk_process_open(lrk_process **out, const char *command, lrk_err *err)
{
    lrk_process *p = lrk_heap_alloc(1, sizeof *p);
    *out = NULL;
    LRK_REQUIRE(err, p, LRK_ENOMEM, "%s: out of memory", command);
    *p = (lrk_process){.arena = lrk_arena_growing("process"), .in = -1, .out = -1};
    p->command = lrk_strdup(&p->arena, command);
    lrk_status s = p->command ? start(p, err) : lrk_fail(err, LRK_ENOMEM, "out of memory");
    if (s == LRK_OK)
        *out = p;
    else
        lrk_process_close(p);
    return s;
}

/* Has it ended? Waits for at most `seconds`. */
static bool ended(lrk_process *p, double seconds)
{
    const double until = lrk_seconds() + seconds;
    for (;;) {
        if (!p->pid) return true;
        const pid_t got = waitpid(p->pid, &p->status, WNOHANG);
        if (got == p->pid || (got < 0 && errno != EINTR)) {
            p->pid = 0;
            return true;
        }
        if (lrk_seconds() >= until) return false;
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
}

static lrk_status gone(lrk_process *p, lrk_err *err)
{
    if (!ended(p, seconds_to_learn))
        return lrk_fail(err, LRK_EINPUT, "'%s' closed its output without an answer", p->command);
    if (WIFSIGNALED(p->status))
        return lrk_fail(err, LRK_EINPUT, "'%s' was ended by signal %d (%s) without an answer",
                        p->command, WTERMSIG(p->status), strsignal(WTERMSIG(p->status)));
    return lrk_fail(err, LRK_EINPUT, "'%s' ended with status %d without an answer", p->command,
                    WEXITSTATUS(p->status));
}

/* As much as the pipe takes now. A reader that is gone shows when its answer is read. */
static void send_some(lrk_process *p, const char *text, size_t n, size_t *sent)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction before;
    sigaction(SIGPIPE, &ignore, &before);
    const ssize_t k = write(p->in, text + *sent, n - *sent);
    const int e = errno;
    sigaction(SIGPIPE, &before, NULL);
    if (k > 0)
        *sent += (size_t)k;
    else if (k < 0 && e != EAGAIN && e != EINTR)
        *sent = n;
}

/* *end: the program has closed its output. */
static lrk_status receive_some(lrk_process *p, bool *end, lrk_err *err)
{
    char chunk[CHUNK];
    const ssize_t k = read(p->out, chunk, sizeof chunk);
    *end = k == 0;
    if (k > 0) lrk_buf_append(&p->line, chunk, (size_t)k);
    LRK_REQUIRE(err, k >= 0 || errno == EAGAIN || errno == EINTR, LRK_EIO, "'%s': read: %s",
                p->command, strerror(errno));
    return lrk_buf_check(&p->line, err);
}

/* Waits until something can be sent or received. */
static lrk_status wait_for(lrk_process *p, bool sending, double until, double seconds,
                           struct pollfd f[2], lrk_err *err)
{
    const double left = until - lrk_seconds();
    LRK_REQUIRE(err, left > 0.0, LRK_EINPUT, "'%s' gave no answer within %g s", p->command, seconds);
    f[0] = (struct pollfd){.fd = p->out, .events = POLLIN};
    f[1] = (struct pollfd){.fd = sending ? p->in : -1, .events = POLLOUT};
    const int got = poll(f, 2, (int)(left * 1000.0) + 1);
    LRK_REQUIRE(err, got >= 0 || errno == EINTR, LRK_EIO, "'%s': poll: %s", p->command,
                strerror(errno));
    if (got <= 0) f[0].revents = f[1].revents = 0;
    return LRK_OK;
}

static lrk_status await_line(lrk_process *p, const char *text, size_t n, double seconds,
                             size_t max_answer, char **newline, lrk_err *err)
{
    const double until = lrk_seconds() + seconds;
    size_t sent = 0;
    bool end = false;
    for (;;) {
        struct pollfd f[2];
        *newline = p->line.n ? memchr(p->line.data, '\n', p->line.n) : NULL;
        if (*newline && sent == n) return LRK_OK;
        if (end) return gone(p, err);
        LRK_REQUIRE(err, p->line.n <= max_answer, LRK_EINPUT,
                    "'%s' answered more than %zu bytes without a newline", p->command, max_answer);
        LRK_TRY(wait_for(p, sent < n, until, seconds, f, err));
        if (f[1].revents) send_some(p, text, n, &sent);
        if (f[0].revents) LRK_TRY(receive_some(p, &end, err));
        if (end) sent = n;
    }
}

lrk_status lrk_process_exchange(lrk_process *p, const char *text, size_t n, double seconds,
                                size_t max_answer, char **answer, size_t *answer_n, lrk_err *err)
{
    char *newline;
    lrk_buf line = {0};
    if (p->taken) memmove(p->line.data, p->line.data + p->taken, p->line.n - p->taken);
    p->line.n -= p->taken;
    p->taken = 0;
    lrk_buf_append(&line, text, n);
    lrk_buf_puts(&line, "\n");
    lrk_status s = lrk_buf_check(&line, err);
    if (s == LRK_OK) s = await_line(p, line.data, line.n, seconds, max_answer, &newline, err);
    lrk_buf_free(&line);
    LRK_TRY(s);
    *newline = '\0';
    *answer = p->line.data;
    *answer_n = (size_t)(newline - p->line.data);
    p->taken = *answer_n + 1;
    return LRK_OK;
}

void lrk_process_close(lrk_process *p)
{
    if (!p) return;
    close_end(&p->in);
    close_end(&p->out);
    if (p->pid) {
        const pid_t group = p->pid;
        if (!ended(p, seconds_to_end)) {
            kill(-group, SIGKILL);
            while (waitpid(p->pid, &p->status, 0) < 0 && errno == EINTR) continue;
        }
    }
    lrk_buf_free(&p->line);
    lrk_arena_free(&p->arena);
    lrk_heap_free(p);
}
