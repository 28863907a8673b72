/* The allocator of the task memory: see payload.h.
 *
 * The region is a row of units of 4 KiB, each with a private record. Runs of
 * units are either used or free; a free run says its length at both ends, so
 * that neighbours coalesce, and hangs in the list of its size class. What lies
 * behind `top` was never used or has come back to it: it is taken last and from
 * its beginning, so that memory used before is used again.
 *
 * Small pieces are cut one behind another from a page, a used run of 16 units,
 * which comes back whole when its last living piece is freed. */
#include "shm/payload.h"

#include "base/memory.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

enum {
    UNIT = 4096,
    PAGE_UNITS = 16,
    PAGE_BYTES = PAGE_UNITS * UNIT,
    SMALL_MAX = PAGE_BYTES / 4, /* larger pieces get a run of their own */
    ALIGN = 8,
    CLASSES = 32,
    TRIES = 8,             /* runs looked at in the class of the size asked for */
    IDLE_BYTES = 64 << 20, /* above this much, idle memory is given back */
    IDLE_OPENS = 4096,     /* when so many pieces did not need it */
    LEAST_RESERVE = 1 << 20,
};

#define RESERVE ((size_t)64 << 30)
#define NONE UINT32_MAX

enum { USED, FREE, PAGE };

typedef struct unit {
    uint32_t length;     /* at the first unit of a run, and at the last of a free one */
    uint32_t next, prev; /* free: neighbours in its class */
    uint32_t page;       /* of a page's unit: the page's first */
    uint32_t live;       /* at a page's first unit: living pieces */
    uint8_t kind;
} unit;

struct mp_payload {
    mp_region region;
    mp_buffer out; /* the open piece */
    unit *units;
    uint32_t room;           /* records that there is memory for */
    uint32_t top;            /* units behind this one are untouched or idle */
    uint32_t first[CLASSES]; /* free runs by the logarithm of their length */
    uint32_t page;           /* the page that pieces are cut from, NONE at first */
    size_t cursor;           /* bytes of it that are given away */
    uint32_t run;            /* the run that the open piece has for itself, or NONE */
    size_t used;
    uint32_t peak;         /* highest top since piece `epoch` */
    uint64_t opens, epoch; /* pieces so far */
};

static unsigned class_of(uint32_t length)
{
    return 31U - (unsigned)__builtin_clz(length);
}

static uint32_t units_of(size_t bytes)
{
    return (uint32_t)((bytes + UNIT - 1) / UNIT);
}

static unsigned char *at_unit(const mp_payload *p, uint32_t u)
{
    return p->region.base + (size_t)u * UNIT;
}

static void unlink_free(mp_payload *p, uint32_t u)
{
    unit *x = &p->units[u];
    if (x->prev != NONE)
        p->units[x->prev].next = x->next;
    else
        p->first[class_of(x->length)] = x->next;
    if (x->next != NONE)
        p->units[x->next].prev = x->prev;
}

static void link_free(mp_payload *p, uint32_t u, uint32_t length)
{
    uint32_t *first = &p->first[class_of(length)];
    p->units[u] = (unit){.length = length, .next = *first, .prev = NONE, .kind = FREE};
    p->units[u + length - 1].length = length;
    p->units[u + length - 1].kind = FREE;
    if (*first != NONE)
        p->units[*first].prev = u;
    *first = u;
}

static void mark_used(mp_payload *p, uint32_t u, uint32_t length)
{
    p->units[u].kind = USED;
    p->units[u].length = length;
    p->units[u + length - 1].kind = USED;
}

/* Makes a run free, or the top lower, together with its free neighbours. */
static void free_run(mp_payload *p, uint32_t u, uint32_t length)
{
    uint32_t end = u + length;
    if (p->units[u - 1].kind == FREE) {
        u -= p->units[u - 1].length;
        unlink_free(p, u);
    }
    if (end == p->top) {
        p->top = u;
        return;
    }
    if (p->units[end].kind == FREE) {
        uint32_t behind = end;
        end += p->units[end].length;
        unlink_free(p, behind);
    }
    link_free(p, u, end - u);
}

/* Uses the first `length` units of the free run u. */
static void take_free(mp_payload *p, uint32_t u, uint32_t length)
{
    uint32_t all = p->units[u].length;
    unlink_free(p, u);
    if (all > length)
        link_free(p, u + length, all - length);
    mark_used(p, u, length);
}

static uint32_t find_free(const mp_payload *p, uint32_t length)
{
    unsigned class = class_of(length);
    uint32_t u = p->first[class];
    for (int i = 0; i < TRIES && u != NONE; i++, u = p->units[u].next) {
        if (p->units[u].length >= length)
            return u;
    }
    while (++class < CLASSES) {
        if (p->first[class] != NONE)
            return p->first[class];
    }
    return NONE;
}

static int make_records(mp_payload *p, uint32_t upto)
{
    if (upto <= p->room)
        return 0;
    uint32_t room = p->room * 2 > upto ? p->room * 2 : upto;
    unit *units = mp_realloc(p->units, room * sizeof *units);
    if (units == NULL)
        return -ENOMEM;
    p->units = units;
    p->room = room;
    return 0;
}

/* Moves the top up to `upto`. */
static int raise_top(mp_payload *p, uint64_t upto, mp_error *error)
{
    if (upto > p->region.reserved / UNIT)
        return mp_fail(error, -ENOMEM, "task memory of %zu bytes is full", p->region.reserved);
    int status = make_records(p, (uint32_t)upto);
    if (status < 0)
        return mp_fail(error, status, "records of the task memory");
    status = mp_region_ensure(&p->region, (size_t)upto * UNIT, error);
    if (status < 0)
        return status;
    p->top = (uint32_t)upto;
    if (p->top > p->peak)
        p->peak = p->top;
    return 0;
}

/* Returns a used run of `length` units, or NONE with *error. */
static uint32_t take_run(mp_payload *p, uint32_t length, mp_error *error)
{
    uint32_t u = find_free(p, length);
    if (u != NONE) {
        take_free(p, u, length);
        return u;
    }
    u = p->top;
    if (raise_top(p, (uint64_t)u + length, error) < 0)
        return NONE;
    mark_used(p, u, length);
    return u;
}

/* Makes the used run u longer where it lies; false where that cannot be. */
static bool extend_run(mp_payload *p, uint32_t u, uint32_t length)
{
    uint32_t old = p->units[u].length;
    uint32_t end = u + old;
    if (end == p->top) {
        if (raise_top(p, (uint64_t)u + length, NULL) < 0)
            return false;
    } else if (p->units[end].kind == FREE && p->units[end].length >= length - old) {
        take_free(p, end, length - old);
    } else {
        return false;
    }
    mark_used(p, u, length);
    return true;
}

static int take_page(mp_payload *p, mp_error *error)
{
    uint32_t u = take_run(p, PAGE_UNITS, error);
    if (u == NONE)
        return -1;
    for (uint32_t i = u; i < u + PAGE_UNITS; i++)
        p->units[i] = (unit){.kind = PAGE, .page = u, .length = PAGE_UNITS};
    if (p->page != NONE && p->units[p->page].live == 0)
        free_run(p, p->page, PAGE_UNITS);
    p->page = u;
    p->cursor = 0;
    return 0;
}

static void lend_page(mp_payload *p)
{
    p->out.data = at_unit(p, p->page) + p->cursor;
    p->out.cap = PAGE_BYTES - p->cursor;
    p->run = NONE;
}

static void lend_run(mp_payload *p, uint32_t u)
{
    p->out.data = at_unit(p, u);
    p->out.cap = (size_t)p->units[u].length * UNIT;
    p->run = u;
}

static int grow_in_page(mp_payload *p, mp_error *error)
{
    const unsigned char *old = p->out.data;
    if (take_page(p, error) < 0)
        return error->code;
    lend_page(p);
    if (p->out.len > 0)
        memmove(p->out.data, old, p->out.len);
    return 0;
}

static int grow_in_run(mp_payload *p, size_t need, mp_error *error)
{
    const unsigned char *old = p->out.data;
    uint32_t old_run = p->run;
    uint32_t u = take_run(p, units_of(need), error);
    if (u == NONE)
        return error->code;
    lend_run(p, u);
    if (p->out.len > 0)
        memcpy(p->out.data, old, p->out.len);
    if (old_run != NONE)
        free_run(p, old_run, p->units[old_run].length);
    return 0;
}

/* More than is needed, so that many small steps copy little; the need itself
 * where that much cannot be had. */
static int grow_open(mp_buffer *b, size_t more)
{
    mp_payload *p = b->lender;
    mp_error error = {0};
    if (more > p->region.reserved)
        return -ENOMEM;
    size_t need = b->len + more;
    if (p->run == NONE && need <= SMALL_MAX)
        return grow_in_page(p, &error);
    size_t wish = need > 2 * b->cap || p->run == NONE ? need : 2 * b->cap;
    if (p->run != NONE &&
        (extend_run(p, p->run, units_of(wish)) || extend_run(p, p->run, units_of(need)))) {
        lend_run(p, p->run);
        return 0;
    }
    if (wish > need && grow_in_run(p, wish, &error) == 0)
        return 0;
    return grow_in_run(p, need, &error);
}

int mp_payload_create(mp_payload **payload, const char *name, mp_error *error)
{
    mp_payload *p = mp_calloc(1, sizeof *p);
    if (p == NULL)
        return mp_fail(error, -ENOMEM, "task memory");
    p->page = p->run = NONE;
    for (unsigned i = 0; i < CLASSES; i++)
        p->first[i] = NONE;
    int status =
        mp_region_create(&p->region, name, RESERVE, LEAST_RESERVE, UNIT + PAGE_BYTES, error);
    /* The first unit stays used: no piece has offset 0, and every run has one before it. */
    if (status == 0)
        status = raise_top(p, 1, error);
    if (status < 0) {
        mp_payload_destroy(p);
        return status;
    }
    mark_used(p, 0, 1);
    p->out.grow = grow_open;
    p->out.lender = p;
    *payload = p;
    return 0;
}

void mp_payload_destroy(mp_payload *p)
{
    if (p == NULL)
        return;
    mp_region_destroy(&p->region);
    mp_free(p->units);
    mp_free(p);
}

mp_region *mp_payload_region(mp_payload *p)
{
    return &p->region;
}

static void drop_open_run(mp_payload *p)
{
    if (p->run != NONE)
        free_run(p, p->run, p->units[p->run].length);
    p->run = NONE;
}

mp_buffer *mp_payload_open(mp_payload *p, mp_error *error)
{
    drop_open_run(p);
    p->opens++;
    if (p->page != NONE && p->units[p->page].live == 0)
        p->cursor = 0;
    if ((p->page == NONE || p->cursor == PAGE_BYTES) && take_page(p, error) < 0)
        return NULL;
    lend_page(p);
    p->out.len = 0;
    return &p->out;
}

static size_t rounded(size_t size)
{
    return size == 0 ? ALIGN : (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

static void keep_run(mp_payload *p)
{
    uint32_t length = p->units[p->run].length;
    uint32_t needed = units_of(rounded(p->out.len));
    mark_used(p, p->run, needed);
    if (needed < length)
        free_run(p, p->run + needed, length - needed);
    p->run = NONE;
}

uint64_t mp_payload_keep(mp_payload *p)
{
    uint64_t offset = (uint64_t)(p->out.data - p->region.base);
    size_t size = rounded(p->out.len);
    p->used += size;
    if (p->run != NONE) {
        keep_run(p);
    } else {
        p->cursor += size;
        p->units[p->page].live++;
    }
    p->out.data = NULL;
    p->out.len = p->out.cap = 0;
    return offset;
}

void mp_payload_trim(mp_payload *p, size_t keep)
{
    size_t top = (size_t)p->top * UNIT;
    mp_region_shrink(&p->region, top > keep ? top : keep);
}

/* Once in so many pieces, what none of them has needed. */
static void give_back_idle(mp_payload *p)
{
    if (p->opens - p->epoch < IDLE_OPENS)
        return;
    size_t peak = (size_t)p->peak * UNIT;
    if (p->region.size > peak + 2 * (size_t)IDLE_BYTES)
        mp_payload_trim(p, peak + IDLE_BYTES);
    p->epoch = p->opens;
    p->peak = p->top;
}

void mp_payload_free(mp_payload *p, uint64_t offset, size_t size)
{
    uint32_t u = (uint32_t)(offset / UNIT);
    p->used -= rounded(size);
    if (p->units[u].kind == PAGE) {
        uint32_t page = p->units[u].page;
        if (--p->units[page].live == 0 && page != p->page)
            free_run(p, page, PAGE_UNITS);
    } else {
        free_run(p, u, p->units[u].length);
    }
    give_back_idle(p);
}

size_t mp_payload_used(const mp_payload *p)
{
    return p->used;
}
