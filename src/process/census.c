/* Looking at processes: see census.h. */
#include "process/census.h"

#include "base/fd.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    PATH_ROOM = 64,
    LINK_ROOM = 64,
    STAT_ROOM = 1024,
    FIELDS_BEFORE_START = 18, /* behind the state */
};

/* Reads the beginning of a file of /proc, and ends it with a 0. How much, or a negative errno. */
static ssize_t read_file(const char *path, char *text, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = read(fd, text, room - 1);
    int status = n < 0 ? -errno : 0;
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n < 0 ? status : n;
}

/* ---- who there is ---- */

/* pid (name) state ... start, where the name may hold anything. */
static bool parse(char *text, mp_census_entry *e)
{
    char *name = strchr(text, '('), *end = strrchr(text, ')');
    int at = 0;
    if (name == NULL || end == NULL || end < name || sscanf(end + 1, " %c%n", &e->state, &at) != 1)
        return false;
    *end = '\0';
    snprintf(e->name, sizeof e->name, "%.15s", name + 1);
    char *p = end + 1 + at;
    for (int i = 0; i < FIELDS_BEFORE_START && *p != '\0'; i++)
        p += 1 + strcspn(p + 1, " ");
    e->start = strtoull(p, NULL, 10);
    return true;
}

int mp_census_look(pid_t pid, mp_census_entry *entry)
{
    char path[PATH_ROOM], text[STAT_ROOM];
    *entry = (mp_census_entry){.pid = pid};
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    ssize_t n = read_file(path, text, sizeof text);
    if (n == -ENOENT)
        return -ESRCH;
    if (n < 0)
        return (int)n;
    return parse(text, entry) ? 0 : -ESRCH;
}

double mp_census_age(const mp_census_entry *entry)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    double now = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
    double age = now - (double)entry->start / (double)sysconf(_SC_CLK_TCK);
    return age > 0 ? age : 0;
}

int mp_census_mine(void (*visit)(void *ctx, int pid), void *ctx)
{
    DIR *all = opendir("/proc");
    if (all == NULL)
        return -errno;
    uid_t me = geteuid();
    for (struct dirent *d = readdir(all); d != NULL; d = readdir(all)) {
        struct stat st;
        if (isdigit((unsigned char)d->d_name[0]) && fstatat(dirfd(all), d->d_name, &st, 0) == 0 &&
            st.st_uid == me)
            visit(ctx, atoi(d->d_name));
    }
    closedir(all);
    return 0;
}

/* ---- what they have open ---- */

static bool is_memfd(const char *link, ssize_t size, const char *name)
{
    static const char before[] = "/memfd:", behind[] = " (deleted)";
    size_t length = strlen(name);
    return (size_t)size == sizeof before - 1 + length + sizeof behind - 1 &&
           memcmp(link, before, sizeof before - 1) == 0 &&
           memcmp(link + sizeof before - 1, name, length) == 0 &&
           memcmp(link + sizeof before - 1 + length, behind, sizeof behind - 1) == 0;
}

int mp_census_memfds(pid_t pid, const char *name, void (*visit)(void *ctx, int fd), void *ctx)
{
    char path[PATH_ROOM], link[LINK_ROOM];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *fds = opendir(path);
    if (fds == NULL)
        return -errno;
    errno = 0;
    for (struct dirent *d = readdir(fds); d != NULL; d = readdir(fds)) {
        ssize_t n = isdigit((unsigned char)d->d_name[0])
                        ? readlinkat(dirfd(fds), d->d_name, link, sizeof link)
                        : -1;
        if (n > 0 && is_memfd(link, n, name))
            visit(ctx, atoi(d->d_name));
    }
    closedir(fds);
    return 0;
}

/* What it is, is asked of a descriptor that opens nothing: opening a pipe or a device that stands
 * there by then could wait, or do something. */
int mp_census_open(pid_t pid, int number, const char *name)
{
    char path[PATH_ROOM], link[LINK_ROOM];
    struct stat st;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, number);
    int found = mp_fd_lift(open(path, O_PATH | O_CLOEXEC));
    if (found < 0)
        return -errno;
    snprintf(path, sizeof path, "/proc/self/fd/%d", found);
    ssize_t n = readlink(path, link, sizeof link);
    int fd = -1, status = -ENOENT;
    if (n > 0 && is_memfd(link, n, name) && fstat(found, &st) == 0 && S_ISREG(st.st_mode)) {
        fd = mp_fd_lift(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
        status = fd < 0 ? -errno : 0;
    }
    mp_fd_close(&found);
    return fd >= 0 ? fd : status;
}

/* ---- what they use ---- */

/* The kibibytes behind the word, 0 where it is not there. */
static int64_t number_behind(const char *text, const char *word)
{
    const char *at = strstr(text, word);
    return at != NULL ? strtoll(at + strlen(word), NULL, 10) : 0;
}

int64_t mp_census_memory(pid_t pid)
{
    char path[PATH_ROOM], text[2 * STAT_ROOM];
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    if (read_file(path, text, sizeof text) <= 0)
        return -1;
    return (number_behind(text, "\nPrivate_Clean:") + number_behind(text, "\nPrivate_Dirty:")) *
           1024;
}

int64_t mp_census_time(pid_t pid)
{
    clockid_t clock;
    struct timespec t;
    if (pid <= 0 || clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
        return -1;
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
