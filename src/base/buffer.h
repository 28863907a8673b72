/* A byte buffer whose memory somebody else lends.
 *
 * The codec writes into one; whether the bytes lie in malloc'ed memory, in a
 * worker's result ring or in the task memory is the lender's affair, told by
 * `grow`. Invariant: len <= cap, and data[0..cap) is writable. */
#ifndef MP_BASE_BUFFER_H
#define MP_BASE_BUFFER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct mp_buffer mp_buffer;

struct mp_buffer {
    unsigned char *data;
    size_t len;
    size_t cap;
    /* Makes cap - len >= more, keeping data[0..len); data may move.
     * Returns 0 or a negative errno (ENOMEM, ENOSPC, EFBIG), in which case
     * the buffer is as it was. */
    int (*grow)(mp_buffer *b, size_t more);
    void *lender; /* for grow's use */
    int error;    /* negative errno of grow's last refusal; whoever asks clears it */
};

/* Makes room for `more` bytes behind len. Returns 0 or a negative errno. */
static inline int mp_buffer_reserve(mp_buffer *b, size_t more)
{
    if (b->cap - b->len >= more)
        return 0;
    int status = b->grow(b, more);
    if (status < 0)
        b->error = status;
    return status;
}

/* Appends n bytes. Returns 0 or a negative errno. */
static inline int mp_buffer_append(mp_buffer *b, const void *bytes, size_t n)
{
    int status = mp_buffer_reserve(b, n);
    if (status == 0 && n > 0) {
        memcpy(b->data + b->len, bytes, n);
        b->len += n;
    }
    return status;
}

/* An empty buffer in malloc'ed memory; release it with mp_buffer_free. */
void mp_buffer_init_heap(mp_buffer *b);

/* Frees the memory of a buffer made by mp_buffer_init_heap, which is then
 * empty and may be used again. */
void mp_buffer_free(mp_buffer *b);

#endif
