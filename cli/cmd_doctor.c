/* cli/cmd_doctor.c -- lorikeet doctor: what this machine offers, what the program uses of it. */
#include "base/clock.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/threads.h"
#include "cli/command.h"
#include "cli/json_out.h"
#include "data/h5.h"
#include "base/pattern.h"
#include "kernels/gemm.h"
#include "models/choose.h"
#include "recipes/parse.h"

#include <stdio.h>
#include <string.h>

typedef struct fact {
    const char *name, *value;
} fact;

typedef struct gpu {
    bool driver, card;  /* NVIDIA's kernel driver; a card on the bus */
    bool ready;         /* training would use it */
    lrk_device_info info;
    char text[2200];
} gpu;

/* The first word of a small file, or "". */
static const char *first_word(lrk_arena *a, const char *path)
{
    char *text;
    size_t n;
    if (lrk_file_read(a, path, 4096, &text, &n, NULL) != LRK_OK) return "";
    text[strcspn(text, " \n")] = '\0';
    return text;
}

static bool card_on_the_bus(lrk_arena *a)
{
    static const char devices[] = "/sys/bus/pci/devices";
    char **names;
    size_t n;
    if (lrk_dir_list(a, devices, &names, &n, NULL) != LRK_OK) return false;
    for (size_t i = 0; i < n; i++) {
        const char *device = lrk_path_join(a, devices, names[i]);
        const char *vendor = device ? lrk_path_join(a, device, "vendor") : NULL;
        const char *class = device ? lrk_path_join(a, device, "class") : NULL;
        if (vendor && class && strcmp(first_word(a, vendor), "0x10de") == 0 &&
            strncmp(first_word(a, class), "0x03", 4) == 0)
            return true;
    }
    return false;
}

/* What there is, or all that is missing, and how to mend it. */
static gpu look_for_gpu(lrk_arena *a)
{
    gpu g = {.driver = lrk_is_file("/proc/driver/nvidia/version"), .card = card_on_the_bus(a)};
    lrk_err why = {0};
    const bool built = lrk_device_built(LRK_CUDA);
    g.ready = built && lrk_gpu_open(&g.info, &why) == LRK_OK;
    if (g.ready)
        snprintf(g.text, sizeof g.text,
                 "%s, compute capability %d.%d, %.1f of %.1f GB free, driver for CUDA %d.%d, runtime "
                 "%d.%d",
                 g.info.name, g.info.chip / 10, g.info.chip % 10, (double)g.info.free / 1e9,
                 (double)g.info.memory / 1e9, g.info.driver / 1000, g.info.driver % 1000 / 10,
                 g.info.runtime / 1000, g.info.runtime % 1000 / 10);
    else if (g.info.chip)
        snprintf(g.text, sizeof g.text, "%s; %s", g.info.name, why.text);
    else
        snprintf(g.text, sizeof g.text, "%s, %s%s%s",
                 g.card ? "an NVIDIA card" : "no NVIDIA card on the bus",
                 g.driver ? "a driver"
                 : g.card ? "but no driver (apt-get install nvidia-driver, from non-free)"
                          : "no driver",
                 !built ? "; built without GPU kernels, which need nvcc and cublasLt.h" : g.driver ? "; " : "",
                 built && g.driver ? why.text : "");
    return g;
}

enum { LABEL = 17 };

static void print_facts(const fact *facts, size_t n)
{
    for (size_t i = 0; i < n; i++) printf("%-*s %s\n", LABEL, facts[i].name, facts[i].value);
}

static lrk_status print_json(const fact *facts, size_t n, const fact *libraries, size_t n_libraries,
                             const gpu *g, lrk_err *err)
{
    lrk_json *root = lrk_json_object(), *found = lrk_json_object(), *card = lrk_json_object();
    for (size_t i = 0; i < n; i++) lrk_json_set(root, facts[i].name, lrk_json_c_string(facts[i].value));
    lrk_json_set(root, "threads", lrk_json_new_integer(lrk_threads()));
    lrk_json_set_count(root, "memory_bytes", lrk_memory_total());
    lrk_json_set(root, "native_bf16", lrk_json_new_bool(lrk_cpu_has_bf16()));
    for (size_t i = 0; i < n_libraries; i++)
        lrk_json_set(found, libraries[i].name, lrk_json_c_string(libraries[i].value));
    lrk_json_set(root, "libraries", found);
    lrk_json_set(card, "device", lrk_json_new_bool(g->card));
    lrk_json_set(card, "driver", lrk_json_new_bool(g->driver));
    lrk_json_set(card, "built_in", lrk_json_new_bool(lrk_device_built(LRK_CUDA)));
    lrk_json_set(card, "ready", lrk_json_new_bool(g->ready));
    lrk_json_set(card, "text", lrk_json_c_string(g->text));
    lrk_json_set(root, "gpu", card);
    return lrk_print_json(root, err);
}

static lrk_status run(int argc, char **argv, lrk_err *err)
{
    bool json = false;
    const lrk_option options[] = {{"json", LRK_OPTION_FLAG, &json, false, NULL}};
    LRK_TRY(lrk_options_parse(options, 1, &argc, argv, err));
    LRK_REQUIRE(err, argc == 0, LRK_EUSAGE, "doctor: %s: nothing was expected here", argv[0]);

    char h5[32], onednn[32], cublaslt[32], pcre2[32], threads[32], memory[48];
    lrk_h5_version(h5, sizeof h5);
    lrk_gemm_onednn_version(onednn, sizeof onednn);
    lrk_gemm_cublaslt_version(cublaslt, sizeof cublaslt);
    lrk_pattern_version(pcre2, sizeof pcre2);
    snprintf(threads, sizeof threads, "%d", lrk_threads());
    snprintf(memory, sizeof memory, "%.1f GB", (double)lrk_memory_total() / 1e9);
    const char *lowered = lrk_env("LRK_CPU");

    const fact facts[] = {
        {"version", LRK_VERSION},
        {"cpu", lrk_cpu_model()},
        {"instructions", lrk_isa_name(lrk_cpu())},
        {"best_instructions", lrk_isa_name(lrk_cpu_hardware())},
        {"compute_auto", lrk_cpu_has_bf16() ? "bf16" : "f32"},
    };
    const fact more[] = {
        {"LRK_CPU", lowered ? lowered : "not set"}, {"threads", threads}, {"memory", memory}};
    const fact libraries[] = {{"HDF5", h5},
                              {"oneDNN", onednn},
                              {"cuBLASLt", cublaslt},
                              {"PCRE2", pcre2},
                              {"libyaml", lrk_yaml_version()},
                              {"jansson", lrk_json_version()}};
    const size_t n = sizeof facts / sizeof *facts,
                 n_libraries = sizeof libraries / sizeof *libraries;

    lrk_arena a = lrk_arena_growing("doctor");
    const gpu g = look_for_gpu(&a);
    lrk_status s = LRK_OK;
    if (json) {
        s = print_json(facts, n, libraries, n_libraries, &g, err);
    } else {
        print_facts(facts, n);
        print_facts(more, sizeof more / sizeof *more);
        print_facts(libraries, n_libraries);
        printf("%-*s %s\n", LABEL, "gpu", g.text);
    }
    lrk_arena_free(&a);
    return s;
}

const lrk_command lrk_command_doctor = {
    .name = "doctor",
    .summary = "what this machine offers: processor, memory, libraries, GPU",
    .help =
        "usage: lorikeet doctor [--json]\n"
        "\n"
        "Says which vector instructions are used (instructions) and which the processor has at\n"
        "best (best_instructions; LRK_CPU=scalar, avx2, avx512, avx512_bf16 or amx makes the\n"
        "program use less), what compute_dtype: auto means here (compute_auto), how many threads\n"
        "work, how much memory there is, which libraries were found, and whether a GPU is there.\n"
        "\n"
        "  --json  the same as JSON\n"
        "\n"
        "example: LRK_CPU=avx2 lorikeet doctor\n",
    .run = run};
