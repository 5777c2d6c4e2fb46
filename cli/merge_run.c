/* cli/merge_run.c -- a merge or a conversion, from its options to its report. */
#include "cli/merge_run.h"

#include "base/text.h"
#include "base/threads.h"
#include "cli/json_out.h"
#include "generate/adapter_io.h"
#include "generate/base_model.h"
#include "generate/ollama.h"

#include <stdio.h>
#include <string.h>

/* The element that moved furthest, and the layer that moved most against its own size. */
static void print_change(const lrk_merge_report *r)
{
    const lrk_merge_change *far = r->change, *most = r->change;
    if (r->n_changes == 0) return;
    for (size_t i = 1; i < r->n_changes; i++) {
        if (r->change[i].largest > far->largest) far = &r->change[i];
        if (lrk_merge_relative(&r->change[i]) > lrk_merge_relative(most)) most = &r->change[i];
    }
    printf("largest change: %.3g in %s", far->largest, far->tensor);
    if (most->layer != LRK_NO_LAYER)
        printf("; layer %zu moved most, by %.2f %% of its adapted weights", most->layer,
               100.0 * lrk_merge_relative(most));
    putchar('\n');
}

lrk_status lrk_merge_print(const lrk_merge_options *o, const lrk_merge_report *r, bool json, lrk_err *err)
{
    if (!json) {
        printf("%s: ", o->out);
        if (r->merged)
            printf("%zu tensors merged, %zu unchanged, ", r->merged, r->carried);
        else
            printf("%zu tensors, ", r->carried);
        printf("%.1f MB in %zu file%s; read back and compared\n", (double)r->bytes / 1e6, r->files,
               r->files == 1 ? "" : "s");
        print_change(r);
        return LRK_OK;
    }
    lrk_json *v = lrk_json_object();
    lrk_json_set_text(v, "out", o->out);
    lrk_merge_report_put(r, v);
    lrk_json_set_count(v, "files", r->files);
    lrk_json_set(v, "needs_tokenizer", lrk_json_new_bool(r->needs_tokenizer));
    return lrk_print_json(v, err);
}

lrk_status lrk_merge_parse(lrk_merge_args *m, const char *command, int argc, char **argv,
                           lrk_err *err)
{
    const char *dtype = NULL, *format = NULL;
    size_t threads = 0;
    double shard_mb = 0;
    char types[256];
    lrk_merge_options *o = &m->o;
    *m = (lrk_merge_args){.model = NULL};
    const lrk_option options[] = {{"model", LRK_OPTION_STRING, &m->model, false, NULL},
                                  {"base", LRK_OPTION_STRING, &m->model, false, NULL},
                                  {"adapter", LRK_OPTION_STRING, &m->adapter, false, NULL},
                                  {"out", LRK_OPTION_STRING, &o->out, true, NULL},
                                  {"format", LRK_OPTION_STRING, &format, false, NULL},
                                  {"chat-template", LRK_OPTION_STRING, &m->chat_template, false, NULL},
                                  {"dtype", LRK_OPTION_STRING, &dtype, false, NULL},
                                  {"tokenizer", LRK_OPTION_STRING, &o->tokenizer, false, NULL},
                                  {"shard-mb", LRK_OPTION_REAL, &shard_mb, false, "(0,1e9]"},
                                  {"any-base", LRK_OPTION_FLAG, &o->any_base, false, NULL},
                                  {"part", LRK_OPTION_STRING, &m->part, false, NULL},
                                  {"threads", LRK_OPTION_SIZE, &threads, false, LRK_RANGE_THREADS},
                                  {"json", LRK_OPTION_FLAG, &m->json, false, NULL}};
    LRK_TRY(lrk_options_parse(options, sizeof options / sizeof *options, &argc, argv, err));
    LRK_REQUIRE(err, argc == 0, LRK_EUSAGE, "%s: %s: nothing was expected here", command, argv[0]);
    const bool base = m->adapter && strcmp(command, "convert") == 0; /* as its help calls it */
    LRK_REQUIRE(err, m->model, LRK_EUSAGE, "--%s is missing", base ? "base" : "model");
    m->ollama = format && strcmp(format, "ollama") == 0;
    LRK_REQUIRE(err,
                !format || m->ollama || strcmp(format, "hf") == 0 || strcmp(format, "gguf") == 0,
                LRK_EUSAGE, "--format: '%s' is unknown; hf, gguf or ollama", format);
    lrk_file_type_list(types, sizeof types);
    o->type = dtype ? lrk_file_type_find(dtype) : NULL;
    const char *near = dtype && !o->type ? lrk_file_type_nearest(dtype) : NULL;
    LRK_REQUIRE(err, !near, LRK_EUSAGE, "--dtype: '%s' is unknown, did you mean %s? Known are %s", dtype, near, types);
    LRK_REQUIRE(err, !dtype || o->type, LRK_EUSAGE, "--dtype: '%s' is unknown; known are %s", dtype,
                types);
    m->gguf_said = format || lrk_ends_with(o->out, ".gguf");
    o->gguf = format ? m->ollama || strcmp(format, "gguf") == 0 : lrk_ends_with(o->out, ".gguf");
    m->image = strcmp(command, "merge") == 0 && lrk_ends_with(m->model, ".safetensors") && !lrk_is_dir(m->model);
    const char *foreign = format             ? "--format"
                          : m->chat_template ? "--chat-template"
                          : o->tokenizer     ? "--tokenizer"
                          : shard_mb > 0     ? "--shard-mb"
                          : o->any_base      ? "--any-base"
                                             : NULL;
    LRK_REQUIRE(err, !foreign || !m->image, LRK_EUSAGE,
                "%s goes with a language model, not with an image model", foreign);
    LRK_REQUIRE(err, !m->part || m->image, LRK_EUSAGE, "--part goes with an image model, a single safetensors file");
    if ((!o->gguf || m->ollama) && !m->image) LRK_TRY(lrk_check_directory_name(o->out, err));
    if (lrk_is_dir(m->model)) LRK_TRY(lrk_output_outside(o->out, m->model, err));
    o->shard_bytes = (uint64_t)(shard_mb * 1e6);
    lrk_threads_set((int)threads);
    return LRK_OK;
}

lrk_status lrk_merge_run(const lrk_merge_args *m, lrk_err *err)
{
    lrk_weights *base = NULL;
    lrk_adapter a = {0};
    lrk_merge_report report;
    LRK_TRY(lrk_weights_open(&base, m->model, err));
    lrk_status status = lrk_base_check_weights(base, m->o.gguf, err);
    if (status == LRK_OK && m->adapter) status = lrk_adapter_load(&a, m->adapter, err);
    if (status == LRK_OK && m->adapter) status = lrk_adapter_fit(&a, base, m->o.any_base, err);
    const lrk_merge_request request = {m->adapter, m->chat_template, m->bundle};
    if (status == LRK_OK) status = lrk_merge_described(base, m->adapter ? &a : NULL, &request, &m->o, &report, err);
    if (status == LRK_OK) status = lrk_merge_print(&m->o, &report, m->json, err);
    lrk_adapter_free(&a);
    lrk_weights_close(base);
    return status;
}

lrk_status lrk_print_adapter_outputs(const lrk_adapter_outputs *o, lrk_err *err)
{
    if (o->json) {
        lrk_json *v = lrk_json_object();
        lrk_json_set_count(v, "modules", o->modules);
        lrk_json_set_text(v, "gguf", o->gguf);
        lrk_json_set_text(v, "peft", o->peft);
        lrk_json_set_text(v, "ollama", o->ollama);
        return lrk_print_json(v, err);
    }
    if (o->gguf) printf("%s: GGUF adapter, %zu modules\n", o->gguf, o->modules);
    if (o->peft) printf("%s: PEFT adapter, %zu modules\n", o->peft, o->modules);
    if (o->ollama)
        printf("%s: Modelfile and adapter; ollama create NAME -f %s/" LRK_MODELFILE "\n", o->ollama, o->ollama);
    return LRK_OK;
}

lrk_status lrk_check_directory_name(const char *path, lrk_err *err)
{
    static const char *const endings[] = {".safetensors", ".gguf", ".bin", ".pt", ".pth"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        LRK_REQUIRE(err, !lrk_ends_with(path, endings[i]), LRK_EUSAGE,
                    "%s: a directory is written here (weights, configuration and more), not a single file; name it "
                    "without %s",
                    path, endings[i]);
    return LRK_OK;
}

/* Takes the last part off; false where there is none to take. */
static bool cut_last(char *path)
{
    char *slash = strrchr(path, '/');
    if (!slash || !path[1]) return false;
    slash[slash == path] = '\0';
    return true;
}

/* Adds what is not there yet to a path without links: "." and ".." as they will be meant once it is there. */
static void add_parts(lrk_buf *to, const char *rest)
{
    while (*(rest += strspn(rest, "/"))) {
        const size_t n = strcspn(rest, "/");
        if (n == 2 && memcmp(rest, "..", 2) == 0) {
            if (!to->failed && cut_last(to->data)) to->n = strlen(to->data);
        } else if (n != 1 || *rest != '.') {
            lrk_buf_printf(to, "%s%.*s", to->n > 1 ? "/" : "", (int)n, rest);
        }
        rest += n;
    }
}

/* The path from the root, of something that need not be there: what is there without its links, then the rest. */
static lrk_status whole_path(const char *path, lrk_buf *out, lrk_err *err)
{
    lrk_arena a = lrk_arena_growing("path");
    char *head = lrk_strdup(&a, path);
    const char *there = NULL;
    LRK_REQUIRE(err, head, LRK_ENOMEM, "memory: no room for a path");
    while (*head && !lrk_is_dir(head)) {
        char *slash = strrchr(head, '/');
        if (slash == head)
            head[1] = '\0';
        else
            *(slash ? slash : head) = '\0';
    }
    there = lrk_path_absolute(&a, *head ? head : ".");
    if (there) {
        lrk_buf_puts(out, there);
        add_parts(out, path + strlen(head));
    }
    const lrk_status status = there ? lrk_buf_check(out, err) : lrk_fail(err, LRK_ENOMEM, "memory: no room for a path");
    lrk_arena_free(&a);
    return status;
}

/* Of two paths: whether the first lies at or inside the second, and the second at or inside the first. */
typedef struct nesting {
    bool inside, around;
} nesting;

static bool lies_at_or_in(const lrk_buf *x, const lrk_buf *y)
{
    return x->n >= y->n && memcmp(x->data, y->data, y->n) == 0 &&
           (x->data[y->n] == '\0' || x->data[y->n] == '/' || y->n == 1);
}

static lrk_status nest(const char *a, const char *b, nesting *out, lrk_err *err)
{
    lrk_buf x = {0}, y = {0};
    lrk_status status = whole_path(a, &x, err);
    if (status == LRK_OK) status = whole_path(b, &y, err);
    if (status == LRK_OK) *out = (nesting){lies_at_or_in(&x, &y), lies_at_or_in(&y, &x)};
    lrk_buf_free(&x);
    lrk_buf_free(&y);
    return status;
}

lrk_status lrk_outputs_apart(const char *a, const char *b, lrk_err *err)
{
    nesting n;
    LRK_TRY(nest(a, b, &n, err));
    LRK_REQUIRE(err, !n.inside && !n.around, LRK_EUSAGE,
                "%s and %s: one output would lie at or inside the other; name them apart", a, b);
    return LRK_OK;
}

lrk_status lrk_output_outside(const char *out, const char *read, lrk_err *err)
{
    nesting n;
    LRK_TRY(nest(out, read, &n, err));
    LRK_REQUIRE(err, !n.inside, LRK_EUSAGE, "%s: would lie in %s, which is read; name another place", out, read);
    return LRK_OK;
}

lrk_status lrk_output_is_free(const char *path, bool directory, lrk_err *err)
{
    bool empty = true;
    if (directory) LRK_TRY(lrk_check_directory_name(path, err));
    LRK_REQUIRE(err, !directory || !lrk_is_file(path), LRK_EUSAGE, "%s: is a file, expected a directory", path);
    if (directory) LRK_TRY(lrk_dir_is_empty(path, &empty, err));
    LRK_REQUIRE(err, empty && !lrk_is_file(path) && (directory || !lrk_is_dir(path)), LRK_EUSAGE,
                directory ? "%s: output directory not empty; remove it or name another one"
                          : "%s: exists already; remove it or name another file",
                path);
    return LRK_OK;
}
