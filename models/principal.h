/* models/principal.h -- adapters that begin as a part of the weight, which is taken out of it.
 *
 *   W x = (W - s B0 A0) x + s B A x,   A = A0 and B = B0 at the start;  s: the adapter's scale
 *
 *   PiSSA    U S V^T the r largest triplets of W:   B0 = U sqrt(S / s),  A0 = sqrt(S / s) V^T
 *   OLoRA    Q R = W:                               B0 = the first r columns of Q, A0 = the first r rows of R
 *
 * PEFT writes W - s B0 A0 into the base. Here the base stays as it is stored, blocks of GGUF too, and a second pair
 * of matrices that nobody trains, A0 and -B0, stands beside it. What was learned, W' - W = s (B A - B0 A0), is a plain
 * adapter of rank 2 r on the unchanged base, [B, -B0] and [A; A0]: PEFT's path_initial_model_for_weight_conversion.
 *
 * The triplets come out of subspace iteration with a block of random vectors (Halko et al. 2011): products with W run
 * in f32, as those of a pass, from the stored type; the rest in f64. Signs of pairs are arbitrary, and mean nothing.
 * Where the r-th and the next value are so near that 256 rounds do not part them, either is as good and it stops.
 * Source: Meng et al. 2024 (PiSSA); Buyukakyuz 2024 (OLoRA).
 */
#ifndef LRK_MODELS_PRINCIPAL_H
#define LRK_MODELS_PRINCIPAL_H
#include "models/lora.h"

/* The part of a matrix as it is stored, in this process's memory. */
typedef struct lrk_principal {
    const char *path;         /* for messages */
    const lrk_tensor *weight; /* (out, in) */
    size_t rank;
    double scale;
    lrk_rng rng; /* where the search begins */
} lrk_principal;

/* A0 (r, in) and B0 (out, r). LRK_ENUMERIC where W has fewer than r independent columns; with `certain`, for who needs
 * the part that others take out, also where 1024 rounds of a search without a number of them do not part the values:
 * the product B0 A0 is then that of the exact triplets to some 1e-5 of the largest value, with which products in f32
 * blur it. */
lrk_status lrk_principal_part(const lrk_principal *p, const lrk_beginning *begin, bool certain, float *a, float *b,
                              lrk_err *err);

/* Fills A, B, A0 and -B0 of p, whose `stored` has data. */
lrk_status lrk_principal_start(lrk_projection *p, lrk_device device, const lrk_beginning *begin, uint64_t seed,
                               lrk_err *err);

#endif /* LRK_MODELS_PRINCIPAL_H */
