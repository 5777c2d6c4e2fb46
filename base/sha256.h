/* base/sha256.h -- SHA-256 (FIPS 180-4), to name data sets, tokenizers, templates and bases. */
#ifndef LRK_BASE_SHA256_H
#define LRK_BASE_SHA256_H
#include <stddef.h>
#include <stdint.h>

typedef struct lrk_sha256 {
    uint32_t state[8];
    uint64_t bytes;
    unsigned char block[64];
} lrk_sha256;

void lrk_sha256_begin(lrk_sha256 *h);
void lrk_sha256_add(lrk_sha256 *h, const void *data, size_t n);
void lrk_sha256_end(lrk_sha256 *h, unsigned char digest[32]);

/* 64 hexadecimal digits and a NUL: of what was added, and of n bytes. */
void lrk_sha256_end_hex(lrk_sha256 *h, char hex[65]);
void lrk_sha256_hex(const void *data, size_t n, char hex[65]);
void lrk_hex(const unsigned char *bytes, size_t n, char *out /* 2n + 1 */);

#endif /* LRK_BASE_SHA256_H */
