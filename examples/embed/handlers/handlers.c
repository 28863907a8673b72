/* C functions in parallel, without any Lua: estimates pi by counting random points in a circle, a
 * million points a task, and shows how a task that kills its worker is told. */
#include <moonpool.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TASKS = 64, POINTS = 1000000 };

/* Runs in a worker. */
static int count_inside(void *user, const void *input, size_t size, moonpool_reply *reply)
{
    unsigned seed, inside = 0;
    (void)user, (void)size;
    memcpy(&seed, input, sizeof seed);
    if (seed == 0)
        abort();
    for (int i = 0; i < POINTS; i++) {
        double x = rand_r(&seed) / (double)RAND_MAX, y = rand_r(&seed) / (double)RAND_MAX;
        inside += x * x + y * y <= 1;
    }
    return moonpool_write(reply, &inside, sizeof inside);
}

/* Runs here, within moonpool_wait. */
static void add(void *user, const moonpool_result *result)
{
    unsigned inside;
    if (result->error != 0) {
        printf("task %d: %s, signal %d\n", (int)result->index, moonpool_strerror(result->error),
               result->code);
        return;
    }
    memcpy(&inside, result->bytes, sizeof inside);
    *(double *)user += inside;
}

int main(void)
{
    double inside = 0;
    moonpool *pool;
    moonpool_batch *batch;
    moonpool_handle("count_inside", count_inside, NULL);
    int status = moonpool_new(&pool, NULL);
    if (status == 0)
        status = moonpool_batch_new(pool, &batch, "count_inside", 0, add, &inside);
    for (unsigned seed = 0; status == 0 && seed <= TASKS; seed++)
        status = moonpool_batch_add(batch, &seed, sizeof seed);
    if (status != 0) {
        fprintf(stderr, "%s\n", moonpool_strerror(status));
        return 1;
    }
    moonpool_batch_end(batch, NULL);
    while (moonpool_pending(pool) > 0)
        moonpool_wait(pool, MOONPOOL_NEVER);
    moonpool_free(pool);
    printf("pi is about %.2f\n", 4 * inside / ((double)TASKS * POINTS));
    return 0;
}
