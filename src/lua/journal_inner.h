/* The userdata of a journal: what journal.c and journal_object.c share; private to them. */
#ifndef MP_LUA_JOURNAL_INNER_H
#define MP_LUA_JOURNAL_INNER_H

#include "base/buffer.h"
#include "journal/journal.h"
#include "lua/journal.h"

#include <lua.h>

/* User values: 1 the function that gives digests of values, 2 digests of items that are run by
 * their index, 3 the head's body, 4 when the items that run may have another state written, 5 the
 * states that wait for that. */
enum {
    JOURNAL_IDENTITY = 1,
    JOURNAL_PENDING,
    JOURNAL_HEAD,
    JOURNAL_STATES,
    JOURNAL_LATE,
    JOURNAL_USER_VALUES = JOURNAL_LATE
};

struct mp_lua_journal {
    mp_journal *journal; /* NULL once closed */
    uint64_t run;
    bool each;             /* the disk is to hold every record before anything goes on */
    bool headed;           /* the head is written */
    uint64_t taken, added; /* items whose results came from it; records */
    uint64_t late;         /* states that wait, or have */
    mp_buffer scratch;
};

/* By which an item of the n values from `first` up is known, which the bytes encode; the function
 * at `identity` gives digests of values. */
mp_digest mp_journal_digest(lua_State *L, int identity, int first, int n,
                            const unsigned char *bytes, size_t size);

/* The digest of an item that is run; false where nothing is noted of it. `journal`: its index. */
bool mp_journal_pending(lua_State *L, int journal, uint64_t index, mp_digest *digest);

/* Adds the head, if it is not there yet. Raises memory errors. */
void mp_journal_add_head(lua_State *L, mp_lua_journal *j, int journal);

/* Adds a record of the event's item whose last key has the value on top, or with a `list` of some
 * these; false where a file cannot hold that. */
bool mp_journal_add_value(lua_State *L, mp_lua_journal *j, const mp_event *e,
                          const mp_digest *digest, const char *key, int list);

/* Writes the item's state that waits for its time, if one does. */
void mp_journal_write_late(lua_State *L, mp_lua_journal *j, int journal, uint64_t index);

#endif
