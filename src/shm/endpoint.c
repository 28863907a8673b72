/* Ends of connections: see endpoint.h.
 *
 * A process keeps at most one copy of an end, however often it sends it, and uses its
 * cell once for that. */
#include "shm/endpoint.h"

#include "base/fd.h"
#include "base/memory.h"
#include "shm/session_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>

typedef struct copy {
    mp_cell_name name;
    int fd;
    unsigned pins;
} copy;

static struct {
    copy *all;
    unsigned n, room;
} kept;

typedef struct mp_sender sender;

static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER; /* of `kept` */

static void enter(void)
{
    pthread_mutex_lock(&guard);
}

static void leave(void)
{
    pthread_mutex_unlock(&guard);
}

static sender *find(mp_cell_name name, uint32_t member)
{
    mp_endpoint *e = mp_cell_content(name);
    for (int i = 0; i < MP_SENDERS; i++)
        if (mp_load_acquire(&e->senders[i].member) == member)
            return &e->senders[i];
    return NULL;
}

static sender *enlist(mp_cell_name name, uint32_t me)
{
    mp_endpoint *e = mp_cell_content(name);
    for (int i = 0; i < MP_SENDERS; i++) {
        sender *s = &e->senders[i];
        uint32_t now = mp_load_acquire(&s->member);
        if ((now != 0 && mp_session_alive(now)) || !mp_cas_u32(&s->member, now, me))
            continue;
        mp_store_relaxed(&s->under_way, 0);
        mp_store_release(&s->closed, 0);
        return s;
    }
    return NULL;
}

/* ---- who speaks ---- */

static bool speaks(mp_cell_name name, unsigned place)
{
    const sender *s = find(name, mp_session_at(place));
    return s == NULL || mp_load_acquire(&s->closed) == 0 || mp_load_acquire(&s->under_way) > 0;
}

bool mp_endpoint_is_spoken(mp_cell_name name)
{
    if (mp_cell_is_free(name))
        return false;
    for (unsigned place = 0; place < mp_session_places(); place++)
        if (mp_cell_is_used_at(name, place) && speaks(name, place))
            return true;
    sender *own = mp_session_own.self == 0 ? NULL : find(name, mp_session_own.self);
    return own != NULL && mp_load_acquire(&own->under_way) > 0;
}

/* ---- what is kept ---- */

static copy *copy_of(mp_cell_name name)
{
    for (unsigned i = 0; i < kept.n; i++)
        if (kept.all[i].name.index == name.index && kept.all[i].name.generation == name.generation)
            return &kept.all[i];
    return NULL;
}

bool mp_endpoint_is_here(mp_cell_name name)
{
    if (mp_cell_is_free(name))
        return false;
    enter();
    uint32_t copies = copy_of(name) != NULL;
    leave();
    return mp_cell_uses(name) > copies;
}

static void forget(copy *c)
{
    mp_cell_name name = c->name;
    mp_fd_close(&c->fd);
    *c = kept.all[--kept.n];
    mp_cell_drop(name);
}

static int keep(mp_cell_name name, int fd)
{
    if (kept.n == kept.room) {
        unsigned room = kept.room == 0 ? 8 : kept.room * 2;
        copy *all = mp_realloc(kept.all, room * sizeof *all);
        if (all == NULL)
            return -ENOMEM;
        kept.all = all;
        kept.room = room;
    }
    int mine = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (mine < 0)
        return -errno;
    if (!mp_cell_use(name)) {
        mp_fd_close(&mine);
        return -ENOMEM;
    }
    kept.all[kept.n++] = (copy){name, mine, 0};
    return 0;
}

void mp_endpoint_sweep(void)
{
    enter();
    for (unsigned i = 0; i < kept.n;) {
        const sender *s = find(kept.all[i].name, mp_session_own.self);
        if (kept.all[i].pins == 0 && (s == NULL || mp_load_acquire(&s->under_way) == 0))
            forget(&kept.all[i]);
        else
            i++;
    }
    leave();
}

static int send(mp_cell_name name, int fd, uint32_t me, unsigned *ticket, mp_error *error)
{
    sender *s = find(name, me);
    if (s == NULL)
        s = enlist(name, me);
    if (s == NULL)
        return mp_fail(error, -EUSERS, "more than %d processes have sent this connection",
                       MP_SENDERS);
    uint64_t under_way = mp_load_acquire(&s->under_way);
    if (under_way == UINT64_MAX)
        return mp_fail(error, -EAGAIN, "a connection was sent %d times and did not arrive",
                       MP_TICKETS);
    int status = copy_of(name) == NULL ? keep(name, fd) : 0;
    if (status < 0)
        return mp_fail(error, status, "cannot keep a connection that is sent");
    *ticket = (unsigned)__builtin_ctzll(~under_way);
    mp_store_release(&s->closed, 0);
    atomic_fetch_or_explicit(&s->under_way, UINT64_C(1) << *ticket, memory_order_acq_rel);
    return copy_of(name)->fd;
}

int mp_endpoint_send(mp_cell_name name, int fd, bool pin, unsigned *ticket, mp_error *error)
{
    uint32_t me = mp_session_self(error);
    if (me == 0)
        return -EUSERS;
    enter();
    int kept_fd = send(name, fd, me, ticket, error);
    if (kept_fd >= 0 && pin)
        copy_of(name)->pins++;
    leave();
    return kept_fd;
}

void mp_endpoint_unpin(mp_cell_name name)
{
    enter();
    copy *c = copy_of(name);
    if (c != NULL && c->pins > 0)
        c->pins--;
    leave();
}

void mp_endpoint_arrived(mp_cell_name name, uint32_t member, unsigned ticket)
{
    sender *s = find(name, member);
    if (s != NULL && ticket < MP_TICKETS)
        atomic_fetch_and_explicit(&s->under_way, ~(UINT64_C(1) << ticket), memory_order_acq_rel);
}

void mp_endpoint_opened(mp_cell_name name)
{
    sender *own = find(name, mp_session_own.self);
    if (own != NULL)
        mp_store_release(&own->closed, 0);
}

void mp_endpoint_closed(mp_cell_name name)
{
    enter();
    sender *own = mp_session_own.self == 0 ? NULL : find(name, mp_session_own.self);
    uint32_t others = copy_of(name) != NULL;
    if (own != NULL && mp_cell_uses(name) == 1 + others)
        mp_store_release(&own->closed, 1);
    leave();
}

void mp_endpoints_forked(void)
{
    pthread_mutex_init(&guard, NULL); /* another thread of the parent may have held it */
    while (kept.n > 0) {
        copy *c = &kept.all[--kept.n];
        mp_fd_close(&c->fd);
        mp_session_own.uses[c->name.index]--;
        mp_session_own.used -= mp_session_own.uses[c->name.index] == 0;
    }
}
