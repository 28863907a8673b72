/* timeout: 120
 *
 * Results between two processes: whenever the writer is killed, the host sees whole
 * frames in order, and a successor goes on behind them. */
#include "base/clock.h"
#include "shm/wake.h"
#include "spec/shm/result_fixture.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Frames of one incarnation: kind counts, the first bytes say which and how many. */
typedef struct stamp {
    uint32_t incarnation, number, size;
} stamp;

static size_t size_of(uint32_t number)
{
    uint32_t x = number * 2654435761U;
    size_t size = (x >> 8) % (x % 61 == 0 ? 400000 : x % 7 == 0 ? 20000 : 60);
    return size < sizeof(stamp) ? sizeof(stamp) : size;
}

static void put_stamped(uint32_t incarnation, uint32_t number)
{
    stamp s = {incarnation, number, (uint32_t)size_of(number)};
    for (;;) {
        uint64_t seen = mp_load_acquire(&w.shared->head);
        mp_buffer *b = mp_result_open(&w, number % 3 == 0 ? s.size : 0);
        int status = b == NULL ? -EAGAIN : mp_buffer_append(b, &s, sizeof s);
        while (status == 0 && b->len < s.size) {
            size_t n = s.size - b->len < 3000 ? s.size - b->len : 3000;
            status = mp_buffer_reserve(b, n);
            if (status == 0) {
                memset(b->data + b->len, (int)(number & 15), n);
                b->len += n;
            }
        }
        if (status == 0) {
            mp_result_publish(&w, number & 15);
            return;
        }
        if (status != -EAGAIN)
            _exit(3);
        mp_result_discard(&w);
        mp_result_wait(&w, seen);
    }
}

static pid_t bear(uint32_t incarnation, uint32_t frames)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    if (mp_result_writer_init(&w, &writers, &error) != 0)
        _exit(2);
    w.spill_limit = 2 * MIB;
    for (uint32_t number = 0; number < frames; number++)
        put_stamped(incarnation, number);
    _exit(0);
}

static stamp last;

static bool whole(const mp_result_frame *f)
{
    stamp s;
    if (f->size < sizeof s)
        return false;
    memcpy(&s, f->data, sizeof s);
    bool next = s.incarnation == last.incarnation
                    ? s.number == last.number + 1
                    : s.incarnation > last.incarnation && s.number == 0;
    last = s;
    if (!next || s.size != f->size || f->kind != (s.number & 15) || s.size != size_of(s.number))
        return false;
    for (size_t i = sizeof s; i < f->size; i++)
        if (f->data[i] != (s.number & 15))
            return false;
    return true;
}

TEST(a_slow_host_loses_nothing_and_wakes_the_writer)
{
    REQUIRE(make());
    last = (stamp){0};
    pid_t pid = bear(1, 20000);
    int64_t deadline = mp_deadline(60);
    for (uint32_t n = 0; n < 20000 && mp_now() < deadline;) {
        if (!mp_result_peek(&r, &frame)) {
            sched_yield();
            continue;
        }
        if (!whole(&frame))
            CHECK(false);
        mp_result_consume(&r);
        if (++n % 500 == 0)
            usleep(2000);
    }
    CHECK_EQ_INT(last.number, 19999);
    kill(pid, last.number == 19999 ? 0 : SIGKILL);
    int status = -1;
    CHECK_EQ_INT(waitpid(pid, &status, 0), pid);
    CHECK_EQ_INT(status, 0);
    drop();
}

TEST(a_killed_writer_leaves_whole_frames_and_its_successor_goes_on)
{
    enum { KILLS = 200 };
    REQUIRE(make());
    last = (stamp){0};
    srand(5);
    unsigned bad = 0, frames = 0;
    for (uint32_t incarnation = 1; incarnation <= KILLS; incarnation++) {
        pid_t pid = bear(incarnation, UINT32_MAX);
        int64_t until = mp_now() + rand() % 3000000;
        /* Every third is read only after its death, and what is left by the next. */
        int most = incarnation % 3 == 0 ? 0 : rand() % 3000;
        while (mp_now() < until)
            for (int n = 0; n < 20 && most > 0 && mp_result_peek(&r, &frame);
                 n++, most--, frames++) {
                bad += !whole(&frame);
                mp_result_consume(&r);
            }
        kill(pid, SIGKILL);
        int status = 0;
        CHECK_EQ_INT(waitpid(pid, &status, 0), pid);
        CHECK(WIFSIGNALED(status));
        for (int n = rand() % 100; n > 0 && mp_result_peek(&r, &frame); n--, frames++) {
            bad += !whole(&frame);
            mp_result_consume(&r);
        }
    }
    for (; mp_result_peek(&r, &frame); frames++) {
        bad += !whole(&frame);
        mp_result_consume(&r);
    }
    CHECK_EQ_INT(bad, 0);
    CHECK(frames > KILLS);
    drop();
}

#ifdef MP_TEST_BUILD
/* What the host sees of a writer that dies at a place: so many whole frames. */
static void dies_at(const char *place, unsigned expected)
{
    REQUIRE(make());
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        setenv("MOONPOOL_FAILPOINTS", place, 1);
        for (unsigned kind = 1; kind <= 5; kind++)
            put(kind, kind == 3 ? 100 * KIB : 10, 7000, 0);
        _exit(0);
    }
    int status = 0;
    CHECK_EQ_INT(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    mp_result_writer_destroy(&w);
    CHECK_EQ_INT(mp_result_writer_init(&w, &writers, &error), 0);
    CHECK_EQ_INT(put(9, 300 * KIB, 300 * KIB, 0), 0);
    for (unsigned kind = 1; kind <= expected; kind++)
        CHECK(take(kind, kind == 3 ? 100 * KIB : 10));
    CHECK(take(9, 300 * KIB));
    CHECK(!mp_result_peek(&r, &frame));
    drop();
}

TEST(a_death_before_the_store_hides_the_frame)
{
    dies_at("result.write:kill@2", 1);
}

TEST(a_death_behind_the_store_shows_it)
{
    dies_at("result.published:kill@2", 2);
}

TEST(a_death_while_moving_to_the_spill_hides_the_frame)
{
    dies_at("result.write:kill@3", 2);
    dies_at("spill.write:kill@1", 2);
}
#endif

CHECK_MAIN
