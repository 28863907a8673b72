/* A growing piece of shared memory: a memfd behind one large reserved mapping.
 *
 * Forked processes inherit the mapping and see the growth without remapping.
 * Invariants: bytes [0, size) are allocated for certain (fallocate), so that
 * touching them cannot raise SIGBUS; one process at a time grows a region (its
 * writer); `base` never moves. Shared data holds offsets, never pointers. */
#ifndef MP_SHM_REGION_H
#define MP_SHM_REGION_H

#include "base/error.h"
#include "base/letter.h"

#include <stddef.h>

typedef struct mp_region {
    unsigned char *base; /* page-aligned; NULL while there is none */
    size_t reserved;     /* bytes of address space */
    size_t size;         /* bytes allocated, as far as this process knows */
    int fd;              /* the memfd (>= 3, close-on-exec), -1 once dropped */
} mp_region;

/* Makes a memfd called `name` (seen in /proc), reserves `reserve` bytes of
 * address space for it, and allocates the first `size` bytes, zeroed. Where
 * address space is short (RLIMIT_AS, valgrind) it reserves less, down to `least`,
 * and leaves the greater part of what there is to others.
 * Returns 0 or a negative errno with *error filled; nothing is left then. */
int mp_region_create(mp_region *r, const char *name, size_t reserve, size_t least, size_t size,
                     mp_error *error);

/* Puts what another process needs to have the same region into the letter. */
void mp_region_send(const mp_region *r, mp_letter *letter);

/* The region that comes next in the letter, at another address and as large. Returns 0 or a
 * negative errno with nothing left. */
int mp_region_receive(mp_region *r, mp_letter *letter, mp_error *error);

/* Makes sure that bytes [0, upto) are allocated. Grows by at least a step (it
 * doubles, by 16 MiB at most) where that can be had, so that repeated calls are
 * cheap. -ENOSPC, -ENOMEM (also: beyond the reservation), -EFBIG (RLIMIT_FSIZE:
 * no SIGXFSZ is ever delivered) when that cannot be had: the region is as it
 * was. Holds signals back for milliseconds. Only the writer may call it, and it
 * needs the descriptor (-EBADF). */
int mp_region_grow(mp_region *r, size_t upto, mp_error *error);

/* mp_region_grow, but free where enough is there. */
static inline int mp_region_ensure(mp_region *r, size_t upto, mp_error *error)
{
    return upto <= r->size ? 0 : mp_region_grow(r, upto, error);
}

/* Makes sure that [from, upto), whole pages, is allocated, zeroed where it was not; for a region
 * of pieces that several processes allocate and give back (mp_region_punch), whose `size` means
 * nothing. Returns 0 or a negative errno as mp_region_grow. */
int mp_region_fill(mp_region *r, size_t from, size_t upto, mp_error *error);

/* Gives the pages of [from, upto) back; they read as zeroes only once they are filled again. */
void mp_region_punch(mp_region *r, size_t from, size_t upto);

/* A new writer takes over: learns the size from the descriptor. */
int mp_region_take_over(mp_region *r, mp_error *error);

/* Gives the pages of [from, size) back to the system; size becomes `from`
 * rounded up to a page. Only the writer may call it; does nothing once the
 * descriptor is dropped. */
void mp_region_shrink(mp_region *r, size_t from);

/* Closes the descriptor and keeps the mapping (no growth from then on here). */
void mp_region_drop_fd(mp_region *r);

/* Unmaps and closes in this process. Safe on a zeroed region, twice too. */
void mp_region_destroy(mp_region *r);

#endif
