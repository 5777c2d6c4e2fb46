/* train/recompute.c -- keeps as much as fits. */
#include "train/recompute.h"

#include "base/clock.h"

#include <stdint.h>

size_t lrk_session_budget(const lrk_session *s)
{
    const double limit = s->recipe->gpu_memory_limit;
    lrk_device_info info = s->gpu;
    if (s->device == LRK_CPU) return lrk_memory_available() / 10 * 9;
    if (limit > 0.0) return (size_t)(limit * 1e9);
    if (!s->ahead.sending && lrk_device_open(s->device, &info, NULL) != LRK_OK) return SIZE_MAX;
    return info.free / 10 * 9;
}

lrk_status lrk_session_bytes(const lrk_session *s, lrk_engine_bytes *bytes, lrk_err *err)
{
    lrk_err why = {0};
    const lrk_status planned = lrk_engine_plan(&s->engine, bytes, &why);
    /* where no module is chosen at all, the name that is wrong says more */
    if (planned == LRK_OK || planned == LRK_EUSAGE) LRK_TRY(lrk_targets_check(&s->targets, &s->base.decoder, err));
    LRK_REQUIRE(err, planned == LRK_OK, planned, "%s", why.text);
    return LRK_OK;
}

lrk_status lrk_recompute_choose(lrk_session *s, lrk_err *err)
{
    static const lrk_recompute policy[] = {LRK_KEEP_ALL, LRK_KEEP_COSTLY, LRK_KEEP_LAYERS, LRK_KEEP_AWAY};
    const int asked = s->recipe->gradient_checkpointing;
    if (asked != LRK_RECOMPUTE_AUTO) {
        s->engine.recompute = policy[asked - LRK_RECOMPUTE_NONE];
        return LRK_OK;
    }
    const size_t most = lrk_session_budget(s), n = s->device == LRK_CPU ? 3 : 4; /* nothing is away from the CPU */
    for (size_t i = 0; i < n; i++) {
        lrk_engine_bytes bytes;
        s->engine.recompute = policy[i];
        LRK_TRY(lrk_session_bytes(s, &bytes, err));
        if (lrk_engine_total(&bytes) <= most) break;
    }
    return LRK_OK;
}
