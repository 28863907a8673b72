/* Writing above lines that stay: see board.h.
 *
 * To come back to where it was the cursor first goes down, scrolling if it must, and up again: so
 * nothing scrolls between its being saved and restored. Lines of the board are cut off rather than
 * wrapped by a terminal that has become narrower. */
#include "shm/board.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/columns.h"
#include "base/fd.h"
#include "shm/session_inner.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Colours are those of who writes; they come back with the position. */
#define PLAIN "\033[0m"
#define SAVE "\0337"
#define RESTORE "\0338"
/* From the second line on at once: what is wiped from the screen's first corner on, some terminals
 * take for a page that is to be kept. */
#define WIPE SAVE PLAIN "\033[K\033[B\r\033[J" RESTORE
#define CUT "\033[?7l"
#define WRAP "\033[?7h"
#define DOWN "\033D"
#define CANCEL "\030" /* ends a sequence that was begun */

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

/* With the carriage returns that a terminal set to do so would add, too. */
static void put_lines(mp_buffer *b, const char *lines, size_t n)
{
    const char *end;
    put_text(b, CUT);
    for (; (end = memchr(lines, '\n', n)) != NULL;
         n -= (size_t)(end + 1 - lines), lines = end + 1) {
        put(b, lines, (size_t)(end - lines));
        put_text(b, "\r\n");
    }
    put(b, lines, n);
    put_text(b, WRAP);
}

/* To the start of a line that is free. As many spaces as there are columns end on the next line
 * where something stood in front of them, else on this one. */
static void put_fresh_line(mp_buffer *b, enum mp_board_place place, unsigned columns)
{
    if (place == MP_BOARD_UNFINISHED)
        put_text(b, "\r\n");
    for (unsigned i = 0; i < columns && place == MP_BOARD_ANYWHERE; i++)
        put_text(b, " ");
    put_text(b, "\r");
}

/* From where the cursor rests, back to there. */
static void put_board(mp_buffer *b, const mp_board *board)
{
    char up[24];
    if (board->rows == 0)
        return;
    unsigned below = board->rows - (board->place == MP_BOARD_FRESH);
    for (unsigned i = 0; i < below; i++)
        put_text(b, DOWN);
    snprintf(up, sizeof up, "\033[%uA", below);
    put_text(b, below > 0 ? up : "");
    put_text(b, SAVE PLAIN);
    put_fresh_line(b, board->place, 0);
    put_lines(b, board->text, board->size);
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
    board->place = MP_BOARD_ANYWHERE;
    board->torn = false;
    board->rows = board->wipe = 0;
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

/* What the terminal takes no more of is given up. */
static int write_at_once(mp_board *board, int fd, const mp_buffer *b)
{
    ssize_t n;
    do
        n = write(fd, b->data, b->len);
    while (n < 0 && errno == EINTR);
    board->torn = n >= 0 && (size_t)n < b->len;
    return n < 0 ? -errno : board->torn ? -EAGAIN : 0;
}

/* What is to be shown from now on: nothing, if it is too long. */
static void enter(mp_board *board, const mp_board_view *view)
{
    bool fits = view->size <= MP_BOARD_ROOM;
    board->wipe = 0;
    board->rows = fits ? view->rows : 0;
    board->size = fits ? (uint32_t)view->size : 0;
    memcpy(board->text, view->lines, board->size);
}

static int show_locked(mp_board *board, int fd, const mp_board_view *view, mp_buffer *b)
{
    bool knows = board->place != MP_BOARD_ANYWHERE;
    put_text(b, board->torn ? CANCEL : "");
    put_text(b, board->place == MP_BOARD_FRESH ? "\r" : "");
    put_text(b, board->rows > 0 ? WIPE : "");
    if (view->above_size > 0 || !knows) {
        put_fresh_line(b, board->place, view->columns);
        put_lines(b, view->above, view->above_size);
        board->place = MP_BOARD_FRESH;
    }
    enter(board, view);
    put_board(b, board);
    return b->error < 0 ? b->error : write_at_once(board, fd, b);
}

/* What somebody has written while nothing was shown is not known. */
static void hide(mp_board *board)
{
    board->rows = board->wipe = 0;
    board->place = MP_BOARD_ANYWHERE;
}

int mp_board_show(int fd, const mp_board_view *view, int patience)
{
    mp_board *board = the_board();
    mp_buffer b;
    if (mp_robust_lock(&board->lock, mp_deadline(patience / 1e3)) < 0)
        return -EAGAIN;
    mp_buffer_init_heap(&b);
    int status = in_front(fd) ? await_room(fd, patience) : -EAGAIN;
    if (!in_front(fd))
        hide(board);
    else if (status == 0)
        status = show_locked(board, fd, view, &b);
    mp_buffer_free(&b);
    mp_robust_unlock(&board->lock);
    return status;
}

void mp_board_cover(const char *wipe, size_t wipe_size, const char *draw, size_t draw_size)
{
    mp_board *board = the_board();
    if (wipe_size > MP_BOARD_ROOM || draw_size > MP_BOARD_ROOM - wipe_size ||
        mp_robust_lock(&board->lock, mp_deadline(LAST_WAIT / 1e3)) < 0)
        return;
    board->rows = 0;
    board->tail_size = 0;
    board->wipe = (uint32_t)wipe_size;
    board->size = (uint32_t)(wipe_size + draw_size);
    memcpy(board->text, wipe, wipe_size);
    memcpy(board->text + wipe_size, draw, draw_size);
    mp_robust_unlock(&board->lock);
}

/* The board where this process keeps it, else NULL. */
static mp_board *own_board(void)
{
    mp_board *board = the_board();
    uint32_t self = mp_session_own.self;
    return board != NULL && self != 0 && mp_load_relaxed(&board->keeper) == self ? board : NULL;
}

void mp_board_uncover(void)
{
    mp_board *board = own_board();
    if (board == NULL)
        return;
    bool locked = mp_robust_lock(&board->lock, mp_deadline(writers_patience)) >= 0;
    board->wipe = 0;
    mp_store_release(&board->keeper, 0);
    if (locked)
        mp_robust_unlock(&board->lock);
}

/* Once more, and on to the line behind them. */
static void write_last(mp_board *board, int fd)
{
    mp_buffer b;
    mp_buffer_init_heap(&b);
    put_text(&b, WIPE);
    put_fresh_line(&b, board->place, 0);
    put_lines(&b, board->text, board->size);
    put_text(&b, "\r\n");
    if (b.error == 0)
        write_at_once(board, fd, &b);
    mp_buffer_free(&b);
}

void mp_board_leave(int fd)
{
    mp_board *board = own_board();
    if (board == NULL)
        return;
    bool locked = mp_robust_lock(&board->lock, mp_deadline(LAST_WAIT / 1e3)) >= 0;
    if (locked && board->rows > 0 && in_front(fd) && await_room(fd, LAST_WAIT) == 0)
        write_last(board, fd);
    board->rows = 0;
    mp_store_release(&board->keeper, 0);
    if (locked)
        mp_robust_unlock(&board->lock);
}

/* ---- everybody ---- */

/* Whether a terminal of that width shows it on one line, and as it is. */
static bool is_plain_line(const char *text, size_t n, int fd)
{
    struct winsize w;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == '\177')
            return false;
    return ioctl(fd, TIOCGWINSZ, &w) == 0 && mp_columns(text, n) < w.ws_col;
}

/* Notes what stands unfinished behind these bytes, if it can be written again. */
static void keep_tail(mp_board *board, int fd, const char *bytes, size_t size)
{
    const char *newline = memrchr(bytes, '\n', size);
    size_t rest = newline != NULL ? size - (size_t)(newline + 1 - bytes) : size;
    size_t before = newline != NULL ? 0 : board->tail_size;
    bool fits = before <= MP_BOARD_TAIL && rest <= MP_BOARD_TAIL - before;
    board->tail_size = fits ? (uint32_t)(before + rest) : 0;
    memcpy(board->tail + before, bytes + size - rest, fits ? rest : 0);
    if (!is_plain_line(board->tail, board->tail_size, fd))
        board->tail_size = 0;
}

/* What is typed stands on lines of its own; an unfinished one above goes on. */
static void put_around_typed(mp_buffer *b, mp_board *board, int fd, const char *bytes, size_t size)
{
    put(b, board->text, board->wipe);
    if (board->tail_size > 0 && board->tail_size <= MP_BOARD_TAIL) {
        put_text(b, "\033[A\r");
        put(b, board->tail, board->tail_size);
    }
    put(b, bytes, size);
    put_text(b, bytes[size - 1] == '\n' ? "" : "\r\n");
    put(b, board->text + board->wipe, board->size - board->wipe);
    keep_tail(board, fd, bytes, size);
}

static void put_around_bars(mp_buffer *b, mp_board *board, const char *bytes, size_t size)
{
    if (board->place != MP_BOARD_ANYWHERE)
        board->place = bytes[size - 1] == '\n' ? MP_BOARD_FRESH : MP_BOARD_UNFINISHED;
    put_text(b, board->rows > 0 ? WIPE : "");
    put(b, bytes, size);
    put_board(b, board);
}

static int write_above(mp_board *board, int fd, const char *bytes, size_t size)
{
    mp_buffer b;
    mp_buffer_init_heap(&b);
    if (board->wipe > 0)
        put_around_typed(&b, board, fd, bytes, size);
    else
        put_around_bars(&b, board, bytes, size);
    int status = b.error == 0 ? mp_fd_write(fd, b.data, b.len) : mp_fd_write(fd, bytes, size);
    mp_buffer_free(&b);
    return status;
}

static bool stands_on(const mp_board *board, int fd)
{
    uint32_t keeper = mp_load_acquire(&board->keeper);
    return keeper != 0 && board->size <= MP_BOARD_ROOM && board->wipe <= board->size &&
           device_of(fd) == board->device && mp_session_alive(keeper);
}

int mp_board_write(int fd, const char *bytes, size_t size)
{
    mp_board *board = the_board();
    if (board == NULL || size == 0 || mp_load_relaxed(&board->keeper) == 0)
        return mp_fd_write(fd, bytes, size);
    if (mp_robust_lock(&board->lock, mp_deadline(writers_patience)) < 0)
        return mp_fd_write(fd, bytes, size);
    int status =
        stands_on(board, fd) ? write_above(board, fd, bytes, size) : mp_fd_write(fd, bytes, size);
    mp_robust_unlock(&board->lock);
    return status;
}
