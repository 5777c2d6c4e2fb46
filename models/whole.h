/* models/whole.h -- weights of the base that are trained whole beside adapters: embedding and head.
 *
 * PEFT's modules_to_save: an f32 copy stands for what is stored, begins as that and learns as adapters do. Of a tied
 * model one of them may be trained alone, or both apart, which cuts the tie: the other stays what it was. Trained
 * as one (PEFT's ensure_weight_tying) they stay tied, and the gradient is the sum of both uses'.
 *
 * Some rows alone (trainable_token_indices): the matrix stays frozen in the type it is stored in, the f32 copy is of
 * these rows, and nothing as large as the vocabulary is added to.
 * Source: huggingface/peft, utils/other.py, ModulesToSaveWrapper and TrainableTokensWrapper.
 */
#ifndef LRK_MODELS_WHOLE_H
#define LRK_MODELS_WHOLE_H
#include "base/device.h"
#include "base/row_list.h"
#include "base/tensor.h"
#include "models/decoder.h"

#include <stdbool.h>

/* PEFT's name of the head, whatever a model's files call its weight. */
#define LRK_HEAD_PATH "lm_head"

/* Bits. AS_ONE: tied models train one copy, whichever is named; it means nothing to others. */
enum { LRK_WHOLE_EMBEDDING = 1, LRK_WHOLE_HEAD = 2, LRK_WHOLE_AS_ONE = 4 };

/* Whether one copy stands for both. */
static inline bool lrk_whole_as_one(unsigned bits, bool tied)
{
    return tied && bits > LRK_WHOLE_AS_ONE;
}

typedef struct lrk_whole {
    const char *path;            /* of the module; static */
    bool head;                   /* else the embedding */
    lrk_tensor stored;           /* as the base has it, in this process's memory */
    lrk_tensor weight, gradient; /* f32 (V, C) or (N, C), in the model's vectors; gradient of rank 0 in inference */
    lrk_row_list rows;           /* n 0: all of them; owned by the model */
    lrk_tensor index;            /* i32 (N), the same numbers on the device; rank 0: all rows */
} lrk_whole;

/* The bit of the module that PEFT chooses by this name: one whose path in this model ends in it; and where models have
 * other names for the two, embed_tokens and lm_head say them too. 0: neither. */
unsigned lrk_whole_named(const lrk_decoder *d, const char *name);

/* weight becomes what is stored. */
lrk_status lrk_whole_start(const lrk_whole *w, lrk_device device, lrk_err *err);

#endif /* LRK_MODELS_WHOLE_H */
