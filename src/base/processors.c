/* Processors by affinity and cgroup quota: see processors.h.
 *
 * A process's cgroups stand in /proc/self/cgroup, one line a hierarchy:
 * id:controllers:path (cgroups(7)); the quota that counts is the smallest on the
 * way from there up to the root. */
#include "base/processors.h"

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int mp_processors_online(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > INT_MAX ? INT_MAX : (int)n;
}

static int by_affinity(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return mp_processors_online();
    int n = CPU_COUNT(&set);
    return n < 1 ? 1 : n;
}

/* Up to two numbers from the start of a file; how many were there. "max" is none. */
static int read_numbers(const char *path, long long *first, long long *second)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    int n = fscanf(file, "%lld %lld", first, second);
    fclose(file);
    return n < 0 ? 0 : n;
}

static int processors(long long quota, long long period)
{
    if (quota <= 0 || period <= 0)
        return INT_MAX;
    long long n = (quota + period - 1) / period;
    return n > INT_MAX ? INT_MAX : (int)n;
}

static int quota_v2(const char *directory)
{
    char path[PATH_MAX + 32];
    long long quota, period;
    snprintf(path, sizeof path, "%s/cpu.max", directory);
    return read_numbers(path, &quota, &period) == 2 ? processors(quota, period) : INT_MAX;
}

static int quota_v1(const char *directory)
{
    char path[PATH_MAX + 32];
    long long quota, period, none;
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", directory);
    if (read_numbers(path, &quota, &none) < 1)
        return INT_MAX;
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", directory);
    return read_numbers(path, &period, &none) < 1 ? INT_MAX : processors(quota, period);
}

/* The smallest quota from `group` below `mount` up to the mount itself. */
static int smallest(const char *mount, char *group, int (*quota)(const char *))
{
    int least = INT_MAX;
    for (;;) {
        char directory[PATH_MAX];
        snprintf(directory, sizeof directory, "%s%s", mount, group);
        int n = quota(directory);
        least = n < least ? n : least;
        char *slash = strrchr(group, '/');
        if (slash == NULL)
            return least;
        *slash = '\0';
    }
}

static bool names_cpu(const char *controllers)
{
    size_t length;
    for (; *controllers != '\0'; controllers += length + (controllers[length] == ',')) {
        length = strcspn(controllers, ",");
        if (length == 3 && strncmp(controllers, "cpu", 3) == 0)
            return true;
    }
    return false;
}

/* What a line of /proc/self/cgroup allows. */
static int by_line(const char *root, char *line)
{
    char mount[PATH_MAX];
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':');
    char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
    if (group == NULL)
        return INT_MAX;
    *group++ = '\0';
    controllers++;
    if (*controllers == '\0') {
        snprintf(mount, sizeof mount, "%s/sys/fs/cgroup", root);
        return smallest(mount, group, quota_v2);
    }
    if (!names_cpu(controllers))
        return INT_MAX;
    snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/cpu", root);
    return smallest(mount, group, quota_v1);
}

int mp_processors_usable(const char *root)
{
    char path[PATH_MAX + 32], *line = NULL;
    size_t room = 0;
    int least = by_affinity();
    if (strcmp(root, "/") == 0)
        root = "";
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *file = fopen(path, "re");
    while (file != NULL && getline(&line, &room, file) > 0) {
        int n = by_line(root, line);
        least = n < least ? n : least;
    }
    free(line);
    if (file != NULL)
        fclose(file);
    return least < 1 ? 1 : least;
}
