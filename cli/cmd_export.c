/* cli/cmd_export.c -- lorikeet export: an adapter in the form that another program reads. */
#include "base/file.h"
#include "base/log.h"
#include "checkpoint/adapter.h"
#include "cli/merge_run.h"
#include "generate/adapter_dir.h"
#include "generate/adapter_io.h"
#include "generate/manifest.h"
#include "generate/ollama.h"
#include "generate/text_files.h"

typedef struct request {
    const char *adapter, *base, *gguf, *peft, *ollama, *from, *chat_template;
    bool any_base, json;
    lrk_json *manifest; /* of the adapter, or NULL; what it knows goes on */
} request;

/* What an adapter beside a base cannot hold, the whole model can. */
static lrk_status save_adapter(const request *q, const lrk_adapter *a, const lrk_weights *base, const char *to,
                               lrk_err *err)
{
    lrk_err why = {0};
    const lrk_status status = lrk_manifest_save_gguf(a, base, q->manifest, to, &why);
    if (status == LRK_OK) return status;
    const char *way = ": `lorikeet merge --format ollama` makes a bundle of the whole model";
    return lrk_fail(err, status, "%s%s", why.text, status == LRK_ESUPPORT ? way : "");
}

/* Modelfile, adapter and, unless --from names one that Ollama has, the base. */
static lrk_status save_bundle(const request *q, const lrk_adapter *a, const lrk_weights *base,
                              lrk_err *err)
{
    lrk_model_text text;
    lrk_arena paths = lrk_arena_growing("bundle");
    const char *adapter = lrk_path_join(&paths, q->ollama, "adapter.gguf");
    const char *copy = lrk_path_join(&paths, q->ollama, "base.gguf");
    const char *from = q->from ? q->from : "./base.gguf", *choice = NULL;
    lrk_status status = adapter && copy ? lrk_text_choice(q->chat_template, q->adapter, &paths, &choice, err)
                                        : lrk_fail(err, LRK_ENOMEM, "memory: no room for a path");
    if (!q->chat_template && lrk_manifest_trained_plain(q->manifest)) choice = LRK_CHAT_TEMPLATE_NONE;
    if (status == LRK_OK) status = lrk_text_open(&text, lrk_text_path(q->base, q->adapter), err);
    if (status == LRK_OK) {
        status = lrk_mkdir(q->ollama, err);
        if (status == LRK_OK) status = save_adapter(q, a, base, adapter, err);
        if (status == LRK_OK && !q->from) status = lrk_file_copy(q->base, copy, err);
        if (status == LRK_OK)
            status = lrk_ollama_write(&text, q->base, choice, q->ollama, from, "./adapter.gguf", err);
        if (status == LRK_OK)
            status = lrk_manifest_describe(q->ollama, "adapter for Ollama", base, a, q->manifest, err);
        if (status != LRK_OK) lrk_ollama_remove(q->ollama);
        lrk_text_close(&text);
    }
    lrk_arena_free(&paths);
    return status;
}

static lrk_status copy_text(void *ctx, const char *directory, lrk_err *err)
{
    const request *q = ctx;
    return lrk_text_files_copy(q->adapter, directory, err);
}

static lrk_status save_peft(request *q, const lrk_adapter *a, const lrk_weights *base, lrk_err *err)
{
    lrk_json *m;
    LRK_TRY(lrk_manifest_new(&m, "PEFT adapter", base, a, q->manifest, err));
    const lrk_status status = lrk_adapter_dir_write(a, q->peft, m, copy_text, q, err);
    lrk_json_free(m);
    return status;
}

/* Each output is whole or not there; of a command that fails, those that are whole stay, and that is said. */
static lrk_status save_all(request *q, const lrk_adapter *a, const lrk_weights *base, lrk_err *err)
{
    if (q->gguf) LRK_TRY(lrk_manifest_save_gguf(a, base, q->manifest, q->gguf, err));
    lrk_status status = q->peft ? save_peft(q, a, base, err) : LRK_OK;
    const bool peft = q->peft && status == LRK_OK;
    if (status == LRK_OK && q->ollama) status = save_bundle(q, a, base, err);
    if (status != LRK_OK && q->gguf) lrk_note("%s: is whole and stays", q->gguf);
    if (status != LRK_OK && peft) lrk_note("%s: is whole and stays", q->peft);
    return status;
}

static lrk_status work(request *q, lrk_adapter *a, lrk_err *err)
{
    lrk_weights *base = NULL;
    lrk_status status = LRK_OK;
    if (q->base) {
        LRK_TRY(lrk_weights_open(&base, q->base, err));
        status = lrk_adapter_fit(a, base, q->any_base, err);
    }
    if (status == LRK_OK) status = save_all(q, a, base, err);
    lrk_weights_close(base);
    if (status != LRK_OK) return status;
    const lrk_adapter_outputs said = {q->gguf, q->peft, q->ollama, a->n, q->json};
    return lrk_print_adapter_outputs(&said, err);
}

static lrk_status run(int argc, char **argv, lrk_err *err)
{
    request q = {0};
    const lrk_option options[] = {{"adapter", LRK_OPTION_STRING, &q.adapter, true, NULL},
                                  {"base", LRK_OPTION_STRING, &q.base, false, NULL},
                                  {"model", LRK_OPTION_STRING, &q.base, false, NULL},
                                  {"gguf", LRK_OPTION_STRING, &q.gguf, false, NULL},
                                  {"peft", LRK_OPTION_STRING, &q.peft, false, NULL},
                                  {"ollama", LRK_OPTION_STRING, &q.ollama, false, NULL},
                                  {"chat-template", LRK_OPTION_STRING, &q.chat_template, false, NULL},
                                  {"from", LRK_OPTION_STRING, &q.from, false, NULL},
                                  {"any-base", LRK_OPTION_FLAG, &q.any_base, false, NULL},
                                  {"json", LRK_OPTION_FLAG, &q.json, false, NULL}};
    LRK_TRY(lrk_options_parse(options, sizeof options / sizeof *options, &argc, argv, err));
    LRK_REQUIRE(err, argc == 0, LRK_EUSAGE, "export: %s: nothing was expected here", argv[0]);
    lrk_writers_stop_on_signal();
    LRK_REQUIRE(err, q.gguf || q.peft || q.ollama, LRK_EUSAGE,
                "export: --gguf FILE, --peft DIR or --ollama DIR is missing");
    LRK_REQUIRE(err, !q.gguf || q.base, LRK_EUSAGE,
                "export: --gguf needs --base M: names and the order of rows follow the base model");
    LRK_REQUIRE(err, !q.ollama || (q.base && (lrk_is_file(q.base) || q.from)), LRK_EUSAGE,
                "export: --ollama needs --base M, a GGUF file: Ollama puts adapters on those alone; "
                "from a directory make a whole model (lorikeet merge --format ollama), or name one "
                "that Ollama has with --from");
    LRK_REQUIRE(err, (!q.from && !q.chat_template) || q.ollama, LRK_EUSAGE,
                "export: --from and --chat-template go with --ollama");
    if (q.gguf && q.peft) LRK_TRY(lrk_outputs_apart(q.gguf, q.peft, err));
    if (q.gguf && q.ollama) LRK_TRY(lrk_outputs_apart(q.gguf, q.ollama, err));
    if (q.peft && q.ollama) LRK_TRY(lrk_outputs_apart(q.peft, q.ollama, err));
    if (q.gguf) LRK_TRY(lrk_output_is_free(q.gguf, false, err));
    if (q.peft) LRK_TRY(lrk_output_is_free(q.peft, true, err));
    if (q.ollama) LRK_TRY(lrk_output_is_free(q.ollama, true, err));
    lrk_adapter a;
    LRK_TRY(lrk_adapter_load(&a, q.adapter, err));
    lrk_status status = lrk_manifest_load(&q.manifest, q.adapter, err);
    if (status == LRK_OK) status = work(&q, &a, err);
    lrk_json_free(q.manifest);
    lrk_adapter_free(&a);
    return status;
}

const lrk_command lrk_command_export = {
    .name = "export",
    .summary = "write an adapter as GGUF (llama.cpp, Ollama) or PEFT",
    .help = "usage: lorikeet export --adapter A [--base M] [--gguf FILE] [--peft DIR]\n"
            "                       [--ollama DIR [--from NAME]] [--json]\n"
            "\n"
            "  --adapter A  PEFT adapter directory\n"
            "  --base M     (or --model M) the base model it was trained on, directory or GGUF file;\n"
            "               the adapter is checked against it. Needed for --gguf and --ollama\n"
            "  --gguf FILE  adapter for llama.cpp (--lora FILE) and Ollama (ADAPTER FILE)\n"
            "  --peft DIR   the adapter as PEFT writes it, tensors as f32\n"
            "  --ollama DIR a bundle for `ollama create`: Modelfile with the chat template in Go's\n"
            "               form and the tokens that end an answer, the adapter, a copy of the base\n"
            "  --chat-template T  of the bundle: a template's name or file; default: what the adapter\n"
            "               was trained with (none, where that was plain prompts), else the base's own\n"
            "  --from NAME  no copy: Ollama has the base under this name\n"
            "  --any-base   accept an adapter that was trained on other weights of this shape\n"
            "  --json       print the report as JSON\n"
            "\n"
            "example: lorikeet export --adapter runs/plume/adapter --base model.gguf --gguf "
            "plume.gguf\n",
    .run = run,
};
