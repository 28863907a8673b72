/* Failpoints: the action asked for at the passage asked for, in children that
 * show it by how they end. */
#include "base/failpoint.h"
#include "spec/support/check.h"

#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PASSAGES = 10 };

/* The wait status of a child that passes `a` and `b` ten times under `rules`;
 * its exit code is the number of passages that failed. */
static int passing(const char *rules)
{
    pid_t pid = fork();
    if (pid == 0) {
        int failures = 0;
        setenv("MOONPOOL_FAILPOINTS", rules, 1);
        for (int i = 0; i < PASSAGES; i++) {
            failures += MP_FAILPOINT_ERROR("a");
            failures += MP_FAILPOINT_ERROR("b");
        }
        _exit(failures);
    }
    int status = -1;
    waitpid(pid, &status, WUNTRACED);
    if (WIFSTOPPED(status)) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    return status;
}

static int failures_under(const char *rules)
{
    int status = passing(rules);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int signal_under(const char *rules)
{
    int status = passing(rules);
    return WIFSIGNALED(status) ? WTERMSIG(status) : WIFSTOPPED(status) ? WSTOPSIG(status) : -1;
}

TEST(nothing_happens_unasked)
{
    unsetenv("MOONPOOL_FAILPOINTS");
    CHECK(!MP_FAILPOINT_ERROR("a"));
    CHECK_EQ_INT(failures_under(""), 0);
    CHECK_EQ_INT(failures_under("c:kill,aa:kill,:kill"), 0);
}

TEST(error_fails_the_passage_asked_for)
{
    CHECK_EQ_INT(failures_under("a:error"), 1);
    CHECK_EQ_INT(failures_under("a:error@10"), 1);
    CHECK_EQ_INT(failures_under("a:error@11"), 0);
    CHECK_EQ_INT(failures_under("a:error@4+"), 7);
    CHECK_EQ_INT(failures_under("a:error@1+,b:error@10"), 11);
    CHECK_EQ_INT(failures_under("a:error@2,a:error@5"), 2);
}

TEST(each_action_ends_as_it_says)
{
    CHECK_EQ_INT(signal_under("a:kill@3"), SIGKILL);
    CHECK_EQ_INT(signal_under("a:stop"), SIGSTOP);
    CHECK_EQ_INT(signal_under("a:segv"), SIGSEGV);
    CHECK_EQ_INT(signal_under("a:abort"), SIGABRT);
    CHECK_EQ_INT(failures_under("a:exit"), 3);
    CHECK_EQ_INT(signal_under("b:kill@10"), SIGKILL);
}

TEST(delay_only_delays)
{
    CHECK_EQ_INT(failures_under("a:delay=1@2+,b:error"), 1);
}

TEST(passages_are_counted_per_process)
{
    setenv("MOONPOOL_FAILPOINTS", "a:error@11+", 1);
    for (int i = 0; i < PASSAGES; i++)
        CHECK(!MP_FAILPOINT_ERROR("a"));
    CHECK_EQ_INT(failures_under("a:error@11+"), 0);
    CHECK(MP_FAILPOINT_ERROR("a"));
    unsetenv("MOONPOOL_FAILPOINTS");
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status, (void)type, (void)walk;
    return remove(path);
}

TEST(a_budget_holds_for_the_whole_run)
{
    char directory[] = "/tmp/moonpool-failpoint-XXXXXX";
    REQUIRE(mkdtemp(directory) != NULL);
    setenv("MOONPOOL_FAILPOINT_DIR", directory, 1);
    CHECK_EQ_INT(failures_under("a/2:error@1+"), 2);
    CHECK_EQ_INT(failures_under("a/2:error@1+"), 0);
    CHECK_EQ_INT(signal_under("b/1:kill@5"), SIGKILL);
    CHECK_EQ_INT(failures_under("b/1:kill@5"), 0);
    CHECK_EQ_INT(failures_under("b/2:error@5"), 1);
    nftw(directory, remove_entry, 4, FTW_DEPTH | FTW_PHYS);
}

CHECK_MAIN
