/* checkpoint/adapter_targets.c -- what adapter_config.json says of the modules. */
#include "checkpoint/adapter_targets.h"

#include "base/module_key.h"
#include "base/text.h"
#include "checkpoint/text_part.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool among(const char *path, const char *const *name, size_t n_names)
{
    for (size_t i = 0; i < n_names; i++)
        if (lrk_path_ends_in(path, name[i])) return true;
    return false;
}

bool lrk_adapter_names_parameter(const lrk_adapter *a, const char *path)
{
    return among(path, a->parameter, a->n_parameters);
}

/* PEFT's re.fullmatch, or more: the end of a path that fits is taken too. */
static bool fits_pattern(const char *pattern, const char *path)
{
    bool fits = true;
    if (strcmp(pattern, "all-linear") == 0) return true;
    return lrk_module_key_matches(pattern, path, &fits, NULL) != LRK_OK || fits;
}

static bool targeted(const lrk_adapter *a, const char *path)
{
    char weight[LRK_ST_MAX_NAME + sizeof ".weight"], stored[LRK_NAME_MAX], first[LRK_NAME_MAX];
    if (!a->target && !a->target_pattern && !a->n_parameters) return true;
    snprintf(weight, sizeof weight, "%s.weight", path);
    if (among(weight, a->parameter, a->n_parameters)) return true;
    lrk_adapter_stored_path(a, path, stored);
    lrk_text_part_stored(path, LRK_TEXT_FIRST, first);
    const char *const paths[] = {stored, path, a->part ? first : path};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (a->target_pattern && fits_pattern(a->target_pattern, paths[i])) return true;
        if (among(paths[i], a->target, a->n_targets)) return true;
    }
    return false;
}

static bool excluded(const lrk_adapter *a, const char *path)
{
    const lrk_json *list = lrk_json_get(a->config, "exclude_modules");
    for (size_t i = 0; i < lrk_json_size(list); i++) {
        const char *name = lrk_json_string(lrk_json_at(list, i), NULL);
        if (name && lrk_path_ends_in(path, name)) return true;
    }
    return false;
}

static bool has_layer(const lrk_json *layers, long layer)
{
    if (lrk_json_is(layers, LRK_JSON_INTEGER)) return lrk_json_integer(layers) == layer;
    for (size_t i = 0; i < lrk_json_size(layers); i++)
        if (lrk_json_integer(lrk_json_at(layers, i)) == layer) return true;
    return false;
}

/* Of several numbers in a path (a layer's, an expert's) PEFT takes one by the names before it. */
static bool in_layers(const lrk_adapter *a, const char *path)
{
    const lrk_json *layers = lrk_json_get(a->config, "layers_to_transform");
    bool numbered = false;
    if (!lrk_json_is_set(layers) || (lrk_json_is(layers, LRK_JSON_ARRAY) && !lrk_json_size(layers))) return true;
    for (const char *at = strchr(path, '.'); at; at = strchr(at + 1, '.')) {
        char *end;
        if (!isdigit((unsigned char)at[1])) continue;
        const long number = strtol(at + 1, &end, 10);
        if (*end != '.') continue;
        if (has_layer(layers, number)) return true;
        numbered = true;
    }
    return !numbered;
}

lrk_status lrk_adapter_check_targeted(const lrk_adapter *a, const char *file, const char *path, lrk_err *err)
{
    const char *key = NULL;
    if (!targeted(a, path))
        key = "is not among target_modules";
    else if (a->target && excluded(a, path))
        key = "is among exclude_modules";
    else if (a->target && !in_layers(a, path))
        key = "is not in layers_to_transform";
    LRK_REQUIRE(err, !key, LRK_EINPUT, "%s: module '%s' %s of adapter_config.json", file, path, key);
    return LRK_OK;
}
