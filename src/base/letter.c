/* Letters: see letter.h. */
#include "base/letter.h"

#include "base/fd.h"
#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>

void mp_letter_init(mp_letter *l)
{
    *l = (mp_letter){.status = 0};
    mp_buffer_init_heap(&l->bytes);
}

void mp_letter_free(mp_letter *l)
{
    for (unsigned i = l->taken; l->received && i < l->fd_count; i++)
        mp_fd_close(&l->fds[i]);
    mp_free(l->fds);
    mp_buffer_free(&l->bytes);
    mp_letter_init(l);
}

/* ---- writing ---- */

static void put(mp_letter *l, const void *bytes, size_t n)
{
    if (l->status == 0)
        l->status = mp_buffer_append(&l->bytes, bytes, n);
}

void mp_letter_put_number(mp_letter *l, uint64_t number)
{
    put(l, &number, sizeof number);
}

void mp_letter_put_text(mp_letter *l, const void *bytes, size_t n)
{
    mp_letter_put_number(l, n);
    put(l, bytes, n);
}

static bool make_room(mp_letter *l)
{
    if (l->fd_count < l->fd_room)
        return true;
    unsigned room = l->fd_room == 0 ? 16 : l->fd_room * 2;
    int *fds = mp_realloc(l->fds, room * sizeof *fds);
    if (fds == NULL) {
        l->status = -ENOMEM;
        return false;
    }
    l->fds = fds;
    l->fd_room = room;
    return true;
}

void mp_letter_attach(mp_letter *l, int fd)
{
    if (l->status == 0 && make_room(l))
        l->fds[l->fd_count++] = fd;
}

void mp_letter_put_fd(mp_letter *l, int fd)
{
    mp_letter_put_number(l, fd >= 0);
    if (fd >= 0)
        mp_letter_attach(l, fd);
}

void mp_letter_append(mp_letter *l, const mp_letter *more)
{
    put(l, more->bytes.data, more->bytes.len);
    for (unsigned i = 0; i < more->fd_count; i++)
        mp_letter_attach(l, more->fds[i]);
    if (l->status == 0)
        l->status = more->status;
}

/* ---- reading ---- */

static const unsigned char *take(mp_letter *l, size_t n)
{
    if (l->status == 0 && n > l->bytes.len - l->read)
        l->status = -EBADMSG;
    if (l->status < 0)
        return NULL;
    const unsigned char *bytes = l->bytes.data + l->read;
    l->read += n;
    return bytes;
}

uint64_t mp_letter_take_number(mp_letter *l)
{
    uint64_t number = 0;
    const unsigned char *bytes = take(l, sizeof number);
    if (bytes != NULL)
        memcpy(&number, bytes, sizeof number);
    return number;
}

const char *mp_letter_take_text(mp_letter *l, size_t *n)
{
    *n = mp_letter_take_number(l);
    const unsigned char *bytes = take(l, *n);
    if (bytes == NULL)
        *n = 0;
    return bytes == NULL ? "" : (const char *)bytes;
}

void mp_letter_take_name(mp_letter *l, char *name, size_t room)
{
    size_t n;
    const char *text = mp_letter_take_text(l, &n);
    n = n < room ? n : room - 1;
    memcpy(name, text, n);
    name[n] = '\0';
}

int mp_letter_take_fd(mp_letter *l)
{
    if (mp_letter_take_number(l) == 0)
        return -1;
    if (l->taken == l->fd_count)
        l->status = -EBADMSG;
    return l->status < 0 ? -1 : l->fds[l->taken++];
}
