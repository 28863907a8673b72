/* The nursery under hosts of all kinds, and who dies with whom.
 * timeout: 120 */
#include "spec/process/world.h"

#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* ---- the host dies ---- */

enum { SPINNING, PAUSED, STOPPED, BLOCKING, READING, DEMOTED, KINDS };

static void block_all_signals(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
}

/* A change of user cuts PR_SET_PDEATHSIG. */
static void become_nobody(void)
{
    if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setgid(65534) < 0 || setuid(65534) < 0))
        abort();
}

/* Each seat has its own way of not listening. */
static void be_deaf(void *owner, unsigned seat, uint32_t incarnation)
{
    int ends[2];
    char byte;
    if (seat == DEMOTED)
        become_nobody();
    if (seat == BLOCKING)
        block_all_signals();
    world->reported++;
    if (seat == STOPPED)
        raise(SIGSTOP);
    if (seat == READING && pipe(ends) == 0)
        while (read(ends[0], &byte, 1) != 1)
            continue;
    if (seat == SPINNING || seat == BLOCKING)
        for (;;)
            continue;
    sleep_for_ever(owner, seat, incarnation);
}

static void host_of_deaf_workers(void)
{
    if (start_nursery(be_deaf) == 0)
        for (;;)
            pause();
}

static bool deaf_workers_are_up(void)
{
    return world->reported == KINDS && all_seats_filled(KINDS) && world->stopped == 1;
}

TEST(no_worker_outlives_a_killed_host)
{
    new_world(KINDS);
    pid_t host = fork_host(host_of_deaf_workers);
    CHECK(HOLDS_SOON(deaf_workers_are_up()));
    kill(host, SIGKILL);
    wait_for(host);
    CHECK(nobody_left());
}

TEST(no_worker_outlives_a_killed_nursery)
{
    new_world(KINDS);
    REQUIRE(start_nursery(be_deaf) == 0);
    CHECK(HOLDS_SOON(deaf_workers_are_up()));
    kill(nursery.process.pid, SIGKILL);
    CHECK(mp_nursery_wait(&nursery, mp_deadline(20)));
    CHECK_EQ_INT(nursery.status, SIGKILL);
    mp_nursery_close(&nursery);
    CHECK(nobody_left());
}

TEST(no_worker_outlives_the_host_of_a_stopped_nursery)
{
    new_world(KINDS);
    pid_t host = fork_host(host_of_deaf_workers);
    CHECK(HOLDS_SOON(deaf_workers_are_up() && world->nursery > 0));
    kill(world->nursery, SIGSTOP);
    kill(host, SIGKILL);
    wait_for(host);
    CHECK(nobody_left());
}

static void host_that_exits(void)
{
    CHECK_EQ_INT(start_nursery(be_deaf), 0);
    CHECK(HOLDS_SOON(deaf_workers_are_up()));
}

TEST(no_worker_outlives_a_host_that_just_exits)
{
    new_world(KINDS);
    CHECK_EQ_INT(wait_for(fork_host(host_that_exits)), 0);
    CHECK(nobody_left());
}

static void host_with_a_child(void)
{
    CHECK_EQ_INT(start_nursery(sleep_for_ever), 0);
    pid_t pid = fork();
    if (pid == 0) {
        /* Lives on, with all that it has inherited. */
        while (world->leave == 0)
            usleep(500);
        _exit(0);
    }
    world->reported = pid;
    for (;;)
        pause();
}

TEST(a_child_of_the_host_does_not_hold_the_lifeline)
{
    new_world(2);
    pid_t host = fork_host(host_with_a_child);
    CHECK(HOLDS_SOON(all_seats_filled(2) && world->reported > 0));
    int worker = world->pid[0];
    kill(host, SIGKILL);
    wait_for(host);
    /* It may have come to this process as an orphan. */
    CHECK(HOLDS_SOON(waitpid(worker, NULL, WNOHANG) == worker || !is_alive(worker)));
    CHECK(is_alive(world->reported));
    world->leave = 1;
    CHECK(nobody_left());
}

TEST(a_child_of_the_host_can_close_without_harm)
{
    new_world(2);
    REQUIRE(start_nursery(sleep_for_ever) == 0);
    CHECK(HOLDS_SOON(all_seats_filled(2)));
    pid_t child = fork();
    if (child == 0) {
        check_failures = 0;
        CHECK(!mp_nursery_gone(&nursery));
        mp_nursery_kill(&nursery);
        mp_nursery_close(&nursery);
        CHECK(nursery.nudge_fd < 0 && nursery.process.pidfd < 0 && nursery.line.fd < 0);
        _exit(check_failures != 0);
    }
    CHECK_EQ_INT(wait_for(child), 0);
    /* It still bears, and has buried nobody. */
    want(3);
    CHECK(HOLDS_SOON(all_seats_filled(3)));
    CHECK_EQ_INT(world->deaths, 0);
    CHECK(end_nursery());
}

/* A worker that is itself a host. */
static void have_a_nursery(void *owner, unsigned seat, uint32_t incarnation)
{
    if (start_nursery(be_deaf) == 0)
        sleep_for_ever(owner, seat, incarnation);
}

TEST(the_nursery_of_a_killed_worker_goes_with_it)
{
    new_world(1);
    REQUIRE(start_nursery(have_a_nursery) == 0);
    CHECK(HOLDS_SOON(world->births == 2 && world->reported == 1));
    CHECK(end_nursery());
}

/* ---- threads ---- */

static void *start_and_end(void *unused)
{
    CHECK_EQ_INT(start_nursery(sleep_for_ever), 0);
    return unused;
}

TEST(the_thread_that_forked_may_end)
{
    pthread_t thread;
    new_world(2);
    REQUIRE(pthread_create(&thread, NULL, start_and_end, NULL) == 0);
    pthread_join(thread, NULL);
    CHECK(HOLDS_SOON(all_seats_filled(2)));
    usleep(20000);
    want(3);
    CHECK(HOLDS_SOON(all_seats_filled(3)));
    CHECK(!mp_nursery_gone(&nursery));
    CHECK_EQ_INT(world->deaths, 0);
    CHECK(end_nursery());
}

/* ---- children and signals ---- */

static void host_that_ignores_children(void)
{
    signal(SIGCHLD, SIG_IGN);
    CHECK_EQ_INT(start_nursery(sleep_for_ever), 0);
    CHECK(HOLDS_SOON(all_seats_filled(2)));
    kill(world->pid[0], SIGKILL);
    CHECK(HOLDS_SOON(world->births == 3));
    CHECK_EQ_INT(world->death[0].status, SIGKILL);
    want(MP_WANT_TERMINATE);
    CHECK(mp_nursery_wait(&nursery, mp_deadline(20)));
    CHECK_EQ_INT(nursery.status, -1);
    mp_nursery_close(&nursery);
}

TEST(a_host_may_ignore_its_children)
{
    new_world(2);
    CHECK_EQ_INT(wait_for(fork_host(host_that_ignores_children)), 0);
    CHECK(nobody_left());
}

static void reap(int signal_number)
{
    (void)signal_number;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        continue;
}

static void host_that_reaps(void)
{
    signal(SIGCHLD, reap);
    CHECK_EQ_INT(start_nursery(sleep_for_ever), 0);
    CHECK(HOLDS_SOON(all_seats_filled(2)));
    mp_nursery_kill(&nursery);
    CHECK(mp_nursery_wait(&nursery, mp_deadline(20)));
    CHECK(nursery.status == -1 || nursery.status == SIGKILL);
    mp_nursery_close(&nursery);
}

TEST(a_host_may_reap_everybody)
{
    new_world(2);
    CHECK_EQ_INT(wait_for(fork_host(host_that_reaps)), 0);
    CHECK(nobody_left());
}

static _Atomic int handled_in;

static void note_process(int signal_number)
{
    (void)signal_number;
    handled_in = getpid();
}

/* The line of /proc/self/status that begins with `key`, as a signal set. */
static uint64_t signal_set(const char *key)
{
    char line[256];
    uint64_t set = UINT64_MAX;
    FILE *f = fopen("/proc/self/status", "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, key, strlen(key)) == 0)
            set = strtoull(line + strlen(key), NULL, 16);
    if (f != NULL)
        fclose(f);
    return set;
}

static uint64_t bit(int signal_number)
{
    return UINT64_C(1) << (signal_number - 1);
}

static void report_surroundings(void *owner, unsigned seat, uint32_t incarnation)
{
    int death_signal = 0;
    char byte;
    (void)owner;
    (void)seat;
    (void)incarnation;
    check_failures = 0;
    CHECK_EQ_INT(signal_set("SigBlk:"), 0);
    CHECK_EQ_INT(signal_set("SigIgn:"), 0);
    /* 32 and 33 are the C library's own. */
    CHECK_EQ_INT(signal_set("SigCgt:") & ~(bit(32) | bit(33)), bit(SIGINT) | bit(SIGPIPE));
    CHECK_EQ_INT(prctl(PR_GET_PDEATHSIG, &death_signal), 0);
    CHECK_EQ_INT(death_signal, SIGKILL);
    CHECK_EQ_INT(getchar(), EOF);
    CHECK_EQ_INT(read(STDIN_FILENO, &byte, 1), 0);
    raise(SIGINT);
    raise(SIGPIPE);
    world->reported = check_failures == 0 ? 1 : -1;
    for (;;)
        pause();
}

static void odd_host(void)
{
    int ends[2];
    sigset_t some;
    CHECK_EQ_INT(pipe(ends), 0);
    CHECK_EQ_INT(write(ends[1], "ab\ncd", 5), 5);
    dup2(ends[0], STDIN_FILENO);
    CHECK_EQ_INT(getchar(), 'a');
    for (int i = 1; i < SIGRTMAX; i++)
        if (i != SIGCHLD)
            signal(i, i % 2 ? note_process : SIG_IGN);
    signal(SIGINT, note_process);
    sigemptyset(&some);
    sigaddset(&some, SIGUSR1);
    sigaddset(&some, SIGALRM);
    sigprocmask(SIG_BLOCK, &some, NULL);
    CHECK_EQ_INT(start_nursery(report_surroundings), 0);
    CHECK(HOLDS_SOON(world->reported != 0));
    CHECK_EQ_INT(world->reported, 1);
    CHECK_EQ_INT(signal_set("SigBlk:"), bit(SIGUSR1) | bit(SIGALRM));
    CHECK_EQ_INT(getchar(), 'b');
    want(MP_WANT_TERMINATE);
    CHECK(mp_nursery_wait(&nursery, mp_deadline(20)));
    mp_nursery_close(&nursery);
    CHECK_EQ_INT(handled_in, 0);
}

TEST(a_worker_has_signals_and_input_of_its_own)
{
    new_world(1);
    CHECK_EQ_INT(wait_for(fork_host(odd_host)), 0);
    CHECK(nobody_left());
}

static void host_in_its_group(void)
{
    setpgid(0, 0);
    signal(SIGINT, note_process);
    signal(SIGTERM, note_process);
    signal(SIGHUP, note_process);
    CHECK_EQ_INT(start_nursery(sleep_for_ever), 0);
    CHECK(HOLDS_SOON(all_seats_filled(2)));
    /* A worker is named when its handlers stand next; give it the time. */
    usleep(20000);
    int first = world->pid[0];
    kill(0, SIGINT);
    CHECK(HOLDS_SOON(handled_in == getpid()));
    usleep(20000);
    CHECK_EQ_INT(world->deaths, 0);
    CHECK_EQ_INT(world->pid[0], first);
    kill(0, SIGTERM);
    kill(0, SIGHUP);
    CHECK(HOLDS_SOON(world->deaths >= 2 && all_seats_filled(2)));
    CHECK(!mp_nursery_gone(&nursery));
    want(MP_WANT_TERMINATE);
    CHECK(mp_nursery_wait(&nursery, mp_deadline(20)));
    CHECK_EQ_INT(nursery.status, 0);
    mp_nursery_close(&nursery);
}

TEST(signals_to_the_group_spare_the_nursery)
{
    new_world(2);
    CHECK_EQ_INT(wait_for(fork_host(host_in_its_group)), 0);
    CHECK(nobody_left());
}

/* ---- descriptors and buffers ---- */

static void report_low_descriptors(void *owner, unsigned seat, uint32_t incarnation)
{
    (void)owner;
    (void)seat;
    (void)incarnation;
    struct stat in, null;
    bool empty = fstat(0, &in) == 0 && stat("/dev/null", &null) == 0 && in.st_rdev == null.st_rdev;
    bool closed = fcntl(1, F_GETFD) < 0 && fcntl(2, F_GETFD) < 0;
    world->reported = empty && closed ? 1 : -1;
    for (;;)
        pause();
}

static void host_without_stdio(void)
{
    close(0);
    close(1);
    close(2);
    if (start_nursery(report_low_descriptors) != 0 || !HOLDS_SOON(world->reported != 0))
        _exit(2);
    if (nursery.process.pidfd < 3 || nursery.nudge_fd < 3 || nursery.line.fd < 3)
        _exit(3);
    if (fcntl(0, F_GETFD) >= 0 || fcntl(1, F_GETFD) >= 0 || fcntl(2, F_GETFD) >= 0)
        _exit(4);
    want(MP_WANT_TERMINATE);
    _exit(mp_nursery_wait(&nursery, mp_deadline(20)) && world->reported == 1 ? 0 : 5);
}

TEST(a_host_may_have_closed_its_stdio)
{
    new_world(1);
    CHECK_EQ_INT(wait_for(fork_host(host_without_stdio)), 0);
    CHECK(nobody_left());
}

static void report_leaks(void *owner, unsigned seat, uint32_t incarnation)
{
    (void)owner;
    (void)seat;
    (void)incarnation;
    int kept = 0;
    for (int fd = 3; fd < 256; fd++) {
        int flags = fcntl(fd, F_GETFD);
        kept += flags >= 0 && (flags & FD_CLOEXEC) == 0;
    }
    world->reported = kept + 1;
    for (;;)
        pause();
}

TEST(nothing_passes_over_exec)
{
    new_world(1);
    int before = 0;
    for (int fd = 3; fd < 256; fd++)
        before += fcntl(fd, F_GETFD) == 0;
    REQUIRE(start_nursery(report_leaks) == 0);
    CHECK(HOLDS_SOON(world->reported != 0));
    CHECK_EQ_INT(world->reported - 1, before);
    int now = 0;
    for (int fd = 3; fd < 256; fd++)
        now += fcntl(fd, F_GETFD) == 0;
    CHECK_EQ_INT(now, before);
    CHECK(end_nursery());
}

static void exit_loudly(void *owner, unsigned seat, uint32_t incarnation)
{
    (void)owner;
    (void)seat;
    (void)incarnation;
    exit(3);
}

static void host_counting_output(void)
{
    char path[] = "/tmp/nursery_spec_XXXXXX";
    int fd = mkstemp(path);
    unlink(path);
    FILE *f = fdopen(fd, "w");
    fputs("once", f);
    world->verdict = MP_RETIRED;
    CHECK_EQ_INT(start_nursery(exit_loudly), 0);
    CHECK(HOLDS_SOON(world->deaths == 1));
    CHECK_EQ_INT(WEXITSTATUS(world->death[0].status), 3);
    fflush(f);
    CHECK_EQ_INT(lseek(fd, 0, SEEK_END), 4);
    fclose(f);
    want(MP_WANT_TERMINATE);
    CHECK(mp_nursery_wait(&nursery, mp_deadline(20)));
}

TEST(buffered_output_is_written_once)
{
    new_world(1);
    CHECK_EQ_INT(wait_for(fork_host(host_counting_output)), 0);
    CHECK(nobody_left());
}

/* With few descriptors to be had it works, or says so and leaves nothing. */
static void host_short_of_descriptors(void)
{
    int used = count_descriptors() - 3, works = 0, fails = 0; /* less ".", ".." and its own */
    for (int spare = 0; spare < 10; spare++) {
        struct rlimit limit = {(rlim_t)(used + spare), 64};
        new_world(2);
        CHECK_EQ_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
        int status = start_nursery(sleep_for_ever);
        if (status == 0) {
            works++;
            CHECK(HOLDS_SOON(all_seats_filled(2)));
            want(MP_WANT_TERMINATE);
            CHECK(mp_nursery_wait(&nursery, mp_deadline(20)));
            CHECK_EQ_INT(nursery.status, 0);
            mp_nursery_close(&nursery);
        } else {
            fails++;
            CHECK_EQ_INT(status, -EMFILE);
        }
        limit.rlim_cur = 64;
        CHECK_EQ_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
        CHECK_EQ_INT(count_descriptors() - 3, used);
        CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
    }
    CHECK(works >= 3 && fails >= 3);
}

TEST(a_host_short_of_descriptors_is_told)
{
    new_world(2);
    CHECK_EQ_INT(wait_for(fork_host(host_short_of_descriptors)), 0);
    CHECK(nobody_left());
}

CHECK_MAIN
