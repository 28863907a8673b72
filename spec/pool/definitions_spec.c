/* valgrind */
#include "pool/definitions.h"

#include "spec/support/check.h"
#include "spec/support/loopback.h"

#include <errno.h>
#include <stdlib.h>

enum { KEPT_IDLE = 64 }; /* as many unused ones are kept */

static loopback *loop;
static mp_definitions table;

static void open_table(void)
{
    static const mp_handler none;
    mp_error error = {0};
    loop = loopback_new(1, &none);
    CHECK_EQ_INT(mp_definitions_init(&table, &loop->base, &error), 0);
}

static void close_table(void)
{
    mp_definitions_destroy(&table);
    loop->base.ops->destroy(&loop->base);
}

static mp_definition *define(const char *text)
{
    mp_error error = {0};
    return mp_define(&table, (const unsigned char *)text, strlen(text), &error);
}

static mp_definition *define_number(unsigned n)
{
    char text[32];
    snprintf(text, sizeof text, "function %u", n);
    return define(text);
}

static const char *bytes_of(const mp_definition *d)
{
    return (const char *)loop->base.ops->bytes(&loop->base, d->at);
}

TEST(keeps_the_bytes)
{
    open_table();
    mp_definition *d = define("return 1");
    REQUIRE(d != NULL);
    CHECK_EQ_INT(d->size, 8);
    CHECK_MEM(bytes_of(d), "return 1", 8);
    CHECK(d->id > 0);
    close_table();
}

TEST(gives_the_same_one_for_the_same_bytes)
{
    open_table();
    mp_definition *a = define("return 1"), *b = define("return 1"), *c = define("return 2");
    CHECK(a == b);
    CHECK(a != c);
    CHECK(a->id != c->id);
    CHECK_EQ_INT(a->users, 2);
    CHECK_EQ_INT(loop->pieces, 2);
    close_table();
}

TEST(tells_bytes_apart_that_are_beginnings_of_others)
{
    open_table();
    mp_definition *a = define(""), *b = define("a"), *c = define("aaaaaaaa"),
                  *d = define("aaaaaaaaa");
    CHECK(a != b && b != c && c != d && a != NULL);
    CHECK(define("") == a);
    CHECK(define("aaaaaaaa") == c);
    close_table();
}

TEST(keeps_what_nobody_uses_for_a_while)
{
    open_table();
    mp_definition *a = define("return 1");
    uint64_t id = a->id;
    mp_undefine(&table, a);
    CHECK_EQ_INT(loop->pieces, 1);
    mp_definition *again = define("return 1");
    CHECK_EQ_INT(again->id, id);
    CHECK_EQ_INT(again->users, 1);
    CHECK_EQ_INT(table.idle_count, 0);
    CHECK_EQ_INT(table.idle_size, 0);
    close_table();
}

TEST(drops_the_one_that_was_used_least_recently)
{
    open_table();
    uint64_t first = 0, second = 0;
    for (unsigned i = 0; i < KEPT_IDLE; i++) {
        mp_definition *d = define_number(i);
        first = i == 0 ? d->id : first;
        second = i == 1 ? d->id : second;
        mp_undefine(&table, d);
    }
    CHECK_EQ_INT(loop->pieces, KEPT_IDLE);
    mp_undefine(&table, define_number(0)); /* used again, so that the second is the oldest */
    mp_undefine(&table, define_number(KEPT_IDLE));
    CHECK_EQ_INT(loop->pieces, KEPT_IDLE);
    CHECK_EQ_INT(define_number(0)->id, first);
    CHECK(define_number(1)->id != second);
    close_table();
}

TEST(never_drops_what_is_used)
{
    open_table();
    mp_definition *used = define("used");
    for (unsigned i = 0; i < 3 * KEPT_IDLE; i++)
        mp_undefine(&table, define_number(i));
    CHECK_MEM(bytes_of(used), "used", 4);
    CHECK(define("used") == used);
    CHECK_EQ_INT(loop->pieces, KEPT_IDLE + 1);
    close_table();
}

TEST(keeps_few_large_ones_that_nobody_uses)
{
    enum { LARGE = 40 << 20 };
    open_table();
    unsigned char *bytes = calloc(1, LARGE);
    REQUIRE(bytes != NULL);
    mp_error error = {0};
    for (unsigned char i = 0; i < 3; i++) {
        bytes[0] = i;
        mp_definition *d = mp_define(&table, bytes, LARGE, &error);
        mp_undefine(&table, d);
        CHECK_EQ_INT(loop->pieces, 1);
    }
    free(bytes);
    close_table();
}

TEST(never_uses_an_id_again)
{
    enum { N = 100000 };
    open_table();
    uint64_t last = 0;
    for (unsigned i = 0; i < N; i++) {
        mp_definition *d = define_number(i);
        REQUIRE(d != NULL && d->id > last);
        last = d->id;
        mp_undefine(&table, d);
    }
    CHECK_EQ_INT(loop->pieces, KEPT_IDLE);
    CHECK_EQ_INT(table.count, KEPT_IDLE);
    close_table();
}

TEST(finds_each_of_many)
{
    enum { N = 100000 };
    static mp_definition *all[N];
    open_table();
    for (unsigned i = 0; i < N; i++)
        all[i] = define_number(i);
    unsigned wrong = 0;
    for (unsigned i = 0; i < N; i++)
        wrong += define_number(i) != all[i] || all[i]->users != 2;
    CHECK_EQ_INT(wrong, 0);
    CHECK_EQ_INT(table.count, N);
    CHECK(table.bucket_count >= N / 2);
    close_table();
}

TEST(takes_each_in_hand_for_itself)
{
    open_table();
    mp_error error = {0};
    mp_definition *a = mp_define_in_hand(&table, &error), *b = mp_define_in_hand(&table, &error);
    REQUIRE(a != NULL && b != NULL);
    CHECK(a != b && a->id != b->id);
    CHECK(a->at == MP_IN_HAND);
    CHECK(define("") != a);
    CHECK_EQ_INT(loop->pieces, 1);
    mp_undefine(&table, a);
    mp_undefine(&table, b);
    for (unsigned i = 0; i < KEPT_IDLE; i++)
        mp_undefine(&table, define_number(i));
    CHECK_EQ_INT(loop->pieces, KEPT_IDLE + 1);
    close_table();
}

TEST(says_when_memory_is_short)
{
    open_table();
    mp_error error = {0};
    loop->refuse_open = 1;
    CHECK(mp_define(&table, (const unsigned char *)"a", 1, &error) == NULL);
    CHECK_EQ_INT(error.code, -ENOSPC);
    loop->refuse_grow = 1;
    error.code = 0;
    CHECK(mp_define(&table, (const unsigned char *)"a", 1, &error) == NULL);
    CHECK_EQ_INT(error.code, -ENOSPC);
    CHECK_EQ_INT(table.count, 0);
    CHECK_EQ_INT(loop->pieces, 0);
    CHECK(define("a") != NULL);
    close_table();
}

CHECK_MAIN
