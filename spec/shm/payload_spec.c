/* The task memory against a shadow: every kept byte stays until it is freed,
 * and what is freed is used again. */
#include "shm/payload.h"
#include "spec/support/check.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

static mp_payload *p;
static mp_error error;

static bool make(void)
{
    return mp_payload_create(&p, "spec-payload", &error) == 0;
}

static unsigned char *bytes_at(uint64_t offset)
{
    return mp_payload_region(p)->base + offset;
}

static size_t memory(void)
{
    return mp_payload_region(p)->size;
}

/* Keeps `size` bytes of value `fill`, written in `steps` pieces; 0 if refused. */
static uint64_t keep(size_t size, unsigned fill, size_t steps)
{
    mp_buffer *b = mp_payload_open(p, &error);
    if (b == NULL)
        return 0;
    while (b->len < size) {
        size_t n = size / steps + 1;
        n = n < size - b->len ? n : size - b->len;
        if (mp_buffer_reserve(b, n) < 0)
            return 0;
        memset(b->data + b->len, (int)fill, n);
        b->len += n;
    }
    return mp_payload_keep(p);
}

static bool holds(uint64_t offset, size_t size, unsigned fill)
{
    const unsigned char *at = bytes_at(offset);
    return size == 0 || (at[0] == fill && memcmp(at, at + 1, size - 1) == 0);
}

TEST(offsets_are_aligned_and_never_zero)
{
    REQUIRE(make());
    for (size_t size = 0; size < 100; size++) {
        uint64_t offset = keep(size, 1, 1);
        CHECK(offset != 0 && offset % 8 == 0);
    }
    CHECK(mp_payload_used(p) >= 4950 && mp_payload_used(p) < 4950 + 900);
    mp_payload_destroy(p);
    mp_payload_destroy(NULL);
}

typedef struct piece {
    uint64_t offset;
    size_t size;
    unsigned fill;
} piece;

enum { PIECES = 400, ROUNDS = 30000 };

static size_t random_size(void)
{
    static const size_t limits[] = {64, 64, 64, 2000, 20 << 10, 100 << 10, 1 << 20};
    return (size_t)rand() % limits[(size_t)rand() % 7];
}

static bool overlaps(const piece *pieces, const piece *x)
{
    for (const piece *y = pieces; y < pieces + PIECES; y++)
        if (y != x && y->offset != 0 && y->offset < x->offset + x->size &&
            x->offset < y->offset + y->size)
            return true;
    return false;
}

TEST(random_pieces_never_touch_one_another)
{
    static piece pieces[PIECES];
    REQUIRE(make());
    srand(7);
    for (int round = 0; round < ROUNDS; round++) {
        piece *x = &pieces[rand() % PIECES];
        if (x->offset != 0) {
            if (!holds(x->offset, x->size, x->fill))
                CHECK(false);
            mp_payload_free(p, x->offset, x->size);
        }
        *x = (piece){.size = random_size(), .fill = (unsigned)rand() & 255U};
        if (rand() % 20 == 0)
            continue;
        x->offset = keep(x->size, x->fill, (size_t)rand() % 9 + 1);
        if (x->offset == 0 || overlaps(pieces, x))
            CHECK(false);
    }
    for (piece *x = pieces; x < pieces + PIECES; x++) {
        if (x->offset == 0)
            continue;
        CHECK(holds(x->offset, x->size, x->fill));
        mp_payload_free(p, x->offset, x->size);
    }
    CHECK_EQ_INT(mp_payload_used(p), 0);
    CHECK(memory() < 128 * MIB);
    /* All of it is one piece again, but for the page in hand. */
    size_t before = memory();
    CHECK(keep(before / 2 - 128 * KIB, 1, 1) != 0);
    CHECK_EQ_INT(memory(), before);
    mp_payload_destroy(p);
}

TEST(small_work_stays_in_the_same_memory)
{
    REQUIRE(make());
    uint64_t window[100];
    for (int i = 0; i < 200000; i++) {
        int k = i % 100;
        if (i >= 100)
            mp_payload_free(p, window[k], 500);
        window[k] = keep(500, 3, 1);
        if (window[k] == 0)
            CHECK(false);
    }
    CHECK(memory() <= 512 * KIB);
    mp_payload_destroy(p);
}

TEST(large_work_stays_in_the_same_memory)
{
    REQUIRE(make());
    uint64_t window[4] = {0};
    size_t after_a_few = 0;
    for (int i = 0; i < 60; i++) {
        if (window[i % 4] != 0)
            mp_payload_free(p, window[i % 4], 3 * MIB);
        window[i % 4] = keep(3 * MIB, 3, 1);
        CHECK(window[i % 4] != 0);
        if (i == 12)
            after_a_few = memory();
    }
    CHECK_EQ_INT(memory(), after_a_few);
    mp_payload_destroy(p);
}

TEST(neighbours_become_one_whatever_the_order)
{
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    REQUIRE(make());
    uint64_t fence = 0;
    for (int i = 0; i < 6; i++) {
        uint64_t three[3];
        for (int k = 0; k < 3; k++)
            three[k] = keep(100 * KIB, 1, 1);
        fence = keep(100 * KIB, 2, 1);
        size_t before = memory();
        for (int k = 0; k < 3; k++)
            mp_payload_free(p, three[orders[i][k]], 100 * KIB);
        uint64_t whole = keep(300 * KIB, 3, 1);
        CHECK(whole < fence && whole != 0);
        CHECK_EQ_INT(memory(), before);
        mp_payload_free(p, whole, 300 * KIB);
    }
    CHECK(holds(fence, 100 * KIB, 2));
    mp_payload_destroy(p);
}

TEST(a_growing_piece_keeps_its_bytes)
{
    REQUIRE(make());
    uint64_t small = keep(100, 9, 1);
    mp_buffer *b = mp_payload_open(p, &error);
    REQUIRE(b != NULL);
    for (unsigned i = 0; i < 2000000; i++)
        if (mp_buffer_append(b, &i, sizeof i) < 0)
            CHECK(false);
    uint64_t offset = mp_payload_keep(p);
    const unsigned char *at = bytes_at(offset);
    for (unsigned i = 0; i < 2000000; i++)
        if (memcmp(at + i * sizeof i, &i, sizeof i) != 0)
            CHECK_EQ_INT(i, -1);
    CHECK(holds(small, 100, 9));
    uint64_t behind = keep(100 * KIB, 8, 3);
    CHECK(behind >= offset + 8000000 || behind < offset);
    mp_payload_destroy(p);
}

TEST(a_dropped_piece_takes_no_memory)
{
    REQUIRE(make());
    for (int i = 0; i < 1000; i++) {
        mp_buffer *b = mp_payload_open(p, &error);
        REQUIRE(b != NULL && b->len == 0);
        CHECK_EQ_INT(mp_buffer_reserve(b, 5 * MIB), 0);
    }
    CHECK_EQ_INT(mp_payload_used(p), 0);
    CHECK(memory() < 32 * MIB);
    mp_payload_destroy(p);
}

TEST(what_is_large_and_idle_is_given_back)
{
    REQUIRE(make());
    uint64_t small = keep(10, 5, 1);
    uint64_t large = keep(500 * MIB, 1, 1);
    REQUIRE(large != 0);
    mp_payload_free(p, large, 500 * MIB);
    CHECK(memory() > 400 * MIB);
    for (int i = 0; i < 10000; i++)
        mp_payload_free(p, keep(10, 1, 1), 10);
    CHECK(memory() < 100 * MIB);
    mp_payload_trim(p, 0);
    CHECK(memory() < MIB);
    CHECK(holds(small, 10, 5));
    CHECK(holds(keep(5 * MIB, 6, 1), 5 * MIB, 6));
    mp_payload_destroy(p);
}

static int with_little_memory(void)
{
    if (!make())
        return 1;
    struct rlimit limit = {.rlim_cur = MIB, .rlim_max = MIB};
    setrlimit(RLIMIT_FSIZE, &limit);
    uint64_t a = keep(300 * KIB, 1, 1);
    mp_buffer *b = mp_payload_open(p, &error);
    CHECK(b != NULL && mp_buffer_append(b, "abc", 3) == 0);
    CHECK_EQ_INT(mp_buffer_reserve(b, 2 * MIB), -EFBIG);
    CHECK_EQ_INT(mp_buffer_reserve(b, (size_t)1 << 50), -ENOMEM);
    CHECK(b->len == 3 && memcmp(b->data, "abc", 3) == 0);
    /* The doubled size is not to be had, the need is. */
    CHECK_EQ_INT(mp_buffer_reserve(b, 400 * KIB), 0);
    memset(b->data + 3, 7, 400 * KIB);
    b->len += 400 * KIB;
    CHECK_EQ_INT(mp_buffer_reserve(b, 100 * KIB), 0);
    CHECK(memcmp(b->data, "abc\7\7", 5) == 0);
    mp_payload_keep(p);
    CHECK(holds(a, 300 * KIB, 1));
    int n = 0;
    while ((b = mp_payload_open(p, &error)) != NULL && mp_buffer_append(b, &n, sizeof n) == 0 &&
           n++ < 1000000)
        mp_payload_keep(p);
    CHECK(n > 1000 && n < 1000000);
    CHECK_EQ_INT(error.code, -EFBIG);
    mp_payload_free(p, a, 300 * KIB);
    CHECK(keep(1000, 2, 1) != 0);
    return 0;
}

TEST(short_memory_is_an_error_and_harms_nothing)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        check_failures = 0;
        _exit(with_little_memory() + check_failures);
    }
    int status = -1;
    CHECK_EQ_INT(waitpid(pid, &status, 0), pid);
    CHECK_EQ_INT(status, 0);
}

#ifdef MP_TEST_BUILD
TEST(a_refused_page_is_told_by_open)
{
    REQUIRE(make());
    setenv("MOONPOOL_FAILPOINTS", "region.grow:error@1+", 1);
    mp_buffer *b;
    int n = 0;
    error.code = 0;
    while (n < 100 && (b = mp_payload_open(p, &error)) != NULL &&
           mp_buffer_reserve(b, 10 * KIB) == 0) {
        b->len = 10 * KIB;
        mp_payload_keep(p);
        n++;
    }
    CHECK(n < 100);
    unsetenv("MOONPOOL_FAILPOINTS");
    CHECK(keep(10 * KIB, 1, 1) != 0);
    mp_payload_destroy(p);
}
#endif

CHECK_MAIN
