/* A host on libuv: a timer of 5 ms goes on ticking while workers do 100,000 tasks with callbacks;
 * it prints the longest time between two ticks, with a pool and without. */
#include <moonpool.h>

#include <stdio.h>
#include <string.h>
#include <uv.h>

enum { TASKS = 100000, TICK_MS = 5, ALONE_MS = 500, AT_ONCE = 500 };

typedef struct host {
    uv_loop_t *loop;
    uv_timer_t timer;
    uv_poll_t poll;
    moonpool *pool;
    moonpool_batch *batch;
    uint64_t last, longest; /* nanoseconds */
    int added, done;
} host;

/* Runs in a worker. */
static int twice(void *user, const void *input, size_t size, moonpool_reply *reply)
{
    int n;
    (void)user, (void)size;
    memcpy(&n, input, sizeof n);
    n *= 2;
    return moonpool_write(reply, &n, sizeof n);
}

static void count(void *user, const moonpool_result *result)
{
    host *h = user;
    h->done += result->error == 0;
    if (h->done == TASKS)
        uv_stop(h->loop);
}

/* A few hundred at a time, so that the loop has its turn. */
static void feed(host *h)
{
    for (int i = 0; i < AT_ONCE && h->added < TASKS; i++, h->added++)
        if (moonpool_batch_add(h->batch, &h->added, sizeof h->added) != 0)
            return;
}

static void on_results(uv_poll_t *poll, int status, int events)
{
    host *h = poll->data;
    (void)status, (void)events;
    moonpool_dispatch(h->pool, AT_ONCE);
    feed(h);
}

static void on_tick(uv_timer_t *timer)
{
    host *h = timer->data;
    uint64_t now = uv_hrtime();
    if (h->last != 0 && now - h->last > h->longest)
        h->longest = now - h->last;
    h->last = now;
    if (h->pool == NULL && uv_now(h->loop) > ALONE_MS + *(uint64_t *)h->poll.data)
        uv_stop(h->loop);
    else if (h->pool != NULL)
        feed(h);
}

static double run(host *h)
{
    h->last = h->longest = 0;
    uv_timer_start(&h->timer, on_tick, 0, TICK_MS);
    uv_run(h->loop, UV_RUN_DEFAULT);
    uv_timer_stop(&h->timer);
    return (double)h->longest / 1e6;
}

int main(void)
{
    host h = {.loop = uv_default_loop()};
    uint64_t begun = uv_now(h.loop);
    uv_timer_init(h.loop, &h.timer);
    h.timer.data = &h;
    h.poll.data = &begun;
    double alone = run(&h);

    moonpool_handle("twice", twice, NULL);
    if (moonpool_new(&h.pool, NULL) != 0 ||
        moonpool_batch_new(h.pool, &h.batch, "twice", 0, count, &h) != 0)
        return 1;
    uv_poll_init(h.loop, &h.poll, moonpool_fd(h.pool));
    h.poll.data = &h;
    uv_poll_start(&h.poll, UV_READABLE, on_results);
    double busy = run(&h);
    moonpool_batch_end(h.batch, NULL);
    printf("%d tasks; longest gap of a %d ms timer: %.1f ms with them, %.1f ms alone\n", h.done,
           TICK_MS, busy, alone);
    uv_poll_stop(&h.poll);
    moonpool_free(h.pool);
    return h.done != TASKS;
}
