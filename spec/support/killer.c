/* Kills workers: killer HOST EVERY_MS SECONDS FILE
 *
 * Every EVERY_MS milliseconds one worker, chosen at random, of the pools of the
 * process HOST gets SIGKILL; its pid goes to FILE, one a line, before it dies.
 * Ends after SECONDS, or when HOST is gone. A worker is a child of that name of
 * a child of that name, as ps shows them. Costs some file reads a turn, so that
 * the storm takes no processor from those it falls upon. */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CHILDREN = 1024 };

typedef struct children {
    int pid[MAX_CHILDREN];
    int count;
} children;

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void sleep_until(int64_t at)
{
    struct timespec t = {at / 1000000000, at % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

/* Reads a small file whole; "" if it is not to be had. */
static void read_file(const char *path, char *text, size_t size)
{
    size_t len = 0;
    ssize_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && len < size - 1 && (n = read(fd, text + len, size - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    if (fd >= 0)
        close(fd);
}

/* Whether `pid` lives (is no zombie) and its name starts so. */
static bool lives_as(int pid, const char *name)
{
    char path[64], stat[512];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    read_file(path, stat, sizeof stat);
    const char *open = strchr(stat, '('), *close = strrchr(stat, ')');
    if (open == NULL || close == NULL || strlen(close) < 3)
        return false;
    return strncmp(open + 1, name, strlen(name)) == 0 && close[2] != 'Z' && close[2] != 'X';
}

/* Adds the children of `pid` that bear the name. */
static void add_children(children *list, int pid, const char *name)
{
    char path[64], text[8192];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
    read_file(path, text, sizeof text);
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " ")) {
        int child = atoi(word);
        if (list->count < MAX_CHILDREN && lives_as(child, name))
            list->pid[list->count++] = child;
    }
}

static void find_workers(children *workers, int host)
{
    children nurseries = {.count = 0};
    add_children(&nurseries, host, "mp-nursery");
    workers->count = 0;
    for (int i = 0; i < nurseries.count; i++)
        add_children(workers, nurseries.pid[i], "PoolWorker-");
}

static void kill_one(int host, FILE *file)
{
    static children workers;
    find_workers(&workers, host);
    if (workers.count == 0)
        return;
    int pid = workers.pid[random() % workers.count];
    fprintf(file, "%d\n", pid);
    fflush(file);
    kill(pid, SIGKILL);
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: killer HOST EVERY_MS SECONDS FILE\n");
        return 2;
    }
    int host = atoi(argv[1]);
    int64_t step = atoi(argv[2]) * (int64_t)1000000, at = now_ns();
    int64_t end = at + (int64_t)(atof(argv[3]) * 1e9);
    FILE *file = fopen(argv[4], "w");
    if (file == NULL || host <= 0 || step <= 0) {
        perror(argv[4]);
        return 2;
    }
    srandom((unsigned)at);
    for (; at < end && kill(host, 0) == 0; at += step) {
        sleep_until(at);
        kill_one(host, file);
    }
    return fclose(file) == 0 ? 0 : 2;
}
