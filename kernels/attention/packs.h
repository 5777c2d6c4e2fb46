/* kernels/attention/packs.h -- attention's operands for x86 tile registers (kernels/gemm/amx.h).
 *
 * With scores transposed, keys down and query rows across, every product finds its operands in shape:
 *   S^T  = K Q^T           A: rows of K          B: rows of Q, turned once for the block
 *   dP^T = V dO^T          A: rows of V          B: rows of dO, turned once
 *   O^T  += V^T P^T        A: columns of V       B: rows of P^T as they come
 *   dQ^T += K^T dS^T       A: columns of K       B: rows of dS^T
 *   dV   += P^T dO         A: rows of P^T        B: rows of dO
 *   dK   += dS^T Q         A: rows of dS^T       B: rows of Q
 * K and V are packed once for the call, panel by panel; P and dS become bf16 on the way.
 */
#ifndef LRK_KERNELS_ATTENTION_PACKS_H
#define LRK_KERNELS_ATTENTION_PACKS_H
#include "kernels/attention/blocks.h"
#include "kernels/gemm/amx.h"

/* How a pack holds a panel: as it lies, or turned. */
typedef struct lrk_attention_pack {
    const lrk_tensor *from;
    bool turned;
    uint16_t *to;
} lrk_attention_pack;

/* Fills the packs and the tables of panels of this call. */
void lrk_attention_fill_packs(const lrk_call *c, const lrk_attention_memory *m,
                              const lrk_attention_pack *packs, size_t n_packs);

static inline size_t lrk_attention_panel_size(const lrk_attention_attr *a)
{
    return LRK_ATTENTION_KEYS * lrk_attention_width(a);
}

/* A panel of a pack, as operand A: rows of keys (width wide), or turned (keys wide). */
lrk_amx_strip lrk_attention_strip(const lrk_call *c, const lrk_attention_pack *pack, size_t panel,
                                  size_t kv_head);

/* rows x cols floats (+)= A B, both rounded up to tiles of 16; b in strips of 32 columns. */
void lrk_attention_product(size_t steps, lrk_amx_strip a, size_t rows, const uint16_t *b, size_t cols,
                           float *sums, size_t stride, bool add);

/* Operands B from `rows` rows (whole 32) of `cols` bf16 (whole 32), `stride` apart. turned: k runs
 * along the rows, columns are rows; else k runs down. */
void lrk_attention_operand(const uint16_t *src, size_t rows, size_t cols, bool turned, uint16_t *dst);

/* n x lanes floats to bf16, whole 32 rows, those behind n zero. */
void lrk_attention_round(const float *src, size_t n, size_t lanes, uint16_t *dst);

#endif /* LRK_KERNELS_ATTENTION_PACKS_H */
