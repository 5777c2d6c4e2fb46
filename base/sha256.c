/* base/sha256.c -- SHA-256, FIPS 180-4. */
#include "base/sha256.h"

#include <string.h>

static const uint32_t k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotate(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

/* What words a .. h become; those that do not change only turn places, which the caller does by their names. */
#define ROUND(a, b, c, d, e, f, g, h, input)                                                                    \
    do {                                                                                                        \
        const uint32_t t = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + (input); \
        d += t;                                                                                                 \
        h = t + (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));                 \
    } while (0)

static void compress(uint32_t state[8], const unsigned char block[64])
{
    uint32_t w[64];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        const uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
        const uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (int i = 0; i < 64; i += 8) {
        ROUND(a, b, c, d, e, f, g, h, k[i] + w[i]);
        ROUND(h, a, b, c, d, e, f, g, k[i + 1] + w[i + 1]);
        ROUND(g, h, a, b, c, d, e, f, k[i + 2] + w[i + 2]);
        ROUND(f, g, h, a, b, c, d, e, k[i + 3] + w[i + 3]);
        ROUND(e, f, g, h, a, b, c, d, k[i + 4] + w[i + 4]);
        ROUND(d, e, f, g, h, a, b, c, k[i + 5] + w[i + 5]);
        ROUND(c, d, e, f, g, h, a, b, k[i + 6] + w[i + 6]);
        ROUND(b, c, d, e, f, g, h, a, k[i + 7] + w[i + 7]);
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

void lrk_sha256_begin(lrk_sha256 *h)
{
    static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memcpy(h->state, start, sizeof start);
    h->bytes = 0;
}

void lrk_sha256_add(lrk_sha256 *h, const void *data, size_t n)
{
    const unsigned char *p = data;
    size_t held = (size_t)(h->bytes % 64);
    h->bytes += n;
    for (; held == 0 && n >= 64; p += 64, n -= 64) compress(h->state, p);
    while (n) {
        const size_t take = n < 64 - held ? n : 64 - held;
        memcpy(h->block + held, p, take);
        held += take;
        p += take;
        n -= take;
        if (held == 64) {
            compress(h->state, h->block);
            held = 0;
        }
    }
}

void lrk_sha256_end(lrk_sha256 *h, unsigned char digest[32])
{
    const uint64_t bits = h->bytes * 8;
    static const unsigned char pad[64] = {0x80};
    const size_t held = (size_t)(h->bytes % 64);
    lrk_sha256_add(h, pad, held < 56 ? 56 - held : 120 - held);
    unsigned char length[8];
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)(bits >> (56 - 8 * i));
    lrk_sha256_add(h, length, 8);
    for (int i = 0; i < 32; i++) digest[i] = (unsigned char)(h->state[i / 4] >> (24 - 8 * (i % 4)));
}

void lrk_hex(const unsigned char *bytes, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * n] = '\0';
}

void lrk_sha256_end_hex(lrk_sha256 *h, char hex[65])
{
    unsigned char digest[32];
    lrk_sha256_end(h, digest);
    lrk_hex(digest, sizeof digest, hex);
}

void lrk_sha256_hex(const void *data, size_t n, char hex[65])
{
    lrk_sha256 h;
    lrk_sha256_begin(&h);
    lrk_sha256_add(&h, data, n);
    lrk_sha256_end_hex(&h, hex);
}
