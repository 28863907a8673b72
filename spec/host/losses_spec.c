/* timeout: 180
 *
 * A pool of C handlers whose nursery is killed: what its tasks and its log say of that, and that a
 * host to which the workers fall keeps no zombie. */
#include "moonpool.h"
#include "spec/support/check.h"
#include "spec/support/handlers.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const int64_t patience = INT64_C(60000000000);

/* ---- handlers ---- */

/* Kills the process that bears the workers, and with it itself. */
static int orphan(void *user, const void *input, size_t size, moonpool_reply *reply)
{
    (void)user, (void)input, (void)size, (void)reply;
    kill(getppid(), SIGKILL);
    while (pause() < 0)
        continue;
    return 1;
}

static pid_t parent_of(pid_t pid)
{
    char path[40];
    int parent = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    if (f != NULL && fscanf(f, "%*d (%*[^)]) %*c %d", &parent) != 1)
        parent = 0;
    if (f != NULL)
        fclose(f);
    return parent;
}

/* Tells who bears the workers. */
static int parent(void *user, const void *input, size_t size, moonpool_reply *reply)
{
    pid_t pid = getppid();
    (void)user, (void)input, (void)size;
    return moonpool_write(reply, &pid, sizeof pid);
}

static int leave(void *user, const void *input, size_t size, moonpool_reply *reply)
{
    (void)user, (void)input, (void)size, (void)reply;
    _exit(0);
}

/* ---- what comes back ---- */

typedef struct tally {
    unsigned told;
    int error, code;
    int32_t worker;
    pid_t nursery;
    char log[1000];
} tally;

static void note(void *user, const moonpool_result *r)
{
    tally *t = user;
    t->told++;
    t->error = r->error;
    t->code = r->code;
    t->worker = r->worker;
    if (r->error == 0 && r->size == sizeof t->nursery)
        memcpy(&t->nursery, r->bytes, sizeof t->nursery);
}

static void write_down(void *user, const char *text)
{
    tally *t = user;
    strncat(t->log, text, sizeof t->log - strlen(t->log) - 2);
    strcat(t->log, "\n");
}

static moonpool *make(tally *t, int method)
{
    moonpool *pool = NULL;
    moonpool_options options = {.size = sizeof options,
                                .workers = 1,
                                .start_method = method,
                                .log = write_down,
                                .log_user = t};
    CHECK_EQ_INT(moonpool_new(&pool, &options), 0);
    return pool;
}

static void finish(moonpool *pool)
{
    int64_t deadline = now() + patience;
    while (moonpool_pending(pool) > 0 && now() < deadline)
        moonpool_wait(pool, deadline);
    CHECK_EQ_INT(moonpool_pending(pool), 0);
}

/* ---- specs ---- */

TEST(tells_that_the_nursery_was_killed)
{
    tally t = {0};
    moonpool *pool = make(&t, MOONPOOL_START_FORK);
    REQUIRE(pool != NULL);
    CHECK_EQ_INT(moonpool_submit(pool, "orphan", "", 0, note, &t), 0);
    finish(pool);
    CHECK_EQ_INT(t.error, MOONPOOL_ELOST);
    CHECK_EQ_INT(t.code, SIGKILL);
    CHECK(t.worker > 0);
    CHECK(strstr(t.log, "was lost in a task, with the pool's nursery") != NULL);
    moonpool_free(pool);
}

TEST(tells_which_task_of_a_batch_was_lost)
{
    tally t = {0};
    moonpool_batch *b;
    moonpool *pool = make(&t, MOONPOOL_START_FORK);
    REQUIRE(pool != NULL);
    REQUIRE(moonpool_batch_new(pool, &b, "leave", 0, note, &t) == 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ_INT(moonpool_batch_add(b, "", 0), 0);
    moonpool_batch_end(b, NULL);
    finish(pool);
    CHECK_EQ_INT(t.told, 2);
    CHECK_EQ_INT(t.error, MOONPOOL_ELOST);
    CHECK_EQ_INT(t.code, 0);
    CHECK(strstr(t.log, "died in task 1, by exit code 0") != NULL);
    CHECK(strstr(t.log, "died in task 2, by exit code 0") != NULL);
    moonpool_free(pool);
}

static bool has_ended(pid_t pid)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid != 0;
}

static void end_soon(pid_t pid)
{
    int64_t deadline = now() + patience;
    kill(pid, SIGKILL);
    while (!has_ended(pid) && now() < deadline)
        poll(NULL, 0, 1);
}

enum victim { NURSERY, FORKSERVER };

/* A pool's life with a killed nursery or forkserver, in a process to which the orphans fall;
 * afterwards it has no child. `hears`: whether the pool is used behind that. */
static int adopt(int method, enum victim victim, bool hears)
{
    tally t = {0};
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    moonpool *pool = make(&t, method);
    if (pool == NULL || moonpool_submit(pool, "parent", "", 0, note, &t) < 0)
        return 2;
    finish(pool);
    pid_t doomed = victim == NURSERY ? t.nursery : parent_of(t.nursery);
    int64_t deadline = now() + patience;
    if (doomed <= 1 || doomed == getpid())
        return 3;
    end_soon(doomed);
    for (t.error = -1; hears && t.error != 0 && now() < deadline;) {
        CHECK_EQ_INT(moonpool_submit(pool, "echo", "", 0, note, &t), 0);
        finish(pool); /* one that is not dead yet may have had it */
    }
    CHECK(!hears || t.error == 0);
    moonpool_free(pool);
    moonpool_forkserver_stop();
    CHECK_EQ_INT(waitpid(-1, NULL, WNOHANG), -1);
    return check_failures != 0;
}

static void check_adoption(int method, enum victim victim, bool hears)
{
    int status = -1;
    pid_t pid = fork();
    check_failures = pid == 0 ? 0 : check_failures;
    if (pid == 0)
        _exit(adopt(method, victim, hears));
    waitpid(pid, &status, 0);
    CHECK_EQ_INT(status, 0);
}

TEST(leaves_no_zombie_to_a_host_that_adopts_orphans)
{
    check_adoption(MOONPOOL_START_FORK, NURSERY, false);
    check_adoption(MOONPOOL_START_FORK, NURSERY, true);
    check_adoption(MOONPOOL_START_SPAWN, NURSERY, true);
    check_adoption(MOONPOOL_START_FORKSERVER, NURSERY, true);
    check_adoption(MOONPOOL_START_FORKSERVER, FORKSERVER, false);
    check_adoption(MOONPOOL_START_FORKSERVER, FORKSERVER, true);
}

/* A child of the host's own is the host's to wait for. */
TEST(does_not_wait_for_the_hosts_own_children)
{
    int status = -1;
    pid_t own = fork();
    if (own == 0)
        _exit(7);
    check_adoption(MOONPOOL_START_FORK, NURSERY, true);
    tally t = {0};
    moonpool *pool = make(&t, MOONPOOL_START_FORK);
    REQUIRE(pool != NULL);
    CHECK_EQ_INT(moonpool_submit(pool, "orphan", "", 0, note, &t), 0);
    finish(pool);
    moonpool_free(pool);
    CHECK_EQ_INT(waitpid(own, &status, 0), own);
    CHECK_EQ_INT(WEXITSTATUS(status), 7);
}

int main(int argc, char **argv)
{
    moonpool_handle("echo", echo, NULL);
    moonpool_handle("orphan", orphan, NULL);
    moonpool_handle("parent", parent, NULL);
    moonpool_handle("leave", leave, NULL);
    moonpool_worker_main(argc, argv);
    return check_run(argc, argv);
}
