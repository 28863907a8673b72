/* Children that are copies: their ends, their ties, what they inherit. */
#include "base/clock.h"
#include "process/offspring.h"
#include "spec/support/check.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static mp_error error;

static int number(void *ctx)
{
    return *(int *)ctx;
}

static int sleep_for_ever(void *ctx)
{
    (void)ctx;
    while (pause() < 0)
        continue;
    return 0;
}

static bool ends(mp_offspring *o)
{
    for (int i = 0; i < 5000; i++) {
        if (mp_offspring_gone(o))
            return true;
        usleep(1000);
    }
    return false;
}

static int lowest_free(void)
{
    int fd = open("/dev/null", O_RDONLY);
    close(fd);
    return fd;
}

TEST(tells_the_exit_code)
{
    mp_offspring o;
    int code = 7, before = lowest_free();
    REQUIRE(mp_offspring_start(&o, true, number, &code, &error) == 0);
    struct pollfd p = {.fd = o.process.pidfd, .events = POLLIN};
    CHECK_EQ_INT(poll(&p, 1, 5000), 1);
    CHECK(mp_offspring_gone(&o));
    CHECK(WIFEXITED(o.status) && WEXITSTATUS(o.status) == 7);
    mp_offspring_signal(&o, SIGKILL);
    CHECK(mp_offspring_gone(&o));
    mp_offspring_close(&o);
    CHECK_EQ_INT(lowest_free(), before);
}

TEST(tells_the_signal)
{
    mp_offspring o;
    REQUIRE(mp_offspring_start(&o, true, sleep_for_ever, NULL, &error) == 0);
    CHECK(!mp_offspring_gone(&o));
    mp_offspring_signal(&o, SIGTERM);
    CHECK(ends(&o));
    CHECK(WIFSIGNALED(o.status) && WTERMSIG(o.status) == SIGTERM);
    mp_offspring_close(&o);
}

TEST(knows_nothing_of_an_end_that_another_has_taken)
{
    mp_offspring o;
    REQUIRE(mp_offspring_start(&o, true, sleep_for_ever, NULL, &error) == 0);
    mp_offspring_signal(&o, SIGKILL);
    CHECK_EQ_INT(waitpid(o.process.pid, NULL, 0), o.process.pid);
    CHECK(ends(&o));
    CHECK_EQ_INT(o.status, -1);
    mp_offspring_close(&o);
}

static void shout(int signal_number)
{
    (void)signal_number;
    _exit(99);
}

static int tell_signals(void *ctx)
{
    struct sigaction usr1, usr2;
    sigset_t mask;
    (void)ctx;
    sigaction(SIGUSR1, NULL, &usr1);
    sigaction(SIGUSR2, NULL, &usr2);
    sigprocmask(SIG_BLOCK, NULL, &mask);
    return (usr1.sa_handler == SIG_DFL) | (usr2.sa_handler == SIG_IGN) << 1 |
           sigismember(&mask, SIGHUP) << 2 | !sigismember(&mask, SIGTERM) << 3;
}

TEST(has_its_parents_mask_and_deaf_ears_but_not_its_handlers)
{
    mp_offspring o;
    sigset_t hup;
    signal(SIGUSR1, shout);
    signal(SIGUSR2, SIG_IGN);
    sigemptyset(&hup);
    sigaddset(&hup, SIGHUP);
    sigprocmask(SIG_BLOCK, &hup, NULL);
    REQUIRE(mp_offspring_start(&o, true, tell_signals, NULL, &error) == 0);
    sigprocmask(SIG_UNBLOCK, &hup, NULL);
    CHECK(ends(&o));
    CHECK_EQ_INT(WEXITSTATUS(o.status), 15);
    mp_offspring_close(&o);
}

static int read_input(void *ctx)
{
    char byte;
    (void)ctx;
    return (int)read(STDIN_FILENO, &byte, 1) == 0 && getc(stdin) == EOF ? 0 : 1;
}

TEST(has_nothing_to_read)
{
    mp_offspring o;
    int ends_of_pipe[2], saved = dup(STDIN_FILENO);
    REQUIRE(pipe(ends_of_pipe) == 0);
    REQUIRE(write(ends_of_pipe[1], "xyz", 3) == 3);
    dup2(ends_of_pipe[0], STDIN_FILENO);
    CHECK_EQ_INT(getc(stdin), 'x'); /* "yz" is buffered now */
    REQUIRE(mp_offspring_start(&o, true, read_input, NULL, &error) == 0);
    CHECK(ends(&o));
    CHECK_EQ_INT(WEXITSTATUS(o.status), 0);
    CHECK_EQ_INT(getc(stdin), 'y');
    dup2(saved, STDIN_FILENO);
    mp_offspring_close(&o);
}

/* ---- ties ---- */

typedef struct family {
    _Atomic pid_t child, grandchild;
} family;

static int bear_and_sleep(void *ctx)
{
    family *f = ctx;
    mp_offspring o;
    if (mp_offspring_start(&o, true, sleep_for_ever, NULL, &error) < 0)
        return 1;
    f->grandchild = o.process.pid;
    return sleep_for_ever(NULL);
}

static int die_with_children(void *ctx)
{
    family *f = ctx;
    mp_offspring o;
    if (mp_offspring_start(&o, true, bear_and_sleep, f, &error) < 0)
        return 1;
    f->child = o.process.pid;
    while (f->grandchild == 0)
        usleep(1000);
    raise(SIGKILL);
    return 1;
}

static bool is_reaped(pid_t pid)
{
    int status;
    for (int i = 0; i < 5000; i++, usleep(1000))
        if (waitpid(pid, &status, WNOHANG) == pid)
            return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    return false;
}

TEST(ends_with_its_parent_and_so_do_its_children)
{
    mp_offspring o;
    family *f = mmap(NULL, sizeof *f, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(f != MAP_FAILED);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    REQUIRE(mp_offspring_start(&o, true, die_with_children, f, &error) == 0);
    CHECK(ends(&o));
    CHECK(is_reaped(f->child));
    CHECK(is_reaped(f->grandchild));
    mp_offspring_close(&o);
    munmap(f, sizeof *f);
}

TEST(hangs_on_one_lifeline_however_many_they_are)
{
    enum { MANY = 50 };
    mp_offspring all[MANY];
    int before = lowest_free();
    for (int i = 0; i < MANY; i++)
        REQUIRE(mp_offspring_start(&all[i], true, sleep_for_ever, NULL, &error) == 0);
    CHECK(lowest_free() < before + MANY + 10);
    mp_offspring_signal(&all[0], SIGKILL);
    CHECK(ends(&all[0]));
    usleep(20000);
    CHECK(!mp_offspring_gone(&all[1]));
    for (int i = 1; i < MANY; i++)
        mp_offspring_signal(&all[i], SIGKILL);
    for (int i = 1; i < MANY; i++)
        CHECK(ends(&all[i]));
    for (int i = 0; i < MANY; i++)
        mp_offspring_close(&all[i]);
    CHECK_EQ_INT(lowest_free(), before);
}

CHECK_MAIN
