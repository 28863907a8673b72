/* The hashes that journals hold (XXH3, xxhash.com: specified, stable from 0.8.0 on). */
#ifndef MP_JOURNAL_HASH_H
#define MP_JOURNAL_HASH_H

#include "journal/record.h"

/* 128 bits that stand for the bytes. */
mp_digest mp_digest_of(const void *bytes, size_t size);

/* The checksum of a record's body: 63 bits, which every reader of CBOR can take. */
uint64_t mp_journal_record_sum(const void *bytes, size_t size, uint64_t seed);

#endif
