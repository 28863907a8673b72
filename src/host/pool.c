/* Pools of C handlers: their making and end, and what an event loop calls. */
#include "host/inner.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/processors.h"
#include "base/threads.h"
#include "process/forkserver.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS_MOST = 1024, LINE_ROOM = 400, MOST_FAILURES = 10 };

static const size_t default_window = (size_t)64 << 20;
static const int64_t doubt = 1000000000; /* nanoseconds between two looks at what does not come */
static const int64_t try_pause = 200000000; /* and between two tries to start workers */

static _Atomic bool holds_server;

int moonpool_forkserver_start(void)
{
    if (!atomic_exchange(&holds_server, true))
        mp_forkserver_hold();
    return mp_forkserver_start(&mp_host_roles, NULL) < 0 ? MOONPOOL_ESYSTEM : MOONPOOL_OK;
}

void moonpool_forkserver_stop(void)
{
    if (atomic_exchange(&holds_server, false))
        mp_forkserver_let_go();
    mp_forkserver_stop();
}

void moonpool_allocate_by(moonpool_allocator allocate, void *user)
{
    mp_memory_by(allocate, user);
}

const char *moonpool_version(void)
{
    return MOONPOOL_VERSION;
}

const char *moonpool_strerror(int error)
{
    static const char *const texts[] = {
        "no error",
        "more is under way than the window holds",
        "an argument that cannot be",
        "no handler has that name",
        "the pool is closed, or another process's",
        "workers cannot be made by a process with several threads: it has no forkserver",
        "the system has refused something",
        "the handler failed",
        "the worker died",
        "the task ran too long",
    };
    int n = -error;
    return n >= 0 && n < (int)(sizeof texts / sizeof *texts) ? texts[n] : "unknown error";
}

const char *moonpool_error(const moonpool *pool)
{
    return pool->error.text;
}

int moonpool_errno(const moonpool *pool)
{
    return -pool->error.code;
}

int mp_host_fail(moonpool *pool, int code, const mp_error *error)
{
    pool->error = *error;
    return code;
}

int mp_host_refuse(moonpool *pool, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    pool->error.code = 0;
    vsnprintf(pool->error.text, sizeof pool->error.text, format, args);
    va_end(args);
    return code;
}

void mp_host_log(const moonpool *pool, const char *format, ...)
{
    char text[LINE_ROOM];
    va_list args;
    if (pool->options.log == NULL)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    pool->options.log(pool->options.log_user, text);
}

/* ---- life ---- */

/* What a caller of an older header does not know of stays as it is by itself. */
static int take_options(moonpool_options *own, const moonpool_options *given)
{
    *own = (moonpool_options){.size = sizeof *own};
    if (given != NULL) {
        if (given->size < sizeof given->size + sizeof given->workers)
            return MOONPOOL_EARGUMENT;
        memcpy(own, given, given->size < sizeof *own ? given->size : sizeof *own);
    }
    if (own->workers > WORKERS_MOST || own->start_method < MOONPOOL_START_DEFAULT ||
        own->start_method > MOONPOOL_START_FORKSERVER)
        return MOONPOOL_EARGUMENT;
    if (own->workers == 0)
        own->workers = (unsigned)mp_processors_usable("/");
    if (own->window == 0)
        own->window = default_window;
    return MOONPOOL_OK;
}

int moonpool_new(moonpool **result, const moonpool_options *options)
{
    moonpool *pool = mp_calloc(1, sizeof *pool);
    mp_transport *transport;
    *result = NULL;
    if (pool == NULL)
        return MOONPOOL_ESYSTEM;
    void *unused;
    int status = take_options(&pool->options, options);
    const char *init = pool->options.worker_init;
    if (status == 0 && init != NULL && mp_host_find(init, strlen(init), &unused) == NULL)
        status = MOONPOOL_EHANDLER;
    if (status < 0) {
        mp_free(pool);
        return status;
    }
    *result = pool;
    pool->maker = getpid();
    LIST_INIT(&pool->batches);
    mp_handler handler = mp_host_handler(pool);
    if (mp_transport_local(&transport, pool->options.workers, &handler, &pool->error) < 0)
        return MOONPOOL_ESYSTEM;
    pool->pool = mp_pool_new(transport, pool->options.workers, &pool->error);
    return pool->pool == NULL ? MOONPOOL_ESYSTEM : MOONPOOL_OK;
}

void moonpool_free(moonpool *pool)
{
    if (pool == NULL)
        return;
    bool own = pool->maker == getpid();
    batch *b = LIST_FIRST(&pool->batches), *next;
    for (; b != NULL; b = next) {
        next = LIST_NEXT(b, link);
        if (!own)
            b->call = NULL; /* freed with this process's copies */
        mp_host_free_batch(b);
    }
    if (pool->pool != NULL)
        mp_pool_free(pool->pool);
    mp_free(pool);
}

static int check_start(moonpool *pool)
{
    mp_error error = {0};
    int asked = pool->options.start_method;
    int method = mp_start_choose((enum mp_start_method)asked, &error);
    if (method < 0)
        return mp_host_refuse(pool, MOONPOOL_ETHREADS, "%s", error.text);
    if (asked == MOONPOOL_START_DEFAULT && method == MP_START_SPAWN && !mp_role_has_main())
        return mp_host_refuse(pool, MOONPOOL_ETHREADS,
                              "this process has %u threads and cannot be forked: call "
                              "moonpool_worker_main first in main, or moonpool_forkserver_start "
                              "before threads are started",
                              mp_threads_running());
    return MOONPOOL_OK;
}

/* Why one cannot be used that could not be made, or has no workers any more, was told before. */
static int check_maker(moonpool *pool)
{
    int self = (int)getpid();
    if (pool->pool == NULL)
        return MOONPOOL_ECLOSED;
    if (pool->maker != self)
        return mp_host_refuse(pool, MOONPOOL_ECLOSED,
                              "the pool belongs to process %d, which made it; this is process %d",
                              (int)pool->maker, self);
    return MOONPOOL_OK;
}

/* The same for what must not be within a callback. */
static int check_dispatch(moonpool *pool, const char *call)
{
    int status = check_maker(pool);
    if (status < 0 || !pool->dispatching)
        return status;
    return mp_host_refuse(pool, MOONPOOL_EARGUMENT,
                          "%s: called within a callback, or behind one that did not return but "
                          "threw an exception or jumped out",
                          call);
}

int mp_host_check(moonpool *pool)
{
    int status = check_maker(pool);
    if (status < 0 || pool->broken)
        return MOONPOOL_ECLOSED;
    const mp_transport *t = mp_pool_transport(pool->pool);
    return t->ops->crew(t) == 0 ? check_start(pool) : MOONPOOL_OK;
}

uint64_t moonpool_pending(const moonpool *pool)
{
    return pool->pending;
}

/* ---- event loops ---- */

void mp_host_rest(moonpool *pool)
{
    mp_pool_rest(pool->pool);
    if (atomic_load(&pool->woken))
        mp_pool_wake(pool->pool);
}

int moonpool_fd(moonpool *pool)
{
    if (pool->pool == NULL || pool->maker != getpid())
        return -1;
    int fd = mp_pool_fd(pool->pool);
    mp_host_rest(pool);
    return fd;
}

int64_t moonpool_timeout(const moonpool *pool)
{
    return pool->pending == 0 ? MOONPOOL_NEVER : pool->look_at;
}

/* None of the workers that were wanted can live: nothing that waits will ever be done. */
static bool is_hopeless(const mp_event *e)
{
    return e->code == 0 || e->count > 0;
}

static void explain(const moonpool *pool, const mp_event *e, mp_error *error)
{
    const char *reason = mp_pool_reason(pool->pool);
    bool killed = WIFSIGNALED(e->status);
    if (e->code != 0) {
        mp_fail(error, e->code, "cannot start worker %u", e->count);
        return;
    }
    if (reason[0] != '\0')
        mp_fail_plainly(error, -ECHILD, "workers cannot be started: %s", reason);
    else
        mp_fail_plainly(
            error, -ECHILD,
            "%u workers in a row died before they were ready for work, the last by %s %d", e->count,
            killed ? "signal" : "exit code", killed ? WTERMSIG(e->status) : WEXITSTATUS(e->status));
}

static void meet_trouble(moonpool *pool, const mp_event *e)
{
    mp_error error = {0};
    explain(pool, e, &error);
    bool hopeless = is_hopeless(e);
    mp_host_log(pool, "%s%s", error.text, hopeless ? "" : "; trying again");
    mp_pool_settle(pool->pool);
    if (hopeless)
        mp_host_break(pool, &error);
    else
        mp_host_fail(pool, MOONPOOL_ESYSTEM, &error);
}

/* Returns whether a task was called back for. */
static bool handle(moonpool *pool, const mp_event *e)
{
    if (e->kind == MP_EVENT_TROUBLE) {
        meet_trouble(pool, e);
        return false;
    }
    bool task = e->kind != MP_EVENT_CALL_OVER && e->kind != MP_EVENT_OUTPUT &&
                e->kind != MP_EVENT_LOG && e->kind != MP_EVENT_ANSWER && e->kind != MP_EVENT_STATE;
    batch *over = e->kind == MP_EVENT_CALL_OVER ? e->user : NULL;
    if (task)
        mp_host_tell(pool, e);
    mp_pool_settle(pool->pool);
    if (over != NULL)
        mp_host_over(over);
    return task;
}

/* What another try will not change. */
static bool is_final(int code)
{
    return code == -ENOEXEC || code == -ENOENT || code == -EDEADLK;
}

/* Workers that could not be started when there was work for them are tried for again, and not for
 * ever. */
static void start_again(moonpool *pool)
{
    mp_error error = {0};
    const mp_transport *t = mp_pool_transport(pool->pool);
    if (pool->pending == 0 || pool->broken || t->ops->crew(t) > 0 || mp_now() < pool->try_at)
        return;
    unsigned workers = pool->options.workers;
    unsigned wanted = pool->pending < workers ? (unsigned)pool->pending : workers;
    if (mp_pool_want(pool->pool, wanted, &error) >= 0) {
        pool->failures = 0;
        return;
    }
    pool->try_at = mp_now() + try_pause;
    bool over = ++pool->failures >= MOST_FAILURES || is_final(error.code);
    mp_host_log(pool, "%s%s", error.text, over ? "" : "; trying again");
    if (over)
        mp_host_break(pool, &error);
    else
        mp_host_fail(pool, MOONPOOL_ESYSTEM, &error);
}

static int dispatch(moonpool *pool, unsigned max)
{
    mp_event e;
    int n = 0;
    while (n < (int)(max == 0 || max > INT_MAX ? INT_MAX : max) && !pool->broken &&
           mp_pool_next(pool->pool, &e))
        n += handle(pool, &e);
    return n;
}

int moonpool_dispatch(moonpool *pool, unsigned max)
{
    int status = check_dispatch(pool, "moonpool_dispatch");
    if (status < 0)
        return status;
    pool->dispatching = true;
    atomic_store(&pool->woken, false);
    int n = dispatch(pool, max);
    mp_host_push(pool);
    start_again(pool);
    mp_pool_doubt(pool->pool);
    mp_host_rest(pool);
    pool->look_at = mp_now() + (pool->failures > 0 ? try_pause : doubt);
    pool->dispatching = false;
    return n;
}

int moonpool_wait(moonpool *pool, int64_t deadline)
{
    int status = check_dispatch(pool, "moonpool_wait");
    if (status < 0)
        return status;
    for (;;) {
        int64_t look_at = moonpool_timeout(pool), until = deadline < look_at ? deadline : look_at;
        status = 0;
        if (!atomic_load(&pool->woken))
            status = mp_pool_wait(pool->pool, until, MP_BELL_EAGER, NULL);
        bool woken = atomic_load(&pool->woken);
        int n = moonpool_dispatch(pool, 0);
        if (n != 0 || woken || pool->broken || status == -EINTR || mp_now() >= deadline)
            return n;
    }
}

void moonpool_wakeup(moonpool *pool)
{
    atomic_store(&pool->woken, true);
    if (pool->pool != NULL)
        mp_pool_wake(pool->pool);
}
