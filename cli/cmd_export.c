/* cli/cmd_export.c -- lorikeet export: an adapter in the form that another program reads. */
#include "base/threads.h"
#include "checkpoint/adapter.h"
#include "cli/command.h"

#include <stdio.h>

static lrk_status check_free(const char *path, bool directory, lrk_err *err)
{
    bool empty = true;
    if (directory && !lrk_is_file(path)) LRK_TRY(lrk_dir_is_empty(path, &empty, err));
    LRK_REQUIRE(err, empty && !lrk_is_file(path) && (directory || !lrk_is_dir(path)), LRK_EUSAGE,
                directory ? "%s: output directory not empty; remove it or name another one"
                          : "%s: exists already; remove it or name another file",
                path);
    return LRK_OK;
}

static lrk_status work(const lrk_adapter *a, const char *base_path, const char *gguf,
                       const char *peft, bool any_base, lrk_err *err)
{
    lrk_weights *base = NULL;
    lrk_status status = LRK_OK;
    if (base_path) {
        LRK_TRY(lrk_weights_open(&base, base_path, err));
        status = lrk_adapter_check_base(a, base, any_base, err);
    }
    if (status == LRK_OK && gguf) status = lrk_adapter_save_gguf(a, base, gguf, err);
    if (status == LRK_OK && peft) status = lrk_adapter_save(a, peft, err);
    lrk_weights_close(base);
    if (status != LRK_OK) return status;
    if (gguf) printf("%s: GGUF adapter, %zu modules\n", gguf, a->n);
    if (peft) printf("%s: PEFT adapter, %zu modules\n", peft, a->n);
    return LRK_OK;
}

static lrk_status run(int argc, char **argv, lrk_err *err)
{
    const char *adapter = NULL, *base = NULL, *gguf = NULL, *peft = NULL;
    bool any_base = false;
    const lrk_option options[] = {{"adapter", LRK_OPTION_STRING, &adapter, true},
                                  {"base", LRK_OPTION_STRING, &base, false},
                                  {"model", LRK_OPTION_STRING, &base, false},
                                  {"gguf", LRK_OPTION_STRING, &gguf, false},
                                  {"peft", LRK_OPTION_STRING, &peft, false},
                                  {"any-base", LRK_OPTION_FLAG, &any_base, false}};
    LRK_TRY(lrk_options_parse(options, sizeof options / sizeof *options, &argc, argv, err));
    LRK_REQUIRE(err, argc == 0, LRK_EUSAGE, "export: %s: nothing was expected here", argv[0]);
    LRK_REQUIRE(err, gguf || peft, LRK_EUSAGE, "export: --gguf FILE or --peft DIR is missing");
    LRK_REQUIRE(err, !gguf || base, LRK_EUSAGE,
                "export: --gguf needs --base M: names and the order of rows follow the base model");
    if (gguf) LRK_TRY(check_free(gguf, false, err));
    if (peft) LRK_TRY(check_free(peft, true, err));
    lrk_adapter a;
    LRK_TRY(lrk_adapter_load(&a, adapter, err));
    const lrk_status status = work(&a, base, gguf, peft, any_base, err);
    lrk_adapter_free(&a);
    return status;
}

const lrk_command lrk_command_export = {
    .name = "export",
    .summary = "write an adapter as GGUF (llama.cpp, Ollama) or PEFT",
    .help = "usage: lorikeet export --adapter A [--base M] [--gguf FILE] [--peft DIR]\n"
            "\n"
            "  --adapter A  PEFT adapter directory\n"
            "  --base M     the base model it was trained on, directory or GGUF file; the adapter\n"
            "               is checked against it. Needed for --gguf\n"
            "  --gguf FILE  adapter for llama.cpp (--lora FILE) and Ollama (ADAPTER FILE)\n"
            "  --peft DIR   the adapter as PEFT writes it, tensors as f32\n"
            "  --any-base   accept an adapter that was trained on other weights of this shape\n"
            "\n"
            "example: lorikeet export --adapter runs/plume/adapter --base model.gguf --gguf "
            "plume.gguf\n",
    .run = run,
};
