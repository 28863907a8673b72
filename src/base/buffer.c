/* Byte buffers in malloc'ed memory: see buffer.h. */
#include "base/buffer.h"
#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>

enum { FIRST_CAPACITY = 256 };

static int grow_heap(mp_buffer *b, size_t more)
{
    if (more > SIZE_MAX / 2 - b->len)
        return -ENOMEM;
    size_t cap = b->cap != 0 ? b->cap : FIRST_CAPACITY;
    while (cap - b->len < more)
        cap *= 2;
    unsigned char *data = mp_realloc(b->data, cap);
    if (data == NULL)
        return -ENOMEM;
    b->data = data;
    b->cap = cap;
    return 0;
}

void mp_buffer_init_heap(mp_buffer *b)
{
    *b = (mp_buffer){.grow = grow_heap};
}

void mp_buffer_free(mp_buffer *b)
{
    mp_free(b->data);
    mp_buffer_init_heap(b);
}
