/* checkpoint/adapter_hash.c -- the name of an adapter's contents. */
#include "checkpoint/adapter.h"

#include "base/sha256.h"

#include <string.h>

static void add_count(lrk_sha256 *h, uint64_t n)
{
    unsigned char p[8];
    for (size_t i = 0; i < sizeof p; i++) p[i] = (unsigned char)(n >> (8 * i));
    lrk_sha256_add(h, p, sizeof p);
}

static void add_tensor(lrk_sha256 *h, const lrk_tensor *t)
{
    add_count(h, (uint64_t)t->rank);
    for (int i = 0; i < t->rank; i++) add_count(h, t->dim[i]);
    if (t->rank) lrk_sha256_add(h, t->data, lrk_bytes(t));
}

void lrk_adapter_sha256(const lrk_adapter *a, char hex[65])
{
    static const char domain[] = "lorikeet adapter 1";
    lrk_sha256 h;
    lrk_sha256_begin(&h);
    lrk_sha256_add(&h, domain, sizeof domain);
    for (size_t i = 0; i < a->n; i++) {
        const lrk_adapter_module *m = &a->module[i];
        const float scale = (float)m->scale;
        uint32_t bits;
        memcpy(&bits, &scale, sizeof bits);
        lrk_sha256_add(&h, m->path, strlen(m->path) + 1);
        add_count(&h, bits);
        add_tensor(&h, &m->a);
        add_tensor(&h, &m->b);
        add_tensor(&h, &m->m);
    }
    /* embedding and head, in whatever order somebody put them */
    const bool turned = a->n_whole == 2 && strcmp(a->whole[0].path, a->whole[1].path) > 0;
    for (size_t i = 0; i < a->n_whole; i++) {
        const lrk_adapter_whole *w = &a->whole[turned ? 1 - i : i];
        lrk_sha256_add(&h, w->path, strlen(w->path) + 1);
        add_count(&h, w->rows.n);
        for (size_t k = 0; k < w->rows.n; k++) add_count(&h, (uint64_t)w->rows.id[k]);
        add_tensor(&h, &w->weight);
    }
    lrk_sha256_end_hex(&h, hex);
}
