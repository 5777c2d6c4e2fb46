/* cli/cmd_convert.c -- lorikeet convert: weights and adapters between Hugging Face's form and GGUF.
 */
#include "base/file.h"
#include "cli/merge_run.h"
#include "generate/adapter_dir.h"
#include "generate/adapter_io.h"
#include "generate/manifest.h"

static lrk_status save_peft(const lrk_merge_args *m, const lrk_weights *base, const lrk_adapter *a,
                            const lrk_json *from, lrk_err *err)
{
    lrk_json *manifest;
    LRK_TRY(lrk_manifest_new(&manifest, "PEFT adapter", base, a, from, err));
    const lrk_status status = lrk_adapter_dir_write(a, m->o.out, manifest, NULL, NULL, err);
    lrk_json_free(manifest);
    return status;
}

/* A PEFT directory becomes a file, a file becomes a directory. */
static lrk_status convert(const lrk_merge_args *m, lrk_weights *base, lrk_adapter *a,
                          lrk_err *err)
{
    const bool peft = lrk_is_dir(m->adapter);
    LRK_TRY(peft ? lrk_adapter_load(a, m->adapter, err)
                 : lrk_adapter_load_gguf(a, m->adapter, base, err));
    LRK_TRY(lrk_adapter_fit(a, base, m->o.any_base, err));
    lrk_json *from;
    LRK_TRY(lrk_manifest_load(&from, m->adapter, err));
    const lrk_status s = peft ? lrk_manifest_save_gguf(a, base, from, m->o.out, err) : save_peft(m, base, a, from, err);
    lrk_json_free(from);
    LRK_TRY(s);
    const lrk_adapter_outputs said = {.gguf = peft ? m->o.out : NULL, .peft = peft ? NULL : m->o.out,
                                      .modules = a->n, .json = m->json};
    return lrk_print_adapter_outputs(&said, err);
}

static lrk_status convert_adapter(const lrk_merge_args *m, lrk_err *err)
{
    lrk_weights *base = NULL;
    lrk_adapter a = {0};
    LRK_TRY(lrk_output_is_free(m->o.out, !lrk_is_dir(m->adapter), err));
    LRK_REQUIRE(err, !m->o.type && !m->o.shard_bytes && !m->o.tokenizer, LRK_EUSAGE,
                "convert: --dtype, --shard-mb and --tokenizer are for weights, not for adapters");
    LRK_TRY(lrk_weights_open(&base, m->model, err));
    const lrk_status s = convert(m, base, &a, err);
    lrk_adapter_free(&a);
    lrk_weights_close(base);
    return s;
}

static lrk_status run(int argc, char **argv, lrk_err *err)
{
    lrk_merge_args m;
    LRK_TRY(lrk_merge_parse(&m, "convert", argc, argv, err));
    lrk_writers_stop_on_signal();
    LRK_REQUIRE(err, !m.ollama, LRK_EUSAGE,
                "convert: --format ollama: a bundle is made by lorikeet merge");
    if (m.adapter) return convert_adapter(&m, err);
    if (!m.gguf_said) m.o.gguf = lrk_is_dir(m.model); /* the form that the input has not */
    return lrk_merge_run(&m, err);
}

const lrk_command lrk_command_convert = {
    .name = "convert",
    .summary = "weights and adapters between Hugging Face's form and GGUF",
    .help =
        "usage: lorikeet convert --model M --out PATH [options]\n"
        "       lorikeet convert --adapter A --base M --out PATH [--any-base]\n"
        "\n"
        "A directory becomes a GGUF file and a GGUF file a directory. Weights of 16 and 32 bits\n"
        "keep every bit; configuration, tokenizer and chat template go with them. What GGUF has\n"
        "no place for is refused by name; what llama.cpp does not follow is warned of.\n"
        "\n"
        "  --model M        weights: a Hugging Face directory or a GGUF file\n"
        "  --adapter A      PEFT adapter directory, or an adapter as a GGUF file\n"
        "  --base M         the model it is for: names and the order of rows follow it\n"
        "  --out PATH       NAME.gguf for a GGUF file, else a directory, empty or new; not inside M\n"
        "  --format F       of weights: hf or gguf, where the name of PATH does not say it\n"
        "  --dtype T        of weights: as in lorikeet merge. Default: the stored type; f16 in\n"
        "                   a directory in place of quantized types\n"
        "  --tokenizer DIR  take tokenizer files from here; without it those of a GGUF file are\n"
        "                   made from its metadata: same ids, but not the original files\n"
        "  --shard-mb N     largest file of a directory of weights, default 5000\n"
        "  --any-base       accept an adapter that was trained on other weights of this shape\n"
        "  --threads N      threads (0: one for each processor)\n"
        "  --json           print the report as JSON\n"
        "\n"
        "example: lorikeet convert --model model.gguf --out model-hf\n",
    .run = run,
};
