/* models/cache.c -- the key-value cache. */
#include "models/cache.h"

#include "kernels/cache/cache.h"

lrk_status lrk_kv_cache_new(lrk_kv_cache *c, const lrk_decoder *d, lrk_dtype compute, size_t slots,
                            size_t capacity, lrk_device device, lrk_arena *arena, lrk_arena *tables,
                            lrk_err *err)
{
    *c = (lrk_kv_cache){
        .layers = d->layers, .slots = slots, .capacity = capacity, .device = device};
    LRK_TRY(lrk_alloc(tables, d->layers, sizeof *c->k, "cache table", &c->k, err));
    LRK_TRY(lrk_alloc(tables, d->layers, sizeof *c->v, "cache table", &c->v, err));
    lrk_tensor shape = lrk_mat(compute, slots * capacity, d->key_heads * d->head_size);
    for (size_t i = 0; i < d->layers; i++) {
        LRK_TRY(lrk_alloc(arena, lrk_bytes(&shape), 1, "key cache", &shape.data, err));
        c->k[i] = shape;
        LRK_TRY(lrk_alloc(arena, lrk_bytes(&shape), 1, "value cache", &shape.data, err));
        c->v[i] = shape;
        c->k[i].name = "key cache";
        c->v[i].name = "value cache";
    }
    return LRK_OK;
}

void lrk_kv_cache_append(lrk_kv_cache *c, size_t layer, const lrk_tensor *k, const lrk_tensor *v,
                         const lrk_tensor *segments)
{
    if (!k->data) return; /* only counting */
    const lrk_tensor *const cache[] = {&c->k[layer], &c->v[layer]}, *const rows[] = {k, v};
    lrk_cache_append(c->device, cache, rows, segments);
}
