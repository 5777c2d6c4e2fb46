/* base/clock.h -- time and the memory of this process. */
#ifndef LRK_BASE_CLOCK_H
#define LRK_BASE_CLOCK_H
#include <stddef.h>
#include <stdint.h>

double lrk_seconds(void);              /* monotonic */
double lrk_process_seconds(void);      /* since the process began */
void lrk_utc(char out[21]);            /* "2026-11-22T21:40:00Z" */
size_t lrk_memory_peak(void);          /* bytes resident at most so far, mapped files included */
size_t lrk_memory_now(void);           /* bytes resident now, mapped files included */
size_t lrk_memory_anonymous(void);     /* bytes resident now without mapped files */
/* Bytes of p[0..n) resident in this process, whole pages; 0 where the kernel does not tell. */
size_t lrk_memory_resident(const void *p, size_t n);
size_t lrk_memory_total(void);         /* bytes of RAM in the machine */
size_t lrk_memory_available(void);     /* of them, what programs can have without swapping */
void lrk_memory_return(void);          /* pages freed to the allocator go back to the system, where it can */

#endif /* LRK_BASE_CLOCK_H */
