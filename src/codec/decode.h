/* What the decoder's files share. Nobody outside src/codec's decode_*.c
 * includes this.
 *
 * A machine without recursion: each open container has a frame here and a
 * level (two Lua values, scratch.h). A frame's step reads items until one
 * needs a frame of its own or the container is complete.
 *
 *     frame      first value     second value
 *     array      the table       nil
 *     map        the table       the key whose value is awaited
 *     object     nil             the content
 *                (a class that is known: the table that this state has)
 *     reduced    its items       nil
 *     function   the function    the name of the global that is awaited
 *
 * Bytes are checked as they are read: nothing is taken for granted but the
 * bytecode in a function, and that only with MP_CODEC_FUNCTIONS. */
#ifndef MP_CODEC_DECODE_H
#define MP_CODEC_DECODE_H

#include "codec/classes.h"
#include "codec/head.h"
#include "codec/keys.h"
#include "codec/scratch.h"
#include "codec/tags.h"
#include "codec/values.h"

#include <lua.h>
#include <stdbool.h>

/* What reading an item came to. */
typedef enum mp_reading {
    MP_READ,   /* a value is on the top of the stack */
    MP_OPENED, /* it has a frame now, which is the innermost */
    MP_BROKEN, /* the message is in its slot */
    MP_OTHER,  /* nothing yet: an item is still to be read */
} mp_reading;

enum mp_open_kind {
    MP_OPEN_ARRAY,
    MP_OPEN_MAP,
    MP_OPEN_OBJECT,
    MP_OPEN_REDUCED,
    MP_OPEN_FUNCTION,
};

/* Numbers of tag 28 that wait for their value. */
typedef struct mp_waiting {
    lua_Integer first;
    lua_Integer count;
} mp_waiting;

typedef struct mp_open_frame {
    uint8_t kind;
    bool endless; /* until a break */
    bool value;   /* in a map or for a global: the value is awaited, not the key */
    int upvalues;
    uint64_t left;      /* items, of a map pairs, that are still to come */
    lua_Integer at;     /* items that are there */
    mp_waiting waiting; /* numbers that the frame's result gets at its end */
} mp_open_frame;

/* Stack slots with Lua values of the decoder's own, from `base` on. */
enum mp_decode_slot {
    MP_HELD_FRAMES,
    MP_HELD_SPILL,
    MP_HELD_SHARED,  /* number + 1 -> value */
    MP_HELD_CELLS,   /* 2 n + 1 -> function, 2 n + 2 -> which upvalue of it */
    MP_HELD_GLOBALS, /* name, value, name, value ... */
    MP_HELD_MESSAGE,
    MP_HELD_KEYS, /* mp_keys_of's */
    MP_DECODE_SLOTS,
};

enum { MP_OPEN_INLINE = 16 };

typedef struct mp_decoder {
    lua_State *L;
    const unsigned char *begin;
    const unsigned char *end;
    const unsigned char *p;
    unsigned flags;
    int base;            /* stack index of the first slot */
    int skipped;         /* depth of definitions whose table is known already */
    size_t budget;       /* items for which room may still be made beforehand */
    mp_classes *classes; /* of this state; valid once a class was met */
    mp_keys *keys;       /* NULL until a key is met */
    lua_Integer class;   /* the id of the next table, or 0 */
    lua_Integer shareables;
    lua_Integer cells;
    lua_Integer globals;
    mp_waiting waiting; /* numbers of the next value */
    mp_levels levels;
    mp_open_frame *frames;
    size_t frames_capacity;
    mp_open_frame frames_inline[MP_OPEN_INLINE];
} mp_decoder;

static inline int mp_decode_slot(const mp_decoder *d, enum mp_decode_slot slot)
{
    return d->base + (int)slot;
}

static inline mp_open_frame *mp_decode_top(const mp_decoder *d)
{
    return &d->frames[d->levels.depth - 1];
}

/* Puts the message, formatted as by lua_pushfstring and followed by " at byte
 * N", into its slot. The stack is as before. */
mp_reading mp_decode_fail(mp_decoder *d, const char *format, ...);

/* Reads the item at d->p. */
mp_reading mp_decode_item(mp_decoder *d);

/* Reads a head with the wanted major type and a definite length. */
bool mp_decode_head(mp_decoder *d, unsigned major, const char *what, mp_head *head);

/* Reads a byte string of definite length. */
const unsigned char *mp_decode_bytes(mp_decoder *d, const char *what, size_t *len);

/* Gives the value on the top of the stack a level and a frame. */
mp_open_frame *mp_decode_open(mp_decoder *d, enum mp_open_kind kind);

/* Closes the innermost frame: its first value is on the top then. */
static inline mp_reading mp_decode_close(mp_decoder *d)
{
    mp_levels_leave(&d->levels);
    return MP_READ;
}

/* Pushes a new table with room for so many items, as far as the bytes that
 * are left can hold them, and gives it the numbers that wait. */
void mp_decode_new_table(mp_decoder *d, uint64_t items, bool map);

/* Gives these numbers to the value on the top. */
void mp_decode_share(mp_decoder *d, mp_waiting *waiting);

/* Takes what the numbers of the next value are, so that they can be given to
 * another one. */
static inline mp_waiting mp_decode_take_waiting(mp_decoder *d)
{
    mp_waiting waiting = d->waiting;
    d->waiting.count = 0;
    return waiting;
}

/* What stands behind the tags: 64 to 87, and Moonpool's own. */
mp_reading mp_decode_typed(mp_decoder *d, uint64_t tag);
mp_reading mp_decode_named(mp_decoder *d);
mp_reading mp_decode_object(mp_decoder *d);
mp_reading mp_decode_class(mp_decoder *d);
mp_reading mp_decode_reduced(mp_decoder *d);
mp_reading mp_decode_function(mp_decoder *d);

/* Steps of the innermost frame. If `ready`, the value that it waited for is on
 * the top. MP_READ: the frame is closed. */
mp_reading mp_decode_array_step(mp_decoder *d, bool ready);
mp_reading mp_decode_map_step(mp_decoder *d, bool ready);
mp_reading mp_decode_object_step(mp_decoder *d, bool ready);
mp_reading mp_decode_reduced_step(mp_decoder *d, bool ready);
mp_reading mp_decode_function_step(mp_decoder *d, bool ready);

/* Sets the globals that came with the functions of the message. */
void mp_decode_set_globals(mp_decoder *d);

/* Pushes the path of the item that is being read. */
void mp_decode_path(mp_decoder *d);

#endif
