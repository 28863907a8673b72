/* Deadlines: what is negative, endless or no number at all, and the rounding
 * that keeps poll from returning early. */
#include "base/clock.h"
#include "spec/support/check.h"

#include <limits.h>
#include <math.h>

TEST(never_goes_back)
{
    int64_t last = mp_now();
    for (int i = 0; i < 100000; i++) {
        int64_t next = mp_now();
        REQUIRE(next >= last);
        last = next;
    }
}

TEST(a_deadline_lies_its_seconds_ahead)
{
    int64_t before = mp_now();
    int64_t deadline = mp_deadline(2.5);
    int64_t after = mp_now();
    CHECK(deadline >= before + 2500000000);
    CHECK(deadline <= after + 2500000000);
}

TEST(negative_and_nonsense_count_as_now)
{
    double odd[] = {0.0, -1.0, -INFINITY, NAN};
    for (int i = 0; i < 4; i++) {
        int64_t before = mp_now();
        int64_t deadline = mp_deadline(odd[i]);
        CHECK(deadline >= before);
        CHECK(deadline <= mp_now());
    }
}

TEST(what_does_not_fit_is_never)
{
    CHECK(mp_deadline(INFINITY) == MP_NEVER);
    CHECK(mp_deadline(1e300) == MP_NEVER);
    CHECK(mp_deadline(9e9) == MP_NEVER);
    CHECK(mp_deadline(7e9) != MP_NEVER);
    CHECK(mp_deadline(7e9) > mp_now());
}

TEST(poll_waits_at_least_as_long)
{
    CHECK_EQ_INT(mp_poll_timeout(MP_NEVER), -1);
    CHECK_EQ_INT(mp_poll_timeout(mp_now()), 0);
    CHECK_EQ_INT(mp_poll_timeout(mp_now() - 1000000000), 0);
    int64_t deadline = mp_now() + 3600000000000;
    int64_t left = deadline - mp_now();
    int milliseconds = mp_poll_timeout(deadline);
    CHECK(milliseconds <= left / 1000000 + 1);
    CHECK((int64_t)milliseconds * 1000000 >= deadline - mp_now());
}

TEST(poll_does_not_wait_for_what_is_long_over)
{
    CHECK_EQ_INT(mp_poll_timeout(INT64_MIN), 0);
    CHECK_EQ_INT(mp_poll_timeout(INT64_MIN + mp_now()), 0);
    CHECK_EQ_INT(mp_poll_timeout(-1), 0);
}

TEST(poll_takes_no_more_than_an_int)
{
    CHECK_EQ_INT(mp_poll_timeout(MP_NEVER - 1), INT_MAX);
}

CHECK_MAIN
