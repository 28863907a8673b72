/* timeout: 120
 *
 * Pools of C handlers whose workers are no forks of the host: by the installed header alone. */
#include "moonpool.h"
#include "spec/support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const int methods[] = {MOONPOOL_START_FORK, MOONPOOL_START_SPAWN, MOONPOOL_START_FORKSERVER};
enum { METHODS = 3 };

/* ---- handlers ---- */

static int offset; /* what worker_init has set in a worker */

static int set_up(void *user, const void *input, size_t size, moonpool_reply *reply)
{
    (void)input, (void)size, (void)reply;
    offset = *(const int *)user;
    return 0;
}

static int add(void *user, const void *input, size_t size, moonpool_reply *reply)
{
    int n = 0;
    (void)user;
    memcpy(&n, input, size < sizeof n ? size : sizeof n);
    n += offset;
    return moonpool_write(reply, &n, sizeof n);
}

static int die(void *user, const void *input, size_t size, moonpool_reply *reply)
{
    (void)user, (void)input, (void)size, (void)reply;
    raise(SIGKILL);
    return 0;
}

static int parent(void *user, const void *input, size_t size, moonpool_reply *reply)
{
    pid_t pid = getppid();
    (void)user, (void)input, (void)size;
    return moonpool_write(reply, &pid, sizeof pid);
}

static void name_handlers(void)
{
    static int by = 100;
    moonpool_handle("set up", set_up, &by);
    moonpool_handle("add", add, NULL);
    moonpool_handle("die", die, NULL);
    moonpool_handle("parent", parent, NULL);
}

/* ---- what comes back ---- */

typedef struct tally {
    unsigned told, lost;
    long sum;
    int last;
} tally;

static void note(void *user, const moonpool_result *r)
{
    tally *t = user;
    t->told++;
    t->lost += r->error == MOONPOOL_ELOST;
    if (r->error == 0 && r->size == sizeof t->last) {
        memcpy(&t->last, r->bytes, sizeof t->last);
        t->sum += t->last;
    }
}

static void finish(moonpool *pool)
{
    for (int i = 0; i < 20000 && moonpool_pending(pool) > 0; i++)
        moonpool_wait(pool, moonpool_timeout(pool));
    CHECK_EQ_INT((int)moonpool_pending(pool), 0);
}

static moonpool *make(int method, unsigned workers)
{
    moonpool *pool = NULL;
    moonpool_options options = {.size = sizeof options,
                                .workers = workers,
                                .worker_init = "set up",
                                .start_method = method};
    CHECK_EQ_INT(moonpool_new(&pool, &options), 0);
    return pool;
}

static unsigned descriptors(void)
{
    unsigned n = 0;
    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* ---- what a host may give ---- */

static long blocks;

static void *allocate(void *user, void *block, size_t size)
{
    (void)user;
    blocks += size == 0 ? -1 : block == NULL;
    if (size > 0)
        return realloc(block, size);
    free(block);
    return NULL;
}

static void write_down(void *user, const char *text)
{
    snprintf(user, 200, "%s", text);
}

/* ---- the cases ---- */

/* The first case: nothing is allocated yet. */
TEST(takes_its_memory_from_the_host_and_gives_it_back)
{
    moonpool_allocate_by(allocate, NULL);
    tally t = {0};
    moonpool *pool = make(MOONPOOL_START_FORK, 2);
    for (int i = 0; i < 100; i++)
        CHECK_EQ_INT(moonpool_submit(pool, "add", &i, sizeof i, note, &t), 0);
    CHECK(blocks > 0);
    finish(pool);
    CHECK_EQ_INT((int)t.told, 100);
    moonpool_free(pool);
    CHECK_EQ_INT(blocks, 0);
    moonpool_allocate_by(NULL, NULL);
}

static long allowed;

static void *allocate_some(void *user, void *block, size_t size)
{
    if (size > 0 && block == NULL && allowed-- <= 0)
        return NULL;
    return allocate(user, block, size);
}

/* Memory that is short for a while keeps no task from being done later. */
TEST(goes_on_where_memory_is_there_again)
{
    for (int i = 0; i < 40; i++) {
        tally t = {0};
        moonpool_allocate_by(allocate_some, NULL);
        allowed = 1000;
        moonpool *pool = make(MOONPOOL_START_FORK, 1);
        allowed = i;
        int submitted = moonpool_submit(pool, "add", "", 0, note, &t);
        moonpool_dispatch(pool, 0);
        allowed = 1000;
        while (moonpool_pending(pool) > 0)
            moonpool_wait(pool, MOONPOOL_NEVER);
        CHECK_EQ_INT((int)t.told, submitted == 0);
        moonpool_free(pool);
        moonpool_allocate_by(NULL, NULL);
    }
}

TEST(logs_what_is_nobodys_error)
{
    char text[200] = "";
    tally t = {0};
    moonpool *pool;
    moonpool_options options = {
        .size = sizeof options, .workers = 1, .log = write_down, .log_user = text};
    REQUIRE(moonpool_new(&pool, &options) == 0);
    moonpool_submit(pool, "die", "", 0, note, &t);
    finish(pool);
    CHECK_EQ_INT((int)t.lost, 1);
    CHECK(strstr(text, "died in a task, by signal 9") != NULL);
    moonpool_free(pool);
}

TEST(runs_handlers_by_each_method)
{
    REQUIRE(moonpool_forkserver_start() == 0);
    for (int m = 0; m < METHODS; m++) {
        tally t = {0};
        moonpool *pool = make(methods[m], 2);
        for (int i = 1; i <= 1000; i++)
            CHECK_EQ_INT(moonpool_submit(pool, "add", &i, sizeof i, note, &t), 0);
        finish(pool);
        CHECK_EQ_INT((int)t.told, 1000);
        CHECK_EQ_INT((int)t.sum, 1000 * 1001 / 2 + 1000 * 100);
        moonpool_free(pool);
    }
    moonpool_forkserver_stop();
}

TEST(loses_an_item_a_worker_by_each_method)
{
    for (int m = 0; m < METHODS; m++) {
        tally t = {0};
        moonpool *pool = make(methods[m], 2);
        for (int i = 1; i <= 100; i++)
            CHECK_EQ_INT(moonpool_submit(pool, i % 25 == 0 ? "die" : "add", &i, sizeof i, note, &t),
                         0);
        finish(pool);
        CHECK_EQ_INT((int)t.told, 100);
        CHECK_EQ_INT((int)t.lost, 4);
        moonpool_free(pool);
    }
    moonpool_forkserver_stop();
}

/* The nursery is the worker's parent. */
TEST(goes_on_where_the_nursery_is_lost_by_each_method)
{
    for (int m = 0; m < METHODS; m++) {
        tally t = {0};
        moonpool *pool = make(methods[m], 1);
        moonpool_submit(pool, "parent", NULL, 0, note, &t);
        finish(pool);
        CHECK(t.last > 1);
        kill(t.last, SIGKILL);
        for (int i = 1; i <= 100; i++)
            moonpool_submit(pool, "add", &i, sizeof i, note, &t);
        finish(pool);
        CHECK_EQ_INT((int)t.told, 101);
        CHECK(t.lost <= 1); /* what its worker has begun before the end came there */
        moonpool_free(pool);
    }
    moonpool_forkserver_stop();
}

TEST(leaves_nothing_by_each_method)
{
    for (int m = 0; m < METHODS; m++) {
        unsigned before = descriptors();
        for (int i = 0; i < 5; i++) {
            tally t = {0};
            moonpool *pool = make(methods[m], 2);
            moonpool_submit(pool, "add", &i, sizeof i, note, &t);
            if (i % 2 == 0)
                finish(pool);
            moonpool_free(pool);
        }
        moonpool_forkserver_stop();
        CHECK_EQ_INT((int)descriptors(), (int)before);
        CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
    }
}

/* ---- threads ---- */

typedef struct crew {
    pthread_t thread;
    int method;
    tally t;
} crew;

static void *work(void *arg)
{
    crew *c = arg;
    moonpool *pool = make(c->method, 2);
    for (int i = 1; i <= 200; i++)
        CHECK_EQ_INT(moonpool_submit(pool, "add", &i, sizeof i, note, &c->t), 0);
    finish(pool);
    moonpool_free(pool);
    return NULL;
}

static void run_threads(int method, unsigned threads)
{
    crew crews[8] = {{.method = method}};
    for (unsigned i = 0; i < threads; i++) {
        crews[i].method = method;
        CHECK_EQ_INT(pthread_create(&crews[i].thread, NULL, work, &crews[i]), 0);
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(crews[i].thread, NULL);
        CHECK_EQ_INT((int)crews[i].t.told, 200);
        CHECK_EQ_INT((int)crews[i].t.sum, 200 * 201 / 2 + 200 * 100);
    }
}

TEST(serves_threads_with_pools_of_their_own)
{
    run_threads(MOONPOOL_START_SPAWN, 4);
    run_threads(MOONPOOL_START_DEFAULT, 4);
    REQUIRE(moonpool_forkserver_start() == 0);
    for (int i = 0; i < 5; i++)
        run_threads(i % 2 == 0 ? MOONPOOL_START_FORKSERVER : MOONPOOL_START_DEFAULT, 8);
    moonpool_forkserver_stop();
}

static void *idle(void *arg)
{
    sleep(1000); /* a place to be cancelled in */
    return arg;
}

TEST(refuses_only_a_fork_beside_threads)
{
    tally t = {0};
    pthread_t thread;
    moonpool *forks = make(MOONPOOL_START_FORK, 1), *any = make(MOONPOOL_START_DEFAULT, 1);
    REQUIRE(pthread_create(&thread, NULL, idle, NULL) == 0);
    CHECK_EQ_INT(moonpool_submit(forks, "add", "", 0, note, &t), MOONPOOL_ETHREADS);
    CHECK_EQ_INT(moonpool_submit(any, "add", "", 0, note, &t), 0);
    REQUIRE(moonpool_forkserver_start() == 0); /* which is this program, started anew */
    moonpool *served = make(MOONPOOL_START_FORKSERVER, 1);
    CHECK_EQ_INT(moonpool_submit(served, "add", "", 0, note, &t), 0);
    finish(any);
    finish(served);
    CHECK_EQ_INT((int)t.sum, 200);
    pthread_cancel(thread);
    pthread_join(thread, NULL);
    CHECK_EQ_INT(moonpool_submit(forks, "add", "", 0, note, &t), 0);
    finish(forks);
    moonpool_free(forks);
    moonpool_free(any);
    moonpool_free(served);
    moonpool_forkserver_stop();
}

TEST(refuses_a_method_that_there_is_not)
{
    moonpool *pool;
    moonpool_options options = {.size = sizeof options, .start_method = 4};
    CHECK_EQ_INT(moonpool_new(&pool, &options), MOONPOOL_EARGUMENT);
}

/* ---- hosts that are hostile ---- */

static void take_children(int number)
{
    (void)number;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        continue;
}

TEST(minds_no_host_that_takes_its_children)
{
    struct sigaction takes = {.sa_handler = take_children, .sa_flags = SA_RESTART}, before;
    sigaction(SIGCHLD, &takes, &before);
    for (int m = 0; m < METHODS; m++) {
        tally t = {0};
        moonpool *pool = make(methods[m], 2);
        for (int i = 1; i <= 50; i++)
            moonpool_submit(pool, i % 25 == 0 ? "die" : "add", &i, sizeof i, note, &t);
        finish(pool);
        CHECK_EQ_INT((int)t.told, 50);
        moonpool_free(pool);
    }
    moonpool_forkserver_stop();
    sigaction(SIGCHLD, &before, NULL);
}

static int without_streams(void)
{
    for (int fd = 0; fd < 3; fd++)
        close(fd);
    for (int m = 0; m < METHODS; m++) {
        tally t = {0};
        moonpool *pool = make(methods[m], 2);
        for (int i = 1; i <= 50; i++)
            moonpool_submit(pool, "add", &i, sizeof i, note, &t);
        finish(pool);
        moonpool_free(pool);
        if (t.told != 50)
            return 10 + m;
        for (int fd = 0; fd < 3; fd++)
            if (fcntl(fd, F_GETFD) >= 0)
                return 20 + m;
    }
    moonpool_forkserver_stop();
    return 0;
}

static int in_a_fork(int (*body)(void))
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(body());
    waitpid(pid, &status, 0);
    return status;
}

TEST(works_without_the_first_three_descriptors)
{
    CHECK_EQ_INT(in_a_fork(without_streams), 0);
}

static int with_a_server_of_its_own(void)
{
    tally t = {0};
    moonpool *pool = make(MOONPOOL_START_FORKSERVER, 1);
    int n = 5;
    moonpool_submit(pool, "add", &n, sizeof n, note, &t);
    finish(pool);
    moonpool_free(pool);
    moonpool_forkserver_stop();
    return t.sum == 105 ? 0 : 1;
}

TEST(gives_a_fork_a_server_of_its_own)
{
    tally t = {0};
    int n = 1;
    REQUIRE(moonpool_forkserver_start() == 0);
    CHECK_EQ_INT(in_a_fork(with_a_server_of_its_own), 0);
    moonpool *pool = make(MOONPOOL_START_FORKSERVER, 1);
    moonpool_submit(pool, "add", &n, sizeof n, note, &t);
    finish(pool);
    CHECK_EQ_INT((int)t.sum, 101);
    moonpool_free(pool);
    moonpool_forkserver_stop();
}

int main(int argc, char **argv)
{
    name_handlers();
    moonpool_worker_main(argc, argv);
    return check_run(argc, argv);
}
