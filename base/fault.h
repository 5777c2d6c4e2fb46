/* base/fault.h -- failures on demand, for the tests that break every allocation and every write.
 *
 * Compiled in with LRK_FAULTS (the dev preset); otherwise lrk_fault() is the constant false.
 * The environment variable LRK_FAULT="write:3" makes the third write fail, "write:3+" the third
 * and all later ones; kinds: alloc open read write sync rename. "kill" in place of a kind counts
 * open, write, sync and rename together and ends the process there, as kill -9 would.
 */
#ifndef LRK_BASE_FAULT_H
#define LRK_BASE_FAULT_H
#include <stdbool.h>

typedef enum lrk_fault_kind {
    LRK_FAULT_ALLOC,
    LRK_FAULT_OPEN,
    LRK_FAULT_READ,
    LRK_FAULT_WRITE,
    LRK_FAULT_SYNC,
    LRK_FAULT_RENAME,
    LRK_FAULT_COUNT
} lrk_fault_kind;

#ifdef LRK_FAULTS
bool lrk_fault(lrk_fault_kind kind); /* true: this operation must fail (errno is set) */
#else
static inline bool lrk_fault(lrk_fault_kind kind)
{
    (void)kind;
    return false;
}
#endif

#endif /* LRK_BASE_FAULT_H */
