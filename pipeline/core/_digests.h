/* The two digests a card's row holds, of UTF-8 text: BLAKE2b (RFC 7693) of transaction ids, with a digest of eight bytes
   and no key, and zlib's CRC-32 of merchants. In C, as a Cython module has no constant tables. Little endian. */

#ifndef CARDWATCH_DIGESTS_H
#define CARDWATCH_DIGESTS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static const uint64_t blake_iv[8] = {
    0x6A09E667F3BCC908, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1,
    0x510E527FADE682D1, 0x9B05688C2B3E6C1F, 0x1F83D9ABFB41BD6B, 0x5BE0CD19137E2179,
};

static inline uint64_t turned(uint64_t x, int right) { return x >> right | x << (64 - right); }

#define MIX(a, b, c, d, x, y)                                                                                          \
    v[a] += v[b] + m[x], v[d] = turned(v[d] ^ v[a], 32), v[c] += v[d], v[b] = turned(v[b] ^ v[c], 24),                 \
    v[a] += v[b] + m[y], v[d] = turned(v[d] ^ v[a], 16), v[c] += v[d], v[b] = turned(v[b] ^ v[c], 63)

/* One round, its message words in the order of the RFC's SIGMA. */
#define ROUND(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15)                                    \
    MIX(0, 4, 8, 12, s0, s1), MIX(1, 5, 9, 13, s2, s3), MIX(2, 6, 10, 14, s4, s5), MIX(3, 7, 11, 15, s6, s7),          \
    MIX(0, 5, 10, 15, s8, s9), MIX(1, 6, 11, 12, s10, s11), MIX(2, 7, 8, 13, s12, s13), MIX(3, 4, 9, 14, s14, s15)

static void blake_block(uint64_t state[8], const uint8_t *block, uint64_t length, int last)
{
    uint64_t m[16], v[16];
    memcpy(m, block, sizeof m);
    memcpy(v, state, 64);
    memcpy(v + 8, blake_iv, 64);
    v[12] ^= length;
    if (last)
        v[14] = ~v[14];
    ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3);
    ROUND(11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4);
    ROUND(7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8);
    ROUND(9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13);
    ROUND(2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9);
    ROUND(12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11);
    ROUND(13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10);
    ROUND(6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5);
    ROUND(10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0);
    ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3);
    for (int word = 0; word < 8; word++)
        state[word] ^= v[word] ^ v[word + 8];
}

#undef ROUND
#undef MIX

static void blake2b_64(const char *text, size_t size, uint8_t digest[8])
{
    uint64_t state[8];
    uint8_t block[128] = {0};
    size_t done = 0;
    memcpy(state, blake_iv, sizeof state);
    state[0] ^= 0x01010008; /* plain hashing, no key, eight bytes */
    for (; size - done > 128; done += 128)
        blake_block(state, (const uint8_t *)text + done, done + 128, 0);
    memcpy(block, text + done, size - done);
    blake_block(state, block, size, 1);
    memcpy(digest, state, 8);
}

/* Four bits at a time: a merchant id is short, and a table of sixteen stays in the cache. */
static uint32_t zlib_crc32(const char *text, size_t size)
{
    static const uint32_t table[16] = {
        0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
        0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C, 0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C,
    };
    uint32_t crc = 0xFFFFFFFF;
    for (size_t at = 0; at < size; at++) {
        crc ^= (uint8_t)text[at];
        crc = table[crc & 15] ^ crc >> 4;
        crc = table[crc & 15] ^ crc >> 4;
    }
    return ~crc;
}

#endif
