/* The pieces that a dump of Lua 5.4 bytecode is made of, taken from bytes that
 * are not trusted.
 *
 * Every function that can fail returns 0 or -EINVAL, which also stands for
 * "ends too early"; what was taken before is then lost. Nothing is copied:
 * texts lie in the dump. */
#ifndef MP_CODEC_DUMP_READER_H
#define MP_CODEC_DUMP_READER_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct mp_dump {
    const unsigned char *at;
    size_t left;
} mp_dump;

typedef struct mp_dump_constant {
    const char *text; /* NULL: no string */
    size_t len;
    bool named; /* for the reader's user; false */
} mp_dump_constant;

/* The next n bytes, or NULL if there are not so many. */
const unsigned char *mp_dump_take(mp_dump *d, size_t n);

/* Skips `count` things of `size` bytes. */
int mp_dump_skip(mp_dump *d, size_t count, size_t size);

int mp_dump_number(mp_dump *d, size_t *number);
int mp_dump_skip_numbers(mp_dump *d, int count);

/* A number of things that take at least `least` bytes each: refused if so many
 * bytes are not there. */
int mp_dump_count(mp_dump *d, size_t least, size_t *count);

/* *text is NULL where the dump has no string, not even an empty one. */
int mp_dump_string(mp_dump *d, const char **text, size_t *len);
int mp_dump_skip_string(mp_dump *d);

/* The header, without the number of upvalues behind it. Refuses what another
 * version or another machine wrote. */
int mp_dump_header(mp_dump *d);

/* A prototype's constants: `constants` then holds *count mp_dump_constant and
 * nothing else. Also returns what constants->grow said. */
int mp_dump_constants(mp_dump *d, mp_buffer *constants, size_t *count);

/* What stands behind a prototype's nested ones: lines of instructions, some of them in full,
 * locals, names of upvalues. */
int mp_dump_skip_debug(mp_dump *d);

#endif
