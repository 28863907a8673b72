/* A nursery of a local pool that is no fork of the host: what the host tells it, and how it makes
 * the host's view of the pool its own, as far as a nursery and its workers look at it. */
#include "pool/transport_local.h"

#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>

void mp_local_pack(void *owner, mp_letter *letter)
{
    const brood *b = owner;
    const local *l = b->local;
    l->handler.brief(l->handler.ctx, letter);
    mp_segment_send(&l->segment, letter);
    mp_region_send(l->tasks, letter);
    mp_letter_put_number(letter, l->seats);
    mp_letter_put_number(letter, b->count);
    for (unsigned i = 0; i < b->count; i++) {
        mp_letter_put_number(letter, b->seats[i]);
        mp_region_send(&l->streams[b->seats[i]]->region, letter);
    }
}

static int receive_stream(local *l, unsigned seat, mp_letter *letter, mp_error *error)
{
    if (seat >= l->seats || (l->streams[seat] = mp_calloc(1, sizeof(stream))) == NULL)
        return mp_fail(error, -EBADMSG, "seat %u of a pool", seat);
    int status = mp_region_receive(&l->streams[seat]->region, letter, error);
    if (status == 0)
        mp_result_reader_init(&l->streams[seat]->reader, &l->streams[seat]->region);
    return status;
}

/* Only the brood's own seats have streams. */
static int receive_seats(brood *b, uint64_t count, mp_letter *letter, mp_error *error)
{
    int status = 0;
    for (b->count = 0; b->count < count && status == 0; b->count++) {
        b->seats[b->count] = (unsigned)mp_letter_take_number(letter);
        status = receive_stream(b->local, b->seats[b->count], letter, error);
    }
    return status;
}

static int unpack(local *l, brood **b, mp_letter *letter, mp_error *error)
{
    int status = mp_segment_receive(&l->segment, letter, error);
    l->tasks = mp_calloc(1, sizeof *l->tasks);
    if (status == 0 && l->tasks == NULL)
        return mp_fail(error, -ENOMEM, "a nursery's view of its pool");
    if (status == 0)
        status = mp_region_receive(l->tasks, letter, error);
    uint64_t seats = mp_letter_take_number(letter), count = mp_letter_take_number(letter);
    if (status < 0 || seats > MP_SEATS_MAX || count > seats)
        return status < 0 ? status : mp_fail(error, -EBADMSG, "a pool's seats");
    l->seats = (unsigned)seats;
    l->streams = mp_calloc(seats, sizeof(stream *));
    *b = mp_calloc(1, sizeof **b + count * sizeof(unsigned));
    if (l->streams == NULL || *b == NULL)
        return mp_fail(error, -ENOMEM, "a nursery's view of its pool");
    (*b)->local = l;
    return receive_seats(*b, count, letter, error);
}

/* What it takes stays until the process ends. */
int mp_local_serve(mp_letter *letter, const mp_handler *handler)
{
    mp_error error = {0};
    brood *b = NULL;
    local *l = mp_calloc(1, sizeof *l);
    if (l == NULL)
        return mp_role_fail("no memory for a nursery");
    l->handler = *handler;
    if (unpack(l, &b, letter, &error) < 0)
        return mp_role_fail("%s", error.text);
    return mp_nursery_serve(letter, &mp_local_nursery_ops, b);
}
