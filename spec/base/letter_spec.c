/* valgrind */
#include "base/letter.h"
#include "spec/support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

TEST(gives_what_was_put_in_order)
{
    mp_letter l;
    size_t n;
    char name[4];
    int fd = open("/dev/null", O_RDONLY);
    mp_letter_init(&l);
    mp_letter_put_number(&l, 7);
    mp_letter_put_text(&l, "bytes", 5);
    mp_letter_put_fd(&l, -1);
    mp_letter_put_fd(&l, fd);
    mp_letter_put_text(&l, "a long name", 11);
    mp_letter_put_text(&l, NULL, 0);
    CHECK_EQ_INT((int)mp_letter_take_number(&l), 7);
    const char *text = mp_letter_take_text(&l, &n);
    CHECK(n == 5 && memcmp(text, "bytes", 5) == 0);
    CHECK_EQ_INT(mp_letter_take_fd(&l), -1);
    CHECK_EQ_INT(mp_letter_take_fd(&l), fd);
    mp_letter_take_name(&l, name, sizeof name);
    CHECK_STR(name, "a l");
    mp_letter_take_text(&l, &n);
    CHECK_EQ_INT((int)n, 0);
    CHECK_EQ_INT(l.status, 0);
    mp_letter_take_number(&l);
    CHECK_EQ_INT(l.status, -EBADMSG);
    mp_letter_free(&l);
    CHECK_EQ_INT(fcntl(fd, F_GETFD), 0);
    close(fd);
}

TEST(gives_nothing_behind_the_first_failure)
{
    mp_letter l;
    size_t n;
    mp_letter_init(&l);
    mp_letter_put_number(&l, 1000); /* bytes that do not come */
    mp_letter_put_number(&l, 5);
    CHECK_STR(mp_letter_take_text(&l, &n), "");
    CHECK_EQ_INT((int)n, 0);
    CHECK_EQ_INT(l.status, -EBADMSG);
    CHECK_EQ_INT((int)mp_letter_take_number(&l), 0);
    CHECK_EQ_INT(mp_letter_take_fd(&l), -1);
    mp_letter_free(&l);
    mp_letter_put_number(&l, 1); /* a descriptor that does not come */
    CHECK_EQ_INT(mp_letter_take_fd(&l), -1);
    CHECK_EQ_INT(l.status, -EBADMSG);
    mp_letter_free(&l);
}

TEST(joins_another_letter)
{
    mp_letter a, b;
    int fd = open("/dev/null", O_RDONLY);
    mp_letter_init(&a);
    mp_letter_init(&b);
    mp_letter_put_number(&a, 1);
    mp_letter_put_number(&b, 2);
    mp_letter_put_fd(&b, fd);
    mp_letter_append(&a, &b);
    mp_letter_free(&b);
    CHECK_EQ_INT((int)mp_letter_take_number(&a), 1);
    CHECK_EQ_INT((int)mp_letter_take_number(&a), 2);
    CHECK_EQ_INT(mp_letter_take_fd(&a), fd);
    mp_letter_free(&a);
    close(fd);
}

TEST(closes_what_came_and_nobody_took)
{
    mp_letter l;
    int first = open("/dev/null", O_RDONLY), second = open("/dev/null", O_RDONLY);
    mp_letter_init(&l);
    mp_letter_put_fd(&l, first);
    mp_letter_put_fd(&l, second);
    l.received = true;
    CHECK_EQ_INT(mp_letter_take_fd(&l), first);
    mp_letter_free(&l);
    CHECK(fcntl(first, F_GETFD) >= 0);
    CHECK(fcntl(second, F_GETFD) < 0);
    close(first);
}

CHECK_MAIN
