/* cli/main.c -- picks the command, prints the message of a failure, sets the exit code. */
#include "base/cpu.h"
#include "base/text.h"
#include "cli/command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define X(name) &lrk_command_##name,
static const lrk_command *const commands[] = {
#include "cli/commands.def"
    NULL};
#undef X

static void print_help(void)
{
    puts("lorikeet -- fine-tunes language models with LoRA adapters\n"
         "\n"
         "usage: lorikeet COMMAND [OPTIONS]\n");
    for (size_t i = 0; commands[i]; i++)
        printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
    puts("\n"
         "  lorikeet COMMAND --help   options of a command, with an example\n"
         "  lorikeet --version        version\n"
         "\n"
         "example: lorikeet train recipes/plume.yaml learning_rate=5e-4\n"
         "\n"
         "Results go to standard output, messages to standard error. Exit codes: 0 ok, 2 usage or\n"
         "recipe, 3 bad input, 4 input or output failed, 5 memory, 6 GPU, 7 numbers, 8 locked,\n"
         "9 internal, 75 stopped by a signal.");
}

static lrk_status dispatch(int argc, char **argv, lrk_err *err)
{
    const char *name = argc > 1 ? argv[1] : "--help";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        print_help();
        return argc > 1 ? LRK_OK : lrk_fail(err, LRK_EUSAGE, "a command is missing");
    }
    if (strcmp(name, "--version") == 0) {
        puts("lorikeet " LRK_VERSION);
        return LRK_OK;
    }
    const bool help = strcmp(name, "help") == 0;
    if (help && argc == 2) {
        print_help();
        return LRK_OK;
    }
    if (help) return dispatch(3, (char *[]){argv[0], argv[2], "--help"}, err);
    lrk_nearest near = {.word = name};
    for (size_t i = 0; commands[i]; i++) {
        if (strcmp(commands[i]->name, name) == 0)
            return lrk_command_run(commands[i], argc - 2, argv + 2, err);
        lrk_nearest_offer(&near, commands[i]->name);
    }
    if (near.best)
        return lrk_fail(err, LRK_EUSAGE, "%s: unknown command, did you mean %s?", name, near.best);
    return lrk_fail(err, LRK_EUSAGE, "%s: unknown command; lorikeet --help lists them", name);
}

/* A standard stream that the caller closed is replaced by one on which every transfer fails, so
 * that no file opened later gets its number and takes in what was meant for people. */
static void hold_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

/* Every line of a message says what it is; a run that was told to stop made no error. */
static void complain(lrk_status s, const char *text)
{
    const char *prefix = s == LRK_STOPPED ? "" : "error: ";
    for (const char *end; *text; text = *end ? end + 1 : end) {
        end = text + strcspn(text, "\n");
        fprintf(stderr, "%s%.*s\n", prefix, (int)(end - text), text);
    }
}

static bool reader_is_gone(void)
{
    struct pollfd p = {.fd = STDOUT_FILENO};
    struct stat st;
    return fstat(STDOUT_FILENO, &st) == 0 && S_ISFIFO(st.st_mode) && poll(&p, 1, 0) == 1 && (p.revents & POLLERR);
}

int main(int argc, char **argv)
{
    lrk_err err = {0};
    hold_standard_streams();
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is a failed write, noticed below */

    lrk_status s = lrk_cpu_check_env(&err);
    if (s == LRK_OK) s = dispatch(argc, argv, &err);
    errno = 0;
    const bool lost = fflush(stdout) != 0 || ferror(stdout);
    if (lost && reader_is_gone()) return 128 + SIGPIPE; /* as programs end that the signal ends */
    if (lost && s == LRK_OK)
        s = lrk_fail(&err, LRK_EIO, "standard output: %s",
                     errno ? strerror(errno) : "an earlier write failed");
    if (s != LRK_OK) complain(s, err.status ? err.text : lrk_status_text(s));
    return lrk_exit_code(s);
}
