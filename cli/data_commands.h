/* cli/data_commands.h -- what the files of `lorikeet data` share. */
#ifndef LRK_CLI_DATA_COMMANDS_H
#define LRK_CLI_DATA_COMMANDS_H
#include "cli/json_out.h"
#include "data/chat.h"
#include "data/dataset.h"
#include "generate/model_text.h"

lrk_status lrk_data_show_run(int argc, char **argv, lrk_err *err);
lrk_status lrk_data_check_run(int argc, char **argv, lrk_err *err);

/* A data set together with the text side of a model. */
typedef struct lrk_data_view {
    lrk_dataset *data;
    lrk_model_text model; /* its tokenizer is NULL without a model */
    lrk_template *template;
    lrk_chat_options chat;
} lrk_data_view;

/* model NULL: none. adapter: whose tokenizer and chat template go before the model's, or NULL. */
lrk_status lrk_data_view_open(lrk_data_view *v, const char *path, const char *model, const char *adapter,
                              const char *chat_template, lrk_err *err);
void lrk_data_view_close(lrk_data_view *v);

#endif /* LRK_CLI_DATA_COMMANDS_H */
