/* cli/data_commands.h -- what the files of `lorikeet data` share. */
#ifndef LRK_CLI_DATA_COMMANDS_H
#define LRK_CLI_DATA_COMMANDS_H
#include "cli/json_out.h"
#include "data/chat.h"
#include "data/dataset.h"
#include "generate/model_text.h"

lrk_status lrk_data_show_run(int argc, char **argv, lrk_err *err);
lrk_status lrk_data_check_run(int argc, char **argv, lrk_err *err);

/* A data set, or JSON Lines with what an entry of a recipe says of them (type, prompt, completion): they are read as
 * training reads them, from the same cache. */
typedef struct lrk_data_input {
    const char *path, *shape, *prompt, *completion; /* NULL: not given */
} lrk_data_input;

#define LRK_DATA_INPUT_OPTIONS(in)                                                                                     \
    {"shape", LRK_OPTION_STRING, &(in).shape, false, NULL}, {"prompt", LRK_OPTION_STRING, &(in).prompt, false, NULL},  \
        {"completion", LRK_OPTION_STRING, &(in).completion, false, NULL}

#define LRK_DATA_INPUT_HELP                                                                                            \
    "  --shape NAME       JSON Lines: as in data import\n"                                                             \
    "  --prompt TEXT      JSON Lines: what comes before the answer, {name} for a member\n"                             \
    "  --completion TEXT  JSON Lines: the answer, in the same way\n"

/* A data set together with the text side of a model. */
typedef struct lrk_data_view {
    const char *path; /* that was given */
    lrk_dataset *data;
    lrk_model_text model; /* its tokenizer is NULL without a model */
    lrk_template *template;
    lrk_chat_options chat;
} lrk_data_view;

/* model NULL: none. adapter: whose tokenizer and chat template go before the model's, or NULL. */
lrk_status lrk_data_view_open(lrk_data_view *v, const lrk_data_input *in, const char *model, const char *adapter,
                              const char *chat_template, lrk_err *err);
void lrk_data_view_close(lrk_data_view *v);

#endif /* LRK_CLI_DATA_COMMANDS_H */
