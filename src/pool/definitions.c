/* Definitions: see definitions.h. */
#include "pool/definitions.h"

#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>

enum { IDLE_MAX = 64, IDLE_SIZE_MAX = 64 << 20, FIRST_BUCKETS = 64 };

int mp_definitions_init(mp_definitions *d, mp_transport *transport, mp_error *error)
{
    *d = (mp_definitions){.transport = transport, .bucket_count = FIRST_BUCKETS};
    TAILQ_INIT(&d->idle);
    d->buckets = mp_calloc(d->bucket_count, sizeof *d->buckets);
    return d->buckets != NULL ? 0 : mp_fail(error, -ENOMEM, "cannot make a table of functions");
}

static struct mp_definition_bucket *bucket_of(const mp_definitions *d, uint64_t hash)
{
    return &d->buckets[hash & (d->bucket_count - 1)];
}

static mp_definition *find(const mp_definitions *d, const unsigned char *bytes, size_t size,
                           uint64_t hash)
{
    mp_definition *i;
    LIST_FOREACH (i, bucket_of(d, hash), same)
        if (i->hash == hash && i->size == size && i->at != MP_IN_HAND &&
            memcmp(d->transport->ops->bytes(d->transport, i->at), bytes, size) == 0)
            return i;
    return NULL;
}

/* Twice the buckets; where memory is short the table just gets fuller. */
static void spread(mp_definitions *d)
{
    struct mp_definition_bucket *old = d->buckets;
    size_t old_count = d->bucket_count;
    struct mp_definition_bucket *wide = mp_calloc(old_count * 2, sizeof *wide);
    if (wide == NULL)
        return;
    d->buckets = wide;
    d->bucket_count = old_count * 2;
    for (size_t i = 0; i < old_count; i++)
        while (!LIST_EMPTY(&old[i])) {
            mp_definition *moved = LIST_FIRST(&old[i]);
            LIST_REMOVE(moved, same);
            LIST_INSERT_HEAD(bucket_of(d, moved->hash), moved, same);
        }
    mp_free(old);
}

static mp_definition *add(mp_definitions *d, uint64_t at, uint64_t size, uint64_t hash)
{
    mp_definition *new = mp_malloc(sizeof *new);
    if (new == NULL)
        return NULL;
    *new = (mp_definition){.id = ++d->last_id, .at = at, .size = size, .hash = hash, .users = 1};
    if (++d->count > d->bucket_count)
        spread(d);
    LIST_INSERT_HEAD(bucket_of(d, hash), new, same);
    return new;
}

static void leave_idle(mp_definitions *d, mp_definition *definition)
{
    TAILQ_REMOVE(&d->idle, definition, idle);
    d->idle_count--;
    d->idle_size -= definition->size;
}

static void drop_oldest(mp_definitions *d)
{
    mp_definition *old = TAILQ_FIRST(&d->idle);
    /* The analyzer thinks that what was freed is still in the lists. */
    leave_idle(d, old);     /* NOLINT(clang-analyzer-unix.Malloc) */
    LIST_REMOVE(old, same); /* NOLINT(clang-analyzer-unix.Malloc) */
    d->count--;
    if (old->at != MP_IN_HAND)
        d->transport->ops->drop(d->transport, old->at, old->size);
    if (old->label != 0)
        d->transport->ops->drop(d->transport, old->label - 1, old->label_size);
    mp_free(old);
}

static mp_definition *use_again(mp_definitions *d, mp_definition *known)
{
    if (known->users++ == 0)
        leave_idle(d, known);
    return known;
}

mp_definition *mp_define(mp_definitions *d, const unsigned char *bytes, size_t size,
                         mp_error *error)
{
    uint64_t hash = mp_checksum(bytes, size);
    mp_definition *known = find(d, bytes, size, hash);
    if (known != NULL)
        return use_again(d, known);
    mp_buffer *b = d->transport->ops->open(d->transport, error);
    if (b == NULL)
        return NULL;
    int status = mp_buffer_append(b, bytes, size);
    if (status < 0) {
        mp_fail(error, status, "cannot store a function of %zu bytes", size);
        return NULL;
    }
    uint64_t at = d->transport->ops->keep(d->transport);
    known = add(d, at, size, hash);
    if (known == NULL) {
        d->transport->ops->drop(d->transport, at, size);
        mp_fail(error, -ENOMEM, "cannot store a function of %zu bytes", size);
    }
    return known;
}

mp_definition *mp_define_in_hand(mp_definitions *d, mp_error *error)
{
    mp_definition *new = add(d, MP_IN_HAND, 0, d->last_id * UINT64_C(0x9e3779b97f4a7c15));
    if (new == NULL)
        mp_fail(error, -ENOMEM, "cannot register a function");
    return new;
}

void mp_definition_label(mp_definitions *d, mp_definition *definition, const char *text,
                         size_t size)
{
    mp_label head = {.size = (uint32_t)(size < MP_LABEL_MOST ? size : MP_LABEL_MOST)};
    mp_buffer *b = definition->label == 0 ? d->transport->ops->open(d->transport, NULL) : NULL;
    if (b == NULL)
        return;
    head.check = mp_checksum((const unsigned char *)text, head.size);
    if (mp_buffer_append(b, &head, offsetof(mp_label, text)) < 0 ||
        mp_buffer_append(b, text, head.size) < 0)
        return;
    definition->label_size = (uint32_t)b->len;
    definition->label = d->transport->ops->keep(d->transport) + 1;
}

void mp_undefine(mp_definitions *d, mp_definition *definition)
{
    if (--definition->users > 0)
        return;
    TAILQ_INSERT_TAIL(&d->idle, definition, idle);
    d->idle_count++;
    d->idle_size += definition->size;
    while (d->idle_count > IDLE_MAX || (d->idle_size > IDLE_SIZE_MAX && d->idle_count > 1))
        drop_oldest(d);
}

void mp_definitions_destroy(mp_definitions *d)
{
    for (size_t i = 0; d->buckets != NULL && i < d->bucket_count; i++)
        while (!LIST_EMPTY(&d->buckets[i])) {
            mp_definition *old = LIST_FIRST(&d->buckets[i]);
            LIST_REMOVE(old, same);
            mp_free(old);
        }
    mp_free(d->buckets);
    d->buckets = NULL;
}
