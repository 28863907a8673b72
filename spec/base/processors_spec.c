/* Processors by affinity and cgroup quota, under a root of the test's making. */
#include "base/processors.h"

#include "spec/support/check.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char root[64];

static void fresh_root(void)
{
    strcpy(root, "/tmp/processors_spec.XXXXXX");
    CHECK(mkdtemp(root) != NULL);
}

static void remove_root(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", root);
    CHECK_EQ_INT(system(command), 0);
}

/* Writes a file below the root, making its directories. */
static void put(const char *path, const char *text)
{
    char full[PATH_MAX];
    snprintf(full, sizeof full, "%s/%s", root, path);
    for (char *at = full + strlen(root) + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        mkdir(full, 0700);
        *at = '/';
    }
    FILE *file = fopen(full, "w");
    CHECK(file != NULL);
    if (file != NULL) {
        fputs(text, file);
        fclose(file);
    }
}

static int affinity(void)
{
    cpu_set_t set;
    CHECK_EQ_INT(sched_getaffinity(0, sizeof set, &set), 0);
    return CPU_COUNT(&set);
}

static int at_most(int n)
{
    return n < affinity() ? n : affinity();
}

TEST(without_cgroups_the_affinity_counts)
{
    fresh_root();
    CHECK_EQ_INT(mp_processors_usable(root), affinity());
    remove_root();
}

TEST(a_quota_of_version_2_is_rounded_up)
{
    fresh_root();
    put("proc/self/cgroup", "0::/job/step\n");
    put("sys/fs/cgroup/job/step/cpu.max", "50000 100000\n");
    CHECK_EQ_INT(mp_processors_usable(root), 1);
    put("sys/fs/cgroup/job/step/cpu.max", "110000 100000\n");
    CHECK_EQ_INT(mp_processors_usable(root), at_most(2));
    remove_root();
}

TEST(the_smallest_quota_on_the_way_up_counts)
{
    fresh_root();
    put("proc/self/cgroup", "0::/job/step\n");
    put("sys/fs/cgroup/job/step/cpu.max", "max 100000\n");
    put("sys/fs/cgroup/job/cpu.max", "100000 100000\n");
    CHECK_EQ_INT(mp_processors_usable(root), 1);
    remove_root();
}

TEST(no_quota_changes_nothing)
{
    fresh_root();
    put("proc/self/cgroup", "0::/job\n");
    put("sys/fs/cgroup/job/cpu.max", "max 100000\n");
    CHECK_EQ_INT(mp_processors_usable(root), affinity());
    remove_root();
}

TEST(a_quota_of_version_1_counts)
{
    fresh_root();
    put("proc/self/cgroup", "4:memory:/job\n3:cpu,cpuacct:/job\n0::/\n");
    put("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "20000\n");
    put("sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n");
    CHECK_EQ_INT(mp_processors_usable(root), 1);
    put("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "-1\n");
    CHECK_EQ_INT(mp_processors_usable(root), affinity());
    remove_root();
}

TEST(lines_that_make_no_sense_change_nothing)
{
    fresh_root();
    put("proc/self/cgroup", "\nnonsense\n1:cpu\n::\n");
    put("sys/fs/cgroup/cpu.max", "0 0\n");
    CHECK_EQ_INT(mp_processors_usable(root), affinity());
    remove_root();
}

TEST(there_is_at_least_one)
{
    CHECK(mp_processors_online() >= 1);
    CHECK(mp_processors_usable("/") >= 1);
    CHECK(mp_processors_usable("/") <= mp_processors_online());
}

CHECK_MAIN
