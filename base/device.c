/* base/device.c -- the way to a device, and the processor itself as one. */
#include "base/device.h"

#include "base/log.h"
#include "base/size.h"
#include "base/threads.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

extern const lrk_device_backend lrk_cuda_backend __attribute__((weak));

const char *lrk_device_name(lrk_device d)
{
    static const char *const names[LRK_DEVICE_COUNT] = {"CPU", "CUDA"};
    return names[d];
}

bool lrk_device_built(lrk_device d) { return d == LRK_CPU || &lrk_cuda_backend != NULL; }

lrk_status lrk_device_open(lrk_device d, lrk_device_info *info, lrk_err *err)
{
    if (info) *info = (lrk_device_info){0};
    if (d == LRK_CPU) return LRK_OK;
    LRK_REQUIRE(err, lrk_device_built(d), LRK_EGPU,
                "device: cuda: this program was built without GPU kernels; build it where the CUDA "
                "toolkit is installed, or use device: cpu");
    return lrk_cuda_backend.open(info, err);
}

size_t lrk_device_keeps(lrk_device d)
{
    static size_t bytes;
    static bool known;
    const char *said = lrk_env("LRK_GPU_CACHE");
    lrk_device_info info;
    if (said) return (size_t)strtoull(said, NULL, 10);
    if (!known && lrk_device_open(d, &info, NULL) == LRK_OK) bytes = info.cache / 2;
    known = true;
    return bytes;
}

lrk_status lrk_arena_on(lrk_device d, lrk_arena *a, const char *name, size_t bytes, lrk_err *err)
{
    if (d == LRK_CPU) return lrk_arena_fixed(a, name, bytes, err);
    void *p = NULL;
    *a = (lrk_arena){.name = name};
    if (bytes == 0) return LRK_OK;
    LRK_TRY(lrk_cuda_backend.take(bytes, &p, name, err));
    a->base = p;
    a->capacity = bytes;
    a->give_back = lrk_cuda_backend.give_back;
    return LRK_OK;
}

lrk_status lrk_arena_pinned(lrk_device d, lrk_arena *a, const char *name, size_t bytes, lrk_err *err)
{
    LRK_ASSERT(d != LRK_CPU);
    *a = (lrk_arena){.name = name};
    if (bytes == 0) return LRK_OK;
    a->base = lrk_cuda_backend.pinned(bytes);
    LRK_REQUIRE(err, a->base, LRK_ENOMEM,
                "memory: no %.1f MB that a GPU can reach for '%s'", (double)bytes / 1e6, name);
    a->capacity = bytes;
    a->give_back = lrk_cuda_backend.unpin;
    return LRK_OK;
}

void lrk_device_put_aside(lrk_device d, void *pinned, const void *from, size_t bytes)
{
    LRK_ASSERT(d != LRK_CPU);
    lrk_cuda_backend.aside(pinned, from, bytes, false);
}

void lrk_device_bring_back(lrk_device d, void *to, const void *pinned, size_t bytes)
{
    LRK_ASSERT(d != LRK_CPU);
    lrk_cuda_backend.aside(to, pinned, bytes, true);
}

void lrk_device_rejoin(lrk_device d)
{
    LRK_ASSERT(d != LRK_CPU);
    lrk_cuda_backend.rejoin();
}

/* The next piece of a parcel of which `done` bytes are gone; false: there is none. Whole rows, but where rows have no
 * gaps: then any bytes. */
static bool next_piece(const lrk_parcel *p, size_t *done, lrk_parcel *piece)
{
    const size_t all = p->rows * p->row, left = all - *done;
    const char *from = (const char *)p->from + *done;
    if (!left) return false;
    if (p->apart == p->row) {
        const size_t n = lrk_min(LRK_SENT_AT_ONCE, left);
        *piece = (lrk_parcel){(char *)p->to + *done, from, 1, n, n};
    } else {
        LRK_ASSERT(p->row <= LRK_SENT_AT_ONCE);
        *piece = (lrk_parcel){(char *)p->to + *done / p->row * p->apart, from,
                              lrk_min(LRK_SENT_AT_ONCE / p->row, left / p->row), p->row, p->apart};
    }
    *done += piece->rows * piece->row;
    return true;
}

void lrk_device_upload_rows(lrk_device d, const lrk_parcel *p)
{
    lrk_parcel piece;
    LRK_ASSERT(d != LRK_CPU);
    for (size_t done = 0; next_piece(p, &done, &piece);) lrk_cuda_backend.upload(&piece);
}

void lrk_device_upload(lrk_device d, void *to, const void *from, size_t bytes)
{
    if (d == LRK_CPU)
        memcpy(to, from, bytes);
    else
        lrk_device_upload_rows(d, &(lrk_parcel){to, from, 1, bytes, bytes});
}

lrk_status lrk_device_download(lrk_device d, void *to, const void *from, size_t bytes, lrk_err *err)
{
    if (d == LRK_CPU) {
        memcpy(to, from, bytes);
        return LRK_OK;
    }
    lrk_cuda_backend.download(to, from, bytes);
    return lrk_cuda_backend.sync(err);
}

void lrk_device_copy(lrk_device d, void *to, const void *from, size_t bytes)
{
    if (d == LRK_CPU) {
        memmove(to, from, bytes);
        return;
    }
    /* pieces that do not overlap, from the lowest on */
    const uintptr_t low = (uintptr_t)to, high = (uintptr_t)from;
    const size_t piece = low < high && high - low < bytes ? high - low : bytes;
    for (size_t done = 0; done < bytes; done += piece)
        lrk_cuda_backend.copy((char *)to + done, (const char *)from + done,
                              lrk_min(piece, bytes - done));
}

void lrk_device_zero(lrk_device d, void *to, size_t bytes)
{
    if (d == LRK_CPU)
        memset(to, 0, bytes);
    else
        lrk_cuda_backend.zero(to, bytes);
}

lrk_status lrk_device_sync(lrk_device d, lrk_err *err)
{
    return d == LRK_CPU ? LRK_OK : lrk_cuda_backend.sync(err);
}

void lrk_device_record_begin(lrk_device d)
{
    LRK_ASSERT(d != LRK_CPU);
    lrk_cuda_backend.record_begin();
}

lrk_recording *lrk_device_record_end(lrk_device d)
{
    LRK_ASSERT(d != LRK_CPU);
    return lrk_cuda_backend.record_end();
}

void lrk_device_replay(lrk_device d, lrk_recording *r)
{
    LRK_ASSERT(d != LRK_CPU);
    lrk_cuda_backend.replay(r);
}

void lrk_device_forget(lrk_device d, lrk_recording *r)
{
    if (r && d != LRK_CPU) lrk_cuda_backend.forget(r);
}

struct lrk_mailbox {
    lrk_device device;
    size_t bytes, posted, taken;
    unsigned char *memory; /* LRK_POSTS letters */
};

lrk_status lrk_mailbox_new(lrk_device d, size_t bytes, lrk_mailbox **out, lrk_err *err)
{
    lrk_mailbox *b = lrk_heap_alloc(1, sizeof *b);
    *out = b;
    LRK_REQUIRE(err, b, LRK_ENOMEM, "memory: no room for results");
    b->device = d;
    b->bytes = bytes;
    b->memory = d == LRK_CPU ? lrk_heap_alloc(LRK_POSTS, bytes)
                             : lrk_cuda_backend.pinned(LRK_POSTS * bytes);
    LRK_REQUIRE(err, b->memory, LRK_ENOMEM, "memory: no room for results");
    return LRK_OK;
}

void lrk_mailbox_free(lrk_mailbox *b)
{
    if (!b) return;
    if (b->device == LRK_CPU)
        lrk_heap_free(b->memory);
    else if (b->memory)
        lrk_cuda_backend.unpin(b->memory);
    lrk_heap_free(b);
}

static unsigned char *letter(const lrk_mailbox *b, size_t n)
{
    return b->memory + n % LRK_POSTS * b->bytes;
}

void lrk_mailbox_post(lrk_mailbox *b, const void *from)
{
    LRK_ASSERT(lrk_mailbox_waiting(b) < LRK_POSTS);
    if (b->device == LRK_CPU)
        memcpy(letter(b, b->posted), from, b->bytes);
    else
        lrk_cuda_backend.post(letter(b, b->posted), from, b->bytes, (int)(b->posted % LRK_POSTS));
    b->posted++;
}

lrk_status lrk_mailbox_take(lrk_mailbox *b, void *to, lrk_err *err)
{
    LRK_ASSERT(lrk_mailbox_waiting(b));
    const int slot = (int)(b->taken % LRK_POSTS);
    if (b->device != LRK_CPU) {
        lrk_cuda_backend.arrived(slot);
        LRK_TRY(lrk_cuda_backend.failed(err));
    }
    memcpy(to, letter(b, b->taken++), b->bytes);
    return LRK_OK;
}

size_t lrk_mailbox_waiting(const lrk_mailbox *b)
{
    return b->posted - b->taken;
}

struct lrk_sending {
    const lrk_parcel *parcel;
    size_t n;
    atomic_bool stop;
    lrk_beside *thread;
};

static void send_all(void *ctx)
{
    lrk_sending *s = ctx;
    for (size_t i = 0; i < s->n; i++) {
        lrk_parcel piece;
        for (size_t done = 0; next_piece(&s->parcel[i], &done, &piece);)
            if (atomic_load(&s->stop) || !lrk_cuda_backend.send(&piece)) return;
    }
}

lrk_status lrk_send_begin(lrk_device d, const lrk_parcel *parcel, size_t n, lrk_sending **out, lrk_err *err)
{
    LRK_ASSERT(d != LRK_CPU);
    *out = NULL;
    LRK_TRY(lrk_cuda_backend.send_begin(err));
    lrk_sending *s = lrk_heap_alloc(1, sizeof *s);
    LRK_REQUIRE(err, s, LRK_ENOMEM, "memory: no room for copies to the GPU");
    s->parcel = parcel;
    s->n = n;
    const lrk_status status = lrk_beside_begin(send_all, s, &s->thread, err);
    if (status == LRK_OK)
        *out = s;
    else
        lrk_heap_free(s);
    return status;
}

void lrk_send_end(lrk_sending *s, bool stop)
{
    if (!s) return;
    if (stop) atomic_store(&s->stop, true);
    lrk_beside_end(s->thread);
    lrk_cuda_backend.send_end();
    lrk_heap_free(s);
}

void lrk_device_draw(lrk_device d, uint64_t seed, uint32_t step)
{
    if (d != LRK_CPU) lrk_cuda_backend.draw(seed, step);
}
