/* Runs one spec: run NAME SECONDS LOGDIR COMMAND [ARGS]...
 *
 * The command's output goes to a file, shown when it fails. It fails by its
 * exit status, by its time limit, and by what it leaves behind: a process
 * (whatever its session, since this one is the subreaper of all of them), or a
 * name in /dev/shm. What needs a moment to end by itself gets two seconds;
 * then it is named and killed. The environment's SPEC_UNDER is put in front of
 * the command ("valgrind -q"), SPEC_TIME_FACTOR multiplies the limits. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { GRACE_SECONDS = 2, STEP_MS = 20, MAX_NAMES = 256, MAX_WORDS = 64, SHOWN = 64 * 1024 };

typedef struct names {
    char *name[MAX_NAMES];
    int count;
} names;

typedef struct spec {
    const char *name;
    double seconds, factor;
    char log[PATH_MAX];
    char *command[MAX_WORDS + 1];
    pid_t pid;
    int status;
    bool ended, interrupted, failed;
    names shm;
} spec;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fatal(const char *what)
{
    fprintf(stderr, "run: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void list_shm(names *list)
{
    DIR *directory = opendir("/dev/shm");
    struct dirent *entry;
    list->count = 0;
    while (directory != NULL && list->count < MAX_NAMES && (entry = readdir(directory)) != NULL)
        if (entry->d_name[0] != '.')
            list->name[list->count++] = strdup(entry->d_name);
    if (directory != NULL)
        closedir(directory);
}

static bool listed(const names *list, const char *name)
{
    for (int i = 0; i < list->count; i++)
        if (strcmp(list->name[i], name) == 0)
            return true;
    return false;
}

/* Reads a small file of /proc; NULs become spaces. */
static void read_proc(pid_t pid, const char *file, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, size - 1) : 0;
    for (ssize_t i = 0; i < n; i++)
        if (text[i] == '\0')
            text[i] = ' ';
    text[n > 0 ? n : 0] = '\0';
    if (fd >= 0)
        close(fd);
}

static bool is_child(pid_t pid)
{
    char stat[512], state = 'Z';
    int parent = 0;
    read_proc(pid, "stat", stat, sizeof stat);
    const char *behind_name = strrchr(stat, ')');
    if (behind_name == NULL || sscanf(behind_name + 1, " %c %d", &state, &parent) != 2)
        return false;
    return parent == getpid() && state != 'Z';
}

/* Kills every child, saying so if `tell`; returns whether there was one. */
static bool kill_children(bool tell)
{
    DIR *directory = opendir("/proc");
    struct dirent *entry;
    bool any = false;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        pid_t pid = (pid_t)atoi(entry->d_name);
        char command[512];
        if (pid <= 0 || !is_child(pid))
            continue;
        read_proc(pid, "cmdline", command, sizeof command);
        if (tell)
            printf("run: left behind: process %d: %s\n", (int)pid, command);
        kill(pid, SIGKILL);
        any = true;
    }
    if (directory != NULL)
        closedir(directory);
    return any;
}

static void reap(spec *s)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (pid == s->pid) {
            s->ended = true;
            s->status = status;
        }
}

static bool has_children(void)
{
    siginfo_t info;
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static void step(spec *s)
{
    sigset_t set;
    struct timespec t = {0, STEP_MS * 1000000};
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    int got = sigtimedwait(&set, NULL, &t);
    if (got == SIGINT || got == SIGTERM)
        s->interrupted = true;
    reap(s);
}

/* Their children become ours as they die, hence the loop. */
static void end_all(spec *s, bool tell)
{
    do {
        if (kill_children(tell) && tell)
            s->failed = true;
        step(s);
    } while (has_children());
}

static void become_command(spec *s, const sigset_t *mask)
{
    int in = open("/dev/null", O_RDONLY);
    int out = open(s->log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);
    if (in < 0 || out < 0)
        fatal(s->log);
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigprocmask(SIG_SETMASK, mask, NULL);
    dup2(in, 0);
    dup2(out, 1);
    dup2(out, 2);
    close(in);
    close(out);
    if (s->command[0] != NULL)
        execvp(s->command[0], s->command);
    fatal("exec");
}

static void start(spec *s)
{
    sigset_t set, before;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, &before);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    s->pid = fork();
    if (s->pid < 0)
        fatal("fork");
    if (s->pid == 0)
        become_command(s, &before);
}

static void run_to_its_end(spec *s)
{
    double limit = now() + s->seconds * s->factor;
    while (!s->ended && !s->interrupted && now() < limit)
        step(s);
    if (s->ended)
        return;
    printf("run: %s: stopped %s\n", s->name, s->interrupted ? "by a signal" : "by its time limit");
    s->failed = true;
    end_all(s, false);
}

static void judge_status(spec *s)
{
    if (s->failed)
        return;
    if (WIFSIGNALED(s->status))
        printf("run: %s: ended by signal %d (%s)\n", s->name, WTERMSIG(s->status),
               strsignal(WTERMSIG(s->status)));
    else if (WEXITSTATUS(s->status) != 0)
        printf("run: %s: exit code %d\n", s->name, WEXITSTATUS(s->status));
    s->failed = s->status != 0;
}

static bool left_in_shm(const spec *s, bool tell)
{
    names after;
    bool any = false;
    list_shm(&after);
    for (int i = 0; i < after.count; i++)
        if (!listed(&s->shm, after.name[i])) {
            any = true;
            if (tell)
                printf("run: left behind: /dev/shm/%s\n", after.name[i]);
        }
    for (int i = 0; i < after.count; i++)
        free(after.name[i]);
    return any;
}

static void judge_leavings(spec *s)
{
    double limit = now() + GRACE_SECONDS * s->factor;
    while ((has_children() || left_in_shm(s, false)) && now() < limit)
        step(s);
    if (has_children())
        end_all(s, true);
    if (left_in_shm(s, true))
        s->failed = true;
}

static void show_log(const spec *s)
{
    char text[4096];
    size_t n;
    FILE *file = fopen(s->log, "r");
    if (file == NULL)
        return;
    if (fseek(file, -SHOWN, SEEK_END) != 0)
        rewind(file);
    while ((n = fread(text, 1, sizeof text, file)) > 0)
        fwrite(text, 1, n, stdout);
    fclose(file);
}

static void open_log(spec *s, const char *directory)
{
    mkdir(directory, 0755);
    int n = snprintf(s->log, sizeof s->log, "%s/%s.txt", directory, s->name);
    if (n < 0 || (size_t)n >= sizeof s->log)
        fatal("log path");
    for (char *c = s->log + strlen(directory) + 1; *c != '\0'; c++)
        if (*c == '/')
            *c = '.';
}

static void compose_command(spec *s, char **words)
{
    int n = 0;
    char *under = getenv("SPEC_UNDER");
    for (char *w = under != NULL ? strtok(under, " ") : NULL; w != NULL; w = strtok(NULL, " "))
        if (n < MAX_WORDS)
            s->command[n++] = w;
    while (*words != NULL && n < MAX_WORDS)
        s->command[n++] = *words++;
    s->command[n] = NULL;
}

int main(int argc, char **argv)
{
    static spec s;
    if (argc < 5) {
        fprintf(stderr, "usage: run NAME SECONDS LOGDIR COMMAND [ARGS]...\n");
        return 2;
    }
    const char *factor = getenv("SPEC_TIME_FACTOR");
    s.name = argv[1];
    s.seconds = atof(argv[2]);
    s.factor = factor != NULL ? atof(factor) : 1;
    open_log(&s, argv[3]);
    compose_command(&s, argv + 4);
    list_shm(&s.shm);
    start(&s);
    run_to_its_end(&s);
    judge_status(&s);
    judge_leavings(&s);
    if (s.failed)
        show_log(&s);
    return s.failed ? 1 : 0;
}
