/* A checksum: tells damage from what was written, no more. */
#ifndef MP_BASE_CHECKSUM_H
#define MP_BASE_CHECKSUM_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { MP_CHECKSUM_SIZE = 8 };

/* Never 0. Each step is a bijection of the state, so that any change within
 * one word of eight bytes changes the sum. */
static inline uint64_t mp_checksum(const unsigned char *bytes, size_t size)
{
    uint64_t sum = UINT64_C(0x9E3779B97F4A7C15) ^ size;
    while (size > 0) {
        uint64_t word = 0;
        size_t n = size < sizeof word ? size : sizeof word;
        memcpy(&word, bytes, n);
        sum = (sum ^ le64toh(word)) * UINT64_C(0xD6E8FEB86659FD93);
        sum ^= sum >> 32;
        bytes += n;
        size -= n;
    }
    return sum != 0 ? sum : 1;
}

#endif
