/* Messages through a socket: their frames, sent and received as far as goes without waiting.
 *
 * A message is its length (4 bytes, or all ones and 8 bytes for 4 GiB and more, little-endian)
 * and its bytes. What is half sent or half received is continued by the next call, whatever came
 * between, so that no interrupt loses a message's boundary. */
#ifndef MP_PROCESS_CONNECTION_H
#define MP_PROCESS_CONNECTION_H

#include "base/buffer.h"
#include "base/error.h"

#include <stdbool.h>

enum { MP_FRAME_HEAD = 12 };

typedef struct mp_connection {
    int fd; /* non-blocking; -1 closed */
    /* of the message that is being received */
    unsigned char head[MP_FRAME_HEAD];
    size_t head_has;
    size_t size; /* once the head is whole */
    mp_buffer in;
    /* of the one that is being sent */
    unsigned char out_head[MP_FRAME_HEAD];
    size_t out_head_size, out_at, out_size; /* out_at: bytes sent of head and message together */
    const unsigned char *out;               /* the sender's, until it is sent; NULL none */
} mp_connection;

/* Two ends that talk to one another, or (one_way) the second to the first. Returns 0 or a
 * negative errno. */
int mp_connection_pair(mp_connection *a, mp_connection *b, bool one_way, mp_error *error);

/* Begins to send; the bytes stay the caller's, unchanged, until mp_connection_push says 1. */
void mp_connection_put(mp_connection *c, const void *bytes, size_t size);

/* Sends on: 1 when the message is on its way, 0 when it must wait for room, or a negative errno:
 * -EPIPE, without a signal, where nobody can receive it. */
int mp_connection_push(mp_connection *c);

/* Receives on: 1 when a message is there, in c->in.data and c->size, until mp_connection_done; 0
 * when it must wait; -ENODATA at the end, -ECONNRESET at an end within a message, -EMSGSIZE where
 * the message is longer than `most` (it stays, to be received with more), or another. */
int mp_connection_pull(mp_connection *c, size_t most);

/* The message is dealt with. */
void mp_connection_done(mp_connection *c);

/* Closes; may be called again. */
void mp_connection_close(mp_connection *c);

#endif
