/* cli/cmd_inspect.c -- lorikeet inspect: what is in a file or directory. */
#include "base/json.h"
#include "checkpoint/adapter.h"
#include "cli/command.h"
#include "cli/inspect_manifest.h"
#include "cli/inspect_tensors.h"
#include "cli/json_out.h"
#include "data/dataset.h"
#include "data/tokens.h"
#include "generate/manifest.h"
#include "generate/ollama.h"
#include "train/certificate.h"
#include "train/run_dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = 100 }; /* characters of a value that people see */

/* What is collected first and printed afterwards, as a table or as JSON. */
typedef struct view {
    lrk_arena arena;
    lrk_json *root;     /* kind, path, facts */
    lrk_json *manifest, *certificate; /* members of it, or NULL */
    lrk_json *tensors; /* array of objects: name, type, shape, bytes; in the order of the layers */
    uint64_t parameters, bytes;
} view;

static void add_tensor(view *v, const char *name, const char *type, int rank, const size_t *dim,
                       uint64_t bytes)
{
    lrk_json *t = lrk_json_object(), *shape = lrk_json_array();
    uint64_t count = 1;
    for (int i = 0; i < rank; i++) {
        lrk_json_add(shape, lrk_json_new_integer((int64_t)dim[i]));
        count *= dim[i];
    }
    lrk_json_set(t, "name", lrk_json_c_string(name));
    lrk_json_set(t, "type", lrk_json_c_string(type));
    lrk_json_set(t, "shape", shape);
    lrk_json_set_count(t, "bytes", bytes);
    lrk_json_add(v->tensors, t);
    v->parameters += count;
    v->bytes += bytes;
}

static void add_view(view *v, const lrk_tensor *t)
{
    add_tensor(v, t->name, lrk_dtype_name(t->dtype), t->rank, t->dim, lrk_bytes(t));
}

static void set_manifest(view *v, lrk_json *m)
{
    v->manifest = m;
    if (m) lrk_json_set(v->root, "manifest", m);
}

static void set_certificate(view *v, lrk_json *c)
{
    v->certificate = c;
    if (c) lrk_json_set(v->root, "certificate", c);
}

/* What the output at this path says of itself. */
static lrk_status add_manifest(view *v, const char *path, lrk_err *err)
{
    lrk_json *m = NULL;
    LRK_TRY(lrk_manifest_of_model(&m, path, err));
    set_manifest(v, m);
    return LRK_OK;
}

static lrk_status inspect_safetensors(view *v, const char *path, lrk_err *err)
{
    lrk_safetensors s;
    LRK_TRY(lrk_st_open(&s, path, err));
    lrk_json_set_text(v->root, "kind", "safetensors");
    if (s.metadata) lrk_json_set(v->root, "metadata", lrk_json_ref(s.metadata));
    for (size_t i = 0; i < s.n; i++) {
        const lrk_st_entry *e = &s.entry[i];
        add_tensor(v, e->name, e->type, e->rank, e->dim, e->end - e->begin);
    }
    lrk_st_close(&s);
    return LRK_OK;
}

static lrk_json *element(const lrk_gguf_kv *kv, size_t i)
{
    size_t n;
    switch (kv->type) {
    case LRK_GGUF_STRING: {
        const char *s = lrk_gguf_string(kv, i, &n);
        return lrk_utf8_check(s, n) == n ? lrk_json_new_string(s, n) : lrk_json_new_null();
    }
    case LRK_GGUF_BOOL:
        return lrk_json_new_bool(lrk_gguf_integer(kv, i) != 0);
    case LRK_GGUF_F32:
    case LRK_GGUF_F64:
        return lrk_json_new_real(lrk_gguf_number(kv, i));
    default:
        return lrk_json_new_integer(lrk_gguf_integer(kv, i));
    }
}

/* An array is told by its type and length: a vocabulary has its own command. */
static lrk_json *key_value(const lrk_gguf_kv *kv)
{
    char line[80];
    if (!kv->array) return element(kv, 0);
    snprintf(line, sizeof line, "(%zu x %s)", kv->n, lrk_gguf_type_name(kv->type));
    return lrk_json_c_string(line);
}

static void set_hash(view *v, const char *hex)
{
    lrk_json_set_text(v->root, "sha256", hex);
    lrk_json_set_text(v->root, "sha256 of", "a sample of every tensor; sha256sum gives another number");
}

/* The hash that manifests and adapters name a base by; a file that is no model of a known family has none. */
static void add_hash(view *v, const char *path)
{
    char hex[65];
    lrk_weights *w = NULL;
    if (lrk_weights_open(&w, path, NULL) != LRK_OK) return;
    lrk_weights_sha256(w, hex);
    set_hash(v, hex);
    lrk_weights_close(w);
}

static lrk_status inspect_gguf(view *v, const char *path, lrk_err *err)
{
    lrk_gguf g;
    LRK_TRY(lrk_gguf_open(&g, path, err));
    lrk_json *keys = lrk_json_object();
    lrk_json_set_text(v->root, "kind", "GGUF");
    add_hash(v, path);
    lrk_json_set(v->root, "metadata", keys);
    for (size_t i = 0; i < g.n_kv; i++) lrk_json_set(keys, g.kv[i].key, key_value(&g.kv[i]));
    for (size_t i = 0; i < g.n_tensors; i++) {
        const lrk_tensor t = lrk_gguf_view(&g, &g.tensor[i]);
        add_view(v, &t);
    }
    lrk_gguf_close(&g);
    return add_manifest(v, path, err);
}

static lrk_status inspect_adapter(view *v, const char *path, lrk_err *err)
{
    lrk_adapter a;
    LRK_TRY(lrk_adapter_load(&a, path, err));
    lrk_json_set_text(v->root, "kind", "PEFT adapter");
    lrk_json_set(v->root, "config", lrk_json_ref(a.config));
    if (a.notes) lrk_json_set(v->root, "metadata", lrk_json_ref(a.notes));
    lrk_json_set_count(v->root, "modules", a.n);
    for (size_t i = 0; i < a.n; i++) {
        add_view(v, &a.module[i].a);
        add_view(v, &a.module[i].b);
    }
    for (size_t i = 0; i < a.n_whole; i++) add_view(v, &a.whole[i].weight);
    lrk_adapter_free(&a);
    return add_manifest(v, path, err);
}

static lrk_status inspect_model(view *v, const char *path, lrk_err *err)
{
    char hex[65];
    lrk_weights *w = NULL;
    LRK_TRY(lrk_weights_open(&w, path, err));
    lrk_weights_sha256(w, hex);
    lrk_json_set_text(v->root, "kind", "Hugging Face model");
    set_hash(v, hex);
    lrk_json_set(v->root, "config", lrk_json_ref((lrk_json *)(uintptr_t)lrk_weights_config(w)));
    for (size_t i = 0; i < lrk_weights_count(w); i++) add_view(v, lrk_weights_at(w, i));
    lrk_weights_close(w);
    return add_manifest(v, path, err);
}

static lrk_status add_files(view *v, const char *path, lrk_err *err)
{
    char **names;
    size_t n;
    lrk_json *files = lrk_json_array();
    lrk_json_set(v->root, "files", files);
    LRK_TRY(lrk_dir_list(&v->arena, path, &names, &n, err));
    for (size_t i = 0; i < n; i++) lrk_json_add(files, lrk_json_c_string(names[i]));
    return LRK_OK;
}

/* The lines of a Modelfile but its template, which stands between three quotes. */
static lrk_status read_modelfile(view *v, const char *path, const char **from, lrk_err *err)
{
    enum { MAX_MODELFILE = 1 << 20 };
    size_t n;
    char *text;
    lrk_json *lines = lrk_json_array();
    bool quoted = false;
    lrk_json_set(v->root, "modelfile", lines);
    LRK_TRY(lrk_file_read(&v->arena, path, MAX_MODELFILE, &text, &n, err));
    for (char *line = text, *end; line; line = end) {
        end = strchr(line, '\n');
        if (end) *end++ = '\0';
        const bool begins = strstr(line, "\"\"\"");
        if (!quoted && !begins && *line && lrk_utf8_check(line, strlen(line)) == strlen(line))
            lrk_json_add(lines, lrk_json_c_string(line));
        if (!quoted && !*from && strncmp(line, "FROM ", 5) == 0) *from = line + 5;
        if (begins) quoted = !quoted && !strstr(strstr(line, "\"\"\"") + 3, "\"\"\"");
    }
    return LRK_OK;
}

/* Of a bundle for Ollama: its Modelfile, and the model where that lies in it. */
static lrk_status inspect_bundle(view *v, const char *path, const char *modelfile, lrk_err *err)
{
    const char *from = NULL;
    LRK_TRY(read_modelfile(v, modelfile, &from, err));
    LRK_TRY(add_files(v, path, err));
    const char *model = lrk_path_join(&v->arena, path, from && strncmp(from, "./", 2) == 0 ? from + 2 : "");
    LRK_REQUIRE(err, model, LRK_ENOMEM, "memory: no room for a path");
    if (lrk_is_file(model)) LRK_TRY(inspect_gguf(v, model, err));
    lrk_json_set_text(v->root, "kind", "Ollama bundle");
    return add_manifest(v, path, err);
}

/* Of a run: what lies in it, its best evaluation and its last line of metrics, and what its adapter says. */
static lrk_status inspect_run(view *v, const char *path, lrk_err *err)
{
    char *metrics;
    size_t n;
    lrk_json *best = NULL;
    lrk_json_set_text(v->root, "kind", "run");
    LRK_TRY(add_files(v, path, err));
    const char *adapter = lrk_path_join(&v->arena, path, LRK_RUN_ADAPTER);
    LRK_REQUIRE(err, adapter, LRK_ENOMEM, "memory: no room for a path");
    LRK_TRY(add_manifest(v, adapter, err));
    const char *best_path = lrk_path_join(&v->arena, path, LRK_RUN_BEST);
    const char *metrics_path = lrk_path_join(&v->arena, path, LRK_RUN_METRICS);
    const char *certificate_path = lrk_path_join(&v->arena, path, LRK_CERTIFICATE);
    LRK_REQUIRE(err, best_path && metrics_path && certificate_path, LRK_ENOMEM, "memory: no room for a path");
    lrk_json *certificate;
    /* a file of this name that is something else is in the list of files, and no more */
    if (lrk_certificate_load(&certificate, certificate_path, NULL) == LRK_OK) set_certificate(v, certificate);
    if (lrk_is_file(best_path)) {
        LRK_TRY(lrk_json_load(&best, best_path, 1 << 16, err));
        lrk_json_set(v->root, "best", best);
    }
    if (!lrk_is_file(metrics_path)) return LRK_OK;
    LRK_TRY(lrk_file_read(&v->arena, metrics_path, 1u << 30, &metrics, &n, err));
    while (n > 0 && metrics[n - 1] == '\n') metrics[--n] = '\0';
    const char *last = strrchr(metrics, '\n');
    last = last ? last + 1 : metrics;
    lrk_json *line = NULL;
    /* a run that is being written may end in half a line */
    if (lrk_json_parse(&line, last, strlen(last), metrics_path, NULL) == LRK_OK)
        lrk_json_set(v->root, "last", line);
    return LRK_OK;
}

static lrk_status inspect_directory(view *v, const char *path, lrk_err *err)
{
    const char *adapter = lrk_path_join(&v->arena, path, LRK_ADAPTER_CONFIG);
    const char *config = lrk_path_join(&v->arena, path, "config.json");
    const char *recipe = lrk_path_join(&v->arena, path, LRK_RUN_RECIPE);
    const char *bundle = lrk_path_join(&v->arena, path, LRK_MODELFILE);
    LRK_REQUIRE(err, adapter && config && recipe && bundle, LRK_ENOMEM, "memory: no room for a path");
    if (lrk_is_file(adapter)) return inspect_adapter(v, path, err);
    if (lrk_is_file(config)) return inspect_model(v, path, err);
    if (lrk_is_file(recipe)) return inspect_run(v, path, err);
    if (lrk_is_file(bundle)) return inspect_bundle(v, path, bundle, err);
    return lrk_fail(err, LRK_EINPUT,
                    "%s: neither an adapter (" LRK_ADAPTER_CONFIG "), nor a model (config.json), nor a run "
                    "(" LRK_RUN_RECIPE "), nor a bundle for Ollama (" LRK_MODELFILE ")",
                    path);
}

static lrk_status inspect_dataset(view *v, const char *path, lrk_err *err)
{
    lrk_dataset *d;
    if (lrk_is_token_cache(path)) {
        lrk_json_set_text(v->root, "kind", "token cache");
        lrk_json_set_text(v->root, "hint",
                          "a cache of a data set's token ids; it may be deleted and is then made anew");
        return LRK_OK;
    }
    lrk_json *splits = lrk_json_object();
    lrk_json_set_text(v->root, "kind", "HDF5");
    lrk_json_set(v->root, "splits", splits);
    LRK_TRY(lrk_dataset_open(&d, path, err));
    for (size_t i = 0; i < lrk_dataset_splits(d); i++)
        lrk_json_set_count(splits, lrk_dataset_split_name(d, i), lrk_dataset_split_rows(d, i));
    lrk_json_set(v->root, "rows of", lrk_json_c_string(lrk_dataset_kind(d)));
    lrk_json_set(v->root, "sha256", lrk_json_c_string(lrk_dataset_sha256(d)));
    lrk_json_set_text(v->root, "hint", "lorikeet data show FILE prints its rows");
    lrk_dataset_close(d);
    return LRK_OK;
}

/* Lines that are not blank. 0: the first is no object by itself, or the text is a file of this program. */
static uint64_t count_rows(const char *text, size_t n)
{
    lrk_json *row = NULL;
    uint64_t rows = 0;
    for (const char *line = text, *end; line < text + n; line = end + 1) {
        end = memchr(line, '\n', n - (size_t)(line - text));
        if (!end) end = text + n;
        if (!rows) {
            const bool whole = lrk_json_parse(&row, line, (size_t)(end - line), "a row", NULL) == LRK_OK;
            const char *format = whole ? lrk_json_string(lrk_json_get(row, "format"), NULL) : NULL;
            const bool own = format && strncmp(format, "lorikeet-", 9) == 0;
            if (whole) lrk_json_free(row);
            if (!whole || own) return 0;
        }
        for (const char *c = line; c < end; c++) {
            if (strchr(" \t\r", *c)) continue;
            rows++;
            break;
        }
    }
    return rows;
}

static lrk_status inspect_json(view *v, const char *path, lrk_err *err)
{
    lrk_map m = {0};
    lrk_json *found = NULL;
    LRK_TRY(lrk_map_open(&m, path, err));
    const uint64_t rows = count_rows((const char *)m.data, m.size);
    lrk_map_close(&m);
    if (rows) {
        lrk_json_set_text(v->root, "kind", "JSON Lines");
        lrk_json_set_count(v->root, "rows", rows);
        lrk_json_set_text(v->root, "hint", "lorikeet data import and lorikeet data show read them");
        return LRK_OK;
    }
    if (lrk_certificate_load(&found, path, NULL) == LRK_OK && found) {
        lrk_json_set_text(v->root, "kind", "certificate");
        set_certificate(v, found);
        return LRK_OK;
    }
    LRK_TRY(lrk_manifest_load_file(&found, path, err));
    lrk_json_set_text(v->root, "kind", "manifest");
    set_manifest(v, found);
    return LRK_OK;
}

static lrk_status inspect_file(view *v, const char *path, lrk_err *err)
{
    static const char hdf5[] = "\x89HDF\r\n\x1a\n";
    char head[16] = "";
    lrk_map m = {0};
    LRK_TRY(lrk_map_open(&m, path, err));
    memcpy(head, m.size ? m.data : (const unsigned char *)"", m.size < 16 ? m.size : 16);
    lrk_map_close(&m);
    if (memcmp(head, "GGUF", 4) == 0) return inspect_gguf(v, path, err);
    if (memcmp(head, hdf5, 8) == 0) return inspect_dataset(v, path, err);
    /* of safetensors these eight are a length, whose last byte is 0 */
    if (head[0] == '{' && (head[7] || head[8] != '{')) return inspect_json(v, path, err);
    LRK_REQUIRE(err, head[8] == '{', LRK_EINPUT,
                "%s: not a safetensors, GGUF or HDF5 file, nor a " LRK_MANIFEST ", a " LRK_CERTIFICATE " or JSON "
                "Lines; those and directories are known",
                path);
    return inspect_safetensors(v, path, err);
}

/* Names come from strangers: escaped as in JSON, so that no control character reaches the
 * terminal. */
static lrk_status print_name(const char *name, int indent, lrk_err *err)
{
    lrk_buf b = {0};
    lrk_json_quote(&b, name, strlen(name));
    const lrk_status status = lrk_buf_check(&b, err);
    if (status == LRK_OK) printf("%*s%.*s:", indent, "", (int)b.n - 2, b.data + 1);
    lrk_buf_free(&b);
    return status;
}

static lrk_status print_value(const char *name, const lrk_json *value, int indent, lrk_err *err)
{
    lrk_buf b = {0};
    LRK_TRY(print_name(name, indent, err));
    const lrk_status status = lrk_json_dump(value, 0, &b, err);
    const bool cut = b.n > SHOWN;
    size_t n = cut ? SHOWN : b.n;
    while (cut && n > 0 && ((unsigned char)b.data[n] & 0xc0) == 0x80) n--; /* a whole character */
    if (status == LRK_OK) printf(" %.*s%s\n", (int)n, b.data, cut ? " ..." : "");
    lrk_buf_free(&b);
    return status;
}

static lrk_status print_lines(const char *title, const lrk_json *m, void (*put)(const lrk_json *, lrk_buf *),
                              lrk_err *err)
{
    lrk_buf text = {0};
    put(m, &text);
    const lrk_status status = lrk_buf_check(&text, err);
    if (status == LRK_OK && text.n) printf("%s:\n%.*s", title, (int)text.n, text.data);
    lrk_buf_free(&text);
    return status;
}

static lrk_status print_table(view *v, bool all, lrk_err *err)
{
    for (void *i = lrk_json_begin(v->root); i; i = lrk_json_next(v->root, i)) {
        const lrk_json *value = lrk_json_value(i);
        const char *key = lrk_json_key(i, NULL);
        if (value == v->tensors || value == v->manifest || value == v->certificate) continue;
        if (!lrk_json_is(value, LRK_JSON_OBJECT)) {
            LRK_TRY(print_value(key, value, 0, err));
            continue;
        }
        LRK_TRY(print_name(key, 0, err));
        putchar('\n');
        for (void *k = lrk_json_begin(value); k; k = lrk_json_next(value, k))
            LRK_TRY(print_value(lrk_json_key(k, NULL), lrk_json_value(k), 2, err));
    }
    if (v->manifest) LRK_TRY(print_lines("manifest", v->manifest, lrk_inspect_manifest, err));
    if (v->certificate) LRK_TRY(print_lines("certificate", v->certificate, lrk_inspect_certificate, err));
    if (lrk_json_size(v->tensors) == 0) return LRK_OK;
    puts("tensors:");
    bool folded;
    LRK_TRY(lrk_inspect_tensors(v->tensors, all, &v->arena, &folded, err));
    printf("%zu tensors, %llu parameters, %.1f MB%s\n", lrk_json_size(v->tensors), (unsigned long long)v->parameters,
           (double)v->bytes / 1e6, folded ? "; --tensors lists each" : "");
    return LRK_OK;
}

/* ---- the order of people: blk.2 before blk.10 ---- */

static int by_name(const void *a, const void *b)
{
    const char *x = lrk_json_string(lrk_json_get(*(lrk_json *const *)a, "name"), NULL);
    const char *y = lrk_json_string(lrk_json_get(*(lrk_json *const *)b, "name"), NULL);
    return x && y ? strverscmp(x, y) : 0;
}

static lrk_status sort_tensors(view *v, lrk_err *err)
{
    const size_t n = lrk_json_size(v->tensors);
    lrk_json **row;
    LRK_TRY(lrk_alloc(&v->arena, n + 1, sizeof *row, "tensors", &row, err));
    lrk_json *sorted = lrk_json_array();
    for (size_t i = 0; i < n; i++) row[i] = lrk_json_at(v->tensors, i);
    qsort(row, n, sizeof *row, by_name);
    for (size_t i = 0; i < n; i++) lrk_json_add(sorted, lrk_json_ref(row[i]));
    lrk_json_free(v->tensors);
    v->tensors = sorted;
    return LRK_OK;
}

static lrk_status print_json(const view *v, lrk_err *err)
{
    lrk_json_set_count(v->root, "parameters", v->parameters);
    lrk_json_set_count(v->root, "bytes", v->bytes);
    lrk_json_set(v->root, "tensors", lrk_json_ref(v->tensors));
    return lrk_print_json(lrk_json_ref(v->root), err);
}

static lrk_status run(int argc, char **argv, lrk_err *err)
{
    bool json = false, all = false;
    const lrk_option options[] = {{"json", LRK_OPTION_FLAG, &json, false, NULL},
                                  {"tensors", LRK_OPTION_FLAG, &all, false, NULL}};
    LRK_TRY(lrk_options_parse(options, sizeof options / sizeof *options, &argc, argv, err));
    LRK_REQUIRE(err, argc == 1, LRK_EUSAGE, "inspect: expected one PATH, got %d", argc);
    const char *path = argv[0];
    view v = {.arena = lrk_arena_growing("inspect"),
              .root = lrk_json_object(),
              .tensors = lrk_json_array()};
    lrk_json_set(v.root, "path", lrk_json_c_string(path));
    lrk_status status =
        lrk_is_dir(path) ? inspect_directory(&v, path, err) : inspect_file(&v, path, err);
    if (status == LRK_OK) status = sort_tensors(&v, err);
    if (status == LRK_OK) status = json ? print_json(&v, err) : print_table(&v, all, err);
    lrk_json_free(v.root);
    lrk_json_free(v.tensors);
    lrk_arena_free(&v.arena);
    return status;
}

const lrk_command lrk_command_inspect = {
    .name = "inspect",
    .summary = "show what is in a model, adapter, data or run",
    .help = "usage: lorikeet inspect PATH [--tensors] [--json]\n"
            "\n"
            "PATH is a safetensors, GGUF or HDF5 file, a manifest.json or certificate.json, rows as\n"
            "JSON Lines, a Hugging Face model directory, a PEFT adapter directory, a bundle for\n"
            "Ollama, or the directory of a run.\n"
            "Headers are checked as when training; of numbers a sample is read, for the hash of a\n"
            "model's weights. Where there is a manifest, it says what the thing was made of.\n"
            "Tensors that differ in the number of their layer or expert alone are one line.\n"
            "\n"
            "  --tensors  a line for each tensor\n"
            "  --json     everything as JSON, values in full, each tensor by itself\n"
            "\n"
            "example: lorikeet inspect model.gguf\n",
    .run = run,
};
