/* A host with a loop of its own, over poll: it reads lines from its standard input, has each looked
 * at by a worker, and goes on reading meanwhile. */
#include <moonpool.h>

#include <ctype.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Runs in a worker: how many words a line has. */
static int count_words(void *user, const void *input, size_t size, moonpool_reply *reply)
{
    int words = 0;
    const unsigned char *text = input;
    (void)user;
    for (size_t i = 0; i < size; i++)
        words += !isspace(text[i]) && (i == 0 || isspace(text[i - 1]));
    return moonpool_write(reply, &words, sizeof words);
}

static void print(void *user, const moonpool_result *result)
{
    int words = 0;
    if (result->error == 0)
        memcpy(&words, result->bytes, sizeof words);
    *(int *)user += words;
}

/* Milliseconds until that time, for poll. */
static int until(int64_t when)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t left = (when - (t.tv_sec * INT64_C(1000000000) + t.tv_nsec)) / 1000000;
    return when == MOONPOOL_NEVER ? -1 : left < 0 ? 0 : left > 1000 ? 1000 : (int)left;
}

/* Submits what is in the line; while the window is full it dispatches. */
static int submit(moonpool *pool, const char *line, int *total)
{
    int status;
    while ((status = moonpool_submit(pool, "count_words", line, strlen(line), print, total)) ==
           MOONPOOL_EAGAIN)
        moonpool_wait(pool, MOONPOOL_NEVER);
    return status;
}

int main(void)
{
    int total = 0, lines = 0, reading = 1, status = 0;
    moonpool *pool;
    moonpool_handle("count_words", count_words, NULL);
    if (moonpool_new(&pool, NULL) != 0)
        return 1;
    setvbuf(stdin, NULL, _IONBF, 0);
    while (status == 0 && (reading || moonpool_pending(pool) > 0)) {
        struct pollfd fds[] = {{.fd = moonpool_fd(pool), .events = POLLIN},
                               {.fd = reading ? STDIN_FILENO : -1, .events = POLLIN}};
        char line[4096];
        poll(fds, 2, until(moonpool_timeout(pool)));
        moonpool_dispatch(pool, 100);
        if (fds[1].revents == 0)
            continue;
        reading = fgets(line, sizeof line, stdin) != NULL;
        lines += reading;
        if (reading)
            status = submit(pool, line, &total);
    }
    printf("%d lines, %d words\n", lines, total);
    if (status != 0)
        fprintf(stderr, "%s: %s\n", moonpool_strerror(status), moonpool_error(pool));
    moonpool_free(pool);
    return status != 0;
}
