/* Growing shared memory: see region.h.
 *
 * A tmpfs file's size only ever follows pages that it has (fallocate sets it
 * last, and undoes what it did where it fails), so the size alone says what may
 * be touched, to a process that takes the region over as well. */
#include "shm/region.h"

#include "base/failpoint.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U /* Linux 6.3; some systems refuse memfds without it */
#endif

enum {
    PAGE = 4096,
    STEP_MIN = 64 << 10,
    STEP_MAX = 64 << 20,  /* bytes in one call of the kernel */
    AHEAD_MAX = 16 << 20, /* beyond what was asked for */
    AS_SHARE = 32,        /* of a limited address space a region asks for this part at most, */
    LEFT_SHARE = 8,       /* and for this part of what it could have where it is short */
};

static size_t round_to_page(size_t n)
{
    return (n + PAGE - 1) & ~(size_t)(PAGE - 1);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static int open_memfd(const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(name, MFD_CLOEXEC);
    return mp_fd_lift(fd);
}

/* Taking all that RLIMIT_AS leaves would make the next malloc fail instead. */
static size_t modest(size_t reserve)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return reserve;
    return smaller(reserve, round_to_page((size_t)(limit.rlim_cur / AS_SHARE)));
}

static void *map_bytes(const mp_region *r, size_t n)
{
    return mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, r->fd, 0);
}

/* Where so much is refused that it must be halved, others need what is left: of
 * that it takes a part. */
static int map(mp_region *r, size_t reserve, size_t least)
{
    size_t first = larger(modest(reserve), least), want = first;
    void *base = map_bytes(r, want);
    while (base == MAP_FAILED && want > least) {
        want = larger(round_to_page(want / 2), least);
        base = map_bytes(r, want);
    }
    if (base == MAP_FAILED)
        return -errno;
    size_t part = larger(round_to_page(want / LEFT_SHARE), least);
    if (want < first && part < want) {
        munmap((unsigned char *)base + part, want - part);
        want = part;
    }
    r->base = base;
    r->reserved = want;
    return 0;
}

typedef struct piece {
    int fd;
    size_t from, upto;
} piece;

static int allocate_piece(void *ctx)
{
    const piece *p = ctx;
    int status;
    do
        status = fallocate(p->fd, 0, (off_t)p->from, (off_t)(p->upto - p->from)) == 0 ? 0 : -errno;
    while (status == -EINTR);
    return status;
}

/* With all signals held back: a timer that ticks would make a long one start over for ever. */
static int allocate(int fd, size_t from, size_t upto)
{
    return mp_fd_lengthen(true, allocate_piece, &(piece){fd, from, upto});
}

/* In pieces, so that signals do not wait long. */
static int grow_to(mp_region *r, size_t upto)
{
    size_t at = r->size;
    int status = 0;
    while (at < upto && status == 0) {
        size_t next = smaller(upto, at + STEP_MAX);
        status = allocate(r->fd, at, next);
        at = status == 0 ? next : at;
    }
    if (status == 0)
        r->size = upto;
    else if (at > r->size && ftruncate(r->fd, (off_t)r->size) != 0)
        r->size = at;
    return status;
}

int mp_region_create(mp_region *r, const char *name, size_t reserve, size_t least, size_t size,
                     mp_error *error)
{
    *r = (mp_region){.fd = open_memfd(name)};
    if (r->fd < 0)
        return mp_fail(error, -errno, "memfd_create %s", name);
    least = round_to_page(larger(least, size));
    int status = map(r, round_to_page(reserve), least);
    if (status < 0)
        mp_fail(error, status, "mmap of %zu bytes of address space for %s", least, name);
    else if ((status = MP_FAILPOINT_ERROR("region.create") ? -ENOMEM
                                                           : grow_to(r, round_to_page(size))) < 0)
        mp_fail(error, status, "fallocate of %zu bytes for %s", size, name);
    if (status < 0)
        mp_region_destroy(r);
    return status;
}

void mp_region_send(const mp_region *r, mp_letter *letter)
{
    mp_letter_put_number(letter, r->reserved);
    mp_letter_put_fd(letter, r->fd);
}

int mp_region_receive(mp_region *r, mp_letter *letter, mp_error *error)
{
    size_t reserved = mp_letter_take_number(letter);
    *r = (mp_region){.fd = mp_letter_take_fd(letter), .reserved = reserved};
    int status = letter->status == 0 && r->fd < 0 ? -EBADMSG : letter->status;
    if (status == 0)
        status = mp_region_take_over(r, error);
    if (status == 0) {
        void *base = map_bytes(r, reserved);
        status = base == MAP_FAILED ? -errno : 0;
        r->base = base == MAP_FAILED ? NULL : base;
    }
    if (status < 0) {
        mp_region_destroy(r);
        return mp_fail(error, status, "cannot share %zu bytes of address space", reserved);
    }
    return 0;
}

static size_t generous(const mp_region *r, size_t upto)
{
    size_t step = r->size < STEP_MIN ? STEP_MIN : smaller(r->size, AHEAD_MAX);
    return smaller(r->reserved, larger(r->size + step, upto));
}

int mp_region_grow(mp_region *r, size_t upto, mp_error *error)
{
    if (MP_FAILPOINT_ERROR("region.grow"))
        return mp_fail(error, -ENOMEM, "fallocate of shared memory");
    if (upto > r->reserved)
        return mp_fail(error, -ENOMEM, "shared memory of %zu bytes cannot grow to %zu", r->reserved,
                       upto);
    if (r->fd < 0)
        return mp_fail(error, -EBADF, "shared memory without a descriptor cannot grow");
    upto = round_to_page(upto);
    size_t wish = generous(r, upto);
    int status = grow_to(r, wish);
    if (status < 0 && wish > upto)
        status = grow_to(r, upto);
    if (status < 0)
        return mp_fail(error, status, "fallocate of %zu bytes of shared memory", upto);
    return 0;
}

int mp_region_fill(mp_region *r, size_t from, size_t upto, mp_error *error)
{
    int status = upto > r->reserved || MP_FAILPOINT_ERROR("region.fill") ? -ENOMEM : 0;
    for (size_t at = from; at < upto && status == 0; at += STEP_MAX)
        status = allocate(r->fd, at, smaller(upto, at + STEP_MAX));
    if (status < 0)
        mp_fail(error, status, "fallocate of %zu bytes of shared memory", upto - from);
    return status;
}

void mp_region_punch(mp_region *r, size_t from, size_t upto)
{
    fallocate(r->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(upto - from));
}

int mp_region_take_over(mp_region *r, mp_error *error)
{
    struct stat st;
    if (fstat(r->fd, &st) != 0)
        return mp_fail(error, -errno, "fstat of shared memory");
    r->size = (size_t)st.st_size;
    return 0;
}

void mp_region_shrink(mp_region *r, size_t from)
{
    from = round_to_page(from);
    if (from < r->size && r->fd >= 0 && ftruncate(r->fd, (off_t)from) == 0)
        r->size = from;
}

void mp_region_drop_fd(mp_region *r)
{
    mp_fd_close(&r->fd);
}

void mp_region_destroy(mp_region *r)
{
    if (r->base == NULL && r->reserved == 0 && r->fd == 0)
        return;
    if (r->base != NULL)
        munmap(r->base, r->reserved);
    mp_fd_close(&r->fd);
    *r = (mp_region){.fd = -1};
}
