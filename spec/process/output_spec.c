/* Lines of many processes on one descriptor. */
#include "spec/process/world.h"

#include "base/robust.h"
#include "process/output.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/ioctl.h>

enum { WRITERS = 4, LINES = 200, LONG = 20000 };

static mp_robust *lock;

static void new_lock(void)
{
    new_world(0);
    if (lock == NULL)
        lock = mmap(NULL, sizeof *lock, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK_EQ_INT(mp_robust_init(lock), 0);
}

/* A worker as far as output goes: its descriptor 1 is `fd`. */
static pid_t fork_writer(int fd, void (*print)(int arg), int arg)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    check_failures = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    if (fd >= 0)
        dup2(fd, STDOUT_FILENO);
    else
        close(STDOUT_FILENO);
    if (mp_output_install(lock, NULL, NULL, NULL) != 0)
        _exit(99);
    print(arg);
    _exit(check_failures != 0);
}

static int temporary_file(void)
{
    return memfd_create("output", MFD_CLOEXEC);
}

/* All that was written to it, NUL-terminated; to be freed. */
static char *content(int fd, size_t *size)
{
    off_t end = lseek(fd, 0, SEEK_END);
    char *text = calloc((size_t)end + 1, 1);
    *size = end > 0 && pread(fd, text, (size_t)end, 0) == end ? (size_t)end : 0;
    return text;
}

/* Reads the pipe to its end. */
static char *drain(int fd, size_t *size)
{
    size_t cap = 1 << 16, n = 0;
    char *text = malloc(cap + 1);
    ssize_t got;
    while ((got = read(fd, text + n, cap - n)) > 0) {
        n += (size_t)got;
        if (n == cap)
            text = realloc(text, (cap *= 2) + 1);
    }
    text[n] = '\0';
    *size = n;
    return text;
}

static void check_content(int fd, const char *expected)
{
    size_t size;
    char *text = content(fd, &size);
    CHECK_STR(text, expected);
    free(text);
}

/* As Lua's print does it: piece by piece, then the newline and a flush. */
static void print_long_lines(int arg)
{
    char line[LONG];
    memset(line, 'a' + arg, sizeof line);
    for (int i = 0; i < LINES; i++) {
        fwrite(line, 1, sizeof line / 2, stdout);
        fwrite(line, 1, sizeof line / 2, stdout);
        fwrite("\n", 1, 1, stdout);
        fflush(stdout);
    }
}

static void print_short_lines(int arg)
{
    for (int i = 0; i < LINES * 20; i++)
        printf("%c%c%c\n", 'a' + arg, 'a' + arg, 'a' + arg);
}

/* How many whole lines there are, each of one letter only; -1 if one is torn. */
static int count_lines(const char *text, size_t size)
{
    int lines = 0;
    for (size_t i = 0; i < size; lines++) {
        size_t length = strcspn(text + i, "\n");
        for (size_t k = 1; k < length; k++)
            if (text[i + k] != text[i])
                return -1;
        if ((length != LONG && length != 3) || i + length >= size)
            return -1;
        i += length + 1;
    }
    return lines;
}

static void start_writers(int fd, pid_t *pids)
{
    for (int i = 0; i < WRITERS; i++)
        pids[i] = fork_writer(fd, i == 0 ? print_short_lines : print_long_lines, i);
}

static void end_writers(const pid_t *pids)
{
    for (int i = 0; i < WRITERS; i++)
        CHECK_EQ_INT(wait_for(pids[i]), 0);
}

enum { ALL_LINES = LINES * 20 + (WRITERS - 1) * LINES };

TEST(lines_in_a_pipe_are_never_torn)
{
    int ends[2];
    pid_t pids[WRITERS];
    size_t size;
    new_lock();
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    start_writers(ends[1], pids);
    close(ends[1]);
    char *text = drain(ends[0], &size);
    CHECK_EQ_INT(count_lines(text, size), ALL_LINES);
    free(text);
    close(ends[0]);
    end_writers(pids);
}

TEST(lines_in_a_file_are_never_torn)
{
    pid_t pids[WRITERS];
    size_t size;
    new_lock();
    int fd = temporary_file();
    start_writers(fd, pids);
    end_writers(pids);
    char *text = content(fd, &size);
    CHECK_EQ_INT(count_lines(text, size), ALL_LINES);
    free(text);
    close(fd);
}

static void print_and_pause(int arg)
{
    (void)arg;
    fputs("whole\nbegun", stdout);
    world->reported = 1;
    for (;;)
        pause();
}

TEST(a_line_leaves_before_the_call_returns)
{
    new_lock();
    int fd = temporary_file();
    pid_t pid = fork_writer(fd, print_and_pause, 0);
    CHECK(HOLDS_SOON(world->reported));
    check_content(fd, "whole\n");
    kill(pid, SIGKILL);
    wait_for(pid);
    check_content(fd, "whole\n");
    close(fd);
}

static void print_parts(int arg)
{
    (void)arg;
    CHECK_EQ_INT(fputs("a", stdout) >= 0, 1);
    CHECK_EQ_INT(putchar('b'), 'b');
    CHECK_EQ_INT(printf("%d", 12), 2);
    CHECK_EQ_INT(lseek(STDOUT_FILENO, 0, SEEK_CUR), 0);
    CHECK_EQ_INT(fwrite("\n2\n3", 1, 4, stdout), 4);
    CHECK_EQ_INT(lseek(STDOUT_FILENO, 0, SEEK_CUR), 7);
    CHECK_EQ_INT(mp_output_flush(), 0);
    CHECK_EQ_INT(lseek(STDOUT_FILENO, 0, SEEK_CUR), 8);
    CHECK_EQ_INT(mp_output_flush(), 0);
    CHECK_EQ_INT(fwrite("x\0y\n", 1, 4, stdout), 4);
}

TEST(pieces_become_lines)
{
    size_t size;
    new_lock();
    int fd = temporary_file();
    CHECK_EQ_INT(wait_for(fork_writer(fd, print_parts, 0)), 0);
    char *text = content(fd, &size);
    CHECK_EQ_INT(size, 12);
    CHECK_MEM(text, "ab12\n2\n3x\0y\n", 12);
    free(text);
    close(fd);
}

static void leave_unfinished(int how)
{
    fputs("unfinished", stdout);
    if (how == 0)
        exit(0);
    if (how == 1)
        CHECK_EQ_INT(fclose(stdout), 0);
    if (how == 2) {
        char buffer[100];
        setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
        fputs("!", stdout);
        CHECK_EQ_INT(mp_output_flush(), 0);
    }
}

TEST(exit_close_and_flush_pass_on_what_is_left)
{
    static const char *const expected[] = {"unfinished", "unfinished", "unfinished!"};
    for (int how = 0; how < 3; how++) {
        new_lock();
        int fd = temporary_file();
        CHECK_EQ_INT(wait_for(fork_writer(fd, leave_unfinished, how)), 0);
        check_content(fd, expected[how]);
        close(fd);
    }
}

static void print_late(void)
{
    printf("late");
}

static void exit_with_late_print(int arg)
{
    (void)arg;
    fputs("early ", stdout);
    exit(0);
}

TEST(what_is_printed_after_the_last_flush_is_kept)
{
    new_lock();
    int fd = temporary_file();
    pid_t pid = fork();
    if (pid == 0) {
        atexit(print_late); /* runs behind what is registered later */
        pid_t writer = fork_writer(fd, exit_with_late_print, 0);
        _exit(wait_for(writer));
    }
    CHECK_EQ_INT(wait_for(pid), 0);
    check_content(fd, "early late");
    close(fd);
}

TEST(what_the_parent_had_buffered_is_its_own)
{
    new_lock();
    int fd = temporary_file();
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fd, STDOUT_FILENO);
        setvbuf(stdout, NULL, _IOFBF, BUFSIZ);
        fputs("parent ", stdout);
        pid_t worker = fork();
        if (worker == 0) {
            mp_output_install(lock, NULL, NULL, NULL);
            puts("worker");
            fputs("begun", stdout);
            pid_t inner = fork();
            if (inner == 0) {
                mp_output_install(lock, NULL, NULL, NULL);
                puts("inner");
                exit(0);
            }
            _exit(wait_for(inner));
        }
        exit(wait_for(worker));
    }
    CHECK_EQ_INT(wait_for(pid), 0);
    check_content(fd, "worker\ninner\nparent ");
    close(fd);
}

/* ---- errors ---- */

static void print_expecting(int error)
{
    errno = 0;
    CHECK_EQ_INT(fwrite("line\n", 1, 5, stdout) == 5, 0);
    CHECK_EQ_INT(errno, error);
    CHECK_EQ_INT(fputs("begun", stdout) >= 0, 1);
    CHECK_EQ_INT(mp_output_flush(), -error);
    CHECK_EQ_INT(mp_output_flush(), 0);
    CHECK_EQ_INT(mp_output_error(), -error);
    CHECK_EQ_INT(mp_output_error(), 0);
}

TEST(a_broken_pipe_is_the_writers_error)
{
    int ends[2];
    new_lock();
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    close(ends[0]);
    CHECK_EQ_INT(wait_for(fork_writer(ends[1], print_expecting, EPIPE)), 0);
    close(ends[1]);
}

TEST(a_closed_descriptor_is_the_writers_error)
{
    new_lock();
    CHECK_EQ_INT(wait_for(fork_writer(-1, print_expecting, EBADF)), 0);
}

TEST(a_full_disk_is_the_writers_error)
{
    new_lock();
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    REQUIRE(fd >= 0);
    CHECK_EQ_INT(wait_for(fork_writer(fd, print_expecting, ENOSPC)), 0);
    close(fd);
}

/* ---- a sink ---- */

typedef struct sink {
    char got[100];
    int calls;
    int error;
} sink;

static int keep(void *ctx, const char *bytes, size_t size)
{
    sink *s = ctx;
    s->calls++;
    if (s->error == 0)
        strncat(s->got, bytes, size);
    return s->error;
}

static void print_to_sink(int arg)
{
    sink s = {.calls = 0};
    (void)arg;
    CHECK_EQ_INT(mp_output_install(lock, keep, &s, NULL), 0);
    fputs("one\ntwo\nth", stdout);
    CHECK_EQ_INT(s.calls, 1);
    CHECK_STR(s.got, "one\ntwo\n");
    fputs("ree\n", stdout);
    CHECK_STR(s.got, "one\ntwo\nthree\n");
    fputs("four", stdout);
    CHECK_EQ_INT(s.calls, 2);
    CHECK_EQ_INT(mp_output_flush(), 0);
    CHECK_STR(s.got, "one\ntwo\nthree\nfour");
    s.error = -ENOSPC;
    CHECK_EQ_INT(puts("five"), EOF);
    CHECK_EQ_INT(errno, ENOSPC);
    _exit(check_failures != 0);
}

TEST(a_sink_gets_lines_instead_of_the_descriptor)
{
    new_lock();
    int fd = temporary_file();
    CHECK_EQ_INT(wait_for(fork_writer(fd, print_to_sink, 0)), 0);
    check_content(fd, "");
    close(fd);
}

/* ---- holders that stop or die ---- */

static void print_one_long_line(int arg)
{
    char line[LONG + 1];
    memset(line, 'a' + arg, LONG);
    line[LONG] = '\n';
    for (;;)
        fwrite(line, 1, sizeof line, stdout);
}

static void print_z(int arg)
{
    (void)arg;
    puts("zzz");
}

/* Fills the pipe through a writer that then waits in the middle of a line,
 * holding the lock. */
static pid_t block_a_writer(int ends[2])
{
    CHECK_EQ_INT(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork_writer(ends[1], print_one_long_line, 0);
    int full = fcntl(ends[1], F_GETPIPE_SZ);
    struct timespec nap = {0, 1000000};
    size_t waiting = 0;
    for (int i = 0; i < 20000 && waiting < (size_t)full - PIPE_BUF; i++) {
        int n = 0;
        ioctl(ends[0], FIONREAD, &n);
        waiting = (size_t)n;
        nanosleep(&nap, NULL);
    }
    return pid;
}

TEST(a_line_behind_a_torn_one_stays_whole)
{
    int ends[2];
    size_t size;
    new_lock();
    pid_t dead = block_a_writer(ends);
    CHECK(HOLDS_SOON((uint32_t)mp_load_relaxed(&lock->note) > PIPE_BUF));
    kill(dead, SIGKILL);
    wait_for(dead);
    pid_t next = fork_writer(ends[1], print_z, 0);
    close(ends[1]);
    char *text = drain(ends[0], &size);
    CHECK_EQ_INT(wait_for(next), 0);
    REQUIRE(size > 5);
    CHECK_STR(text + size - 5, "\nzzz\n");
    free(text);
    close(ends[0]);
}

TEST(nobody_waits_for_a_stopped_holder)
{
    int fd = temporary_file();
    int ends[2];
    new_lock();
    pid_t holder = block_a_writer(ends);
    kill(holder, SIGSTOP);
    CHECK_EQ_INT(wait_for(fork_writer(fd, print_z, 0)), 0);
    check_content(fd, "zzz\n");
    kill(holder, SIGKILL);
    wait_for(holder);
    close(ends[0]);
    close(ends[1]);
    close(fd);
}

TEST(a_slow_reader_is_waited_for)
{
    int fd = temporary_file();
    int ends[2];
    size_t size;
    new_lock();
    pid_t holder = block_a_writer(ends);
    pid_t next = fork_writer(fd, print_z, 0);
    usleep(1500000); /* longer than between two looks at the holder */
    CHECK_EQ_INT(lseek(fd, 0, SEEK_END), 0);
    kill(holder, SIGKILL);
    wait_for(holder);
    close(ends[1]);
    free(drain(ends[0], &size));
    CHECK_EQ_INT(wait_for(next), 0);
    CHECK(lseek(fd, 0, SEEK_END) >= 4);
    close(ends[0]);
    close(fd);
}

CHECK_MAIN
