/* cli/cmd_merge.c -- lorikeet merge: an adapter into its base model. */
#include "base/file.h"
#include "cli/merge_run.h"
#include "generate/ollama.h"

#include <stdio.h>

static lrk_status bundle(lrk_merge_args *m, lrk_err *err)
{
    m->bundle = m->o.out;
    LRK_TRY(lrk_output_is_free(m->bundle, true, err));
    lrk_arena a = lrk_arena_growing("bundle");
    m->o.out = lrk_path_join(&a, m->bundle, LRK_OLLAMA_MODEL);
    lrk_status status = m->o.out ? lrk_mkdir(m->bundle, err)
                                 : lrk_fail(err, LRK_ENOMEM, "memory: no room for a path");
    if (status == LRK_OK) {
        status = lrk_merge_run(m, err);
        if (status != LRK_OK)
            lrk_ollama_remove(m->bundle);
        else if (!m->json)
            printf("ollama create NAME -f %s/" LRK_MODELFILE "\n", m->bundle);
    }
    lrk_arena_free(&a);
    return status;
}

static lrk_status run(int argc, char **argv, lrk_err *err)
{
    lrk_merge_args m;
    LRK_TRY(lrk_merge_parse(&m, "merge", argc, argv, err));
    lrk_writers_stop_on_signal();
    if (m.image) return lrk_merge_image_run(&m, err);
    return m.ollama ? bundle(&m, err) : lrk_merge_run(&m, err);
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
            "Where M is a single safetensors file, an image model (Stable Diffusion 1, 2, XL and what\n"
            "is named like them: a whole checkpoint, or the file of a part as diffusers has them), A\n"
            "is a LoRA file as kohya's scripts or diffusers write it, and PATH a safetensors file.\n"
            "\n"
            "  --model M        base: a Hugging Face directory or a GGUF file\n"
            "  --adapter A      PEFT adapter directory; without it the model is only converted\n"
            "  --out PATH       NAME.gguf for a GGUF file, else a directory, empty or new; not inside M\n"
            "  --format F       hf or gguf, where the name of PATH does not say it; ollama: a\n"
            "                   directory with model.gguf and the Modelfile for `ollama create`\n"
            "  --chat-template T  of the output: a template's name or file; default: what the\n"
            "                   adapter was trained with (of a bundle none, where that was plain\n"
            "                   prompts), else the model's own\n"
            "  --dtype T        f32, f16, bf16 (or float32, torch.bfloat16 and the like); for GGUF also\n"
            "                   q8_0, q4_0, q4_1, q5_0, q5_1, q6_k,\n"
            "                   iq4_nl, iq4_xs and llama.cpp's mixes q2_k, q3_k_s, q3_k_m, q3_k_l,\n"
            "                   q4_k_s, q4_k_m, q5_k_s, q5_k_m. Default: the stored type; f16 in\n"
            "                   place of quantized types where an adapter lands\n"
            "  --tokenizer DIR  take tokenizer files from here; without it those of a GGUF base are\n"
            "                   made from its metadata: same ids, but not the original files\n"
            "  --shard-mb N     largest file of a directory, default 5000\n"
            "  --any-base       accept an adapter that was trained on other weights of this shape\n"
            "  --part P         of an image model: merge what the adapter has for unet, text_encoder or\n"
            "                   text_encoder_2 alone\n"
            "  --threads N      threads (0: one for each processor)\n"
            "  --json           print the report as JSON\n"
            "\n"
            "example: lorikeet merge --model model.gguf --adapter runs/plume/adapter --out "
            "tuned.gguf\n",
    .run = run,
};
