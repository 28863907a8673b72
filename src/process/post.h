/* Letters through a socket: how a process that is no copy of its maker gets what it needs.
 *
 * The bytes lie in a memfd, so that whoever sends never waits for the reader. */
#ifndef MP_PROCESS_POST_H
#define MP_PROCESS_POST_H

#include "base/error.h"
#include "base/letter.h"

/* Two ends (3 or more, close-on-exec) of a socket for letters. Returns 0 or a negative errno. */
int mp_post_pair(int ends[2]);

/* Never blocks. Returns 0 or a negative errno (also l->status) with `error` set. */
int mp_post_send(int socket, const mp_letter *l, mp_error *error);

/* Waits for the letter. Returns 0, or a negative errno (-EPIPE: there will be none; -EPROTO: it is
 * of another version of this library) with nothing to free. */
int mp_post_receive(int socket, mp_letter *l);

/* One message with up to MP_POST_FDS descriptors, sent without waiting and received at once or
 * after at most `milliseconds` (-1: for ever). *n: in, the room in fds; out, how many came, lifted.
 * Return the bytes received, 0 at the end, or a negative errno (-ETIMEDOUT). */
enum { MP_POST_FDS = 200 };
int mp_post_put(int socket, const void *bytes, size_t size, const int *fds, unsigned n);
int mp_post_get(int socket, void *bytes, size_t size, int *fds, unsigned *n, int milliseconds);

#endif
