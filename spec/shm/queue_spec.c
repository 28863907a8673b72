/* sanitize: thread
 *
 * Queues: messages whole and in order, memory given back, what the dead leave; and threads over
 * one mapping, for ThreadSanitizer. */
#include "shm/queue.h"
#include "shm/session_inner.h"
#include "spec/support/check.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static mp_error error;
static mp_cell_name queue;

static mp_queue *content(void)
{
    return mp_cell_content(queue);
}

static bool lay(uint32_t most)
{
    if (mp_session_open(&error) < 0 || mp_cell_create(&queue, &error) < 0)
        return false;
    content()->most = most;
    return true;
}

static int put(uint32_t tag, size_t size)
{
    unsigned char *bytes = malloc(size + sizeof tag);
    memcpy(bytes, &tag, sizeof tag);
    memset(bytes + sizeof tag, (int)tag & 0xff, size);
    int status = mp_queue_put(queue, bytes, size + sizeof tag, &error);
    free(bytes);
    return status;
}

/* The tag of the first message, 0 where there is none or it is torn. */
static uint32_t take(size_t *size)
{
    mp_message m;
    uint32_t tag = 0;
    if (mp_queue_take(queue, &m) != MP_QUEUE_DONE)
        return 0;
    memcpy(&tag, m.bytes, sizeof tag);
    *size = m.size - sizeof tag;
    for (size_t i = sizeof tag; i < m.size; i++)
        if (m.bytes[i] != (tag & 0xff))
            tag = 0;
    mp_queue_done(queue, &m);
    return tag;
}

static size_t size_of(uint32_t tag)
{
    return tag % 7 == 0 ? 40000 + tag : tag * 37 % 3000;
}

/* How many cells are taken. */
static unsigned taken(void)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < mp_load_acquire(&mp_session_head()->cells); i++)
        n += (mp_load_acquire(&mp_cell_at(i)->state) & MP_CELL_TAKEN) != 0;
    return n;
}

TEST(keeps_their_order_and_their_bytes)
{
    size_t size = 0;
    REQUIRE(lay(0));
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 1; i <= 500; i++)
            CHECK(put(i, size_of(i)) == MP_QUEUE_DONE);
        CHECK_EQ_INT(500, content()->count);
        for (uint32_t i = 1; i <= 500; i++) {
            CHECK_EQ_INT(i, take(&size));
            CHECK_EQ_INT(size_of(i), size);
        }
        CHECK_EQ_INT(0, take(&size));
    }
    mp_cell_drop(queue);
    CHECK_EQ_INT(0, taken());
}

TEST(is_full_at_its_bound)
{
    size_t size;
    REQUIRE(lay(2));
    CHECK_EQ_INT(MP_QUEUE_DONE, put(1, 0));
    CHECK_EQ_INT(MP_QUEUE_DONE, put(2, 100000));
    CHECK_EQ_INT(MP_QUEUE_NOT_NOW, put(3, 0));
    CHECK_EQ_INT(MP_QUEUE_NOT_NOW, put(3, 100000));
    CHECK_EQ_INT(1, take(&size));
    CHECK_EQ_INT(MP_QUEUE_DONE, put(3, 100000));
    CHECK_EQ_INT(2, take(&size));
    CHECK_EQ_INT(3, take(&size));
    mp_cell_drop(queue);
    CHECK_EQ_INT(0, taken());
}

TEST(gives_a_message_back_to_its_place)
{
    size_t size;
    mp_message first;
    REQUIRE(lay(0));
    for (uint32_t i = 1; i <= 3; i++)
        put(i, 10);
    REQUIRE(mp_queue_take(queue, &first) == MP_QUEUE_DONE);
    CHECK_EQ_INT(2, take(&size));
    mp_queue_give_back(queue, &first);
    CHECK_EQ_INT(2, content()->count);
    CHECK_EQ_INT(1, take(&size));
    CHECK_EQ_INT(3, take(&size));
    mp_cell_drop(queue);
}

TEST(counts_what_is_finished)
{
    REQUIRE(lay(0));
    CHECK(mp_queue_is_finished(content()));
    CHECK(!mp_queue_finish(content()));
    put(1, 1);
    CHECK(!mp_queue_is_finished(content()));
    CHECK(mp_queue_finish(content()));
    CHECK(mp_queue_is_finished(content()));
    CHECK(!mp_queue_finish(content()));
    mp_cell_drop(queue);
}

/* Whoever dies with a message or with the guard: the next one goes on from there. */
TEST(outlives_those_that_are_killed)
{
    size_t size;
    REQUIRE(lay(0));
    for (uint32_t i = 1; i <= 3; i++)
        put(i, size_of(i * 7));
    pid_t pid = fork();
    if (pid == 0) {
        mp_message m;
        mp_queue_take(queue, &m);
        content()->guard.word = mp_session_self(NULL);
        content()->count = 77;
        content()->tail = content()->next = 0;
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    CHECK_EQ_INT(MP_QUEUE_DONE, put(4, 50));
    for (uint32_t i = 1; i <= 4; i++)
        CHECK_EQ_INT(i, take(&size));
    CHECK_EQ_INT(0, content()->count);
    mp_cell_drop(queue);
    CHECK_EQ_INT(0, taken());
}

/* ---- threads over one mapping ---- */

enum { THREADS = 2, EACH = 5000 };

static _Atomic uint64_t sum, got;

static void *produce(void *arg)
{
    for (uint32_t i = 1; i <= EACH; i++)
        while (put(i, i % 50 == 0 ? 33000 : i % 20) != MP_QUEUE_DONE)
            sched_yield();
    return arg;
}

static void *consume(void *arg)
{
    size_t size;
    while (got < THREADS * EACH) {
        uint32_t tag = take(&size);
        if (tag == 0) {
            mp_waiters *w = &content()->messages;
            uint32_t since = mp_waiters_enter(w);
            if (content()->count == 0)
                mp_waiters_sleep(w, since, 1000000);
            continue;
        }
        sum += tag;
        got++;
    }
    return arg;
}

TEST(serves_threads_at_once)
{
    pthread_t threads[2 * THREADS];
    REQUIRE(lay(100));
    REQUIRE(mp_session_self(&error) != 0);
    for (int i = 0; i < 2 * THREADS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, i % 2 == 0 ? produce : consume, NULL) == 0);
    for (int i = 0; i < 2 * THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ_INT((uint64_t)THREADS * EACH * (EACH + 1) / 2, sum);
    mp_cell_drop(queue);
    CHECK_EQ_INT(0, taken());
}

CHECK_MAIN
