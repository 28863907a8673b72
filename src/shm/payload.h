/* The task memory: bytes of items, of call blocks and of definitions, written
 * by the host and read by the workers, in one growing region.
 *
 * The host alone allocates and frees, in any order; all book-keeping is in its
 * private memory, so a dying worker can damage none of it. Small payloads are
 * cut from pages of 64 KiB that count their living pieces; what is larger gets
 * an extent of its own, coalesced when freed. Memory used before is preferred;
 * only what is large and idle at the end is given back.
 * Offsets are from the region's base, never 0, and 8-byte aligned. */
#ifndef MP_SHM_PAYLOAD_H
#define MP_SHM_PAYLOAD_H

#include "base/buffer.h"
#include "shm/region.h"

#include <stdint.h>

typedef struct mp_payload mp_payload;

/* Makes the region (memfd `name`) and its allocator. */
int mp_payload_create(mp_payload **payload, const char *name, mp_error *error);
void mp_payload_destroy(mp_payload *p);
mp_region *mp_payload_region(mp_payload *p);

/* Opens a piece whose size is not known yet: an empty buffer that grows in
 * place or moves (copying what is written); its grow gives -ENOSPC, -ENOMEM or
 * -EFBIG. One piece is open at a time; an
 * open piece that is opened again, or dropped, is simply forgotten.
 * NULL with *error where not even a small piece can be had. */
mp_buffer *mp_payload_open(mp_payload *p, mp_error *error);

/* Keeps the open piece with its present length; returns its offset. */
uint64_t mp_payload_keep(mp_payload *p);

/* Frees a kept piece of `size` bytes at `offset`. */
void mp_payload_free(mp_payload *p, uint64_t offset, size_t size);

/* Gives back idle memory at the end beyond `keep` bytes: for a host that goes
 * idle. What was large and idle for thousands of pieces goes back by itself. */
void mp_payload_trim(mp_payload *p, size_t keep);

/* Bytes kept now, for back-pressure. */
size_t mp_payload_used(const mp_payload *p);

#endif
