/* timeout: 120
 *
 * Pools of C handlers as a host uses them: by the installed header alone. */
#include "moonpool.h"
#include "spec/support/check.h"
#include "spec/support/handlers.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- handlers ---- */

static int square(void *user, const void *input, size_t size, moonpool_reply *reply)
{
    double x;
    (void)user;
    if (size != sizeof x)
        return 7;
    memcpy(&x, input, sizeof x);
    x *= x;
    return moonpool_write(reply, &x, sizeof x);
}

static int fail(void *user, const void *input, size_t size, moonpool_reply *reply)
{
    moonpool_write(reply, input, size);
    return *(const int *)user;
}

static int die(void *user, const void *input, size_t size, moonpool_reply *reply)
{
    (void)user, (void)size, (void)reply;
    if (*(const char *)input == 'k')
        raise(SIGKILL);
    _exit(3);
}

static int linger(void *user, const void *input, size_t size, moonpool_reply *reply)
{
    (void)user, (void)input, (void)size, (void)reply;
    for (;;)
        if (usleep(1000) > 0)
            return 1;
}

/* ---- what comes back ---- */

typedef struct tally {
    unsigned told, over;
    double sum;
    int error, code;
    size_t size;
    char bytes[32];
    moonpool *pool; /* to submit to from the callback */
    moonpool_result *kept;
} tally;

static void note(void *user, const moonpool_result *r)
{
    tally *t = user;
    double x = 0;
    t->told++;
    t->error = r->error;
    t->code = r->code;
    t->size = r->size;
    if (r->error == 0 && r->size == sizeof x)
        memcpy(&x, r->bytes, sizeof x);
    if (r->size > 0 && r->size < sizeof t->bytes)
        memcpy(t->bytes, r->bytes, r->size);
    t->sum += x;
}

static void over(void *user)
{
    ((tally *)user)->over++;
}

static int make(moonpool **pool, unsigned workers)
{
    static int seven = 7;
    moonpool_options options = {.size = sizeof options, .workers = workers};
    moonpool_handle("square", square, NULL);
    moonpool_handle("echo", echo, NULL);
    moonpool_handle("fail", fail, &seven);
    moonpool_handle("die", die, NULL);
    moonpool_handle("linger", linger, NULL);
    return moonpool_new(pool, &options);
}

static void finish(moonpool *pool)
{
    int64_t deadline = now() + INT64_C(30000000000);
    while (moonpool_pending(pool) > 0 && now() < deadline)
        moonpool_wait(pool, deadline);
    CHECK_EQ_INT(moonpool_pending(pool), 0);
}

static bool has_no_children(void)
{
    return waitpid(-1, NULL, WNOHANG) < 0;
}

/* ---- specs ---- */

TEST(runs_tasks_and_tells_of_each_once)
{
    moonpool *pool;
    tally t = {0};
    REQUIRE(make(&pool, 2) == 0);
    for (int i = 1; i <= 100; i++) {
        double x = i;
        CHECK_EQ_INT(moonpool_submit(pool, "square", &x, sizeof x, note, &t), 0);
    }
    CHECK_EQ_INT(moonpool_pending(pool), 100);
    finish(pool);
    CHECK_EQ_INT(t.told, 100);
    CHECK(t.sum == 338350.0);
    moonpool_free(pool);
    CHECK(has_no_children());
}

TEST(runs_batches)
{
    enum { MANY = 100000 };
    moonpool *pool;
    moonpool_batch *b;
    tally t = {0};
    REQUIRE(make(&pool, 2) == 0);
    REQUIRE(moonpool_batch_new(pool, &b, "square", 0, note, &t) == 0);
    for (int i = 0; i < MANY; i++) {
        double x = 1;
        while (moonpool_batch_add(b, &x, sizeof x) == MOONPOOL_EAGAIN)
            moonpool_wait(pool, now() + 1000000000);
    }
    CHECK_EQ_INT(t.over, 0);
    CHECK_EQ_INT(moonpool_batch_end(b, over), 0);
    finish(pool);
    while (t.over == 0 && moonpool_wait(pool, now() + 1000000000) >= 0)
        continue;
    CHECK_EQ_INT(t.told, MANY);
    CHECK_EQ_INT(t.over, 1);
    CHECK(t.sum == MANY);
    moonpool_free(pool);
}

TEST(tells_what_became_of_a_task)
{
    moonpool *pool;
    tally t = {0};
    REQUIRE(make(&pool, 2) == 0);
    moonpool_submit(pool, "fail", "why", 3, note, &t);
    finish(pool);
    CHECK_EQ_INT(t.error, MOONPOOL_EFAILED);
    CHECK_EQ_INT(t.code, 7);
    CHECK_EQ_INT(t.size, 3);
    CHECK_MEM(t.bytes, "why", 3);
    moonpool_submit(pool, "die", "k", 1, note, &t);
    finish(pool);
    CHECK_EQ_INT(t.error, MOONPOOL_ELOST);
    CHECK_EQ_INT(t.code, SIGKILL);
    moonpool_submit(pool, "die", "x", 1, note, &t);
    finish(pool);
    CHECK_EQ_INT(t.error, MOONPOOL_ELOST);
    CHECK_EQ_INT(t.code, -3);
    CHECK_EQ_INT(t.told, 3);
    double x = 3;
    moonpool_submit(pool, "square", &x, sizeof x, note, &t);
    finish(pool);
    CHECK(t.sum == 9.0);
    moonpool_free(pool);
}

TEST(ends_what_runs_too_long)
{
    moonpool *pool;
    moonpool_batch *b;
    tally t = {0};
    REQUIRE(make(&pool, 1) == 0);
    REQUIRE(moonpool_batch_new(pool, &b, "linger", 100000000, note, &t) == 0);
    CHECK_EQ_INT(moonpool_batch_add(b, "", 0), 0);
    moonpool_batch_end(b, NULL);
    finish(pool);
    CHECK_EQ_INT(t.error, MOONPOOL_ETIMEOUT);
    moonpool_free(pool);
}

TEST(cancels_a_batch)
{
    moonpool *pool;
    moonpool_batch *b;
    tally t = {0};
    REQUIRE(make(&pool, 1) == 0);
    REQUIRE(moonpool_batch_new(pool, &b, "linger", 0, note, &t) == 0);
    for (int i = 0; i < 10; i++)
        moonpool_batch_add(b, "", 0);
    moonpool_wait(pool, now() + 100000000);
    moonpool_batch_cancel(b, over);
    for (int i = 0; i < 50 && t.over == 0; i++)
        moonpool_wait(pool, now() + 100000000);
    CHECK_EQ_INT(t.over, 1);
    CHECK_EQ_INT(t.told, 0);
    CHECK_EQ_INT(moonpool_pending(pool), 0);
    moonpool_free(pool);
    CHECK(has_no_children());
}

TEST(takes_no_more_than_its_window_holds)
{
    moonpool *pool;
    tally t = {0};
    moonpool_options options = {.size = sizeof options, .workers = 1, .window = 10000};
    char bytes[3000] = {0};
    moonpool_handle("echo", echo, NULL);
    REQUIRE(moonpool_new(&pool, &options) == 0);
    int n = 0;
    while (moonpool_submit(pool, "echo", bytes, sizeof bytes, note, &t) == 0)
        n++;
    CHECK_EQ_INT(n, 3);
    finish(pool);
    CHECK_EQ_INT(moonpool_submit(pool, "echo", bytes, sizeof bytes, note, &t), 0);
    finish(pool);
    CHECK_EQ_INT(t.told, 4);
    moonpool_free(pool);
}

TEST(refuses_what_cannot_be)
{
    moonpool *pool;
    moonpool_options bad = {.size = 1}, many = {.size = sizeof many, .workers = 100000};
    CHECK_EQ_INT(moonpool_new(&pool, &bad), MOONPOOL_EARGUMENT);
    CHECK_EQ_INT(moonpool_new(&pool, &many), MOONPOOL_EARGUMENT);
    CHECK(pool == NULL);
    CHECK_EQ_INT(moonpool_handle("", echo, NULL), MOONPOOL_EARGUMENT);
    REQUIRE(moonpool_new(&pool, NULL) == 0);
    CHECK_EQ_INT(moonpool_submit(pool, "nobody", "", 0, NULL, NULL), MOONPOOL_EHANDLER);
    CHECK_EQ_INT(moonpool_submit(pool, NULL, "", 0, NULL, NULL), MOONPOOL_EARGUMENT);
    for (int e = 0; e >= -11; e--)
        CHECK(moonpool_strerror(e)[0] != '\0');
    CHECK_STR(moonpool_version(), MOONPOOL_VERSION);
    moonpool_free(pool);
    moonpool_free(NULL);
}

static void again(void *user, const moonpool_result *r)
{
    tally *t = user;
    double x = 1;
    t->sum += r->error == 0;
    CHECK_EQ_INT(moonpool_dispatch(t->pool, 0), MOONPOOL_EARGUMENT);
    if (++t->told < 50)
        CHECK_EQ_INT(moonpool_submit(t->pool, "square", &x, sizeof x, again, t), 0);
}

TEST(lets_callbacks_submit)
{
    tally t = {0};
    double x = 1;
    REQUIRE(make(&t.pool, 2) == 0);
    moonpool_submit(t.pool, "square", &x, sizeof x, again, &t);
    finish(t.pool);
    CHECK_EQ_INT(t.told, 50);
    CHECK(t.sum == 50.0);
    moonpool_free(t.pool);
}

static void keep(void *user, const moonpool_result *r)
{
    ((tally *)user)->kept = moonpool_keep(r);
}

TEST(keeps_results)
{
    moonpool *pool;
    tally t = {0};
    REQUIRE(make(&pool, 1) == 0);
    moonpool_submit(pool, "echo", "to be kept", 10, keep, &t);
    finish(pool);
    moonpool_free(pool);
    REQUIRE(t.kept != NULL);
    CHECK_EQ_INT(t.kept->size, 10);
    CHECK_MEM(t.kept->bytes, "to be kept", 10);
    moonpool_release(t.kept);
}

TEST(goes_with_an_event_loop)
{
    moonpool *pool;
    tally t = {0};
    REQUIRE(make(&pool, 2) == 0);
    struct pollfd p = {.fd = moonpool_fd(pool), .events = POLLIN};
    CHECK(moonpool_timeout(pool) == MOONPOOL_NEVER);
    CHECK_EQ_INT(poll(&p, 1, 0), 0);
    for (int round = 0; round < 20; round++) {
        for (int i = 1; i <= 50; i++) {
            double x = i;
            moonpool_submit(pool, "square", &x, sizeof x, note, &t);
        }
        CHECK(moonpool_timeout(pool) != MOONPOOL_NEVER);
        while (moonpool_pending(pool) > 0) {
            if (poll(&p, 1, 5000) == 0)
                break;
            CHECK(moonpool_dispatch(pool, 7) <= 7);
        }
        CHECK_EQ_INT(moonpool_pending(pool), 0);
    }
    CHECK_EQ_INT(t.told, 1000);
    int turns = 0; /* what else workers have to say comes by and by */
    while (poll(&p, 1, 50) > 0 && ++turns < 100)
        CHECK_EQ_INT(moonpool_dispatch(pool, 0), 0);
    CHECK(turns < 100);
    moonpool_free(pool);
}

static moonpool *to_wake;

static void on_signal(int number)
{
    (void)number;
    moonpool_wakeup(to_wake);
}

TEST(is_woken_from_a_signal_handler)
{
    tally t = {0};
    REQUIRE(make(&to_wake, 1) == 0);
    moonpool_submit(to_wake, "linger", "", 0, note, &t);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    alarm(1);
    int64_t before = now();
    while (now() - before < 900000000)
        moonpool_wait(to_wake, MOONPOOL_NEVER);
    CHECK(now() - before < INT64_C(10000000000));
    struct pollfd p = {.fd = moonpool_fd(to_wake), .events = POLLIN};
    CHECK_EQ_INT(poll(&p, 1, 0), 0);
    moonpool_wakeup(to_wake);
    CHECK_EQ_INT(poll(&p, 1, 1000), 1);
    CHECK_EQ_INT(moonpool_dispatch(to_wake, 0), 0);
    CHECK_EQ_INT(poll(&p, 1, 0), 0);
    moonpool_free(to_wake);
}

static int refuse(void *user, const void *input, size_t size, moonpool_reply *reply)
{
    (void)user, (void)input, (void)size, (void)reply;
    return 1;
}

TEST(fails_all_where_no_worker_can_live)
{
    moonpool *pool;
    tally t = {0};
    moonpool_options options = {.size = sizeof options, .workers = 2, .worker_init = "refuse"};
    moonpool_handle("refuse", refuse, NULL);
    moonpool_handle("echo", echo, NULL);
    REQUIRE(moonpool_new(&pool, &options) == 0);
    for (int i = 0; i < 10; i++)
        CHECK_EQ_INT(moonpool_submit(pool, "echo", "x", 1, note, &t), 0);
    finish(pool);
    CHECK_EQ_INT(t.told, 10);
    CHECK_EQ_INT(t.error, MOONPOOL_ESYSTEM);
    CHECK(strstr(moonpool_error(pool), "the last by exit code 1") != NULL);
    CHECK_EQ_INT(moonpool_submit(pool, "echo", "x", 1, note, &t), MOONPOOL_ECLOSED);
    moonpool_free(pool);
}

TEST(fails_all_where_the_program_cannot_be_started_anew)
{
    moonpool *pool;
    tally t = {0};
    moonpool_options options = {
        .size = sizeof options, .workers = 2, .start_method = MOONPOOL_START_SPAWN};
    moonpool_handle("echo", echo, NULL);
    REQUIRE(moonpool_new(&pool, &options) == 0);
    for (int i = 0; i < 10; i++)
        CHECK_EQ_INT(moonpool_submit(pool, "echo", "x", 1, note, &t), 0);
    while (moonpool_pending(pool) > 0)
        moonpool_wait(pool, MOONPOOL_NEVER);
    CHECK_EQ_INT(t.told, 10);
    CHECK_EQ_INT(t.error, MOONPOOL_ESYSTEM);
    CHECK(strstr(moonpool_error(pool), "moonpool_worker_main") != NULL);
    moonpool_free(pool);
}

TEST(knows_its_worker_init_by_name)
{
    moonpool *pool;
    moonpool_options options = {.size = sizeof options, .worker_init = "nobody"};
    CHECK_EQ_INT(moonpool_new(&pool, &options), MOONPOOL_EHANDLER);
}

static void *idle(void *arg)
{
    sleep(1000); /* a place to be cancelled in */
    return arg;
}

TEST(does_not_fork_beside_threads)
{
    moonpool *pool;
    pthread_t thread;
    REQUIRE(make(&pool, 1) == 0);
    REQUIRE(pthread_create(&thread, NULL, idle, NULL) == 0);
    CHECK_EQ_INT(moonpool_submit(pool, "echo", "x", 1, NULL, NULL), MOONPOOL_ETHREADS);
    pthread_cancel(thread);
    pthread_join(thread, NULL);
    CHECK_EQ_INT(moonpool_submit(pool, "echo", "x", 1, NULL, NULL), 0);
    finish(pool);
    moonpool_free(pool);
}

TEST(belongs_to_its_process)
{
    moonpool *pool;
    tally t = {0};
    REQUIRE(make(&pool, 1) == 0);
    moonpool_submit(pool, "echo", "x", 1, note, &t);
    pid_t pid = fork();
    if (pid == 0) {
        int status = moonpool_submit(pool, "echo", "x", 1, note, &t) == MOONPOOL_ECLOSED &&
                     moonpool_dispatch(pool, 0) == MOONPOOL_ECLOSED && moonpool_fd(pool) == -1;
        moonpool_free(pool);
        _exit(status ? 0 : 1);
    }
    int status;
    waitpid(pid, &status, 0);
    CHECK_EQ_INT(status, 0);
    finish(pool);
    CHECK_EQ_INT(t.told, 1);
    moonpool_free(pool);
}

TEST(ends_with_work_in_flight)
{
    for (int round = 0; round < 5; round++) {
        moonpool *pool;
        tally t = {0};
        moonpool_batch *b;
        REQUIRE(make(&pool, 2) == 0);
        moonpool_batch_new(pool, &b, "linger", 0, note, &t);
        for (int i = 0; i < 20; i++)
            moonpool_batch_add(b, "", 0);
        moonpool_wait(pool, now() + 10000000);
        moonpool_free(pool);
        CHECK_EQ_INT(t.told, 0);
        CHECK(has_no_children());
    }
}

CHECK_MAIN
