/* Failpoints: see failpoint.h. Empty outside the test build.
 *
 * The list is read anew at each passage, so that a test may change it between
 * two cases; nothing is allocated and nothing locked, since the nursery passes
 * here too. Invariant: passed[i] counts the passages of the i-th rule of the
 * list in the process `counted_in`. */
#include "base/failpoint.h"

#ifdef MP_TEST_BUILD

#include "base/atomics.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_RULES = 32, MAX_PATH = 512 };

typedef struct rule {
    const char *name;
    int name_length;
    long budget; /* passages of the whole run that act; 0: any number */
    const char *action;
    long first;
    bool onward;
} rule;

static _Atomic long passed[MAX_RULES];
static _Atomic int counted_in;

static void count_per_process(void)
{
    int pid = getpid();
    if (mp_load_relaxed(&counted_in) == pid)
        return;
    for (int i = 0; i < MAX_RULES; i++)
        mp_store_relaxed(&passed[i], 0);
    mp_store_relaxed(&counted_in, pid);
}

/* Reads the rule at `text`, `name[/K]:action[@n[+]]`; returns what follows it. */
static const char *read_rule(const char *text, rule *r)
{
    const char *end = strchrnul(text, ',');
    char *rest = NULL;
    *r = (rule){.name = text, .name_length = (int)strcspn(text, "/:,"), .first = 1};
    const char *at = text + r->name_length;
    if (*at == '/') {
        r->budget = strtol(at + 1, &rest, 10);
        at = rest;
    }
    r->action = *at == ':' ? at + 1 : end;
    at = r->action + strcspn(r->action, "@,");
    if (*at == '@') {
        r->first = strtol(at + 1, &rest, 10);
        r->onward = *rest == '+';
    }
    return *end == ',' ? end + 1 : end;
}

static bool is_action(const rule *r, const char *action)
{
    return strncmp(r->action, action, strlen(action)) == 0;
}

/* One file is made for each passage that acts: whoever makes it has taken it. */
static bool take_from_budget(const rule *r)
{
    const char *directory = getenv("MOONPOOL_FAILPOINT_DIR");
    char path[MAX_PATH];
    for (long i = 1; i <= r->budget && directory != NULL; i++) {
        snprintf(path, sizeof path, "%s/%.*s.%ld", directory, r->name_length, r->name, i);
        int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
        if (fd >= 0) {
            close(fd);
            return true;
        }
    }
    return false;
}

static void delay(long milliseconds)
{
    struct timespec left = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0)
        continue;
}

/* True if the place is to fail with an error. */
static bool act(const rule *r)
{
    if (is_action(r, "kill"))
        raise(SIGKILL);
    if (is_action(r, "stop"))
        raise(SIGSTOP);
    if (is_action(r, "exit"))
        _exit(3);
    if (is_action(r, "segv")) {
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
    }
    if (is_action(r, "abort"))
        abort();
    if (is_action(r, "delay="))
        delay(strtol(r->action + strlen("delay="), NULL, 10));
    return is_action(r, "error");
}

static bool due(const rule *r, long passage)
{
    return passage == r->first || (r->onward && passage > r->first);
}

bool mp_failpoint(const char *name)
{
    const char *list = getenv("MOONPOOL_FAILPOINTS");
    bool fails = false;
    if (list == NULL)
        return false;
    count_per_process();
    for (int i = 0; *list != '\0' && i < MAX_RULES; i++) {
        rule r;
        list = read_rule(list, &r);
        if (strlen(name) != (size_t)r.name_length || strncmp(name, r.name, strlen(name)) != 0)
            continue;
        if (due(&r, mp_add_relaxed(&passed[i], 1) + 1))
            if (r.budget == 0 || take_from_budget(&r))
                fails = act(&r) || fails;
    }
    return fails;
}

#else

typedef int mp_failpoints_are_off; /* ISO C wants a declaration in every file */

#endif
