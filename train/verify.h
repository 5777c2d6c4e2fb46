/* train/verify.h -- recomputes what a golden directory records and reports the largest errors.
 *
 * A golden directory holds a tiny model with the numbers that a reference gave for it (tests/golden
 * says how such directories are made): config.json + model.safetensors or model.gguf, tokenizer.json
 * with text_cases.json and chat_cases.json, batch.json, adapter/, init/, final/, merged/,
 * expected.json and expected.safetensors; or index.json + vectors.safetensors for the decoders of
 * quantized types. What is not there is not checked; at least one thing has to be. What is there and is compared
 * with nothing is named: a row of the report that is not supported.
 */
#ifndef LRK_TRAIN_VERIFY_H
#define LRK_TRAIN_VERIFY_H
#include "base/device.h"
#include "base/json.h"
#include "checkpoint/adapter.h"

typedef struct lrk_check {
    const char *name;  /* "logits.adapter" */
    double error;      /* largest seen */
    double tolerance;
    double recorded;   /* the same error of the reference's own f32; 0: none is recorded */
    size_t compared;   /* numbers, ids or texts */
    const char *note;  /* where the largest error is, or what is not supported; may be NULL */
    bool unsupported;  /* recorded there, but beyond this version */
} lrk_check;

enum { LRK_MAX_CHECKS = 128 };

typedef struct lrk_report {
    lrk_check check[LRK_MAX_CHECKS];
    size_t n;
    lrk_device device; /* where models are computed; open */
    const lrk_json *f32_error; /* of expected.json, or NULL */
    lrk_arena arena;
} lrk_report;

/* The error holds what could not be done at all; a number beyond its tolerance is not an error of
 * this function: see lrk_report_status. */
lrk_status lrk_verify(const char *dir, lrk_device device, lrk_report *report, lrk_err *err);
void lrk_report_free(lrk_report *report);

/* LRK_ENUMERIC when a check exceeds its tolerance, else LRK_ESUPPORT when one is unsupported. */
lrk_status lrk_report_status(const lrk_report *report, lrk_err *err);

/* ---- for the parts of verify ---- */

/* The check of this name, made on first use; beyond LRK_MAX_CHECKS the last one, named "more", which is
 * not supported. */
lrk_check *lrk_report_check(lrk_report *report, const char *name, double tolerance);
/* How far a quantity may be off: by twice what the reference's own f32 was off, which f32_error has under `recorded`.
 * Where that was little by chance it counts as `floor`, what f32 costs there anyway. `most` is never passed, and stands
 * alone where nothing is recorded. docs/numerics.md has the figures. */
typedef struct lrk_limit {
    double most;
    const char *recorded;
    double floor;
} lrk_limit;
extern const lrk_limit lrk_limit_logits; /* of numbers whose largest is 1 */
extern const lrk_limit lrk_limit_hidden, lrk_limit_gradients, lrk_limit_start;
lrk_limit lrk_limit_loss(double want);
lrk_limit lrk_limit_norm(const lrk_report *report);
lrk_limit lrk_limit_train_loss(const lrk_report *report, const lrk_json *step); /* step: as recorded */
lrk_limit lrk_limit_train_norm(const lrk_report *report);
lrk_limit lrk_limit_final(const lrk_report *report, const lrk_json *expected, const lrk_adapter *trained);

/* The check of this name; of several limits the widest holds, as of several errors the largest. */
lrk_check *lrk_report_limit(lrk_report *report, const char *name, lrk_limit limit);

/* Keeps the largest error; a NaN counts as infinite. note is copied. */
void lrk_report_error(lrk_report *report, lrk_check *check, double error, const char *note);

/* A check that cannot be made: why is copied. */
void lrk_report_unsupported(lrk_report *report, const char *name, const char *why);

/* A tensor of a file of golden numbers, where they may be read in place: there, or in a copy. */
lrk_status lrk_report_view(lrk_report *report, const lrk_safetensors *file, const lrk_st_entry *entry,
                           lrk_tensor *out, lrk_err *err);

lrk_status lrk_verify_dequant(const char *dir, lrk_report *report, lrk_err *err);
lrk_status lrk_verify_text(const char *dir, lrk_report *report, lrk_err *err);
lrk_status lrk_verify_model(const char *dir, lrk_report *report, lrk_err *err);
/* Merges into a scratch directory and compares tensor by tensor with the model in dir. */
lrk_status lrk_verify_merge(const lrk_weights *base, const lrk_adapter *adapter, const char *dir,
                            lrk_report *report, lrk_err *err);

#endif /* LRK_TRAIN_VERIFY_H */
