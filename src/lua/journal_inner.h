/* The userdata of a journal: what journal.c and journal_object.c share; private to them. */
#ifndef MP_LUA_JOURNAL_INNER_H
#define MP_LUA_JOURNAL_INNER_H

#include "base/buffer.h"
#include "journal/journal.h"

#include <lua.h>

/* User values: 1 the function that gives digests of values, 2 digests of items that are run by
 * their index, 3 the head's body, 4 when the items that run may have another state written. */
enum {
    JOURNAL_IDENTITY = 1,
    JOURNAL_PENDING,
    JOURNAL_HEAD,
    JOURNAL_STATES,
    JOURNAL_USER_VALUES = JOURNAL_STATES
};

struct mp_lua_journal {
    mp_journal *journal; /* NULL once closed */
    uint64_t run;
    bool each;             /* the disk is to hold every record before anything goes on */
    bool headed;           /* the head is written */
    uint64_t taken, added; /* items whose results came from it; records */
    mp_buffer scratch;
};

/* By which an item of the n values from `first` up is known, which the bytes encode; the function
 * at `identity` gives digests of values. */
mp_digest mp_journal_digest(lua_State *L, int identity, int first, int n,
                            const unsigned char *bytes, size_t size);

#endif
