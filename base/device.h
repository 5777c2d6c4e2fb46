/* base/device.h -- where numbers lie and kernels run: this processor, or one NVIDIA GPU.
 *
 * Memory of a device is one piece for each arena (lrk_arena_on). All work for a device, kernels and
 * copies alike, is done in the order in which it was asked for; on the GPU it is only queued, and
 * the calls return at once. What waits: lrk_device_download and lrk_device_sync. Only copies that say so
 * (lrk_send_begin, lrk_device_put_aside) go beside it.
 *
 * Errors of a GPU come late and stay: the first one is kept, everything after it does nothing, and
 * the next lrk_device_sync or lrk_device_download reports it (LRK_EGPU). A process that saw one
 * ends.
 *
 * The GPU's side is base/device_cuda.cu. It is linked where the program was built with CUDA; where
 * it is not, lrk_device_open says so, and plans for a GPU can be made all the same.
 */
#ifndef LRK_BASE_DEVICE_H
#define LRK_BASE_DEVICE_H
#include "base/arena.h"

#include <stdint.h>

typedef enum lrk_device { LRK_CPU, LRK_CUDA, LRK_DEVICE_COUNT } lrk_device;

/* What a GPU is, for reports and plans. */
typedef struct lrk_device_info {
    char name[128];
    int chip;            /* 90 for compute capability 9.0 */
    int driver, runtime; /* 13000 for 13.0; driver: the newest CUDA it knows */
    int processors;      /* multiprocessors */
    size_t cache;        /* bytes of the second-level cache */
    size_t memory, free; /* bytes */
} lrk_device_info;

const char *lrk_device_name(lrk_device d); /* "CPU", "CUDA" */

/* Whether the program was built with kernels for it. */
bool lrk_device_built(lrk_device d);

/* Makes the device ready; may be called again. LRK_EGPU: not built in, no driver, no GPU, or one
 * that is too old; the message says which and how to mend it. info may be NULL. */
lrk_status lrk_device_open(lrk_device d, lrk_device_info *info, lrk_err *err);

/* Bytes that are likely to be in the cache of an open GPU when they are read again: half of its second level; or
 * LRK_GPU_CACHE=BYTES, to measure what depends on it. */
size_t lrk_device_keeps(lrk_device d);

/* A fixed arena in the memory of an open device; lrk_arena_free gives it back. */
lrk_status lrk_arena_on(lrk_device d, lrk_arena *a, const char *name, size_t bytes, lrk_err *err);

/* What goes to the device: rows of `row` bytes, one behind the other here and `apart` bytes apart there. */
typedef struct lrk_parcel {
    void *to;
    const void *from;
    size_t rows, row, apart;
} lrk_parcel;

/* Copies between this process's memory and the device's, and within the device's. upload has read
 * `from` when it returns; download waits for its bytes. */
void lrk_device_upload(lrk_device d, void *to, const void *from, size_t bytes);
void lrk_device_upload_rows(lrk_device d, const lrk_parcel *p);
lrk_status lrk_device_download(lrk_device d, void *to, const void *from, size_t bytes,
                               lrk_err *err);
void lrk_device_copy(lrk_device d, void *to, const void *from, size_t bytes); /* overlaps: down */
void lrk_device_zero(lrk_device d, void *to, size_t bytes);

/* Many copies to the device by a thread of their own, beside what the caller does: what is read, from the
 * disk too where a file is mapped, goes through two pieces of pinned memory in turns and up on a stream of
 * its own. Nobody asks the device for anything meanwhile. end waits until all is read, or, with `stop`, for
 * the piece under way; whatever is asked for after it comes after the copies. `parcel` lives as long.
 * Errors: LRK_EGPU where there is no pinned memory, LRK_ENOMEM; those of the copies are the device's. */
typedef struct lrk_sending lrk_sending;
lrk_status lrk_send_begin(lrk_device d, const lrk_parcel *parcel, size_t n, lrk_sending **out, lrk_err *err);
void lrk_send_end(lrk_sending *s, bool stop); /* NULL is fine */

/* A fixed arena in pinned memory of this process, which a GPU reads and writes beside its work. LRK_ENOMEM:
 * there is not as much. Not on the CPU. */
lrk_status lrk_arena_pinned(lrk_device d, lrk_arena *a, const char *name, size_t bytes, lrk_err *err);

/* Copies between the device's memory and a pinned arena, on a stream of their own: each begins when what
 * was asked for before it is done, and goes on beside what is asked for after it, until rejoin, behind which
 * everything waits for them. Every copy is rejoined. They may be recorded. */
void lrk_device_put_aside(lrk_device d, void *pinned, const void *from, size_t bytes);
void lrk_device_bring_back(lrk_device d, void *to, const void *pinned, size_t bytes);
void lrk_device_rejoin(lrk_device d);

/* Waits for everything asked for so far; reports the first error. */
lrk_status lrk_device_sync(lrk_device d, lrk_err *err);

/* Work written down once and done many times, with one call for thousands of kernels. Between begin
 * and end, what is asked for is recorded instead of done: kernels, copies within the device and aside, zeros,
 * with the addresses and sizes they have now. Nothing else may be asked for meanwhile. end gives NULL
 * where that did not succeed; what was recorded was not done then either. The CPU records nothing. */
typedef struct lrk_recording lrk_recording;
void lrk_device_record_begin(lrk_device d);
lrk_recording *lrk_device_record_end(lrk_device d);
void lrk_device_replay(lrk_device d, lrk_recording *r);
void lrk_device_forget(lrk_device d, lrk_recording *r); /* NULL is fine */

/* Results that are read later, so that nobody waits for the device after every step. post asks for a
 * copy of `bytes` as they are when everything asked for before is done; take waits for the oldest post
 * that was not taken. At most LRK_POSTS are under way. The box belongs to the caller. */
enum { LRK_POSTS = 2 };
typedef struct lrk_mailbox lrk_mailbox;
lrk_status lrk_mailbox_new(lrk_device d, size_t bytes, lrk_mailbox **out, lrk_err *err);
void lrk_mailbox_free(lrk_mailbox *b); /* NULL is fine */
void lrk_mailbox_post(lrk_mailbox *b, const void *from);
lrk_status lrk_mailbox_take(lrk_mailbox *b, void *to, lrk_err *err);
size_t lrk_mailbox_waiting(const lrk_mailbox *b); /* posts that were not taken */

/* Seed and step (base/rng.h) that kernels draw with from now on. A recording draws with those that hold
 * when it is replayed: what was in lrk_rng when it was made is forgotten, but for the site. A kernel
 * that runs at once takes all from its lrk_rng. The CPU does always; there nothing happens here. */
void lrk_device_draw(lrk_device d, uint64_t seed, uint32_t step);

/* Bytes that one call of `send` or `upload` takes at most. */
enum { LRK_SENT_AT_ONCE = 4 << 20 };

/* What a device does; base/device_cuda.cu has the GPU's. */
typedef struct lrk_device_backend {
    lrk_status (*open)(lrk_device_info *info, lrk_err *err);
    lrk_status (*take)(size_t bytes, void **out, const char *what, lrk_err *err);
    void (*give_back)(void *p);
    void (*upload)(const lrk_parcel *piece);
    void (*download)(void *to, const void *from, size_t bytes);
    void (*copy)(void *to, const void *from, size_t bytes);
    void (*zero)(void *to, size_t bytes);
    lrk_status (*sync)(lrk_err *err);   /* waits, then as failed */
    lrk_status (*failed)(lrk_err *err); /* the first error so far */
    void (*record_begin)(void);
    lrk_recording *(*record_end)(void);
    void (*replay)(lrk_recording *r);
    void (*forget)(lrk_recording *r);
    void *(*pinned)(size_t bytes); /* memory of this process for late copies; NULL: none left */
    void (*unpin)(void *p);
    void (*post)(void *to, const void *from, size_t bytes, int slot); /* slot < LRK_POSTS */
    void (*arrived)(int slot); /* waits for that copy */
    void (*draw)(uint64_t seed, uint32_t step);
    lrk_status (*send_begin)(lrk_err *err);
    bool (*send)(const lrk_parcel *piece); /* false: the copies failed */
    void (*send_end)(void);
    void (*aside)(void *to, const void *from, size_t bytes, bool up);
    void (*rejoin)(void);
} lrk_device_backend;

#endif /* LRK_BASE_DEVICE_H */
