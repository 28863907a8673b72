/* Descriptors: never 0, 1 or 2, always close-on-exec, written whole. */
#include "base/fd.h"
#include "spec/support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) != -1;
}

/* Opens with 0, 1 and 2 free, as in a host that has closed them. */
static int lifted_in_a_bare_process(void)
{
    for (int fd = 0; fd < 3; fd++)
        close(fd);
    int low = open("/dev/null", O_RDONLY);
    int high = mp_fd_lift(low);
    bool right = low == 0 && high >= 3 && fcntl(high, F_GETFD) == FD_CLOEXEC && !is_open(0);
    return right ? 0 : 1;
}

TEST(lifts_above_the_standard_ones)
{
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0)
        _exit(lifted_in_a_bare_process());
    int status = -1;
    CHECK_EQ_INT(waitpid(pid, &status, 0), pid);
    CHECK_EQ_INT(status, 0);
}

TEST(a_high_one_stays_and_closes_on_exec)
{
    int fd = fcntl(STDERR_FILENO, F_DUPFD, 3);
    REQUIRE(fd >= 3);
    CHECK_EQ_INT(fcntl(fd, F_GETFD), 0);
    CHECK_EQ_INT(mp_fd_lift(fd), fd);
    CHECK_EQ_INT(fcntl(fd, F_GETFD), FD_CLOEXEC);
    close(fd);
}

TEST(a_failed_one_passes_with_its_errno)
{
    errno = EMFILE;
    CHECK_EQ_INT(mp_fd_lift(-1), -1);
    CHECK_EQ_INT(errno, EMFILE);
}

TEST(close_forgets_the_number)
{
    int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    int number = fd;
    errno = EAGAIN;
    mp_fd_close(&fd);
    mp_fd_close(&fd);
    CHECK_EQ_INT(errno, EAGAIN);
    CHECK_EQ_INT(fd, -1);
    CHECK(!is_open(number));
}

enum { MUCH = 1000000 };

/* Reads what comes and ends with 0 if it is MUCH bytes in order. */
static void read_much(int fd)
{
    unsigned char piece[4096];
    size_t total = 0;
    ssize_t n;
    while ((n = read(fd, piece, sizeof piece)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            if (piece[i] != (unsigned char)((total + (size_t)i) % 251))
                _exit(2);
        total += (size_t)n;
    }
    _exit(total == MUCH ? 0 : 1);
}

TEST(writes_all_to_a_full_non_blocking_pipe)
{
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        close(ends[1]);
        read_much(ends[0]);
    }
    close(ends[0]);
    REQUIRE(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
    unsigned char *bytes = malloc(MUCH);
    REQUIRE(bytes != NULL);
    for (size_t i = 0; i < MUCH; i++)
        bytes[i] = (unsigned char)(i % 251);
    CHECK_EQ_INT(mp_fd_write(ends[1], bytes, MUCH), 0);
    close(ends[1]);
    free(bytes);
    int status = -1;
    CHECK_EQ_INT(waitpid(pid, &status, 0), pid);
    CHECK_EQ_INT(status, 0);
}

TEST(a_reader_gone_is_an_error)
{
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    close(ends[0]);
    signal(SIGPIPE, SIG_IGN);
    CHECK_EQ_INT(mp_fd_write(ends[1], "x", 1), -EPIPE);
    close(ends[1]);
}

CHECK_MAIN
