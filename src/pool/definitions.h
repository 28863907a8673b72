/* Definitions: what many items refer to (a function), written once to the task
 * memory and known by an id that is never used again.
 *
 * Counted by the calls that use them; equal bytes get the definition that is
 * there already; what nobody uses is kept for a while, least recently used
 * first to go. */
#ifndef MP_POOL_DEFINITIONS_H
#define MP_POOL_DEFINITIONS_H

#include "pool/transport.h"

#include <sys/queue.h>

typedef struct mp_definition mp_definition;

struct mp_definition {
    uint64_t id;   /* from 1 */
    uint64_t at;   /* offset in the task memory, or MP_IN_HAND */
    uint64_t size; /* bytes */
    uint64_t hash;
    uint64_t label;      /* 1 more than where its mp_label lies, 0: it has none */
    uint32_t label_size; /* with its head */
    unsigned users;
    LIST_ENTRY(mp_definition) same;  /* in its bucket */
    TAILQ_ENTRY(mp_definition) idle; /* while it has no users */
};

LIST_HEAD(mp_definition_bucket, mp_definition);
TAILQ_HEAD(mp_definition_queue, mp_definition);

typedef struct mp_definitions {
    mp_transport *transport;
    struct mp_definition_bucket *buckets;
    size_t bucket_count; /* a power of two */
    size_t count;
    uint64_t last_id;
    struct mp_definition_queue idle; /* least recently used first */
    unsigned idle_count;
    uint64_t idle_size; /* their bytes */
} mp_definitions;

/* An empty table over `transport`. 0 or -ENOMEM. */
int mp_definitions_init(mp_definitions *d, mp_transport *transport, mp_error *error);

/* The definition of these bytes, with one more user; NULL with *error where
 * memory is short. */
mp_definition *mp_define(mp_definitions *d, const unsigned char *bytes, size_t size,
                         mp_error *error);

/* One more user of it. */
static inline mp_definition *mp_define_again(mp_definition *definition)
{
    definition->users++;
    return definition;
}

/* A definition that the workers have by inheritance; they find it by its id. */
mp_definition *mp_define_in_hand(mp_definitions *d, mp_error *error);

/* Gives it a name for those who look on, unless it has one; as much of it as MP_LABEL_MOST lets.
 * Where memory is short it stays without. */
void mp_definition_label(mp_definitions *d, mp_definition *definition, const char *text,
                         size_t size);

/* One user less. */
void mp_undefine(mp_definitions *d, mp_definition *definition);

void mp_definitions_destroy(mp_definitions *d);

#endif
