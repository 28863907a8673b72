/* The session: who is there, who uses what, and what is left by those who were killed. */
#include "shm/session.h"
#include "shm/sync.h"
#include "spec/support/check.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static mp_error error;

typedef struct table {
    _Atomic uint32_t names[64];
    _Atomic uint32_t ready, go;
} table;

static table *t;

static bool lay(void)
{
    t = mmap(NULL, sizeof *t, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return t != MAP_FAILED && mp_session_open(&error) == 0 && mp_session_self(&error) != 0;
}

static bool soon(bool (*is)(uint32_t), uint32_t arg)
{
    for (int i = 0; i < 5000; i++, usleep(1000))
        if (is(arg))
            return true;
    return false;
}

static bool is_ready(uint32_t n)
{
    return t->ready >= n;
}

/* A child that says its name, and sleeps. */
static pid_t bear(unsigned slot)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    t->names[slot] = mp_session_self(NULL);
    t->ready++;
    while (pause() < 0)
        continue;
    _exit(0);
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static unsigned users(mp_cell_name name)
{
    unsigned lost;
    return mp_cell_users(name, &lost);
}

TEST(knows_who_lives)
{
    enum { MANY = 30 };
    pid_t pids[MANY];
    REQUIRE(lay());
    CHECK(mp_session_alive(mp_session_self(NULL)));
    for (unsigned i = 0; i < MANY; i++)
        pids[i] = bear(i);
    REQUIRE(soon(is_ready, MANY));
    for (unsigned i = 0; i < MANY; i++) {
        CHECK(mp_session_alive(t->names[i]));
        for (unsigned k = 0; k < i; k++)
            CHECK(t->names[i] != t->names[k]);
    }
    kill(pids[0], SIGSTOP);
    CHECK(mp_session_alive(t->names[0]));
    kill(pids[1], SIGKILL);
    siginfo_t info;
    waitid(P_PID, (id_t)pids[1], &info, WEXITED | WNOWAIT);
    CHECK(!mp_session_alive(t->names[1])); /* a zombie */
    for (unsigned i = 0; i < MANY; i++)
        end(pids[i]);
    for (unsigned i = 0; i < MANY; i++)
        CHECK(!mp_session_alive(t->names[i]));
}

TEST(gives_places_again_under_other_names)
{
    REQUIRE(lay());
    unsigned before = 0;
    for (unsigned i = 0; i < 200; i++) {
        t->ready = 0;
        pid_t pid = bear(i % 64);
        REQUIRE(soon(is_ready, 1));
        end(pid);
        for (unsigned k = 0; i < 64 && k < i; k++)
            CHECK(t->names[k] != t->names[i]);
        if (i == 20)
            before = mp_session_places();
    }
    CHECK(mp_session_places() <= before + 20);
}

TEST(frees_a_cell_with_its_last_use)
{
    mp_cell_name a, b;
    REQUIRE(lay());
    REQUIRE(mp_cell_create(&a, &error) == 0);
    CHECK(mp_cell_use(a));
    mp_cell_drop(a);
    CHECK_EQ_INT(users(a), 1);
    memset(mp_cell_content(a), 7, MP_CELL_ROOM);
    mp_cell_drop(a);
    CHECK(!mp_cell_use(a));
    for (int i = 0; i < 10000; i++) {
        REQUIRE(mp_cell_create(&b, &error) == 0);
        CHECK(*(unsigned char *)mp_cell_content(b) == 0);
        *(unsigned char *)mp_cell_content(b) = 1;
        mp_cell_drop(b);
    }
    CHECK(b.index < 16);
}

TEST(lets_a_child_use_what_its_parent_uses)
{
    mp_cell_name a;
    REQUIRE(lay());
    REQUIRE(mp_cell_create(&a, &error) == 0);
    t->ready = 0;
    pid_t pid = bear(0);
    mp_cell_drop(a); /* perhaps before the child is there */
    REQUIRE(soon(is_ready, 1));
    CHECK(mp_cell_use(a));
    CHECK(users(a) >= 1);
    mp_cell_drop(a);
    end(pid);
    mp_cell_name b;
    REQUIRE(mp_cell_create(&b, &error) == 0);
    mp_cell_drop(b);
    if (mp_cell_use(a)) { /* nobody has looked since the child died */
        CHECK_EQ_INT(users(a), 1);
        mp_cell_drop(a);
    }
    CHECK(!mp_cell_use(a));
}

TEST(tells_those_who_were_killed_from_those_who_left)
{
    mp_cell_name a;
    unsigned lost;
    REQUIRE(lay());
    REQUIRE(mp_cell_create(&a, &error) == 0);
    t->ready = 0;
    pid_t killed = bear(0);
    REQUIRE(soon(is_ready, 1));
    pid_t left = fork();
    if (left == 0) {
        mp_session_leave();
        _exit(0);
    }
    waitpid(left, NULL, 0);
    CHECK_EQ_INT(mp_cell_users(a, &lost), 2);
    CHECK_EQ_INT(lost, 0);
    end(killed);
    CHECK_EQ_INT(mp_cell_users(a, &lost), 1);
    CHECK_EQ_INT(lost, 1);
    CHECK_EQ_INT(mp_cell_users(a, &lost), 1);
    CHECK_EQ_INT(lost, 0);
    mp_cell_drop(a);
}

TEST(is_whole_whatever_instant_a_user_is_killed_at)
{
    REQUIRE(lay());
    for (int i = 0; i < 300; i++) {
        pid_t pid = fork();
        if (pid == 0)
            for (;;) {
                mp_cell_name name[20];
                for (int k = 0; k < 20; k++)
                    if (mp_cell_create(&name[k], NULL) == 0 && k % 4 == 0)
                        mp_cell_extend(name[k], 5000, NULL);
                for (int k = 0; k < 20; k++)
                    mp_cell_drop(name[k]);
            }
        usleep((unsigned)(i % 100) * 20);
        end(pid);
    }
    mp_cell_name name[200];
    for (int k = 0; k < 200; k++) {
        size_t bytes;
        REQUIRE(mp_cell_create(&name[k], &error) == 0);
        REQUIRE(mp_cell_extend(name[k], 5000, &error) == 0);
        CHECK(name[k].index < 4000);
        unsigned char *p = mp_cell_extent(name[k], &bytes);
        CHECK_EQ_INT(bytes, 8192);
        for (size_t j = 0; j < bytes; j++)
            if (p[j] != 0)
                CHECK(false);
        memset(p, k + 1, bytes);
    }
    for (int k = 0; k < 200; k++) {
        size_t bytes;
        const unsigned char *p = mp_cell_extent(name[k], &bytes);
        CHECK(p[0] == (unsigned char)(k + 1) && p[bytes - 1] == (unsigned char)(k + 1));
        mp_cell_drop(name[k]);
    }
}

TEST(gives_a_lock_to_one_at_a_time)
{
    enum { PROCESSES = 3, ROUNDS = 20000 };
    mp_cell_name a;
    pid_t pids[PROCESSES];
    REQUIRE(lay());
    REQUIRE(mp_cell_create(&a, &error) == 0);
    mp_lock *lock = mp_cell_content(a);
    for (int i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        if (pids[i] != 0)
            continue;
        uint32_t me = mp_session_self(NULL);
        for (int round = 0; round < ROUNDS; round++) {
            bool slept = false;
            while (mp_lock_try(lock, me, slept) != MP_LOCK_GOT) {
                mp_lock_sleep(lock, 1000000);
                slept = true;
            }
            t->go = t->go + 1; /* a load and a store */
            mp_lock_release(lock);
        }
        _exit(0);
    }
    for (int i = 0; i < PROCESSES; i++)
        waitpid(pids[i], NULL, 0);
    CHECK_EQ_INT(t->go, PROCESSES * ROUNDS);
    CHECK_EQ_INT(mp_lock_holder(lock), 0);
    mp_cell_drop(a);
}

CHECK_MAIN
