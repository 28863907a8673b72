/* XXH3, compiled in: see hash.h. */
#include "journal/hash.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wpedantic"
#define XXH_INLINE_ALL
#include <xxhash.h>
#pragma GCC diagnostic pop

mp_digest mp_digest_of(const void *bytes, size_t size)
{
    mp_digest digest;
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, size));
    memcpy(digest.bytes, canonical.digest, sizeof digest.bytes);
    return digest;
}

uint64_t mp_journal_record_sum(const void *bytes, size_t size, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes, size, seed) & INT64_MAX;
}
