/* tests/faults/files/start.c -- the program, started many times from one process: to link it and to begin with
 * sanitizers takes longer than most commands do. Each runs in a child that is made where main begins.
 *
 * usage: start SECONDS, after which a command is killed. Standard input: for each command how many bytes follow, eight
 * digits, and those, a NUL behind each: variables as NAME=VALUE, the folder in which it runs, from the root, and its
 * arguments. What it prints is in FOLDER.out and FOLDER.err. Standard output: for each command a line, its status as
 * wait says it and its largest resident size in KiB.
 */
int lorikeet_main(int argc, char **argv);
#define main lorikeet_main
#include "cli/main.c"
#undef main

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { MOST = 1 << 16, ARGUMENTS = 256 };

static void must(bool fine, const char *what)
{
    if (fine) return;
    perror(what);
    exit(1);
}

/* True: all of them. False: there are no more. */
static bool receive(char *p, size_t n)
{
    for (ssize_t got; n; p += got, n -= (size_t)got) {
        got = read(STDIN_FILENO, p, n);
        if (got <= 0) return false;
    }
    return true;
}

/* The stream goes to, or comes from, FOLDER + end. */
static void redirect(int stream, const char *folder, const char *end, int flags)
{
    char path[4096];
    snprintf(path, sizeof path, "%s%s", folder, end);
    const int fd = open(path, flags, 0666);
    must(fd >= 0 && dup2(fd, stream) == stream && close(fd) == 0, path);
}

static void run(char **argv, int argc, unsigned seconds)
{
    for (; argc && argv[0][0] != '/'; argc--) must(putenv(*argv++) == 0, "a variable");
    const char *folder = argv[0];
    must(argc > 0, "a folder from the root");
    redirect(STDIN_FILENO, "", "/dev/null", O_RDONLY);
    redirect(STDOUT_FILENO, folder, ".out", O_WRONLY | O_CREAT | O_TRUNC);
    redirect(STDERR_FILENO, folder, ".err", O_WRONLY | O_CREAT | O_TRUNC);
    must(chdir(folder) == 0, folder);
    alarm(seconds);
    argv[0] = (char[]){"lorikeet"};
    exit(lorikeet_main(argc, argv));
}

int main(int argc, char **argv)
{
    static char size[9], text[MOST], *arguments[ARGUMENTS + 1];
    must(argc == 2, "usage: start SECONDS");
    while (receive(size, 8)) {
        const size_t n = strtoul(size, NULL, 10);
        int count = 0, status;
        struct rusage used;
        must(n <= MOST && receive(text, n), "a command");
        for (char *p = text; p < text + n && count < ARGUMENTS; p += strlen(p) + 1) arguments[count++] = p;
        arguments[count] = NULL;
        const pid_t child = fork();
        must(child >= 0, "fork");
        if (child == 0) run(arguments, count, (unsigned)strtoul(argv[1], NULL, 10));
        must(wait4(child, &status, 0, &used) == child, "wait");
        must(dprintf(STDOUT_FILENO, "%d %ld\n", status, used.ru_maxrss) > 0, "an answer");
    }
    return 0;
}
