#include "process/post.h"
#include "spec/support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MANY = 450, LARGE = 8 << 20 };

static void close_both(int ends[2])
{
    close(ends[0]);
    close(ends[1]);
}

static unsigned descriptors(void)
{
    unsigned n = 0;
    for (int fd = 0; fd < 2048; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

TEST(brings_bytes_and_descriptors)
{
    int ends[2], pipes[2];
    size_t n;
    mp_letter l, there;
    mp_error error = {0};
    unsigned before = descriptors();
    static char large[LARGE];
    REQUIRE(mp_post_pair(ends) == 0 && pipe(pipes) == 0);
    mp_letter_init(&l);
    mp_letter_put_text(&l, large, LARGE); /* more than the socket holds */
    for (int i = 0; i < MANY; i++)
        mp_letter_put_fd(&l, pipes[i % 2]);
    CHECK_EQ_INT(mp_post_send(ends[0], &l, &error), 0);
    REQUIRE(mp_post_receive(ends[1], &there) == 0);
    CHECK(memcmp(mp_letter_take_text(&there, &n), large, LARGE) == 0 && n == LARGE);
    struct stat sent, came;
    for (int i = 0; i < MANY; i++) {
        int fd = mp_letter_take_fd(&there);
        CHECK(fd > 2 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
        CHECK(fstat(pipes[i % 2], &sent) == 0 && fstat(fd, &came) == 0);
        CHECK(sent.st_ino == came.st_ino);
        close(fd);
    }
    CHECK_EQ_INT(there.status, 0);
    mp_letter_free(&there);
    mp_letter_free(&l);
    close_both(pipes);
    close_both(ends);
    CHECK_EQ_INT((int)descriptors(), (int)before);
}

TEST(ends_where_the_sender_does)
{
    int ends[2];
    mp_letter l;
    REQUIRE(mp_post_pair(ends) == 0);
    close(ends[0]);
    CHECK_EQ_INT(mp_post_receive(ends[1], &l), -EPIPE);
    close(ends[1]);
}

TEST(refuses_what_is_no_letter_of_this_version)
{
    int ends[2];
    mp_letter l;
    unsigned before = descriptors();
    REQUIRE(mp_post_pair(ends) == 0);
    CHECK_EQ_INT((int)send(ends[0], "hello", 5, 0), 5);
    CHECK_EQ_INT(mp_post_receive(ends[1], &l), -EPROTO);
    char head[64] = "mpletter0.0.0";
    CHECK_EQ_INT(mp_post_put(ends[0], head, 48, ends, 1), 0);
    CHECK_EQ_INT(mp_post_receive(ends[1], &l), -EPROTO);
    close_both(ends);
    CHECK_EQ_INT((int)descriptors(), (int)before);
}

TEST(says_what_could_not_be_put)
{
    int ends[2];
    mp_letter l;
    mp_error error = {0};
    REQUIRE(mp_post_pair(ends) == 0);
    mp_letter_init(&l);
    l.status = -ENOMEM;
    CHECK_EQ_INT(mp_post_send(ends[0], &l, &error), -ENOMEM);
    CHECK(strstr(error.text, "cannot tell a new process") != NULL);
    mp_letter_free(&l);
    close_both(ends);
}

TEST(waits_no_longer_than_it_is_told)
{
    int ends[2], fd;
    char byte;
    unsigned n = 1;
    REQUIRE(mp_post_pair(ends) == 0);
    CHECK_EQ_INT(mp_post_get(ends[1], &byte, 1, &fd, &n, 10), -ETIMEDOUT);
    close_both(ends);
}

CHECK_MAIN
