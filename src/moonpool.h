/* Moonpool without Lua: pools of worker processes that run C functions, bytes in and
 * bytes out.
 *
 *     static int square(void *user, const void *input, size_t size, moonpool_reply *reply)
 *     {
 *         double x;
 *         if (size != sizeof x)
 *             return 1;
 *         memcpy(&x, input, sizeof x);
 *         x *= x;
 *         return moonpool_write(reply, &x, sizeof x);
 *     }
 *     ...
 *     moonpool_handle("square", square, NULL);
 *     moonpool *pool;
 *     int status = moonpool_new(&pool, NULL);
 *     status = moonpool_submit(pool, "square", &x, sizeof x, done, &context);
 *     while (moonpool_pending(pool) > 0)
 *         moonpool_wait(pool, MOONPOOL_NEVER);
 *     moonpool_free(pool);
 *
 * Workers are forks of the host: they have its handlers, and its memory as it was at the
 * first task. The library starts no thread, installs no signal handler, does not touch
 * SIGCHLD, prints nothing and never ends the host.
 *
 * Unless it is said otherwise: a pool is used by one thread at a time, and by the process
 * that made it; a function that returns int returns 0, or a MOONPOOL_E... that
 * moonpool_strerror and moonpool_error explain; nothing blocks. Sizes are in bytes, times in
 * nanoseconds of CLOCK_MONOTONIC. */
#ifndef MOONPOOL_H
#define MOONPOOL_H

#include <stddef.h>
#include <stdint.h>

#define MOONPOOL_VERSION_MAJOR 0
#define MOONPOOL_VERSION_MINOR 1
#define MOONPOOL_VERSION_PATCH 0
#define MOONPOOL_VERSION "0.1.0"

#define MOONPOOL_API __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the library that is linked, as MOONPOOL_VERSION. Any thread. */
MOONPOOL_API const char *moonpool_version(void);

/* ---- errors ---- */

enum {
    MOONPOOL_OK = 0,
    MOONPOOL_EAGAIN = -1,    /* more is under way than the window holds: dispatch, then again */
    MOONPOOL_EARGUMENT = -2, /* an argument that cannot be */
    MOONPOOL_EHANDLER = -3,  /* no handler has that name */
    MOONPOOL_ECLOSED = -4,   /* the pool is closed, or another process's */
    MOONPOOL_ETHREADS = -5,  /* workers cannot be forked: this process has several threads, and
                                neither a forkserver nor called moonpool_worker_main */
    MOONPOOL_ESYSTEM = -6,   /* the system has refused something: moonpool_errno */
    /* What can become of a task besides: */
    MOONPOOL_EFAILED = -7, /* its handler returned something else than 0: result->code */
    MOONPOOL_ELOST = -8,   /* its worker died: result->code is the signal (SIGKILL too where it was
                              lost with the process that bears the workers), or minus the exit
                              code */
    MOONPOOL_ETIMEOUT = -9 /* it ran too long */
};

/* What the number means, in a few words; never NULL. Any thread. */
MOONPOOL_API const char *moonpool_strerror(int error);

/* ---- memory ---- */

/* As realloc; where `size` is 0, as free. Must be callable by any thread that calls the library,
 * and in its forks. */
typedef void *(*moonpool_allocator)(void *user, void *block, size_t size);

/* The library's own memory (not what it shares with workers, nor Lua's) comes from `allocate` from
 * now on; NULL: from malloc. Before all other calls but moonpool_version: what is there must be
 * given back by the same one. */
MOONPOOL_API void moonpool_allocate_by(moonpool_allocator allocate, void *user);

/* ---- start ---- */

/* First in main, behind the calls of moonpool_handle (and, where the host has Lua, of
 * moonpool_lua_fresh) and before anything that a worker is not to do: where this process was
 * started to be a worker it is that, and does not return. Else returns -1, and from then on the
 * program can be started so: start method SPAWN. */
MOONPOOL_API int moonpool_worker_main(int argc, char **argv);

/* Starts the forkserver, if there is none: a child that is a copy of this process as it is now,
 * keeps no descriptor but the first three, and forks workers whatever this process is then. Called
 * before other threads are started, or, by a program with moonpool_worker_main, at any time. It
 * ends with this process or by moonpool_forkserver_stop, which a host calls that waits for all its
 * children at its end; one that a pool has started, for want of another, does so as well. Blocks
 * for milliseconds. Any thread. ESYSTEM where it cannot be. */
MOONPOOL_API int moonpool_forkserver_start(void);

/* Ends the forkserver, and waits for that; nothing where there is none. Pools and workers stay. */
MOONPOOL_API void moonpool_forkserver_stop(void);

/* ---- handlers ---- */

/* Where a handler writes its result. */
typedef struct moonpool_reply moonpool_reply;

/* Runs a task, in a worker. `input` lies in shared memory, is aligned to 8, and must not be changed
 * nor used behind the return. Returns 0; anything else is the task's failure, with what was
 * written. */
typedef int (*moonpool_handler)(void *user, const void *input, size_t size, moonpool_reply *reply);

/* Gives a handler its name, for pools that are made, and workers that are born, from now on; a
 * later one of the same name takes its place. `name` is copied, `user` is the caller's and must
 * live as long as the process. Any thread. */
MOONPOOL_API int moonpool_handle(const char *name, moonpool_handler handler, void *user);

/* Handlers only: appends to the result. MOONPOOL_ESYSTEM where no memory is left: the handler gives
 * up and returns that. */
MOONPOOL_API int moonpool_write(moonpool_reply *reply, const void *bytes, size_t size);

/* ---- pools ---- */

typedef struct moonpool moonpool;

/* How a pool's workers come to be. */
enum {
    /* FORK while the process has one thread, else FORKSERVER where that was started, else SPAWN. */
    MOONPOOL_START_DEFAULT = 0,
    /* Copies of the process as it is at the pool's first task; it must have one thread then. */
    MOONPOOL_START_FORK = 1,
    /* The program is started anew, by way of moonpool_worker_main. */
    MOONPOOL_START_SPAWN = 2,
    /* Copies of the process as it was when moonpool_forkserver_start was called. */
    MOONPOOL_START_FORKSERVER = 3
};

/* How a pool is to be. `size` is sizeof(moonpool_options); what is 0 is as it is by itself. */
typedef struct moonpool_options {
    size_t size;
    unsigned workers;          /* at most; 0: one for each processor that this process may use */
    size_t window;             /* bytes of tasks that may be under way; 0: 64 MiB */
    uint64_t tasks_per_worker; /* behind so many a worker is replaced; 0: never */
    /* The name of a handler that each new worker calls, without input, before its first task; what
     * it returns but 0 ends the worker, with that exit code. NULL: none. Valid for the life of
     * the pool. */
    const char *worker_init;
    int start_method; /* a MOONPOOL_START_... */
    /* Gets a line of text, without its newline, on what is nobody's error: a worker that has died,
     * one that cannot be born now. Within calls of the pool, on their thread; it must not use the
     * pool. NULL: nobody. */
    void (*log)(void *user, const char *text);
    void *log_user;
} moonpool_options;

/* Makes a pool; its workers are born with the first task. `options` may be NULL; it is copied. The
 * pool is the caller's until moonpool_free. Errors: EARGUMENT, EHANDLER, ESYSTEM; *pool is NULL
 * then, or, with ESYSTEM, may be a pool that does nothing but tell moonpool_errno, to be freed. */
MOONPOOL_API int moonpool_new(moonpool **pool, const moonpool_options *options);

/* Kills the workers and frees all; tasks that are under way are never heard of. Blocks for the
 * kills, milliseconds. In a fork of the process that made it, frees that fork's copies only. NULL
 * is nothing. */
MOONPOOL_API void moonpool_free(moonpool *pool);

/* What the last error of this pool was about, whichever of its calls has returned it; "" if there
 * was none. Valid until the next call. */
MOONPOOL_API const char *moonpool_error(const moonpool *pool);

/* Its errno, where it was ESYSTEM; else 0. */
MOONPOOL_API int moonpool_errno(const moonpool *pool);

/* ---- tasks ---- */

/* What came of a task. The bytes are the pool's: they are there until the callback returns, or,
 * where it calls moonpool_keep, until moonpool_release. */
typedef struct moonpool_result {
    uint64_t index;    /* of the task within its batch, from 1 */
    int error;         /* 0, EFAILED, ELOST, ETIMEOUT or ESYSTEM */
    int code;          /* what the handler returned; of ELOST: the signal, or minus the exit code;
                          of ESYSTEM: the errno */
    const void *bytes; /* what the handler wrote; aligned to 1 */
    size_t size;
    /* The pid of the worker that ended with the task: of ELOST, and of ETIMEOUT where it had to be
     * killed. Else 0: a worker is not known by name to those whose task it has done. */
    int32_t worker;
} moonpool_result;

/* Told once for each task, only within moonpool_dispatch and moonpool_wait, on the thread that
 * called that. May submit, cancel and keep; must not dispatch or wait (EARGUMENT), nor free the
 * pool. Must return: a C++ exception or a longjmp out of it leaves the pool good for nothing but to
 * be freed. */
typedef void (*moonpool_callback)(void *user, const moonpool_result *result);

/* One task: a copy of the bytes goes to the handler of that name. Errors: EAGAIN, EHANDLER,
 * ECLOSED, ETHREADS, ESYSTEM; then nothing was submitted and `callback` is not called. `callback`
 * may be NULL. */
MOONPOOL_API int moonpool_submit(moonpool *pool, const char *handler, const void *input,
                                 size_t size, moonpool_callback callback, void *user);

/* Many tasks of one handler: cheaper than one by one, and cancelled together. */
typedef struct moonpool_batch moonpool_batch;

/* Opens a batch. It is the caller's until moonpool_batch_end. `timeout`: how long one task may run,
 * 0: any time. Errors as moonpool_submit. */
MOONPOOL_API int moonpool_batch_new(moonpool *pool, moonpool_batch **batch, const char *handler,
                                    int64_t timeout, moonpool_callback callback, void *user);

/* Adds a task. Errors as moonpool_submit: the task is not there then. */
MOONPOOL_API int moonpool_batch_add(moonpool_batch *batch, const void *input, size_t size);

/* No task will come any more, and the caller does not use the batch from here on. `over` (may be
 * NULL) is called once with `user`, behind the last task's callback. */
MOONPOOL_API int moonpool_batch_end(moonpool_batch *batch, void (*over)(void *user));

/* Tasks that have not begun do not run; of none of them, nor of those that run, is anything heard
 * any more; `over` is. Before moonpool_batch_end; it is the end of the batch as well. */
MOONPOOL_API void moonpool_batch_cancel(moonpool_batch *batch, void (*over)(void *user));

/* Within a callback: the result stays until it is released; NULL where memory is short. */
MOONPOOL_API moonpool_result *moonpool_keep(const moonpool_result *result);
MOONPOOL_API void moonpool_release(moonpool_result *result);

/* Tasks that were submitted and whose callback is still to come. */
MOONPOOL_API uint64_t moonpool_pending(const moonpool *pool);

/* ---- event loops ---- */

#define MOONPOOL_NEVER INT64_MAX

/* A descriptor that is readable when moonpool_dispatch has something to do; the pool's, the same
 * for its life, for poll, epoll, select and the like. -1 in a fork. */
MOONPOOL_API int moonpool_fd(moonpool *pool);

/* When moonpool_dispatch is to be called even where the descriptor is not readable; MOONPOOL_NEVER
 * while there is nothing to wait for. */
MOONPOOL_API int64_t moonpool_timeout(const moonpool *pool);

/* Calls back for at most `max` tasks (0: all that have come). Returns how many it has called back
 * for, or a negative error. */
MOONPOOL_API int moonpool_dispatch(moonpool *pool, unsigned max);

/* Blocks until at least one task was called back for, the deadline has passed, a signal came or
 * moonpool_wakeup was called; then as moonpool_dispatch. */
MOONPOOL_API int moonpool_wait(moonpool *pool, int64_t deadline);

/* Makes the descriptor readable and moonpool_wait return. Any thread, signal handlers. */
MOONPOOL_API void moonpool_wakeup(moonpool *pool);

#ifdef __cplusplus
}
#endif

#endif
