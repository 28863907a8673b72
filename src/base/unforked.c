/* Descriptors that no child gets: see unforked.h.
 *
 * Invariant: `all` lists what this process holds; it is changed under `guard` with all signals
 * blocked, and `guard` is held over every fork, so that a child finds the list whole and empties
 * it. */
#include "base/unforked.h"

#include "base/fd.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>

static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static mp_unforked *all;
static int watch_error;

static void before_fork(void)
{
    pthread_mutex_lock(&guard);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&guard);
}

static void in_the_child(void)
{
    while (all != NULL) {
        mp_unforked *held = all;
        all = held->next;
        held->next = NULL;
        mp_fd_close(&held->fd);
    }
    pthread_mutex_unlock(&guard);
}

static void watch_forks(void)
{
    watch_error = pthread_atfork(before_fork, after_fork, in_the_child);
}

/* A handler that forks while its thread is in here would wait for itself. */
static void enter(sigset_t *before)
{
    sigset_t signals;
    sigfillset(&signals);
    pthread_sigmask(SIG_BLOCK, &signals, before);
    pthread_mutex_lock(&guard);
}

static void leave(const sigset_t *before)
{
    pthread_mutex_unlock(&guard);
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

int mp_unforked_hold(mp_unforked *held, int (*make)(void *ctx), void *ctx)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    sigset_t before;
    *held = (mp_unforked){.fd = -1};
    pthread_once(&once, watch_forks);
    if (watch_error != 0)
        return -watch_error;
    enter(&before);
    int fd = make(ctx);
    if (fd >= 0) {
        *held = (mp_unforked){.fd = fd, .next = all};
        all = held;
    }
    leave(&before);
    return fd < 0 ? fd : 0;
}

static void unlist(const mp_unforked *held)
{
    mp_unforked **at = &all;
    while (*at != NULL && *at != held)
        at = &(*at)->next;
    if (*at != NULL)
        *at = held->next;
}

void mp_unforked_close(mp_unforked *held)
{
    sigset_t before;
    enter(&before);
    unlist(held);
    mp_fd_close(&held->fd);
    leave(&before);
}
