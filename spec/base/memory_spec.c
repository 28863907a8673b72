/* valgrind */
#include "base/memory.h"
#include "spec/support/check.h"

#include <stdlib.h>

typedef struct tally {
    long blocks;
    bool refuses;
} tally;

static void *count(void *user, void *block, size_t size)
{
    tally *t = user;
    if (size == 0) {
        t->blocks--;
        free(block);
        return NULL;
    }
    if (t->refuses)
        return NULL;
    t->blocks += block == NULL;
    return realloc(block, size);
}

TEST(comes_from_the_hosts_function)
{
    tally t = {0};
    mp_memory_by(count, &t);
    char *a = mp_malloc(10), *b = mp_calloc(100, 10), *c = mp_malloc(0);
    REQUIRE(a != NULL && b != NULL && c != NULL);
    CHECK_EQ_INT(t.blocks, 3);
    for (int i = 0; i < 1000; i++)
        CHECK(b[i] == 0);
    a = mp_realloc(a, 1 << 20);
    CHECK_EQ_INT(t.blocks, 3);
    mp_free(a);
    mp_free(b);
    mp_free(c);
    mp_free(NULL);
    CHECK_EQ_INT(t.blocks, 0);
    CHECK(mp_calloc(SIZE_MAX / 2, 3) == NULL);
    t.refuses = true;
    CHECK(mp_malloc(1) == NULL && mp_calloc(1, 1) == NULL);
    mp_memory_by(NULL, NULL);
}

CHECK_MAIN
