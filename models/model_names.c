/* models/model_names.c -- which weights belong to a model. */
#include "models/model.h"

#include "base/text.h"

#include <string.h>

/* Whether name is that of the weight of the module at path, or of its bias where it has one. */
static bool is_of(const char *name, const char *path, bool bias)
{
    const size_t n = strlen(path);
    return strncmp(name, path, n) == 0 &&
           (strcmp(name + n, ".weight") == 0 || (bias && strcmp(name + n, ".bias") == 0));
}

static bool expert_knows(const lrk_model *m, size_t i, const char *name)
{
    const lrk_layer *layer = &m->layers[i];
    const lrk_experts_attr *e = &layer->experts;
    if (layer->correction.rank && strcmp(name, layer->correction.name) == 0) return true;
    for (size_t k = 0; k < e->experts; k++)
        if (strcmp(name, e->gate[k].name) == 0 || strcmp(name, e->up[k].name) == 0 ||
            strcmp(name, e->down[k].name) == 0)
            return true;
    return false;
}

static bool layer_knows(const lrk_model *m, size_t i, const char *name)
{
    for (int which = 0; which < LRK_NORMS; which++) {
        const lrk_norm_weights *norm = &m->layers[i].norm[which];
        if (norm->weight.rank && strcmp(name, norm->weight.name) == 0) return true;
        if (norm->bias.rank && strcmp(name, norm->bias.name) == 0) return true;
    }
    if (m->layers[i].experts.experts && expert_knows(m, i, name)) return true;
    for (int which = 0; which < LRK_PROJECTIONS; which++) {
        const lrk_projection *p = &m->layers[i].projection[which];
        if (p->weight.rank && is_of(name, p->path, p->bias.rank)) return true;
    }
    return false;
}

bool lrk_model_knows(const lrk_model *m, const char *name)
{
    const lrk_names *named = lrk_names_of(&m->decoder);
    if (is_of(name, named->embedding, false) || is_of(name, named->head, false) || strcmp(name, "rope_freqs") == 0)
        return true;
    if (lrk_ends_with(name, ".rotary_emb.inv_freq")) return true;
    if (is_of(name, named->final_norm, m->final_norm.bias.rank)) return true;
    for (size_t i = 0; i < m->decoder.layers; i++) {
        if (layer_knows(m, i, name)) return true;
    }
    return false;
}
