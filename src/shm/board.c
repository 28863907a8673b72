/* Writing above lines that stay: see board.h.
 *
 * Where the cursor's column is not known, as many spaces as there are columns, and a carriage
 * return, end at the start of a line that is free: this one, or, where something stood in front, the
 * next. To come back to where it was the cursor first goes down, scrolling if it must, and up again:
 * so nothing scrolls between its being saved and restored. */
#include "shm/board.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/fd.h"
#include "shm/session_inner.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Colours apart, which come back with the position. */
#define WIPE "\0337\033[0m\033[J\0338"
#define SAVE_PLAIN "\0337\033[0m"
#define RESTORE "\0338"

enum { LAST_WAIT = 100 }; /* milliseconds that a keeper waits who leaves */

static const double writers_patience = 1; /* seconds for another one */

static mp_board *the_board(void)
{
    return mp_session_own.cells.base != NULL ? &mp_session_head()->board : NULL;
}

static uint64_t device_of(int fd)
{
    struct stat s;
    return fstat(fd, &s) == 0 && S_ISCHR(s.st_mode) ? s.st_rdev : 0;
}

static unsigned columns_of(int fd)
{
    struct winsize w;
    return ioctl(fd, TIOCGWINSZ, &w) == 0 ? w.ws_col : 0;
}

/* ---- text ---- */

static void put(mp_buffer *b, const char *bytes, size_t n)
{
    if (b->error == 0)
        mp_buffer_append(b, bytes, n);
}

static void put_text(mp_buffer *b, const char *text)
{
    put(b, text, strlen(text));
}

static void put_fresh_line(mp_buffer *b, unsigned columns)
{
    for (unsigned i = 0; i < columns; i++)
        put(b, " ", 1);
    put(b, "\r", 1);
}

/* With the carriage returns that a terminal set to do so would add, too. */
static void put_lines(mp_buffer *b, const char *lines, size_t n)
{
    for (size_t at = 0; at < n;) {
        const char *end = memchr(lines + at, '\n', n - at);
        size_t length = end != NULL ? (size_t)(end - lines) - at : n - at;
        put(b, lines + at, length);
        if (end != NULL)
            put_text(b, "\r\n");
        at += length + (end != NULL);
    }
}

/* From where the cursor rests, back to there. */
static void put_board(mp_buffer *b, const mp_board_view *view)
{
    char up[24];
    if (view->rows == 0)
        return;
    for (unsigned i = 0; i < view->rows; i++)
        put_text(b, "\033D");
    snprintf(up, sizeof up, "\033[%uA", view->rows);
    put_text(b, up);
    put_text(b, SAVE_PLAIN);
    put_fresh_line(b, view->columns);
    put_lines(b, view->lines, view->size);
    put_text(b, RESTORE);
}

/* ---- the keeper ---- */

bool mp_board_take(int fd)
{
    mp_board *board = the_board();
    uint32_t self = board != NULL ? mp_session_self(NULL) : 0;
    uint64_t device = device_of(fd);
    if (self == 0 || device == 0)
        return false;
    uint32_t keeper = mp_load_acquire(&board->keeper);
    if (keeper == self)
        return true;
    if ((keeper != 0 && mp_session_alive(keeper)) || !mp_cas_u32(&board->keeper, keeper, self))
        return false;
    bool locked = mp_robust_lock(&board->lock, mp_deadline(writers_patience)) >= 0;
    board->device = device;
    board->size = 0;
    if (locked)
        mp_robust_unlock(&board->lock);
    return true;
}

/* Whether this process's job is the one that the terminal listens to, if it is its terminal. */
static bool in_front(int fd)
{
    pid_t front = tcgetpgrp(fd);
    return front < 0 || front == getpgrp();
}

static int await_room(int fd, int milliseconds)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int n = poll(&p, 1, milliseconds);
    if (n > 0 && (p.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0)
        return -EIO;
    return n > 0 ? 0 : -EAGAIN;
}

/* What the terminal takes no more of is given up: the next time begins with a CAN, which ends an
 * unfinished sequence. */
static int write_at_once(int fd, const mp_buffer *b)
{
    ssize_t n;
    do
        n = write(fd, b->data, b->len);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : (size_t)n < b->len ? -EAGAIN : 0;
}

static int show_locked(mp_board *board, int fd, const mp_board_view *view, int patience,
                       mp_buffer *b)
{
    put_text(b, "\030" WIPE);
    if (view->above_size > 0) {
        put_fresh_line(b, view->columns);
        put_lines(b, view->above, view->above_size);
    }
    size_t at = b->len;
    put_board(b, view);
    int status = b->error < 0 ? b->error : await_room(fd, patience);
    if (status == 0)
        status = write_at_once(fd, b);
    if (status < 0)
        return status;
    size_t size = b->len - at;
    board->columns = view->columns;
    board->size = size <= MP_BOARD_ROOM ? (uint32_t)size : 0;
    memcpy(board->text, b->data + at, board->size);
    return 0;
}

int mp_board_show(int fd, const mp_board_view *view, int patience)
{
    mp_board *board = the_board();
    mp_buffer b;
    if (mp_robust_lock(&board->lock, mp_deadline(patience / 1e3)) < 0)
        return -EAGAIN;
    int status = -EAGAIN;
    mp_buffer_init_heap(&b);
    if (in_front(fd))
        status = show_locked(board, fd, view, patience, &b);
    else
        board->size = 0;
    mp_buffer_free(&b);
    mp_robust_unlock(&board->lock);
    return status;
}

/* Once more, and on to the line behind them. */
static void write_last(const mp_board *board, int fd)
{
    mp_buffer b;
    mp_buffer_init_heap(&b);
    put_text(&b, WIPE);
    put(&b, board->text, board->size - strlen(RESTORE));
    put_text(&b, "\r\n");
    if (b.error == 0)
        write_at_once(fd, &b);
    mp_buffer_free(&b);
}

void mp_board_leave(int fd)
{
    mp_board *board = the_board();
    uint32_t self = mp_session_own.self;
    if (board == NULL || self == 0 || mp_load_relaxed(&board->keeper) != self)
        return;
    bool locked = mp_robust_lock(&board->lock, mp_deadline(LAST_WAIT / 1e3)) >= 0;
    if (locked && board->size > 0 && in_front(fd) && await_room(fd, LAST_WAIT) == 0)
        write_last(board, fd);
    board->size = 0;
    mp_store_release(&board->keeper, 0);
    if (locked)
        mp_robust_unlock(&board->lock);
}

/* ---- everybody ---- */

static int write_above(const mp_board *board, int fd, const char *bytes, size_t size)
{
    mp_buffer b;
    mp_buffer_init_heap(&b);
    put_text(&b, WIPE);
    put(&b, bytes, size);
    if (columns_of(fd) == board->columns) /* else the keeper has to make them anew */
        put(&b, board->text, board->size);
    int status = b.error == 0 ? mp_fd_write(fd, b.data, b.len) : mp_fd_write(fd, bytes, size);
    mp_buffer_free(&b);
    return status;
}

static bool stands_on(const mp_board *board, int fd)
{
    uint32_t keeper = mp_load_acquire(&board->keeper);
    return keeper != 0 && board->size > 0 && board->size <= MP_BOARD_ROOM &&
           device_of(fd) == board->device && mp_session_alive(keeper);
}

int mp_board_write(int fd, const char *bytes, size_t size)
{
    mp_board *board = the_board();
    if (board == NULL || mp_load_relaxed(&board->keeper) == 0)
        return mp_fd_write(fd, bytes, size);
    if (mp_robust_lock(&board->lock, mp_deadline(writers_patience)) < 0)
        return mp_fd_write(fd, bytes, size);
    int status = stands_on(board, fd) ? write_above(board, fd, bytes, size)
                                      : mp_fd_write(fd, bytes, size);
    mp_robust_unlock(&board->lock);
    return status;
}
