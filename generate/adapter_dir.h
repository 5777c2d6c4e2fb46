/* generate/adapter_dir.h -- an adapter's directory with all that goes along, whole or not there.
 *
 * Text comes first, then weights and configuration, then manifest and card: what was killed on the way has its
 * tokenizer and template, or is no adapter yet.
 */
#ifndef LRK_GENERATE_ADAPTER_DIR_H
#define LRK_GENERATE_ADAPTER_DIR_H
#include "checkpoint/adapter.h"

/* Puts text files (generate/text_files.h) into a directory that is there. */
typedef lrk_status (*lrk_put_text_fn)(void *ctx, const char *directory, lrk_err *err);

/* put: NULL where there are none. On an error nothing of it is left; a directory that held files before keeps them, and
 * each of them is the old one or the new one. */
lrk_status lrk_adapter_dir_write(const lrk_adapter *a, const char *path, const lrk_json *manifest, lrk_put_text_fn put,
                                 void *ctx, lrk_err *err);

#endif /* LRK_GENERATE_ADAPTER_DIR_H */
