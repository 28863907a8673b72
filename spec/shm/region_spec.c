/* Growing shared memory: what is allocated is there for every process of the
 * family, and a refusal is an error that leaves things as they were. */
#include "shm/region.h"
#include "spec/support/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)

static int count_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;
    while (dir != NULL && readdir(dir) != NULL)
        n++;
    if (dir != NULL)
        closedir(dir);
    return n;
}

static int in_child(int (*work)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        check_failures = 0;
        int result = work();
        _exit(result != 0 ? result : check_failures != 0);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    return status;
}

static bool all_zero(const unsigned char *at, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (at[i] != 0)
            return false;
    return true;
}

TEST(begins_zeroed_named_and_closed_on_exec)
{
    mp_region r;
    mp_error error = {0};
    REQUIRE(mp_region_create(&r, "spec-region", 64 * GIB, MIB, 10000, &error) == 0);
    CHECK_EQ_INT(r.size, 12288);
    CHECK(r.reserved >= MIB && (uintptr_t)r.base % 4096 == 0);
    CHECK(all_zero(r.base, r.size));
    CHECK(r.fd >= 3 && (fcntl(r.fd, F_GETFD) & FD_CLOEXEC) != 0);
    char path[64], name[64] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", r.fd);
    CHECK(readlink(path, name, sizeof name - 1) > 0);
    CHECK_STR(name, "/memfd:spec-region (deleted)");
    mp_region_destroy(&r);
    CHECK_EQ_INT(r.fd, -1);
    mp_region_destroy(&r);
}

TEST(nothing_is_destroyed_of_a_zeroed_one)
{
    mp_region r = {0};
    mp_region_destroy(&r);
    CHECK(fcntl(0, F_GETFD) != -1 || errno == EBADF);
    CHECK(r.base == NULL);
}

TEST(what_it_grew_is_allocated)
{
    mp_region r;
    mp_error error = {0};
    REQUIRE(mp_region_create(&r, "spec-region", GIB, MIB, 4096, &error) == 0);
    CHECK_EQ_INT(mp_region_ensure(&r, 4096, &error), 0);
    CHECK_EQ_INT(r.size, 4096);
    CHECK_EQ_INT(mp_region_ensure(&r, 4097, &error), 0);
    CHECK(r.size >= 68 * KIB);
    CHECK_EQ_INT(mp_region_ensure(&r, 3 * MIB + 1, &error), 0);
    struct stat st;
    REQUIRE(fstat(r.fd, &st) == 0);
    CHECK_EQ_INT(st.st_size, r.size);
    CHECK(st.st_blocks * 512 >= st.st_size);
    CHECK(all_zero(r.base, r.size));
    mp_region_destroy(&r);
}

TEST(its_steps_double)
{
    mp_region r;
    mp_error error = {0};
    REQUIRE(mp_region_create(&r, "spec-region", GIB, MIB, 4096, &error) == 0);
    int calls = 0;
    for (size_t need = 4096; need < 32 * MIB; need += 4096) {
        size_t before = r.size;
        CHECK_EQ_INT(mp_region_ensure(&r, need, &error), 0);
        calls += r.size != before;
    }
    CHECK(calls <= 16);
    mp_region_destroy(&r);
}

static mp_region family;
static int to_child[2], to_parent[2];

static void tell(int fd)
{
    CHECK_EQ_INT(write(fd, "x", 1), 1);
}

static void hear(int fd)
{
    char c;
    CHECK_EQ_INT(read(fd, &c, 1), 1);
}

static int reader_and_grower(void)
{
    hear(to_child[0]);
    CHECK_EQ_INT(family.base[5 * MIB], 42);
    mp_error error = {0};
    CHECK_EQ_INT(mp_region_take_over(&family, &error), 0);
    CHECK(family.size > 5 * MIB);
    CHECK_EQ_INT(mp_region_grow(&family, 200 * MIB, &error), 0);
    family.base[200 * MIB - 1] = 43;
    tell(to_parent[1]);
    return 0;
}

TEST(a_fork_sees_growth_on_either_side)
{
    mp_error error = {0};
    REQUIRE(mp_region_create(&family, "spec-region", GIB, MIB, 4096, &error) == 0);
    REQUIRE(pipe(to_child) == 0 && pipe(to_parent) == 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(reader_and_grower() + check_failures);
    CHECK_EQ_INT(mp_region_grow(&family, 5 * MIB + 1, &error), 0);
    family.base[5 * MIB] = 42;
    tell(to_child[1]);
    hear(to_parent[0]);
    CHECK_EQ_INT(family.base[200 * MIB - 1], 43);
    CHECK(family.size < 200 * MIB);
    CHECK_EQ_INT(mp_region_take_over(&family, &error), 0);
    CHECK(family.size >= 200 * MIB);
    int status = -1;
    CHECK_EQ_INT(waitpid(pid, &status, 0), pid);
    CHECK_EQ_INT(status, 0);
    for (int i = 0; i < 2; i++) {
        close(to_child[i]);
        close(to_parent[i]);
    }
    mp_region_destroy(&family);
}

static void limit_files(size_t bytes)
{
    struct rlimit limit = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) {
        limit.rlim_max = bytes;
        CHECK_EQ_INT(setrlimit(RLIMIT_FSIZE, &limit), 0);
    }
}

static bool xfsz_pending(void)
{
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, SIGXFSZ) == 1;
}

static int past_the_file_limit(void)
{
    mp_region r;
    mp_error error = {0};
    CHECK_EQ_INT(mp_region_create(&r, "spec-region", GIB, MIB, MIB, &error), 0);
    limit_files(MIB + 256 * KIB);
    CHECK_EQ_INT(mp_region_grow(&r, 200 * MIB, &error), -EFBIG);
    CHECK_EQ_INT(error.code, -EFBIG);
    CHECK(strstr(error.text, "File too large") != NULL);
    CHECK_EQ_INT(r.size, MIB);
    struct stat st;
    CHECK_EQ_INT(fstat(r.fd, &st), 0);
    CHECK_EQ_INT(st.st_size, MIB);
    CHECK(!xfsz_pending());
    /* The step would be too large, the need is not. */
    CHECK_EQ_INT(mp_region_grow(&r, MIB + 1, &error), 0);
    CHECK_EQ_INT(r.size, MIB + 4096);
    CHECK_EQ_INT(mp_region_create(&r, "spec-region", GIB, MIB, 2 * MIB, &error), -EFBIG);
    return 0;
}

TEST(a_file_limit_is_an_error_and_no_signal)
{
    CHECK_EQ_INT(in_child(past_the_file_limit), 0);
}

static int with_the_signal_pending(void)
{
    sigset_t xfsz, before, after;
    sigemptyset(&xfsz);
    sigaddset(&xfsz, SIGXFSZ);
    sigprocmask(SIG_BLOCK, &xfsz, NULL);
    raise(SIGXFSZ);
    mp_region r;
    mp_error error = {0};
    CHECK_EQ_INT(mp_region_create(&r, "spec-region", GIB, MIB, MIB, &error), 0);
    limit_files(MIB);
    sigprocmask(SIG_BLOCK, NULL, &before);
    CHECK_EQ_INT(mp_region_grow(&r, 2 * MIB, &error), -EFBIG);
    sigprocmask(SIG_BLOCK, NULL, &after);
    for (int s = 1; s < NSIG; s++)
        CHECK_EQ_INT(sigismember(&before, s), sigismember(&after, s));
    CHECK(xfsz_pending());
    return 0;
}

TEST(the_hosts_own_pending_signal_stays)
{
    CHECK_EQ_INT(in_child(with_the_signal_pending), 0);
}

static size_t address_space_in_use(void)
{
    size_t pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f != NULL) {
        CHECK_EQ_INT(fscanf(f, "%zu", &pages), 1);
        fclose(f);
    }
    return pages * 4096;
}

static int in_little_address_space(void)
{
    struct rlimit limit = {.rlim_cur = address_space_in_use() + GIB, .rlim_max = RLIM_INFINITY};
    CHECK_EQ_INT(setrlimit(RLIMIT_AS, &limit), 0);
    mp_region r;
    mp_error error = {0};
    CHECK_EQ_INT(mp_region_create(&r, "spec-region", 64 * GIB, MIB, 4096, &error), 0);
    CHECK(r.reserved >= MIB && r.reserved < GIB);
    CHECK_EQ_INT(mp_region_grow(&r, MIB, &error), 0);
    r.base[MIB - 1] = 1;
    void *more = mmap(NULL, 100 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(more != MAP_FAILED);
    int before = count_descriptors();
    mp_region no;
    CHECK_EQ_INT(mp_region_create(&no, "spec-region", 64 * GIB, 2 * GIB, 4096, &error), -ENOMEM);
    CHECK(no.base == NULL && no.fd == -1);
    CHECK_EQ_INT(count_descriptors(), before);
    return 0;
}

TEST(it_reserves_less_where_address_space_is_short)
{
    CHECK_EQ_INT(in_child(in_little_address_space), 0);
}

TEST(beyond_the_reservation_there_is_nothing)
{
    mp_region r;
    mp_error error = {0};
    REQUIRE(mp_region_create(&r, "spec-region", MIB, MIB, 4096, &error) == 0);
    CHECK_EQ_INT(mp_region_grow(&r, MIB, &error), 0);
    CHECK_EQ_INT(r.size, MIB);
    CHECK_EQ_INT(mp_region_grow(&r, MIB + 1, &error), -ENOMEM);
    CHECK_EQ_INT(r.size, MIB);
    mp_region_destroy(&r);
}

TEST(shrinking_gives_pages_back_and_they_return_zeroed)
{
    mp_region r;
    mp_error error = {0};
    REQUIRE(mp_region_create(&r, "spec-region", GIB, MIB, 8 * MIB, &error) == 0);
    memset(r.base, 1, r.size);
    mp_region_shrink(&r, MIB + 1);
    CHECK_EQ_INT(r.size, MIB + 4096);
    struct stat st;
    REQUIRE(fstat(r.fd, &st) == 0);
    CHECK_EQ_INT(st.st_size, r.size);
    CHECK(st.st_blocks * 512 <= (long)(MIB + 64 * KIB));
    CHECK_EQ_INT(mp_region_grow(&r, 2 * MIB, &error), 0);
    CHECK(r.base[MIB] == 1 && all_zero(r.base + MIB + 4096, MIB - 4096));
    mp_region_shrink(&r, 16 * MIB);
    CHECK(r.size >= 2 * MIB);
    mp_region_destroy(&r);
}

TEST(without_the_descriptor_it_stays_as_it_is)
{
    mp_region r;
    mp_error error = {0};
    REQUIRE(mp_region_create(&r, "spec-region", GIB, MIB, MIB, &error) == 0);
    int fd = r.fd;
    mp_region_drop_fd(&r);
    CHECK_EQ_INT(fcntl(fd, F_GETFD), -1);
    r.base[MIB - 1] = 7;
    CHECK_EQ_INT(mp_region_grow(&r, 2 * MIB, &error), -EBADF);
    mp_region_shrink(&r, 0);
    CHECK_EQ_INT(r.size, MIB);
    CHECK_EQ_INT(r.base[MIB - 1], 7);
    mp_region_destroy(&r);
}

static volatile sig_atomic_t ticks;

static void count_tick(int signal)
{
    (void)signal;
    ticks = ticks + 1;
}

static int under_a_fast_timer(void)
{
    struct sigaction action = {.sa_handler = count_tick};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval every = {.it_interval.tv_usec = 100, .it_value.tv_usec = 100};
    setitimer(ITIMER_REAL, &every, NULL);
    mp_region r;
    mp_error error = {0};
    CHECK_EQ_INT(mp_region_create(&r, "spec-region", GIB, MIB, 4096, &error), 0);
    CHECK_EQ_INT(mp_region_grow(&r, 300 * MIB, &error), 0);
    CHECK(ticks > 0);
    return 0;
}

TEST(signals_do_not_keep_it_from_growing)
{
    CHECK_EQ_INT(in_child(under_a_fast_timer), 0);
}

#ifdef MP_TEST_BUILD
TEST(a_failpoint_refuses_growth)
{
    mp_region r;
    mp_error error = {0};
    REQUIRE(mp_region_create(&r, "spec-region", GIB, MIB, 4096, &error) == 0);
    setenv("MOONPOOL_FAILPOINTS", "region.grow:error@1", 1);
    CHECK_EQ_INT(mp_region_grow(&r, MIB, &error), -ENOMEM);
    CHECK_EQ_INT(r.size, 4096);
    unsetenv("MOONPOOL_FAILPOINTS");
    CHECK_EQ_INT(mp_region_grow(&r, MIB, &error), 0);
    mp_region_destroy(&r);
}
#endif

CHECK_MAIN
