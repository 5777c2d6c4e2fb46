/* cli/cmd_merge.c -- lorikeet merge: an adapter into its base model. */
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/threads.h"
#include "cli/command.h"
#include "generate/merge_model.h"
#include "generate/ollama.h"

#include <stdio.h>
#include <string.h>

static bool ends_with(const char *s, const char *ending)
{
    const size_t n = strlen(s), e = strlen(ending);
    return n >= e && strcmp(s + n - e, ending) == 0;
}

static void print_report(const lrk_merge_options *o, const lrk_merge_report *r, bool json)
{
    if (json) {
        lrk_buf name = {0};
        lrk_json_quote(&name, o->out, strlen(o->out));
        printf("{\"out\": %s, \"merged\": %zu, \"carried\": %zu, \"files\": %zu, \"bytes\": %llu, "
               "\"needs_tokenizer\": %s}\n",
               name.failed ? "null" : name.data, r->merged, r->carried, r->files,
               (unsigned long long)r->bytes, r->needs_tokenizer ? "true" : "false");
        lrk_buf_free(&name);
        return;
    }
    printf("%s: %zu tensors merged, %zu unchanged, %.1f MB in %zu file%s; read back and compared\n",
           o->out, r->merged, r->carried, (double)r->bytes / 1e6, r->files,
           r->files == 1 ? "" : "s");
}

/* DIR/model.gguf has its Modelfile beside it, or nothing is left of both. */
static lrk_status add_modelfile(const char *directory, const char *gguf, lrk_err *err)
{
    lrk_model_text text;
    lrk_status status = lrk_text_open(&text, gguf, err);
    if (status == LRK_OK) {
        status = lrk_ollama_write(&text, gguf, directory, "./model.gguf", NULL, err);
        lrk_text_close(&text);
    }
    if (status == LRK_OK) return LRK_OK;
    (void)lrk_remove(gguf, NULL);
    (void)lrk_remove(directory, NULL);
    return status;
}

static lrk_status work(const char *model, const char *adapter, const lrk_merge_options *o,
                       bool json, lrk_err *err)
{
    lrk_weights *base = NULL;
    lrk_adapter a = {0};
    lrk_merge_report report;
    LRK_TRY(lrk_weights_open(&base, model, err));
    lrk_status status = adapter ? lrk_adapter_load(&a, adapter, err) : LRK_OK;
    if (status == LRK_OK) status = lrk_merge_model(base, adapter ? &a : NULL, o, &report, err);
    if (status == LRK_OK) {
        print_report(o, &report, json);
        if (report.needs_tokenizer)
            lrk_note("%s holds weights and configuration; the tokenizer of the GGUF base is of a kind "
                     "that tokenizer.json cannot describe here, so put the files of the original "
                     "model beside them, or name their directory with --tokenizer",
                     o->out);
    }
    lrk_adapter_free(&a);
    lrk_weights_close(base);
    return status;
}

static lrk_status bundle(const char *model, const char *adapter, lrk_merge_options *o, bool json,
                         lrk_err *err)
{
    bool empty = true;
    const char *directory = o->out;
    LRK_TRY(lrk_dir_is_empty(directory, &empty, err));
    LRK_REQUIRE(err, empty, LRK_EUSAGE,
                "%s: output directory not empty; remove it or name another one", directory);
    lrk_arena a = lrk_arena_growing("bundle");
    o->out = lrk_path_join(&a, directory, "model.gguf");
    lrk_status status = o->out ? lrk_mkdir(directory, err)
                               : lrk_fail(err, LRK_ENOMEM, "memory: no room for a path");
    if (status == LRK_OK) {
        status = work(model, adapter, o, json, err);
        if (status == LRK_OK)
            status = add_modelfile(directory, o->out, err);
        else
            (void)lrk_remove(directory, NULL);
    }
    lrk_arena_free(&a);
    return status;
}

static lrk_status run(int argc, char **argv, lrk_err *err)
{
    const char *model = NULL, *adapter = NULL, *dtype = NULL, *format = NULL;
    bool json = false;
    size_t threads = 0;
    double shard_mb = 0;
    char types[256];
    lrk_merge_options o = {0};
    const lrk_option options[] = {{"model", LRK_OPTION_STRING, &model, true},
                                  {"adapter", LRK_OPTION_STRING, &adapter, false},
                                  {"out", LRK_OPTION_STRING, &o.out, true},
                                  {"format", LRK_OPTION_STRING, &format, false},
                                  {"dtype", LRK_OPTION_STRING, &dtype, false},
                                  {"tokenizer", LRK_OPTION_STRING, &o.tokenizer, false},
                                  {"shard-mb", LRK_OPTION_REAL, &shard_mb, false},
                                  {"any-base", LRK_OPTION_FLAG, &o.any_base, false},
                                  {"threads", LRK_OPTION_SIZE, &threads, false},
                                  {"json", LRK_OPTION_FLAG, &json, false}};
    LRK_TRY(lrk_options_parse(options, sizeof options / sizeof *options, &argc, argv, err));
    LRK_REQUIRE(err, argc == 0, LRK_EUSAGE, "merge: %s: nothing was expected here", argv[0]);
    LRK_REQUIRE(err, threads <= LRK_MAX_THREADS, LRK_EUSAGE, "--threads: at most %d",
                LRK_MAX_THREADS);
    LRK_REQUIRE(err, !format || strcmp(format, "hf") == 0 || strcmp(format, "gguf") == 0 ||
                    strcmp(format, "ollama") == 0,
                LRK_EUSAGE, "--format: '%s' is unknown; hf, gguf or ollama", format);
    lrk_file_type_list(types, sizeof types);
    o.type = dtype ? lrk_file_type_find(dtype) : NULL;
    LRK_REQUIRE(err, !dtype || o.type, LRK_EUSAGE, "--dtype: '%s' is unknown; known are %s", dtype,
                types);
    const bool ollama = format && strcmp(format, "ollama") == 0;
    o.gguf = format ? ollama || strcmp(format, "gguf") == 0 : ends_with(o.out, ".gguf");
    LRK_REQUIRE(err, shard_mb >= 0 && shard_mb <= 1e9, LRK_EUSAGE,
                "--shard-mb: %g, expected 0 to 1e9", shard_mb);
    o.shard_bytes = (uint64_t)(shard_mb * 1e6);
    lrk_threads_set((int)threads);
    return ollama ? bundle(model, adapter, &o, json, err) : work(model, adapter, &o, json, err);
}

const lrk_command lrk_command_merge = {
    .name = "merge",
    .summary = "merge an adapter into its base model",
    .help = "usage: lorikeet merge --model M --adapter A --out PATH [options]\n"
            "\n"
            "Writes a new model, W + scale * B * A in f32, rounded or quantized once. The files\n"
            "are read back: every adapted tensor must differ from the base, every other one must\n"
            "be equal to it; otherwise the command fails and leaves nothing.\n"
            "\n"
            "  --model M        base: a Hugging Face directory or a GGUF file\n"
            "  --adapter A      PEFT adapter directory; without it the model is only converted\n"
            "  --out PATH       NAME.gguf for a GGUF file, else a directory, empty or new\n"
            "  --format F       hf or gguf, where the name of PATH does not say it; ollama: a\n"
            "                   directory with model.gguf and the Modelfile for `ollama create`\n"
            "  --dtype T        f32, f16, bf16; for GGUF also q8_0, q4_0, q4_1, q5_0, q5_1, q6_k,\n"
            "                   iq4_nl, iq4_xs and llama.cpp's mixes q2_k, q3_k_s, q3_k_m, q3_k_l,\n"
            "                   q4_k_s, q4_k_m, q5_k_s, q5_k_m. Default: the stored type; f16 in\n"
            "                   place of quantized types where an adapter lands\n"
            "  --tokenizer DIR  take tokenizer files from here; without it those of a GGUF base are\n"
            "                   made from its metadata: same ids, but not the original files\n"
            "  --shard-mb N     largest file of a directory, default 5000\n"
            "  --any-base       accept an adapter that was trained on other weights of this shape\n"
            "  --threads N      default: all processors\n"
            "  --json           print the report as JSON\n"
            "\n"
            "example: lorikeet merge --model model.gguf --adapter runs/plume/adapter --out "
            "tuned.gguf\n",
    .run = run,
};
