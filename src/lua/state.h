/* What the binding's files share: errors into Lua by one door, and the objects. */
#ifndef MP_LUA_STATE_H
#define MP_LUA_STATE_H

#include "base/buffer.h"
#include "base/error.h"
#include "lua/random.h"
#include "pool/pool.h"

#include <lauxlib.h>
#include <lua.h>
#include <signal.h>

struct pollfd;

/* Registry names. */
#define MP_ERROR_META "moonpool.Error"
#define MP_POOL_META "moonpool.core.Pool"
#define MP_CALL_META "moonpool.core.Call"

/* Where in the registry the metatable of calls stands that have nothing to be freed when they
 * are collected: a finalizer costs as much as the rest of a small call. */
extern const char mp_call_plain_meta;
#define MP_SCRATCH_META "moonpool.core.Scratch"
#define MP_DEFAULT_PROCESSES "moonpool.default_processes"

/* Pushes a new error table {kind, message} with Moonpool's metatable. */
void mp_error_new(lua_State *L, const char *kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Raises such an error. Does not return; an int only so that C functions of Lua can
 * write `return mp_raise(...)`. */
int mp_raise(lua_State *L, const char *kind, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));

/* Raises a "system" error with the field errno from a core's error. */
int mp_raise_system(lua_State *L, const mp_error *error) __attribute__((noreturn));

/* Pushes an "encode" or "decode" error from the two strings (what, path) on top
 * of the stack, which are popped. `root` names the value at the path's root. */
void mp_error_codec(lua_State *L, const char *kind, const char *root);

/* Pushes what package.loaded has by that name, nil where it has nothing; its type. */
int mp_push_loaded(lua_State *L, const char *name);

/* What a call returns per item. */
enum mp_shape {
    MP_SHAPE_APPLY, /* one item, all its values */
    MP_SHAPE_MAP,   /* a table of first values */
    MP_SHAPE_IMAP,  /* values one by one, in input order */
    MP_SHAPE_IMAP_UNORDERED,
};

/* Flags of a call block, the worker's handler's. */
enum {
    MP_CALL_FIRST_VALUE = 1, /* a result is its first value */
    MP_CALL_POSITION = 2,    /* the function is told where in a run of items it is */
    MP_CALL_NUMBERS = 4,     /* items that are made are floats, else integers */
};

/* The item of this index of a call whose items are made: a number, by a recipe of the first
 * and the step, whose bits those words have. */
static inline void mp_push_made(lua_State *L, const uint64_t recipe[2], bool floats, uint64_t index)
{
    double number[2];
    if (!floats) {
        lua_pushinteger(L, (lua_Integer)(recipe[0] + (index - 1) * recipe[1]));
        return;
    }
    memcpy(number, recipe, sizeof number);
    lua_pushnumber(L, number[0] + (lua_Number)(index - 1) * number[1]);
}

/* The binding's side of a worker process; lies in the pool's userdata. */
typedef struct mp_worker_context {
    lua_State *L;         /* a thread of its own, unused in the host */
    unsigned definitions; /* how many are cached */
    bool stale;           /* they are to be forgotten */
    bool unfit;           /* its initializer failed */
    bool short_of_memory; /* what ran last had too little */
    int own_libraries;    /* of the C libraries loaded; -1: what else there is is unknown */
    mp_random random;     /* math.random's */
    const mp_birth *birth;
    uint64_t index;          /* of the item that runs or ran last */
    const mp_task *task;     /* that item, NULL: none runs */
    uint64_t serial;         /* its number among this worker's */
    uint64_t resumed_serial; /* of the item whose random numbers go on where an attempt has saved */
    uint64_t saved_serial; /* the item that has saved a state last, 0: none in this run of items */
    unsigned reading;      /* who decodes that state */
    unsigned generation;   /* of forks, of this worker */
    uint64_t last_id;      /* whose function lies at FUNCTION on L's stack */
} mp_worker_context;

/* A pool. User values: 1 calls that are not over, each by its number there, 2 results finished and
 * not dispatched, 3 the worker's thread, 4 texts of tasks: four values each, 5 the function sent
 * last that is always sent the same, 6 names of functions for the record: each by its number there,
 * and the number by the name. The functions in hand, by definition, stand in the registry by
 * the pool's address, where its workers find them, with the fields initializer and initargs. */
enum {
    POOL_CALLS = 1,
    POOL_FINISHED,
    POOL_THREAD,
    POOL_TEXTS,
    POOL_SENT,
    POOL_NAMES,
    POOL_USER_VALUES = POOL_NAMES
};

typedef struct mp_lua_pool {
    struct mp_lua_pool *self;
    mp_pool *pool;       /* NULL once freed */
    unsigned generation; /* of forks, of the process that made it */
    mp_worker_context worker;
    lua_Integer max_items;    /* a worker is replaced after so many, 0: never */
    lua_Integer memory_limit; /* bytes more than at its start that a worker gets, 0: any */
    bool has_output, has_log; /* the host wants what tasks print, and what they log */
    mp_buffer scratch;        /* for functions on their way to a definition */
    enum mp_start_method method;
    mp_buffer start; /* the initializer and its arguments, for those who have not inherited them */
    bool fresh;      /* this is a nursery, or a worker, that is no fork of the host */
    /* A value is being encoded into the pool's memory, which must not go meanwhile,
     * whatever metamethods do. May be stale behind an error: that costs little. */
    bool encoding;
    uint64_t last_large; /* the definition that was warned of last */
    mp_definition *sent; /* of POOL_SENT, with one user of its own; NULL: none */
    /* Whose item that value is: until it is whole no other may be begun. */
    const struct mp_lua_call *giving;
    mp_record *record; /* NULL: none is kept */
    struct {
        uint64_t definition;
        uint32_t number;              /* in POOL_NAMES */
    } named;                          /* the function that was recorded last */
    uint64_t seed, seeds_used;        /* of its calls */
    uint64_t outstanding;             /* calls that somebody may wait for */
    lua_Integer finished, dispatched; /* counts of POOL_FINISHED */
    lua_Integer texts;                /* values in POOL_TEXTS */
    /* what has come of its items in all */
    uint64_t items, done, failed, bytes_out, bytes_in;
    struct {
        bool told;
        int code, status;
        unsigned count;
    } trouble;
} mp_lua_pool;

/* How a call gets its items. */
enum mp_input {
    MP_INPUT_NONE,
    MP_INPUT_ARGS,     /* one item: a table's values 1..n */
    MP_INPUT_TABLE,    /* values 1..n of a table */
    MP_INPUT_RANGE,    /* first, step */
    MP_INPUT_FUNCTION, /* until it returns nil */
};

/* A call. User values: 1 its pool, 2 its values, 3 the result object, 4 its errors by index;
 * but for apply also 5 packed values by index (imap), 6 its input; with a journal, 7 this. */
enum {
    CALL_POOL = 1,
    CALL_VALUES,
    CALL_RESULT,
    CALL_ERRORS,
    CALL_APPLY_VALUES = CALL_ERRORS,
    CALL_PACKS,
    CALL_INPUT,
    CALL_USER_VALUES = CALL_INPUT,
    CALL_JOURNAL,
    CALL_JOURNAL_VALUES = CALL_JOURNAL
};

typedef struct mp_lua_call {
    struct mp_lua_call *self;
    mp_call *call; /* NULL once released */
    mp_lua_pool *owner;
    enum mp_shape shape;
    bool keep_going; /* on_error = "collect" */
    bool pack;       /* a map keeps all values of an item, as a table with n */
    bool over;
    bool outstanding; /* counts as such in its pool */
    bool attended;    /* somebody is to be told of its end */
    int number;       /* among its pool's calls, 0: none */
    bool star;        /* items are argument lists */
    bool in_runs;     /* results come of runs of items, at their ends */
    bool failed;
    enum mp_input input;
    bool floats;           /* of a range */
    bool made;             /* its items have no bytes */
    lua_Integer count;     /* items of the input, -1 unknown */
    lua_Integer given;     /* items taken from it */
    lua_Integer expected;  /* how many will come, as the caller says; 0: unknown */
    uint64_t recipe[2];    /* of a range: mp_push_made's */
    lua_Integer chunk;     /* explicit chunksize, 0 none */
    lua_Integer values;    /* apply: how many */
    uint64_t lowest_error; /* index, 0 none */
    uint64_t failures, done, retried;
    /* imap */
    uint64_t consumed;
    uint64_t refill_at; /* with so few in flight its input is asked for more */
    uint64_t *order;    /* ring of indexes as they complete; order_room is a power of two */
    size_t order_first, order_count, order_room;
    uint64_t bytes_out;             /* of all items given, for the window */
    bool within;                    /* its item is made while another value is encoded */
    bool stopped;                   /* no more items are wanted */
    bool errand;                    /* for every worker, and in no statistics */
    lua_Integer retries;            /* how often a failed item runs again */
    lua_Number retry_delay;         /* seconds before the first time, doubled for each further */
    struct mp_lua_journal *journal; /* NULL: none */
} mp_lua_call;

mp_lua_pool *mp_check_pool(lua_State *L, int index);
mp_lua_call *mp_check_call(lua_State *L, int index);

/* Whether the core still knows the call, and this process owns it. */
bool mp_call_lives(const mp_lua_call *call);

/* Whether the core still knows it: an input or a metamethod may end the call, and its pool. */
static inline bool mp_call_goes_on(const mp_lua_call *c)
{
    return c->call != NULL && c->owner->pool != NULL;
}

/* Raises while an item of some call is encoded: a metamethod or a finalizer that runs then asks
 * for more. */
void mp_check_not_giving(lua_State *L, const mp_lua_pool *p);

/* It does not count as outstanding any more. */
static inline void mp_call_forget(mp_lua_call *c)
{
    c->owner->outstanding -= c->outstanding;
    c->outstanding = false;
}

/* The pool at `index` need not keep it any more. */
void mp_call_leave(lua_State *L, int index, mp_lua_call *c);

/* The n values on top are what the item has come to: into its place in the call at `call`, whose
 * table of values stands above it. */
void mp_call_store(lua_State *L, mp_lua_call *c, int call, uint64_t index, int n);

/* core.give's work: the call at `call` gets its one item, the arguments on top, and is whole. */
void mp_call_give(lua_State *L, int call);

/* Behind an error that a metamethod raised nobody is giving any more. */
void mp_stop_giving(const mp_lua_call *c);

/* Lets the call's granules hold its chunksize, or else about so many items. */
void mp_call_plan(mp_lua_call *c, lua_Integer items);

/* Pushes the values 1..n (its field n, else #) of the table on top; returns n. */
int mp_unpack_top(lua_State *L);

/* Whether a hook waits to run: a Ctrl-C, by the way of lua.c, or a debugger. In a
 * coroutine a hook set on the main thread is carried over, so that it runs here. */
bool mp_hook_waits(lua_State *L);

enum { MP_HOOK_PAUSE_NS = 20000000 }; /* between two chances for a hook to run */

/* Blocks the signals that are to end a wait early; *before: the mask to wait with. */
void mp_block_interrupts(sigset_t *before);

/* Sleeps until the deadline, until one of the n descriptors is ready, until a signal came or
 * until a hook is to run; from the look for that on, too. True for a signal that brought one. */
bool mp_sleep_on(lua_State *L, struct pollfd *fds, unsigned long n, int64_t deadline);

/* The deadline at `index`, in seconds of core.monotonic's clock; none: MP_NEVER. */
int64_t mp_at_deadline(lua_State *L, int index);

/* How many forks lie between this process and the one that loaded the library. */
unsigned mp_fork_generation(void);

/* Groups of functions for the core table at the top of the stack. */
void mp_open_pool(lua_State *L);
void mp_open_call(lua_State *L);
void mp_open_input(lua_State *L);
void mp_open_settings(lua_State *L);
void mp_open_crew(lua_State *L);
void mp_open_imap(lua_State *L);
void mp_open_take(lua_State *L);
void mp_open_record(lua_State *L);
void mp_open_codec(lua_State *L);
void mp_open_system(lua_State *L);
void mp_open_worker(lua_State *L);
void mp_open_task(lua_State *L);
void mp_open_process(lua_State *L);
void mp_open_command(lua_State *L);
void mp_open_shared(lua_State *L);
void mp_open_sync(lua_State *L);
void mp_open_value(lua_State *L);
void mp_open_connection(lua_State *L);
void mp_open_queue(lua_State *L);
void mp_open_message(lua_State *L);
void mp_open_share(lua_State *L);
void mp_open_manager(lua_State *L);
void mp_open_identity(lua_State *L);
void mp_open_scalars(lua_State *L);
void mp_open_journal(lua_State *L);
void mp_open_journal_state(lua_State *L);
void mp_open_files(lua_State *L);
void mp_open_text(lua_State *L);
/* Metatables of what JSON had that a table alone does not tell: objects without members, lists of
 * nothing but null. */
extern const char mp_json_object[], mp_json_list[];
void mp_open_json_read(lua_State *L);
void mp_open_json_write(lua_State *L);
void mp_open_label(lua_State *L);
void mp_open_terminal(lua_State *L);
void mp_open_peek(lua_State *L);
void mp_open_keys(lua_State *L);
void mp_open_lines(lua_State *L);
void mp_open_line_eval(lua_State *L);

/* Worker, behind a run of items: none runs, and the state saved last is not needed any more. */
void mp_task_over(lua_State *L, mp_worker_context *w);

/* The handler that runs Lua functions in the workers of this pool, each of which
 * leaves after max_items (0: none). */
mp_handler mp_worker_handler(mp_lua_pool *pool, uint64_t max_items);

#endif
