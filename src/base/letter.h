/* A letter: bytes and descriptors that one process writes for another, which takes them out in the
 * order in which they were put in.
 *
 * The first thing that fails, here or there, is kept in `status`; whatever is put or taken behind
 * that does nothing, so that it is looked at once, at the end. */
#ifndef MP_BASE_LETTER_H
#define MP_BASE_LETTER_H

#include "base/buffer.h"

#include <stdbool.h>

typedef struct mp_letter {
    mp_buffer bytes;
    int *fds;
    unsigned fd_count, fd_room;
    size_t read;    /* bytes that were taken */
    unsigned taken; /* descriptors that were taken */
    bool received;  /* the descriptors that nobody took are to be closed */
    int status;     /* negative errno: -ENOMEM, -EBADMSG (less is in it than is taken) */
} mp_letter;

void mp_letter_init(mp_letter *l);
void mp_letter_free(mp_letter *l);

void mp_letter_put_number(mp_letter *l, uint64_t number);

/* n bytes and how many they are. */
void mp_letter_put_text(mp_letter *l, const void *bytes, size_t n);

/* The descriptor stays the caller's, who keeps it open until the letter is sent. A negative one
 * arrives as -1. */
void mp_letter_put_fd(mp_letter *l, int fd);

/* All that is in `more`, which was not received. */
void mp_letter_append(mp_letter *l, const mp_letter *more);

/* Adds one that has come beside the bytes. */
void mp_letter_attach(mp_letter *l, int fd);

/* 0 where the letter is damaged. */
uint64_t mp_letter_take_number(mp_letter *l);

/* Valid until the letter is freed; "" where it is damaged. No 0 stands behind it. */
const char *mp_letter_take_text(mp_letter *l, size_t *n);

/* The same, cut to `room` - 1 bytes, with a 0 behind it. */
void mp_letter_take_name(mp_letter *l, char *name, size_t room);

/* The caller's from now on; -1 where there was none. */
int mp_letter_take_fd(mp_letter *l);

#endif
