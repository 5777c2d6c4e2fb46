/* train/corpus.c -- data sets of a recipe to tokens. */
#include "train/corpus.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "data/import.h"

#include <string.h>

/* What rows call their members. Conversations with names of their own are messages. */
static void name_members(const lrk_recipe_dataset *e, lrk_import_options *o)
{
    lrk_member_names *n = &o->names;
    *n = (lrk_member_names){.messages = e->field_messages, .role = e->message_field_role,
                            .content = e->message_field_content, .system = e->field_system,
                            .instruction = e->field_instruction, .input = e->field_input, .output = e->field_output,
                            .text = e->field};
    if (o->shape != LRK_SHAPE_SHAREGPT || !(n->messages || n->role || n->content)) return;
    o->shape = LRK_SHAPE_MESSAGES;
    if (!n->messages) n->messages = "conversations";
    if (!n->role) n->role = "from";
    if (!n->content) n->content = "value";
}

static lrk_status how_to_read(const lrk_recipe_dataset *e, lrk_import_options *o, lrk_err *err)
{
    static const lrk_shape shapes[] = {LRK_SHAPE_AUTO, LRK_SHAPE_MESSAGES, LRK_SHAPE_PROMPT,
                                       LRK_SHAPE_INSTRUCTION, LRK_SHAPE_SHAREGPT, LRK_SHAPE_TEXT};
    o->shape = shapes[e->type];
    o->prompt = e->prompt;
    o->completion = e->completion;
    name_members(e, o);
    LRK_REQUIRE(err, (o->prompt == NULL) == (o->completion == NULL), LRK_EUSAGE,
                "datasets: %s: prompt and completion go together", e->path);
    return LRK_OK;
}

lrk_status lrk_corpus_dataset(const lrk_recipe_dataset *e, lrk_arena *a, const char **path,
                              lrk_err *err)
{
    char *found;
    lrk_import_options o = {0};
    LRK_REQUIRE(err, e->path, LRK_EUSAGE, "datasets: an entry has no path");
    LRK_REQUIRE(err, lrk_is_file(e->path), LRK_EINPUT,
                "datasets: %s: no such file, or not a regular one", e->path);
    LRK_TRY(how_to_read(e, &o, err));
    LRK_TRY(lrk_import_cached(e->path, &o, NULL, a, &found, err));
    *path = found;
    return LRK_OK;
}

static lrk_status open_entry(lrk_corpus *c, const lrk_recipe *r, const lrk_recipe_dataset *e,
                             const lrk_model_text *text, lrk_err *err)
{
    static const lrk_train_eos eos[] = {LRK_TRAIN_EOS_TURN, LRK_TRAIN_EOS_ALL, LRK_TRAIN_EOS_LAST,
                                        LRK_TRAIN_EOS_NONE};
    static const lrk_thinking thinking[] = {LRK_THINKING_KEEP, LRK_THINKING_TEMPLATE,
                                            LRK_THINKING_STRIP, LRK_THINKING_REFUSE};
    static const lrk_long_rows rows[] = {LRK_LONG_RAISE, LRK_LONG_DROP, LRK_LONG_TRUNCATE};
    const char *path;
    lrk_dataset *d;
    LRK_TRY(lrk_corpus_dataset(e, &c->arena, &path, err));
    LRK_TRY(lrk_dataset_open(&d, path, err));
    const char *kind = lrk_dataset_kind(d);
    const bool conversations = strcmp(kind, "chat") == 0 || strcmp(kind, "mixed") == 0;
    lrk_dataset_close(d);
    lrk_token_options o = {.name = e->path,
                           .sequence_len = r->sequence_len,
                           .long_rows = rows[r->excess_length_strategy],
                           .chat = {.roles_to_train = r->roles_to_train.item,
                                    .n_roles_to_train = r->roles_to_train.n,
                                    .train_on_eos = eos[r->train_on_eos],
                                    .thinking = thinking[r->thinking_blocks],
                                    .train_on_inputs = r->train_on_inputs}};
    const char *choice = e->chat_template ? e->chat_template : r->chat_template;
    LRK_TRY(lrk_text_chat(text, choice, r->base_model, conversations, &c->chat[c->n], &o.chat, err));
    const lrk_status s = lrk_tokens_open(&c->set[c->n], path, e->split, text->tokenizer, &o, err);
    if (s != LRK_OK) {
        lrk_template_free(c->chat[c->n]);
        return s;
    }
    const lrk_token_report *t = lrk_tokens_report(c->set[c->n]);
    c->total.rows += t->rows;
    c->total.kept += t->kept;
    c->total.dropped += t->dropped;
    c->total.cut += t->cut;
    c->total.cut_tokens += t->cut_tokens;
    c->total.tokens += t->tokens;
    c->total.trained += t->trained;
    c->total.across += t->across;
    if (t->longest > c->total.longest) c->total.longest = t->longest;
    c->n++;
    return LRK_OK;
}

lrk_status lrk_corpus_open(lrk_corpus *c, const lrk_recipe *r, const lrk_recipe_datasets *list,
                           const lrk_model_text *text, lrk_err *err)
{
    *c = (lrk_corpus){.arena = lrk_arena_growing("corpus")};
    lrk_status status = lrk_alloc(&c->arena, list->n, sizeof *c->set, "token sets", &c->set, err);
    if (status == LRK_OK)
        status = lrk_alloc(&c->arena, list->n, sizeof *c->chat, "templates", &c->chat, err);
    for (size_t i = 0; status == LRK_OK && i < list->n; i++)
        status = open_entry(c, r, &list->item[i], text, err);
    if (status == LRK_OK && c->total.dropped + c->total.cut)
        lrk_warn("%llu of %llu rows are longer than sequence_len: %llu left out, %llu cut",
                 (unsigned long long)(c->total.dropped + c->total.cut),
                 (unsigned long long)c->total.rows, (unsigned long long)c->total.dropped,
                 (unsigned long long)c->total.cut);
    if (status == LRK_OK && c->total.across)
        lrk_warn("in %llu of %llu rows the first trained token draws in the end of the prompt; " LRK_ACROSS_WAY
                 " (`lorikeet data show` has the tokens)",
                 (unsigned long long)c->total.across, (unsigned long long)c->total.kept);
    if (status != LRK_OK) lrk_corpus_close(c);
    lrk_memory_return(); /* what an import took is nothing that the run needs */
    return status;
}

void lrk_corpus_close(lrk_corpus *c)
{
    for (size_t i = 0; i < c->n; i++) {
        lrk_tokens_close(c->set[i]);
        lrk_template_free(c->chat[i]);
    }
    lrk_arena_free(&c->arena);
    *c = (lrk_corpus){0};
}

lrk_corpus_chat lrk_corpus_template(const lrk_corpus *c, const lrk_recipe *r)
{
    lrk_corpus_chat out = {.choice = r->chat_template};
    const lrk_template *first = NULL;
    for (size_t i = 0; i < c->n; i++) {
        const char *given = r->datasets.item[i].chat_template;
        if (!c->chat[i]) continue;
        if (!first && given) out.choice = given;
        if (!first) first = c->chat[i];
        out.several |= strcmp(lrk_template_sha256(first), lrk_template_sha256(c->chat[i])) != 0;
    }
    if (!first) out.choice = LRK_CHAT_TEMPLATE_NONE;
    if (first && strcmp(out.choice, "tokenizer_default") != 0) out.text = lrk_template_source(first);
    return out;
}
