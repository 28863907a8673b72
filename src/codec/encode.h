/* What the encoder's files share. Nobody outside src/codec's encode_*.c
 * includes this.
 *
 * A message is written by a machine without recursion: each table, function
 * or object that is being written has a frame here and a level (two Lua
 * values, scratch.h). A frame's step writes as much as it can and stops at the
 * first value that needs a frame of its own.
 *
 *     frame      first value   second value
 *     array      the table     nil
 *     map        the table     the key that it is at
 *     metatable  the table     nil                    (follows array or map)
 *     reduced    the object    what __reduce gave
 *     function   the function  list of the globals that go with it
 *
 * It is optimistic: tables are written without tag 28 until one is met twice;
 * then the message is written again with them. Functions and classes have the
 * tag always. */
#ifndef MP_CODEC_ENCODE_H
#define MP_CODEC_ENCODE_H

#include "base/buffer.h"
#include "codec/classes.h"
#include "codec/head.h"
#include "codec/names.h"
#include "codec/scratch.h"
#include "codec/seen.h"
#include "codec/tags.h"
#include "codec/values.h"

#include <lua.h>
#include <stdbool.h>

/* What writing a value came to. */
typedef enum mp_progress {
    MP_WRITTEN, /* it is written, and popped where it was on the stack */
    MP_ENTERED, /* it has a frame now, which is the innermost */
    MP_FAILED,  /* the message is in its slot */
    MP_SHARED,  /* a table was met twice: begin again, with tags */
} mp_progress;

enum mp_encode_frame_kind {
    MP_FRAME_ARRAY,
    MP_FRAME_MAP,
    MP_FRAME_METATABLE,
    MP_FRAME_REDUCED,
    MP_FRAME_FUNCTION,
};

/* Which of a frame's parts is being written, for step and path. */
enum mp_frame_part {
    MP_PART_BEGIN,
    MP_PART_KEY,
    MP_PART_VALUE,
};

typedef struct mp_encode_frame {
    uint8_t kind;
    uint8_t part;
    bool object; /* the metatable follows the content */
    bool class;  /* it has an id: its fields may be metamethods */
    int upvalues;
    lua_Integer at;    /* items written or begun */
    lua_Integer count; /* items in all, where that is known before */
    size_t start;      /* where its head lies in the buffer */
} mp_encode_frame;

/* Stack slots with Lua values of the encoder's own, from `base` on. */
enum mp_encode_slot {
    MP_SLOT_FRAMES,
    MP_SLOT_SEEN,
    MP_SLOT_CELLS,
    MP_SLOT_CODES,
    MP_SLOT_SPILL,
    MP_SLOT_KEPT,    /* object -> what its __reduce gave, for all attempts */
    MP_SLOT_NAMES,   /* scratch for names of globals */
    MP_SLOT_SENT,    /* global's name -> true */
    MP_SLOT_MESSAGE, /* what went wrong */
    MP_ENCODE_SLOTS,
};

enum { MP_FRAMES_INLINE = 16 };

typedef struct mp_encoder {
    lua_State *L;
    mp_buffer *out;
    unsigned flags;
    size_t start; /* out->len at the beginning */
    int base;     /* stack index of the first slot */
    bool tagged;  /* tables have tag 28 */
    bool again;   /* a class was recognised too late */
    uint64_t shareables;
    uint64_t cells;
    size_t last_code;            /* where in the buffer the last code begins; 0: none */
    const mp_name_filter *names; /* of this state; NULL without functions */
    mp_classes *classes;         /* likewise */
    mp_levels levels;
    mp_encode_frame *frames;
    size_t frames_capacity;
    mp_seen seen;     /* tables, functions, objects: number of their tag 28 */
    mp_seen upvalues; /* upvalue ids: their number */
    mp_seen codes;    /* checksums: offset of the code in the message */
    mp_encode_frame frames_inline[MP_FRAMES_INLINE];
} mp_encoder;

/* A table that was written without tag 28. */
#define MP_UNNUMBERED UINT64_MAX

static inline int mp_encode_slot(const mp_encoder *e, enum mp_encode_slot slot)
{
    return e->base + (int)slot;
}

static inline mp_encode_frame *mp_encode_top(const mp_encoder *e)
{
    return &e->frames[e->levels.depth - 1];
}

/* Formats the message (as lua_pushfstring does) into its slot. */
mp_progress mp_encode_fail(mp_encoder *e, const char *format, ...);

/* The buffer refused with this negative errno. */
mp_progress mp_encode_full(mp_encoder *e, int status);

/* Makes room for `more` bytes; false, with the message, where there is none. */
static inline bool mp_encode_room(mp_encoder *e, size_t more)
{
    int status = mp_buffer_reserve(e->out, more);
    if (__builtin_expect(status != 0, 0))
        mp_encode_full(e, status);
    return status == 0;
}

/* Appends a head; room for MP_HEAD_MAX bytes must be there. */
static inline void mp_encode_head(mp_encoder *e, unsigned major, uint64_t argument)
{
    unsigned char *p = e->out->data + e->out->len;
    e->out->len += (size_t)(mp_head_put(p, major, argument) - p);
}

/* Gives the value on the top of the stack a level and a frame. */
mp_encode_frame *mp_encode_enter(mp_encoder *e, enum mp_encode_frame_kind kind);

/* Closes the innermost frame and pops its values. */
static inline mp_progress mp_encode_leave(mp_encoder *e)
{
    mp_levels_leave(&e->levels);
    lua_settop(e->L, -2);
    return MP_WRITTEN;
}

/* Writes the value on the top of the stack, which is of this type and no
 * scalar: MP_WRITTEN popped it. */
mp_progress mp_encode_compound(mp_encoder *e, int type);

/* Writes `name` as a named value. */
mp_progress mp_encode_name(mp_encoder *e, const char *name, size_t len);

/* Writes a reference to the value at idx if it has its number already
 * (MP_WRITTEN), else gives it one and writes tag 28 before it (MP_ENTERED);
 * without `always` only where tables are tagged. */
mp_progress mp_encode_identity(mp_encoder *e, int idx, bool always);

/* The table on the top of the stack, in a frame of its own. */
mp_progress mp_encode_table(mp_encoder *e);
/* The content of the innermost frame's table; that frame goes on with it. */
mp_progress mp_encode_content(mp_encoder *e);
/* The content is written: the innermost frame is closed, or goes on. */
mp_progress mp_encode_content_end(mp_encoder *e);
/* What is on the top of the stack: a class or a table with a metatable, whose
 * identity is written; a full userdata; a function. */
mp_progress mp_encode_object(mp_encoder *e);
mp_progress mp_encode_userdata(mp_encoder *e);
mp_progress mp_encode_function(mp_encoder *e);

/* Steps of the innermost frame: MP_WRITTEN when it is closed. */
mp_progress mp_encode_array_step(mp_encoder *e);
mp_progress mp_encode_map_step(mp_encoder *e);
mp_progress mp_encode_metatable_step(mp_encoder *e);
mp_progress mp_encode_reduced_step(mp_encoder *e);
mp_progress mp_encode_function_step(mp_encoder *e);

/* Pushes the path of the value that could not be written. */
void mp_encode_path(mp_encoder *e);

#endif
