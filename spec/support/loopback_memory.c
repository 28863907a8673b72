/* The loopback's task memory: see loopback.h. Each piece is malloc'ed for itself, and
 * whoever uses one that is gone, or keeps none, ends the spec. */
#include "spec/support/loopback_inner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static loopback *self(mp_transport *t)
{
    return (loopback *)(void *)t;
}

static void misuse(const char *what, uint64_t at)
{
    fprintf(stderr, "loopback: %s at %llx\n", what, (unsigned long long)at);
    abort();
}

static int grow_piece(mp_buffer *b, size_t more)
{
    loopback *l = b->lender;
    if (l->refuse_grow != 0 && --l->refuse_grow == 0)
        return -ENOSPC;
    size_t cap = b->len + more + 16;
    unsigned char *data = realloc(b->data, cap);
    if (data == NULL)
        return -ENOMEM;
    b->data = data;
    b->cap = cap;
    return 0;
}

mp_buffer *loopback_open(mp_transport *t, mp_error *error)
{
    loopback *l = self(t);
    if (l->refuse_open != 0 && --l->refuse_open == 0) {
        mp_fail(error, -ENOSPC, "task memory");
        return NULL;
    }
    free(l->inner->out.data);
    l->inner->out = (mp_buffer){.grow = grow_piece, .lender = l};
    l->inner->opened = true;
    return &l->inner->out;
}

uint64_t loopback_keep(mp_transport *t)
{
    loopback *l = self(t);
    struct loopback_inner *in = l->inner;
    if (!in->opened)
        misuse("nothing open to be kept", 0);
    if (in->piece_count == in->piece_room) {
        in->piece_room = in->piece_room != 0 ? in->piece_room * 2 : 64;
        in->pieces = realloc(in->pieces, in->piece_room * sizeof *in->pieces);
    }
    size_t size = in->out.len;
    unsigned char *data = malloc(size != 0 ? size : 1);
    if (in->pieces == NULL || data == NULL)
        abort();
    if (size != 0)
        memcpy(data, in->out.data, size);
    free(in->out.data);
    in->out = (mp_buffer){.grow = grow_piece, .lender = l};
    in->opened = false;
    in->pieces[in->piece_count] = (piece){data, size};
    l->pieces++;
    l->bytes += size;
    return (uint64_t)++in->piece_count << 32;
}

static piece *piece_at(loopback *l, uint64_t at)
{
    uint64_t number = at >> 32;
    if (number == 0 || number > l->inner->piece_count)
        misuse("no piece", at);
    piece *p = &l->inner->pieces[number - 1];
    if (p->data == NULL)
        misuse("a dropped piece", at);
    return p;
}

void loopback_drop(mp_transport *t, uint64_t at, size_t size)
{
    loopback *l = self(t);
    piece *p = piece_at(l, at);
    if (p->size != size || (uint32_t)at != 0)
        misuse("a piece dropped in part", at);
    free(p->data);
    p->data = NULL;
    l->pieces--;
    l->bytes -= size;
}

size_t loopback_kept(mp_transport *t)
{
    return self(t)->bytes;
}

unsigned char *loopback_bytes(mp_transport *t, uint64_t at)
{
    piece *p = piece_at(self(t), at);
    if ((uint32_t)at > p->size)
        misuse("beyond a piece", at);
    return p->data + (uint32_t)at;
}

/* ---- errands, a list in it ---- */

uint64_t loopback_next_errand(loopback *l, unsigned i)
{
    const seat *s = &l->inner->seat[i];
    if (s->errand == 0)
        return l->inner->first_errand;
    return ((mp_errand *)(void *)loopback_bytes(&l->base, s->errand - 1))->next;
}

void loopback_post(mp_transport *t, uint64_t at)
{
    struct loopback_inner *in = self(t)->inner;
    if (in->last_errand == 0)
        in->first_errand = at + 1;
    else
        ((mp_errand *)(void *)loopback_bytes(t, in->last_errand - 1))->next = at + 1;
    in->last_errand = at + 1;
}
