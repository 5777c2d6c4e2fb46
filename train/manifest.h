/* train/manifest.h -- what a run adds to the manifest of its outputs: training, data, recipe. */
#ifndef LRK_TRAIN_MANIFEST_H
#define LRK_TRAIN_MANIFEST_H
#include "generate/manifest.h"
#include "train/loop.h"

/*   "training": {"steps", "rows", "held_out_rows", "tokens", "trained_tokens", "first_loss", "last_loss",
 *                "eval_loss", "best_eval_loss", "seed", "compute", "device", "chat_template", "tokenizer_sha256"}
 *   "data": [{"path", "use": "training" or "evaluation", "split", "rows", "sha256"}]    rows of the file, held out too
 *   "recipe": {"sha256", "yaml"}
 *   "start": {"name", "sha256", ...}      the adapter that training began from, and what its manifest says of it
 * Losses are those of metrics.jsonl. *out is for the caller to free. */
lrk_status lrk_training_manifest(lrk_json **out, const lrk_training *t, const lrk_adapter *a,
                                 lrk_err *err);

#endif /* LRK_TRAIN_MANIFEST_H */
