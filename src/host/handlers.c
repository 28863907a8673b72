/* Handlers by name, and what a worker does with a task: finds its handler, calls it, publishes what
 * it wrote. A failure is what was written, and the handler's number behind it. */
#include "host/inner.h"

#include "base/memory.h"
#include "host/roles.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct entry {
    struct entry *next;
    moonpool_handler handler;
    void *user;
    size_t size;
    char name[];
} entry;

enum { EXIT_UNFIT = 1, EXIT_MOST = 255 };

struct moonpool_reply {
    mp_buffer *out;
};

static pthread_rwlock_t guard = PTHREAD_RWLOCK_INITIALIZER;
static entry *entries;

static entry *find(const char *name, size_t size)
{
    entry *e = entries;
    while (e != NULL && (e->size != size || memcmp(e->name, name, size) != 0))
        e = e->next;
    return e;
}

static int enter(const char *name, size_t size, moonpool_handler handler, void *user)
{
    entry *e = find(name, size);
    if (e == NULL) {
        e = mp_malloc(sizeof *e + size);
        if (e == NULL)
            return MOONPOOL_ESYSTEM;
        e->size = size;
        memcpy(e->name, name, size);
        e->next = entries;
        entries = e;
    }
    e->handler = handler;
    e->user = user;
    return MOONPOOL_OK;
}

int moonpool_handle(const char *name, moonpool_handler handler, void *user)
{
    if (name == NULL || name[0] == '\0' || handler == NULL)
        return MOONPOOL_EARGUMENT;
    pthread_rwlock_wrlock(&guard);
    int status = enter(name, strlen(name), handler, user);
    pthread_rwlock_unlock(&guard);
    return status;
}

moonpool_handler mp_host_find(const char *name, size_t size, void **user)
{
    moonpool_handler handler = NULL;
    pthread_rwlock_rdlock(&guard);
    const entry *e = find(name, size);
    if (e != NULL) {
        handler = e->handler;
        *user = e->user;
    }
    pthread_rwlock_unlock(&guard);
    return handler;
}

int moonpool_write(moonpool_reply *reply, const void *bytes, size_t size)
{
    return mp_buffer_append(reply->out, bytes, size) < 0 ? MOONPOOL_ESYSTEM : MOONPOOL_OK;
}

/* ---- in a worker ---- */

/* The exit code with which it fails, 0 if it does not. */
static int initialize(const char *name)
{
    void *user = NULL;
    moonpool_reply nowhere;
    mp_buffer unread;
    mp_buffer_init_heap(&unread);
    nowhere.out = &unread;
    moonpool_handler handler = mp_host_find(name, strlen(name), &user);
    int code = handler == NULL ? MOONPOOL_EHANDLER : handler(user, NULL, 0, &nowhere);
    mp_buffer_free(&unread);
    return code > 0 && code <= EXIT_MOST ? code : code == 0 ? 0 : EXIT_UNFIT;
}

static void start(void *ctx, const mp_birth *birth)
{
    const moonpool *pool = ctx;
    (void)birth;
    pthread_rwlock_init(&guard, NULL); /* a thread of the host may have had it */
    int code = pool->options.worker_init != NULL ? initialize(pool->options.worker_init) : 0;
    if (code != 0)
        _exit(code);
}

static int run_one(const mp_task *task, mp_buffer *out)
{
    void *user = NULL;
    moonpool_reply reply = {out};
    moonpool_handler handler =
        mp_host_find((const char *)task->definition, task->block->definition_size, &user);
    out->error = 0;
    int32_t code =
        handler == NULL ? MOONPOOL_EHANDLER : handler(user, task->bytes, task->size, &reply);
    if (out->error < 0)
        return out->error;
    if (code == 0)
        return MP_TASK_DONE;
    int status = mp_buffer_append(out, &code, sizeof code);
    return status < 0 ? status : MP_TASK_FAILED;
}

static int run(void *ctx, mp_task *task, mp_buffer *out)
{
    (void)ctx;
    int outcome = run_one(task, out);
    while (outcome == MP_TASK_DONE && task->next != NULL && task->next(task))
        outcome = run_one(task, out);
    return outcome;
}

static void finish(void *ctx)
{
    (void)ctx;
}

mp_handler mp_host_handler(moonpool *pool)
{
    return (mp_handler){.ctx = pool,
                        .max_items = pool->options.tasks_per_worker,
                        .start = start,
                        .run = run,
                        .finish = finish,
                        .method = (enum mp_start_method)pool->options.start_method,
                        .roles = &mp_host_roles,
                        .role = MP_HOST_ROLE,
                        .brief = mp_host_brief};
}
