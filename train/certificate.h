/* train/certificate.h -- what is known of the models that an adapter was merged into.
 *
 * certificate.json:
 *   {"format": "lorikeet-certificate", "version": 1, "program": {name, version},
 *    "reference": {"model", "adapter", "held_in": "nf4" where it was}, "rows", "tokens",
 *    "limits": {"max_kl", "min_top1"},
 *    "outputs": [{"path", "bytes", "merged", "carried", "change": [{"layer", "largest", "relative", "tensor"}],
 *                 "kl": {"mean", "p99", "max"}, "top1": {"value", "low", "high", "count", "of"},
 *                 "loss", "reference_loss", "kept"}]}
 *
 * bytes: of all tensors. merged, carried, change (checkpoint/merge.h) are known where the output was made now, or where
 * the certificate that this one replaces knew them; kl, top1 and the losses (train/fidelity.h) are absent where there
 * were no rows to measure on. Equal runs write equal files.
 */
#ifndef LRK_TRAIN_CERTIFICATE_H
#define LRK_TRAIN_CERTIFICATE_H
#include "checkpoint/merge.h"
#include "train/fidelity.h"

#define LRK_CERTIFICATE "certificate.json"

typedef struct lrk_output {
    const char *path, *name;   /* name: as the certificate has it */
    lrk_merge_report report;   /* merged 0: not known */
    uint64_t bytes;            /* set by lrk_certificate_look */
    bool measured, past_limit; /* set by lrk_certify */
    lrk_fidelity fidelity;
} lrk_output;

typedef struct lrk_certificate {
    const char *model, *adapter; /* the reference; adapter may be NULL */
    lrk_weight_bits bits;        /* as the adapter's training held the reference: a merge is into what is stored */
    lrk_device device;           /* open */
    const lrk_exam *exam;        /* NULL: nothing is measured */
    double max_kl, min_top1;     /* an output past one of them fails; 0: no limit */
    bool (*stop)(void);          /* may be NULL */
    lrk_output *output;
    size_t n;
} lrk_certificate;

/* Before anything is computed: adapter and outputs are there and can be opened, and what an output's manifest says of
 * the adapter in it, if anything, is that adapter, unless another one is wanted. LRK_EINPUT. */
lrk_status lrk_certificate_look(const lrk_certificate *c, bool any_adapter, lrk_err *err);

/* Opens the reference and each output in turn, and measures. */
lrk_status lrk_certify(const lrk_certificate *c, lrk_err *err);

/* A table, a line each. */
void lrk_certificate_table(const lrk_certificate *c, lrk_buf *out);
/* For the caller to free. */
lrk_json *lrk_certificate_json(const lrk_certificate *c);
/* Whole or not at all; says so where it replaces another one. */
lrk_status lrk_certificate_write(const lrk_certificate *c, const char *path, lrk_err *err);
/* The one that is there; *out NULL: none. LRK_EUSAGE where the file is something else. */
lrk_status lrk_certificate_load(lrk_json **out, const char *path, lrk_err *err);

/* LRK_ENUMERIC where an output is past a limit; the message names the worst and how to mend it. */
lrk_status lrk_certificate_check(const lrk_certificate *c, lrk_err *err);

#endif /* LRK_TRAIN_CERTIFICATE_H */
