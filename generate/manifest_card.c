/* generate/manifest_card.c -- README.md: front matter, tables, what is open. */
#include "generate/manifest_card.h"

#include <string.h>

bool lrk_is_hub_name(const char *s)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    const size_t owner = s ? strspn(s, allowed) : 0;
    if (!owner || s[owner] != '/' || *s == '.') return false;
    const size_t name = strspn(s + owner + 1, allowed);
    return name && !s[owner + 1 + name];
}

/* One line of text in Markdown: a stranger's name must not make markup. */
static void put_safe(lrk_buf *out, const char *s)
{
    for (; *s; s++) {
        const char c = (unsigned char)*s < 0x20 ? ' ' : *s;
        if (strchr("\\`*_{}[]<>()#+!|~&", c)) lrk_buf_puts(out, "\\");
        lrk_buf_append(out, &c, 1);
    }
}

typedef struct kind {
    bool adapter, gguf, image;
} kind;

static kind kind_of(const char *output)
{
    if (!output) return (kind){0};
    return (kind){.adapter = strstr(output, "adapter"), .gguf = strstr(output, "Ollama") || strstr(output, "GGUF"),
                  .image = strstr(output, "image")};
}

static void put_front(const lrk_json *m, kind k, lrk_buf *out)
{
    const lrk_json *base = lrk_json_get(m, "base");
    static const char *const licenses[] = {"license", "license_name", "license_link"};
    const char *name = lrk_json_word(base, "name");
    const bool adapted = lrk_json_get(m, "adapter");
    lrk_buf_puts(out, "---\n");
    for (size_t i = 0; i < sizeof licenses / sizeof *licenses; i++) {
        const char *said = lrk_json_word(base, licenses[i]);
        if (!said) continue;
        lrk_buf_printf(out, "%s: ", licenses[i]);
        lrk_json_quote(out, said, strlen(said));
        lrk_buf_puts(out, "\n");
    }
    if (lrk_is_hub_name(name))
        lrk_buf_printf(out, "base_model: %s\nbase_model_relation: %s\n", name,
                       k.adapter ? "adapter" : adapted ? "finetune" : "quantized");
    lrk_buf_printf(out, "library_name: %s\n",
                   k.image ? "diffusers" : k.gguf ? "gguf" : k.adapter ? "peft" : "transformers");
    lrk_buf_printf(out, "pipeline_tag: %s\ntags:\n- lorikeet\n", k.image ? "text-to-image" : "text-generation");
    lrk_buf_puts(out, adapted ? "- lora\n---\n\n" : "---\n\n");
}

static void put_row(lrk_buf *out, const char *what, const lrk_json *v)
{
    if (!lrk_json_is_set(v)) return;
    lrk_buf_printf(out, "| %s | ", what);
    if (lrk_json_is(v, LRK_JSON_STRING))
        put_safe(out, lrk_json_string(v, NULL));
    else if (lrk_json_is(v, LRK_JSON_INTEGER))
        lrk_buf_printf(out, "%lld", (long long)lrk_json_integer(v));
    else
        lrk_buf_printf(out, "%.6g", lrk_json_number(v));
    lrk_buf_puts(out, " |\n");
}

static void put_trained_rows(const lrk_json *rows, lrk_buf *out)
{
    const char *before = "| trained rows | ";
    for (void *i = lrk_json_begin(rows); i; i = lrk_json_next(rows, i)) {
        lrk_buf_printf(out, "%s%lld of ", before, (long long)lrk_json_integer(lrk_json_value(i)));
        put_safe(out, lrk_json_key(i, NULL));
        before = ", ";
    }
    if (lrk_json_size(rows)) lrk_buf_puts(out, " |\n");
}

static void put_vocabulary(const lrk_json *v, lrk_buf *out)
{
    const lrk_json *list = lrk_json_get(v, "new_tokens");
    if (!lrk_json_size(list)) return;
    lrk_buf_printf(out, "| new tokens | %zu (", lrk_json_size(list));
    for (size_t i = 0; i < lrk_json_size(list); i++) {
        const char *text = lrk_json_string(lrk_json_at(list, i), NULL);
        lrk_buf_puts(out, i ? ", " : "");
        put_safe(out, text ? text : "?");
    }
    lrk_buf_printf(out, "), vocabulary %lld -> %lld |\n", (long long)lrk_json_integer(lrk_json_get(v, "rows_before")),
                   (long long)lrk_json_integer(lrk_json_get(v, "rows")));
}

static void put_facts(const lrk_json *m, lrk_buf *out)
{
    static const struct {
        const char *part, *key, *what;
    } rows[] = {{"base", "name", "base model"},
                {"base", "architecture", "architecture"},
                {"base", "sha256", "sampled hash of the base's weights"},
                {"base", "license", "license of the base"},
                {"base", "license_name", "its name"},
                {"base", "license_link", "its text"},
                {"source", "name", "converted from"},
                {"source", "sha256", "sampled hash of the weights that were converted"},
                {"start", "name", "training began from the adapter"},
                {"start", "sha256", "its hash"},
                {"adapter", "name", "adapter"},
                {"adapter", "sha256", "hash of the adapter"},
                {"adapter", "rank", "rank of the adapter"},
                {"adapter", "alpha", "alpha of the adapter"},
                {"adapter", "modules", "adapted matrices"},
                {"combined", "method", "combined by"},
                {"combined", "density", "share of numbers kept"},
                {"combined", "seed", "seed of those that were dropped"},
                {"combined", "residual", "distance from the plain weighted sum, as a share of it"},
                {"combined", "worst_residual", "the same, of the worst module"},
                {"training", "steps", "optimizer steps"},
                {"training", "rows", "rows trained on"},
                {"training", "held_out_rows", "rows held out of them, for evaluations"},
                {"training", "tokens", "tokens seen"},
                {"training", "trained_tokens", "tokens trained"},
                {"training", "first_loss", "loss of the first step"},
                {"training", "last_loss", "loss of the last step"},
                {"training", "eval_loss", "last evaluation loss"},
                {"training", "best_eval_loss", "best evaluation loss"},
                {"training", "seed", "seed"},
                {"training", "compute", "compute type"},
                {"training", "device", "device"},
                {"training", "chat_template", "chat template"},
                {"training", "tokenizer_sha256", "hash of the tokenizer"},
                {"recipe", "sha256", "hash of the recipe"},
                {"program", "version", "lorikeet"}};
    lrk_buf_puts(out, "| | |\n|---|---|\n");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        put_row(out, rows[i].what, lrk_json_get(lrk_json_get(m, rows[i].part), rows[i].key));
    put_trained_rows(lrk_json_get(lrk_json_get(m, "adapter"), "trained_rows"), out);
    put_vocabulary(lrk_json_get(m, "vocabulary"), out);
}

static void put_data(const lrk_json *m, lrk_buf *out)
{
    const lrk_json *data = lrk_json_get(m, "data");
    if (!lrk_json_size(data)) return;
    lrk_buf_puts(out, "\n## Data\n\n| file | used for | rows in it | SHA-256 of the rows |\n|---|---|---|---|\n");
    for (size_t i = 0; i < lrk_json_size(data); i++) {
        const lrk_json *d = lrk_json_at(data, i);
        const char *path = lrk_json_word(d, "path"), *use = lrk_json_word(d, "use"), *hash = lrk_json_word(d, "sha256");
        lrk_buf_puts(out, "| ");
        put_safe(out, path ? path : "");
        lrk_buf_puts(out, " | ");
        put_safe(out, use ? use : "");
        lrk_buf_printf(out, " | %lld | ", (long long)lrk_json_integer(lrk_json_get(d, "rows")));
        put_safe(out, hash ? hash : "");
        lrk_buf_puts(out, " |\n");
    }
}

/* A cell of a table; what is not said leaves it empty. */
static void put_cell(lrk_buf *out, const lrk_json *v)
{
    lrk_buf_puts(out, " ");
    if (lrk_json_is(v, LRK_JSON_STRING))
        put_safe(out, lrk_json_string(v, NULL));
    else if (v)
        lrk_buf_printf(out, "%g", lrk_json_number(v));
    lrk_buf_puts(out, " |");
}

static void put_table(const lrk_json *list, const char *const *key, size_t n, lrk_buf *out)
{
    for (size_t i = 0; i < lrk_json_size(list); i++) {
        lrk_buf_puts(out, "|");
        for (size_t k = 0; k < n; k++) put_cell(out, lrk_json_get(lrk_json_at(list, i), key[k]));
        lrk_buf_puts(out, "\n");
    }
}

/* Said loudly: numbers that were learned beside other weights than they stand beside now. */
static void put_trained_for(const lrk_json *m, lrk_buf *out)
{
    static const char *const keys[] = {"name", "sha256"};
    const lrk_json *list = lrk_json_get(m, "trained_for");
    if (!lrk_json_size(list)) return;
    lrk_buf_puts(out, "\n## Trained for another base\n\n`--any-base` was given: what was trained here was trained for "
                      "the weights below, not, or not all of it, for those of the base model above.\n\n"
                      "| trained for | sampled hash of its weights |\n|---|---|\n");
    put_table(list, keys, 2, out);
}

static void put_adapters(const lrk_json *m, lrk_buf *out)
{
    static const char *const keys[] = {"name", "weight", "sha256"};
    const lrk_json *list = lrk_json_get(lrk_json_get(m, "combined"), "adapters");
    if (!lrk_json_size(list)) return;
    lrk_buf_puts(out, "\n## Adapters\n\nThe adapter is a combination of these.\n\n"
                      "| adapter | weight | SHA-256 of its file |\n|---|---|---|\n");
    put_table(list, keys, 3, out);
}

/* The model that was the base had been made of another one. */
static void put_made_from(const lrk_json *m, lrk_buf *out)
{
    static const char *const keys[] = {"name", "sha256"};
    const lrk_json *from = lrk_json_get(lrk_json_get(m, "base"), "made_from"), *base = lrk_json_get(from, "base");
    if (!base) return;
    lrk_buf_printf(out, "\n## The base\n\nThe base is itself %s of the model below; manifest.json has the rest under "
                        "base.made_from.\n\n| made of | sampled hash of its weights |\n|---|---|\n|",
                   lrk_json_get(from, "adapter") ? "a merged model, with an adapter in it," : "a conversion");
    for (size_t i = 0; i < 2; i++) put_cell(out, lrk_json_get(base, keys[i]));
    lrk_buf_puts(out, "\n");
}

/* Four blanks make it code, whatever it holds. */
static void put_code(const char *yaml, lrk_buf *out)
{
    while (*yaml) {
        const size_t n = strcspn(yaml, "\n");
        lrk_buf_puts(out, n ? "    " : "");
        lrk_buf_append(out, yaml, n);
        lrk_buf_puts(out, "\n");
        yaml += n + (yaml[n] == '\n');
    }
}

static bool alike(const lrk_json *x, const lrk_json *y, const char *key)
{
    return lrk_json_word(x, key) && lrk_json_word(y, key) && strcmp(lrk_json_word(x, key), lrk_json_word(y, key)) == 0;
}

/* Of a combination each recipe once, under the adapters that it made. */
static void put_recipes(const lrk_json *m, lrk_buf *out)
{
    const lrk_json *list = lrk_json_get(lrk_json_get(m, "combined"), "adapters");
    const char *yaml = lrk_json_word(lrk_json_get(m, "recipe"), "yaml");
    if (yaml) {
        lrk_buf_puts(out, "\n## Recipe\n\nWith it, the data and the base, `lorikeet train` makes the same "
                          "adapter again.\n\n");
        put_code(yaml, out);
    }
    for (size_t i = 0; i < lrk_json_size(list); i++) {
        const lrk_json *a = lrk_json_at(list, i);
        size_t first = 0;
        yaml = lrk_json_word(lrk_json_get(a, "recipe"), "yaml");
        if (!yaml) continue;
        while (first < i && !alike(lrk_json_get(a, "recipe"), lrk_json_get(lrk_json_at(list, first), "recipe"), "yaml"))
            first++;
        if (first < i && alike(a, lrk_json_at(list, first), "name")) continue;
        lrk_buf_puts(out, "\n## Recipe of ");
        put_safe(out, lrk_json_word(a, "name") ? lrk_json_word(a, "name") : "an adapter");
        lrk_buf_puts(out, first < i ? "\n\nThe same as that of " : "\n\n");
        if (first < i) put_safe(out, lrk_json_word(lrk_json_at(list, first), "name"));
        lrk_buf_puts(out, first < i ? ".\n" : "");
        if (first == i) put_code(yaml, out);
    }
}

static bool recipe_known(const lrk_json *m)
{
    const lrk_json *list = lrk_json_get(lrk_json_get(m, "combined"), "adapters");
    bool known = lrk_json_get(m, "recipe") || lrk_json_size(list);
    for (size_t i = 0; i < lrk_json_size(list); i++)
        known = known && (lrk_json_get(m, "recipe") || lrk_json_get(lrk_json_at(list, i), "recipe"));
    return known;
}

static void put_open(const lrk_json *m, lrk_buf *out)
{
    const char *license = lrk_json_word(lrk_json_get(m, "base"), "license");
    lrk_buf_puts(out, "\n## What is open\n\n- weights: here; the base's license goes on to hold");
    if (license) {
        lrk_buf_puts(out, ": ");
        put_safe(out, license);
    } else {
        lrk_buf_puts(out, ", which its files do not name");
    }
    lrk_buf_puts(out, lrk_json_size(lrk_json_get(m, "data"))
                          ? "\n- data: not here; named above by its hash\n"
                          : "\n- data: not known\n");
    lrk_buf_puts(out, "- code: Lorikeet, which made this\n");
    lrk_buf_puts(out, recipe_known(m) ? "- recipe: above and in manifest.json\n" : "- recipe: not known\n");
}

void lrk_card_print(const lrk_json *m, lrk_buf *out)
{
    const char *output = lrk_json_word(m, "output"), *name = lrk_json_word(lrk_json_get(m, "base"), "name");
    put_front(m, kind_of(output), out);
    lrk_buf_puts(out, "# ");
    put_safe(out, name ? name : "A model");
    lrk_buf_puts(out, lrk_json_get(m, "adapter") ? ", adapted\n\n" : ", converted\n\n");
    lrk_buf_printf(out, "%s%s made with Lorikeet. The same as data: [manifest.json](manifest.json).\n\n",
                   output && strchr("aeiouAEIOU", *output) ? "An " : "A ", output ? output : "model");
    if (kind_of(output).adapter && !kind_of(output).gguf && lrk_json_get(m, "vocabulary"))
        lrk_buf_puts(out, "The vocabulary grew, and the tokenizer lies here too: "
                          "`AutoPeftModelForCausalLM.from_pretrained` of this directory resizes a base in Hugging "
                          "Face's form by it and loads both.\n\n");
    put_facts(m, out);
    put_trained_for(m, out);
    put_made_from(m, out);
    put_adapters(m, out);
    put_data(m, out);
    put_recipes(m, out);
    put_open(m, out);
}
