/* cli/command.h -- what a command is: one file cmd_<name>.c and one row in commands.def.
 *
 * cli/ is the only place that knows argv, standard output and exit codes. A command parses its
 * options with lrk_options_parse, works, prints its result to standard output, and returns a status:
 * main prints the message of err to standard error and turns the status into the exit code.
 */
#ifndef LRK_CLI_COMMAND_H
#define LRK_CLI_COMMAND_H
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

/* args: what follows the command's name. --help never reaches run: lrk_command_run prints help. */
typedef struct lrk_command {
    const char *name;
    const char *summary; /* one line for `lorikeet --help` */
    const char *help;    /* whole text of --help: usage, options, at least one example */
    lrk_status (*run)(int argc, char **argv, lrk_err *err);
    bool group; /* run does nothing but call lrk_subcommand, which answers --help of its rows */
} lrk_command;

/* commands.def: X(name), each defines `const lrk_command lrk_command_<name>` */
#define X(name) extern const lrk_command lrk_command_##name;
#include "cli/commands.def"
#undef X

typedef enum lrk_option_kind {
    LRK_OPTION_FLAG,   /* --json           bool */
    LRK_OPTION_STRING, /* --model PATH     const char * */
    LRK_OPTION_SIZE,   /* --threads 4      size_t, decimal */
    LRK_OPTION_REAL    /* --temperature .7 double */
} lrk_option_kind;

typedef struct lrk_option {
    const char *name; /* without the dashes */
    lrk_option_kind kind;
    void *target;
    bool required;
    const char *range; /* of a number, as in recipes/schema.def: "[1,256]", "(0,1]"; NULL: any */
} lrk_option;

#define LRK_RANGE_THREADS "[0,256]"
#define LRK_RANGE_BATCH "[1,256]"
#define LRK_RANGE_TOKENS "[1,1048576]"
#define LRK_RANGE_RANK "[1,4096]"

/* Options may stand anywhere, as "--name value" or "--name=value"; "--" ends them. What is left is
 * moved to the front of argv and counted in *argc. Unknown option, or a number out of its range:
 * LRK_EUSAGE, with the nearest known name or the range. */
lrk_status lrk_options_parse(const lrk_option *options, size_t n, int *argc, char **argv,
                             lrk_err *err);

/* For `lorikeet data import ...`: runs the row of `table` that argv[0] names. */
lrk_status lrk_subcommand(const lrk_command *table, size_t n, const char *parent, int argc,
                          char **argv, lrk_err *err);

/* Prints help where args ask for it, else runs the command. */
lrk_status lrk_command_run(const lrk_command *c, int argc, char **argv, lrk_err *err);

#endif /* LRK_CLI_COMMAND_H */
