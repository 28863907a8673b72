/* Looking at other processes' pools: see peek.h. */
#include "pool/peek.h"

#include <errno.h>
#include <unistd.h>

/* All of it, or nothing. */
static bool read_at(int fd, uint64_t at, void *bytes, size_t size)
{
    size_t got = 0;
    while (got < size && at <= INT64_MAX - size) {
        ssize_t n = pread(fd, (char *)bytes + got, size - got, (off_t)(at + got));
        if (n == 0 || (n < 0 && errno != EINTR))
            return false;
        got += n > 0 ? (size_t)n : 0;
    }
    return got == size;
}

static uint64_t waiting_in(const mp_control *c)
{
    uint64_t head = mp_load_relaxed(&c->ring.head), tail = mp_load_relaxed(&c->ring.tail);
    uint64_t most = mp_load_relaxed(&c->ring.slots);
    return tail <= head ? 0 : tail - head < most ? tail - head : most;
}

/* What stands in it before its layout is known. */
static int check_layout(const mp_control *c, mp_peek_pool *p)
{
    p->version = c->version;
    if (memcmp(c->magic, "moonpool", sizeof c->magic) != 0)
        return -EAGAIN;
    return c->version == MP_CONTROL_VERSION && c->seat_size == sizeof(mp_seat) ? 0 : -EPROTO;
}

int mp_peek_pool_read(int fd, mp_peek_pool *p)
{
    mp_control c;
    *p = (mp_peek_pool){.seats_fd = -1, .tasks_fd = -1};
    if (!read_at(fd, 0, &c, sizeof c))
        return -EAGAIN;
    int status = check_layout(&c, p);
    if (status < 0)
        return status;
    uint32_t seats = mp_load_relaxed(&c.seats);
    p->host_pid = c.host_pid;
    p->seats_fd = c.seats_fd;
    p->tasks_fd = c.tasks_fd;
    p->wanted = mp_load_relaxed(&c.wanted);
    p->method = mp_load_relaxed(&c.method);
    p->seats = seats < MP_SEATS_MAX ? seats : MP_SEATS_MAX;
    p->waiting = waiting_in(&c);
    return 0;
}

/* Whether there is a worker, or is to be one. */
static bool is_taken(const mp_peek_pool *p, const mp_seat *seat)
{
    uint32_t rank = mp_load_relaxed(&seat->rank);
    return mp_load_relaxed(&seat->incarnation) != 0 ||
           (rank != MP_NO_RANK && p->wanted > 0 && rank < (uint32_t)p->wanted);
}

/* What it runs of what it holds. Of a timed call it has entered when that began; of others only
 * when it took up all that it holds, which is the same of the first item of that. */
static void look_at_item(const mp_seat *seat, mp_peek_worker *w)
{
    int64_t began = mp_load_relaxed(&seat->began);
    w->item = mp_load_relaxed(&seat->begun_item);
    w->call = mp_load_relaxed(&seat->call);
    w->since = began != 0 ? began : mp_load_relaxed(&seat->busy_since);
    w->exact = began != 0 || w->begun == mp_load_relaxed(&seat->before) + 1;
    w->fraction = mp_seat_fraction(seat);
}

static void look_at(const mp_seat *seat, uint32_t number, mp_peek_worker *w)
{
    uint32_t held = mp_load_relaxed(&seat->held);
    *w = (mp_peek_worker){.seat = number,
                          .incarnation = mp_load_relaxed(&seat->incarnation),
                          .pid = mp_load_relaxed(&seat->pid),
                          .state = mp_seat_state(seat),
                          .paused = mp_load_relaxed(&seat->paused) != 0,
                          .errand = mp_load_relaxed(&seat->errand) != 0,
                          .begun = mp_load_relaxed(&seat->items),
                          .held = held <= MP_HOLD_MAX ? held : 0,
                          .fraction = -1};
    if (w->state == MP_WORKER_BUSY && mp_load_relaxed(&seat->aside) == 0 && !w->errand)
        look_at_item(seat, w);
}

unsigned mp_peek_workers_read(int fd, const mp_peek_pool *p, uint32_t from,
                              mp_peek_worker out[MP_PEEK_AT_ONCE], uint32_t *next)
{
    mp_seat seats[MP_PEEK_AT_ONCE];
    uint32_t left = p->seats > from ? p->seats - from : 0;
    uint32_t count = left < MP_PEEK_AT_ONCE ? left : MP_PEEK_AT_ONCE;
    unsigned n = 0;
    *next = p->seats;
    if (count == 0 || !read_at(fd, from * sizeof(mp_seat), seats, count * sizeof(mp_seat)))
        return 0;
    for (uint32_t i = 0; i < count; i++)
        if (is_taken(p, &seats[i]))
            look_at(&seats[i], from + i, &out[n++]);
    *next = from + count;
    return n;
}

size_t mp_peek_label_read(int fd, uint64_t call, char text[MP_LABEL_MOST])
{
    mp_call_block block;
    mp_label head;
    if (!read_at(fd, call, &block, sizeof block) || block.check != mp_call_block_check(&block) ||
        block.label == 0)
        return 0;
    uint64_t at = block.label - 1;
    if (!read_at(fd, at, &head, offsetof(mp_label, text)) || head.size > MP_LABEL_MOST ||
        !read_at(fd, at + offsetof(mp_label, text), text, head.size))
        return 0;
    return head.check == mp_checksum((const unsigned char *)text, head.size) ? head.size : 0;
}
