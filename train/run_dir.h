/* train/run_dir.h -- the directory of a run: who may write in it, and what lies where.
 *
 *   LOCK                          held while a process trains; names it
 *   recipe.resolved.yaml          the recipe with every default
 *   metrics.jsonl, loss.svg       what happened, as numbers and as a picture
 *   ckpt-00000120.safetensors     all that resuming after step 120 needs; a few of them
 *   best.json                     step and loss of the best evaluation so far
 *   adapter/, adapter.gguf, merged/, merged-q8_0.gguf, ollama-q8_0/   what the run was for, at its end
 *   certificate.json              how far merged models are from base + adapter
 */
#ifndef LRK_TRAIN_RUN_DIR_H
#define LRK_TRAIN_RUN_DIR_H
#include "base/arena.h"
#include "base/file.h"
#include "recipes/recipe.h"

#include <stdint.h>

#define LRK_RUN_RECIPE "recipe.resolved.yaml"
#define LRK_RUN_METRICS "metrics.jsonl"
#define LRK_RUN_CURVE "loss.svg"
#define LRK_RUN_BEST "best.json"
#define LRK_RUN_ADAPTER "adapter"
#define LRK_RUN_ADAPTER_GGUF "adapter.gguf"
#define LRK_RUN_MERGED "merged"
#define LRK_RUN_OLLAMA "ollama-" /* and a type: a bundle */

typedef struct lrk_run_dir {
    lrk_arena arena; /* of paths */
    const char *path;
    const char *metrics, *curve; /* paths of what is written at every step */
    lrk_lock lock;
    bool created; /* did not exist before */
    bool lock_new; /* neither did the lock file */
    bool fresh;   /* holds no run yet */
    bool begun;
} lrk_run_dir;

/* Makes the directory and takes its lock (LRK_ELOCKED names the holder). LRK_EUSAGE where it holds
 * anything and resume is false, or where it holds checkpoints or the adapter of a recipe that differs
 * in a key that matters, which is named. resume on an empty directory begins a run. Left-over temporary files are
 * removed. */
lrk_status lrk_run_dir_open(lrk_run_dir *d, const char *path, const lrk_recipe *recipe, bool resume,
                            lrk_err *err);

/* Right before the first step, when nothing that the recipe names can be missing any more: writes
 * the resolved recipe. */
lrk_status lrk_run_dir_begin(lrk_run_dir *d, const lrk_recipe *recipe, lrk_err *err);

/* Gives the lock back. A directory in which no run began is left as it was found. May be called
 * twice, and on a zeroed lrk_run_dir that never was opened. */
void lrk_run_dir_close(lrk_run_dir *d);

/* Path of a file in it; lives until close; NULL when memory is out. */
const char *lrk_run_dir_file(lrk_run_dir *d, const char *name);
const char *lrk_run_dir_checkpoint(lrk_run_dir *d, uint64_t step);

typedef struct lrk_checkpoint_file {
    uint64_t step;
    const char *path;
} lrk_checkpoint_file;

/* The checkpoints that are there, oldest first, in the arena of d; whether they are whole is for
 * their reader to say. */
lrk_status lrk_run_dir_checkpoints(lrk_run_dir *d, lrk_checkpoint_file **files, size_t *n,
                                   lrk_err *err);

/* Removes the oldest until `keep` (at least 2) are left, never that of the best step. To be called
 * after the newest has been written whole. */
lrk_status lrk_run_dir_rotate(lrk_run_dir *d, size_t keep, lrk_err *err);

/* best.json */
lrk_status lrk_run_dir_set_best(lrk_run_dir *d, uint64_t step, double eval_loss, lrk_err *err);
lrk_status lrk_run_dir_best(lrk_run_dir *d, bool *found, uint64_t *step, double *eval_loss,
                            lrk_err *err);

#endif /* LRK_TRAIN_RUN_DIR_H */
