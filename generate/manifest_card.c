/* generate/manifest_card.c -- README.md: front matter, tables, what is open. */
#include "generate/manifest_card.h"

#include <string.h>

static const char *word(const lrk_json *object, const char *key)
{
    return lrk_json_string(lrk_json_get(object, key), NULL);
}

/* "owner/name" of letters, digits, ".", "_" and "-", as the hub has them: front matter may name
 * nothing else. */
static bool hub_name(const char *s)
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
    const char *license = word(base, "license"), *name = word(base, "name");
    lrk_buf_puts(out, "---\n");
    if (license) {
        lrk_buf_puts(out, "license: ");
        lrk_json_quote(out, license, strlen(license));
        lrk_buf_puts(out, "\n");
    }
    if (hub_name(name))
        lrk_buf_printf(out, "base_model: %s\nbase_model_relation: %s\n", name,
                       k.adapter ? "adapter" : "finetune");
    lrk_buf_printf(out, "library_name: %s\n", k.image ? "diffusers" : k.gguf ? "gguf" : k.adapter ? "peft" : "transformers");
    lrk_buf_printf(out, "pipeline_tag: %s\ntags:\n- lorikeet\n", k.image ? "text-to-image" : "text-generation");
    lrk_buf_puts(out, lrk_json_get(m, "adapter") ? "- lora\n---\n\n" : "---\n\n");
}

static void put_row(lrk_buf *out, const char *what, const lrk_json *v)
{
    if (!v || lrk_json_is(v, LRK_JSON_NULL)) return;
    lrk_buf_printf(out, "| %s | ", what);
    if (lrk_json_is(v, LRK_JSON_STRING))
        put_safe(out, lrk_json_string(v, NULL));
    else if (lrk_json_is(v, LRK_JSON_INTEGER))
        lrk_buf_printf(out, "%lld", (long long)lrk_json_integer(v));
    else
        lrk_buf_printf(out, "%.6g", lrk_json_number(v));
    lrk_buf_puts(out, " |\n");
}

static void put_facts(const lrk_json *m, lrk_buf *out)
{
    static const struct {
        const char *part, *key, *what;
    } rows[] = {{"base", "name", "base model"},
                {"base", "architecture", "architecture"},
                {"base", "sha256", "hash of the base's weights"},
                {"base", "license", "license of the base"},
                {"adapter", "name", "adapter"},
                {"adapter", "sha256", "hash of the adapter's file"},
                {"adapter", "rank", "rank of the adapter"},
                {"adapter", "alpha", "alpha of the adapter"},
                {"adapter", "modules", "adapted matrices"},
                {"combined", "method", "combined by"},
                {"combined", "residual", "share of the sum that the rank leaves out"},
                {"combined", "worst_residual", "the same, of the worst module"},
                {"training", "steps", "optimizer steps"},
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
}

static void put_data(const lrk_json *m, lrk_buf *out)
{
    const lrk_json *data = lrk_json_get(m, "data");
    if (!lrk_json_size(data)) return;
    lrk_buf_puts(out, "\n## Data\n\n| file | used for | rows | SHA-256 of the rows |\n|---|---|---|---|\n");
    for (size_t i = 0; i < lrk_json_size(data); i++) {
        const lrk_json *d = lrk_json_at(data, i);
        const char *path = word(d, "path"), *use = word(d, "use"), *hash = word(d, "sha256");
        lrk_buf_puts(out, "| ");
        put_safe(out, path ? path : "");
        lrk_buf_puts(out, " | ");
        put_safe(out, use ? use : "");
        lrk_buf_printf(out, " | %lld | ", (long long)lrk_json_integer(lrk_json_get(d, "rows")));
        put_safe(out, hash ? hash : "");
        lrk_buf_puts(out, " |\n");
    }
}

/* Four blanks make it code, whatever it holds. */
static void put_recipe(const lrk_json *m, lrk_buf *out)
{
    const char *yaml = word(lrk_json_get(m, "recipe"), "yaml");
    if (!yaml) return;
    lrk_buf_puts(out, "\n## Recipe\n\nWith it, the data and the base, `lorikeet train` makes the same "
                      "adapter again.\n\n");
    while (*yaml) {
        const size_t n = strcspn(yaml, "\n");
        lrk_buf_puts(out, n ? "    " : "");
        lrk_buf_append(out, yaml, n);
        lrk_buf_puts(out, "\n");
        yaml += n + (yaml[n] == '\n');
    }
}

static void put_open(const lrk_json *m, lrk_buf *out)
{
    const char *license = word(lrk_json_get(m, "base"), "license");
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
    lrk_buf_puts(out, lrk_json_get(m, "recipe") ? "- recipe: above and in manifest.json\n"
                                                : "- recipe: not known\n");
}

void lrk_card_print(const lrk_json *m, lrk_buf *out)
{
    const char *output = word(m, "output"), *name = word(lrk_json_get(m, "base"), "name");
    put_front(m, kind_of(output), out);
    lrk_buf_puts(out, "# ");
    put_safe(out, name ? name : "A model");
    lrk_buf_puts(out, lrk_json_get(m, "adapter") ? ", adapted\n\n" : ", converted\n\n");
    lrk_buf_printf(out, "%s%s made with Lorikeet. The same as data: [manifest.json](manifest.json).\n\n",
                   output && strchr("aeiouAEIOU", *output) ? "An " : "A ", output ? output : "model");
    put_facts(m, out);
    put_data(m, out);
    put_recipe(m, out);
    put_open(m, out);
}
