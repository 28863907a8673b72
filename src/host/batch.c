/* Batches of tasks: adding, calling back, ending; and single tasks, which are batches of one. */
#include "host/inner.h"

#include "base/clock.h"
#include "base/memory.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { OVERHEAD = 64 }; /* bytes that a task takes besides its own */

/* ---- life ---- */

static bool is_heard(const batch *b, uint64_t index)
{
    return (b->heard_bits[(index - 1) / 8] >> (index - 1) % 8 & 1) != 0;
}

static int make_room(batch *b)
{
    if (b->added < b->room)
        return 0;
    uint64_t room = b->room == 0 ? 64 : b->room * 2;
    unsigned char *bits = mp_realloc(b->heard_bits, room / 8);
    if (bits == NULL)
        return -ENOMEM;
    memset(bits + b->room / 8, 0, (room - b->room) / 8);
    b->heard_bits = bits;
    b->room = room;
    return 0;
}

void mp_host_free_batch(batch *b)
{
    b->owner->pending -= b->added - b->heard;
    b->owner->under_way -= b->bytes;
    LIST_REMOVE(b, link);
    if (b->call != NULL)
        mp_call_release(b->call);
    mp_free(b->heard_bits);
    mp_free(b);
}

/* The end of one of which nothing will be heard any more. */
static void settle(batch *b)
{
    if (!b->ended || !b->call_over)
        return;
    void (*over)(void *user) = b->over;
    void *user = b->user;
    mp_host_free_batch(b);
    if (over != NULL)
        over(user);
}

/* ---- calling back ---- */

enum { TASK_ROOM = 40 };

/* Of the only one of a batch the number tells nothing. */
static const char *name_task(char name[TASK_ROOM], const batch *b, uint64_t index)
{
    if (b->added == 1)
        return "a task";
    snprintf(name, TASK_ROOM, "task %llu", (unsigned long long)index);
    return name;
}

static void log_loss(const batch *b, const mp_event *e)
{
    char name[TASK_ROOM];
    const char *task = name_task(name, b, e->index);
    bool killed = WIFSIGNALED(e->status);
    if (e->status < 0)
        mp_host_log(b->owner, "worker %d was lost in %s, with the pool's nursery", (int)e->pid,
                    task);
    else
        mp_host_log(b->owner, "worker %d died in %s, by %s %d", (int)e->pid, task,
                    killed ? "signal" : "exit code",
                    killed ? WTERMSIG(e->status) : WEXITSTATUS(e->status));
}

/* Those whose nursery was lost, so that nobody knows, are killed with it. */
static int code_of_loss(int status)
{
    if (status < 0)
        return SIGKILL;
    return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static void describe(const batch *b, moonpool_result *r, const mp_event *e)
{
    int32_t code = 0;
    switch (e->kind) {
    case MP_EVENT_DONE:
        break;
    case MP_EVENT_FAILED:
        r->error = MOONPOOL_EFAILED;
        if (e->size >= sizeof code) {
            r->size = e->size - sizeof code;
            memcpy(&code, e->data + r->size, sizeof code);
        }
        r->code = code;
        break;
    case MP_EVENT_TIMEOUT:
        r->error = MOONPOOL_ETIMEOUT;
        r->size = 0;
        break;
    case MP_EVENT_LOST:
        r->error = MOONPOOL_ELOST;
        r->code = code_of_loss(e->status);
        log_loss(b, e);
        break;
    default:
        r->error = MOONPOOL_ESYSTEM;
        r->code = -e->code;
    }
}

static void call_back(batch *b, const moonpool_result *result)
{
    b->heard_bits[(result->index - 1) / 8] |= (unsigned char)(1 << (result->index - 1) % 8);
    b->heard++;
    b->owner->pending--;
    if (b->callback != NULL && !b->cancelled)
        b->callback(b->user, result);
}

void mp_host_tell(moonpool *pool, const mp_event *event)
{
    batch *b = event->user;
    size_t bytes = event->item_size + OVERHEAD;
    if (is_heard(b, event->index))
        return;
    moonpool_result result = {
        .index = event->index, .bytes = event->data, .size = event->size, .worker = event->pid};
    b->bytes -= bytes;
    pool->under_way -= bytes;
    describe(b, &result, event);
    call_back(b, &result);
}

void mp_host_over(batch *b)
{
    b->call_over = true;
    mp_call_release(b->call);
    b->call = NULL;
    settle(b);
}

static void fail_all(batch *b, int code)
{
    for (uint64_t i = 1; i <= b->added; i++) {
        moonpool_result result = {.index = i, .error = MOONPOOL_ESYSTEM, .code = code};
        if (!is_heard(b, i))
            call_back(b, &result);
    }
}

void mp_host_break(moonpool *pool, const mp_error *error)
{
    mp_host_fail(pool, MOONPOOL_ESYSTEM, error);
    pool->broken = true;
    batch *b = LIST_FIRST(&pool->batches), *next;
    for (; b != NULL; b = next) {
        fail_all(b, -error->code);
        next = LIST_NEXT(b, link);
        mp_host_over(b);
    }
}

/* ---- making ---- */

static batch *make(moonpool *pool, const char *handler, int64_t timeout, mp_error *error)
{
    batch *b = mp_calloc(1, sizeof *b);
    mp_definition *d = b == NULL ? NULL
                                 : mp_pool_define(pool->pool, (const unsigned char *)handler,
                                                  strlen(handler), error);
    if (d != NULL)
        b->call = mp_call_open(pool->pool, d, 0, b, error);
    if (b == NULL || b->call == NULL) {
        mp_free(b);
        return NULL;
    }
    b->owner = pool;
    if (timeout > 0)
        mp_call_timeout(b->call, timeout);
    LIST_INSERT_HEAD(&pool->batches, b, link);
    return b;
}

int moonpool_batch_new(moonpool *pool, moonpool_batch **result, const char *handler,
                       int64_t timeout, moonpool_callback callback, void *user)
{
    void *unused;
    mp_error error = {.code = -ENOMEM, .text = "no memory for a batch"};
    *result = NULL;
    int status = mp_host_check(pool);
    if (status < 0)
        return status;
    if (handler == NULL)
        return mp_host_refuse(pool, MOONPOOL_EARGUMENT, "the handler must be a name, got NULL");
    if (timeout < 0)
        return mp_host_refuse(pool, MOONPOOL_EARGUMENT,
                              "the timeout must be nanoseconds, or 0 for any time, got %lld",
                              (long long)timeout);
    if (mp_host_find(handler, strlen(handler), &unused) == NULL)
        return mp_host_refuse(pool, MOONPOOL_EHANDLER,
                              "no handler has the name \"%.100s\": moonpool_handle gives one",
                              handler);
    batch *b = make(pool, handler, timeout, &error);
    if (b == NULL)
        return mp_host_fail(pool, MOONPOOL_ESYSTEM, &error);
    b->callback = callback;
    b->user = user;
    *result = b;
    return MOONPOOL_OK;
}

static int add(batch *b, const void *input, size_t size, mp_error *error)
{
    if (make_room(b) < 0)
        return mp_fail(error, -ENOMEM, "no memory for a task");
    mp_buffer *item = mp_call_begin_item(b->call, error);
    if (item == NULL)
        return error->code;
    int status = mp_buffer_append(item, input, size);
    if (status < 0)
        return mp_fail(error, status, "no memory for a task of %zu bytes", size);
    b->added++;
    /* A task that is there stays, though it cannot be handed out, or no worker be born for it, now.
     */
    status = mp_call_end_item(b->call, error);
    b->stuck = b->stuck || status < 0;
    return status == -EBUSY ? -EBUSY : 0;
}

void mp_host_push(moonpool *pool)
{
    batch *b;
    mp_error unused;
    LIST_FOREACH (b, &pool->batches, link) {
        if (b->stuck && b->call != NULL)
            b->stuck = mp_call_flush(b->call, &unused) == -ENOMEM;
    }
}

/* Whether there is room for a task of so many bytes. */
static int check_window(moonpool *pool, size_t bytes)
{
    if (pool->under_way == 0)
        return MOONPOOL_OK;
    if (pool->under_way + bytes > pool->options.window)
        return mp_host_refuse(pool, MOONPOOL_EAGAIN,
                              "the window of %zu bytes holds %zu of tasks that are under way, and "
                              "no further %zu: dispatch first",
                              pool->options.window, pool->under_way, bytes);
    if (mp_pool_crowded(pool->pool))
        return mp_host_refuse(pool, MOONPOOL_EAGAIN,
                              "%llu tasks are under way, as many as there can be: dispatch first",
                              (unsigned long long)pool->pending);
    return MOONPOOL_OK;
}

int moonpool_batch_add(moonpool_batch *b, const void *input, size_t size)
{
    moonpool *pool = b->owner;
    mp_error error = {0};
    int status = mp_host_check(pool);
    if (status < 0)
        return status;
    if (b->ended)
        return mp_host_refuse(pool, MOONPOOL_EARGUMENT, "the batch has ended: it takes no task");
    if (input == NULL && size > 0)
        return mp_host_refuse(pool, MOONPOOL_EARGUMENT, "the input must be %zu bytes, got NULL",
                              size);
    size_t bytes = size + OVERHEAD;
    status = check_window(pool, bytes);
    if (status < 0)
        return status;
    if (add(b, input, size, &error) < 0)
        return mp_host_fail(pool, MOONPOOL_ESYSTEM, &error);
    b->bytes += bytes;
    pool->under_way += bytes;
    if (pool->pending++ == 0)
        pool->look_at = mp_now(); /* the first dispatch says when next */
    mp_host_rest(pool);
    return MOONPOOL_OK;
}

/* ---- ending ---- */

int moonpool_batch_end(moonpool_batch *b, void (*over)(void *user))
{
    mp_error error = {0};
    moonpool *pool = b->owner;
    if (b->ended)
        return mp_host_refuse(pool, MOONPOOL_EARGUMENT, "the batch has ended before");
    b->ended = true;
    b->over = over;
    if (b->call == NULL)
        settle(b);
    else if (mp_call_seal(b->call, &error) < 0) {
        b->stuck = true; /* it, and workers, are tried for again */
        mp_host_fail(pool, MOONPOOL_ESYSTEM, &error);
    }
    mp_host_rest(pool);
    return MOONPOOL_OK;
}

void moonpool_batch_cancel(moonpool_batch *b, void (*over)(void *user))
{
    b->cancelled = true;
    if (b->call != NULL)
        mp_call_limit(b->call, 0);
    moonpool_batch_end(b, over);
}

/* ---- one task ---- */

int moonpool_submit(moonpool *pool, const char *handler, const void *input, size_t size,
                    moonpool_callback callback, void *user)
{
    batch *b = NULL;
    int status = moonpool_batch_new(pool, &b, handler, 0, callback, user);
    if (b == NULL)
        return status;
    status = moonpool_batch_add(b, input, size);
    if (status < 0) {
        mp_host_free_batch(b);
        return status;
    }
    return moonpool_batch_end(b, NULL);
}

/* ---- results that stay ---- */

moonpool_result *moonpool_keep(const moonpool_result *result)
{
    moonpool_result *copy = mp_malloc(sizeof *copy + result->size);
    if (copy == NULL)
        return NULL;
    *copy = *result;
    copy->bytes = copy + 1;
    if (result->size > 0)
        memcpy(copy + 1, result->bytes, result->size);
    return copy;
}

void moonpool_release(moonpool_result *result)
{
    mp_free(result);
}
