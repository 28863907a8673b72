/* timeout: 180
 *
 * A pool of C handlers in an event loop: wake-ups that come before anybody listens, deadlines at
 * the ends of time, and what each refusal says. */
#include "moonpool.h"
#include "spec/support/check.h"
#include "spec/support/handlers.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE = 60000 /* milliseconds */, WAKEUPS = 200 };

static int linger(void *user, const void *input, size_t size, moonpool_reply *reply)
{
    (void)user, (void)input, (void)size, (void)reply;
    for (;;)
        if (usleep(1000) > 0)
            return 1;
}

static moonpool *make(size_t window)
{
    moonpool *pool = NULL;
    moonpool_options options = {.size = sizeof options, .workers = 1, .window = window};
    moonpool_handle("echo", echo, NULL);
    moonpool_handle("linger", linger, NULL);
    CHECK_EQ_INT(moonpool_new(&pool, &options), 0);
    return pool;
}

/* What poll says of the pool's descriptor at once; 1 where it is readable. */
static int look(moonpool *pool)
{
    struct pollfd p = {.fd = moonpool_fd(pool), .events = POLLIN};
    return poll(&p, 1, 0);
}

/* ---- wake-ups ---- */

TEST(keeps_a_wakeup_that_came_before_the_descriptor_was_asked_for)
{
    moonpool *pool = make(0);
    REQUIRE(pool != NULL);
    moonpool_wakeup(pool);
    CHECK_EQ_INT(look(pool), 1);
    CHECK_EQ_INT(look(pool), 1);
    CHECK_EQ_INT(moonpool_dispatch(pool, 0), 0);
    CHECK_EQ_INT(look(pool), 0);
    moonpool_free(pool);
}

TEST(keeps_a_wakeup_while_tasks_are_added)
{
    moonpool *pool = make(0);
    moonpool_batch *b;
    REQUIRE(pool != NULL);
    struct pollfd p = {.fd = moonpool_fd(pool), .events = POLLIN};
    REQUIRE(moonpool_batch_new(pool, &b, "linger", 0, NULL, NULL) == 0);
    moonpool_wakeup(pool);
    CHECK_EQ_INT(moonpool_batch_add(b, "", 0), 0);
    CHECK_EQ_INT(poll(&p, 1, 0), 1);
    CHECK_EQ_INT(moonpool_batch_end(b, NULL), 0);
    CHECK_EQ_INT(poll(&p, 1, 0), 1);
    CHECK_EQ_INT(moonpool_submit(pool, "linger", "", 0, NULL, NULL), 0);
    CHECK_EQ_INT(poll(&p, 1, 0), 1);
    moonpool_free(pool);
}

static atomic_int heard;

/* Each wake-up is answered before the next. */
static void *wake(void *arg)
{
    for (int i = 0; i < WAKEUPS; i++) {
        int64_t deadline = now() + PATIENCE * INT64_C(1000000);
        moonpool_wakeup(arg);
        while (atomic_load(&heard) <= i && now() < deadline)
            usleep(50);
    }
    return NULL;
}

TEST(hears_every_wakeup_in_a_loop_that_asks_for_the_descriptor_at_each_pass)
{
    pthread_t thread;
    moonpool *pool = make(0);
    REQUIRE(pool != NULL);
    REQUIRE(pthread_create(&thread, NULL, wake, pool) == 0);
    while (atomic_load(&heard) < WAKEUPS) {
        struct pollfd p = {.fd = moonpool_fd(pool), .events = POLLIN};
        p.fd = moonpool_fd(pool);
        if (poll(&p, 1, PATIENCE) != 1)
            break;
        moonpool_dispatch(pool, 0);
        atomic_fetch_add(&heard, 1);
    }
    CHECK_EQ_INT(atomic_load(&heard), WAKEUPS);
    atomic_store(&heard, WAKEUPS);
    pthread_join(thread, NULL);
    moonpool_free(pool);
}

/* ---- deadlines ---- */

TEST(does_not_wait_for_deadlines_of_long_ago)
{
    int64_t deadlines[] = {INT64_MIN, INT64_MIN + 1, INT64_MIN + now(), -1, 0};
    moonpool *pool = make(0);
    REQUIRE(pool != NULL);
    for (unsigned i = 0; i < sizeof deadlines / sizeof *deadlines; i++) {
        alarm(PATIENCE / 1000);
        CHECK_EQ_INT(moonpool_wait(pool, deadlines[i]), 0);
        alarm(0);
    }
    moonpool_submit(pool, "linger", "", 0, NULL, NULL);
    for (unsigned i = 0; i < sizeof deadlines / sizeof *deadlines; i++) {
        alarm(PATIENCE / 1000);
        CHECK_EQ_INT(moonpool_wait(pool, deadlines[i]), 0);
        alarm(0);
    }
    moonpool_free(pool);
}

TEST(waits_for_deadlines_that_hardly_come)
{
    moonpool *pool = make(0);
    REQUIRE(pool != NULL);
    CHECK_EQ_INT(moonpool_submit(pool, "echo", "", 0, NULL, NULL), 0);
    int64_t until = now() + PATIENCE * INT64_C(1000000);
    while (moonpool_pending(pool) > 0 && now() < until)
        CHECK(moonpool_wait(pool, INT64_MAX - 1) >= 0);
    CHECK_EQ_INT(moonpool_pending(pool), 0);
    moonpool_free(pool);
}

/* ---- refusals ---- */

/* Whether the pool's error has all these words, up to NULL. */
static bool says(const moonpool *pool, const char *const words[])
{
    const char *text = moonpool_error(pool);
    for (int i = 0; words[i] != NULL; i++)
        if (strstr(text, words[i]) == NULL) {
            fprintf(stderr, "    \"%s\" is not in: %s\n", words[i], text);
            return false;
        }
    return moonpool_errno(pool) == 0;
}

#define CHECK_SAYS(pool, ...) CHECK(says(pool, (const char *const[]){__VA_ARGS__, NULL}))

TEST(says_what_it_refuses)
{
    moonpool *pool = make(1000);
    moonpool_batch *b;
    char bytes[2000] = {0};
    REQUIRE(pool != NULL);
    CHECK_STR(moonpool_error(pool), "");
    CHECK_EQ_INT(moonpool_submit(pool, "nobody", "", 0, NULL, NULL), MOONPOOL_EHANDLER);
    CHECK_SAYS(pool, "\"nobody\"", "moonpool_handle");
    CHECK_EQ_INT(moonpool_submit(pool, NULL, "", 0, NULL, NULL), MOONPOOL_EARGUMENT);
    CHECK_SAYS(pool, "handler", "a name", "NULL");
    CHECK_EQ_INT(moonpool_submit(pool, "echo", NULL, 5, NULL, NULL), MOONPOOL_EARGUMENT);
    CHECK_SAYS(pool, "input", "5 bytes", "NULL");
    CHECK_EQ_INT(moonpool_batch_new(pool, &b, "echo", -3, NULL, NULL), MOONPOOL_EARGUMENT);
    CHECK_SAYS(pool, "timeout", "nanoseconds", "-3");
    CHECK_EQ_INT(moonpool_submit(pool, "linger", bytes, 500, NULL, NULL), 0);
    CHECK_EQ_INT(moonpool_submit(pool, "linger", bytes, 600, NULL, NULL), MOONPOOL_EAGAIN);
    CHECK_SAYS(pool, "window of 1000 bytes", "564", "664");
    REQUIRE(moonpool_batch_new(pool, &b, "linger", 0, NULL, NULL) == 0);
    CHECK_EQ_INT(moonpool_batch_add(b, "", 0), 0);
    CHECK_EQ_INT(moonpool_batch_end(b, NULL), 0);
    CHECK_EQ_INT(moonpool_batch_add(b, "", 0), MOONPOOL_EARGUMENT);
    CHECK_SAYS(pool, "the batch has ended");
    CHECK_EQ_INT(moonpool_batch_end(b, NULL), MOONPOOL_EARGUMENT);
    CHECK_SAYS(pool, "the batch has ended");
    moonpool_free(pool);
}

static void *idle(void *arg)
{
    sleep(1000); /* a place to be cancelled in */
    return arg;
}

TEST(says_why_threads_keep_it_from_forking)
{
    pthread_t thread;
    moonpool *pools[] = {make(0), NULL};
    moonpool_options options = {.size = sizeof options, .start_method = MOONPOOL_START_FORK};
    REQUIRE(moonpool_new(&pools[1], &options) == 0);
    REQUIRE(pthread_create(&thread, NULL, idle, NULL) == 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ_INT(moonpool_submit(pools[i], "echo", "", 0, NULL, NULL), MOONPOOL_ETHREADS);
    CHECK_SAYS(pools[0], "2 threads", "moonpool_worker_main", "moonpool_forkserver_start");
    CHECK_SAYS(pools[1], "\"fork\"", "one thread", "has 2");
    pthread_cancel(thread);
    pthread_join(thread, NULL);
    for (int i = 0; i < 2; i++)
        moonpool_free(pools[i]);
}

TEST(says_whose_pool_it_is)
{
    int status = -1;
    moonpool *pool = make(0);
    REQUIRE(pool != NULL);
    pid_t pid = fork();
    if (pid == 0) {
        check_failures = 0;
        CHECK_EQ_INT(moonpool_submit(pool, "echo", "", 0, NULL, NULL), MOONPOOL_ECLOSED);
        CHECK_SAYS(pool, "belongs to process");
        CHECK_EQ_INT(moonpool_wait(pool, 0), MOONPOOL_ECLOSED);
        CHECK_SAYS(pool, "belongs to process");
        moonpool_free(pool);
        _exit(check_failures);
    }
    waitpid(pid, &status, 0);
    CHECK_EQ_INT(status, 0);
    moonpool_free(pool);
}

static jmp_buf out;
static moonpool *used;

static void jump(void *user, const moonpool_result *r)
{
    (void)user, (void)r;
    CHECK_EQ_INT(moonpool_dispatch(used, 0), MOONPOOL_EARGUMENT);
    CHECK_SAYS(used, "moonpool_dispatch", "within a callback");
    CHECK_EQ_INT(moonpool_wait(used, 0), MOONPOOL_EARGUMENT);
    CHECK_SAYS(used, "moonpool_wait", "within a callback");
    longjmp(out, 1);
}

TEST(says_that_a_callback_did_not_return)
{
    used = make(0);
    REQUIRE(used != NULL);
    CHECK_EQ_INT(moonpool_submit(used, "echo", "", 0, jump, NULL), 0);
    if (setjmp(out) == 0)
        for (;;)
            moonpool_wait(used, MOONPOOL_NEVER);
    CHECK_EQ_INT(moonpool_wait(used, 0), MOONPOOL_EARGUMENT);
    CHECK_SAYS(used, "moonpool_wait", "did not return");
    moonpool_free(used);
}

CHECK_MAIN
