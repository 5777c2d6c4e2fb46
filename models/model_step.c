/* models/model_step.c -- what of a model changes after it is built: start values, what follows from a step,
 * dropout. */
#include "kernels/adamw/adamw.h"
#include "models/borders.h"
#include "models/principal.h"

/* What passes read of the adapters. */
static void copy_adapters(const lrk_model *m, bool shadow_is_written)
{
    if (m->shadow.rank && !shadow_is_written)
        lrk_shadow_cuda(m->parameters.data, m->shadow.data, lrk_count(&m->shadow));
    lrk_borders_write(m);
}

lrk_status lrk_model_start(lrk_model *m, uint64_t seed, lrk_err *err)
{
    for (size_t i = 0; i < m->n_adapted; i++)
        LRK_TRY(m->begin.kind ? lrk_principal_start(m->adapted[i], m->device, &m->begin, seed, err)
                              : lrk_lora_start(m->adapted[i], m->device, seed, err));
    for (size_t i = 0; i < m->n_whole; i++) LRK_TRY(lrk_whole_start(&m->whole[i], m->device, err));
    copy_adapters(m, false);
    return LRK_OK;
}

void lrk_model_settle(const lrk_model *m, bool shadow_is_written)
{
    copy_adapters(m, shadow_is_written);
    for (size_t i = 0; i < m->n_adapted; i++)
        if (m->adapted[i]->m.rank) lrk_lora_norm(m->adapted[i], m->device);
}

void lrk_model_set_dropout(lrk_model *m, uint64_t seed, uint32_t count)
{
    for (size_t i = 0; i < m->n_adapted; i++) {
        m->adapted[i]->dropout.seed = seed;
        m->adapted[i]->dropout.step = count;
    }
    lrk_device_draw(m->device, seed, count);
}

void lrk_model_enable_dropout(lrk_model *m, double p)
{
    for (size_t i = 0; i < m->n_adapted; i++) {
        lrk_projection *a = m->adapted[i];
        a->attr.dropout = a->mask[0].p = a->mask[1].p = p;
    }
}
