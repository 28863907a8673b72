/* The board: lines that one process of the tree keeps at the bottom of its terminal (bars of
 * progress, a line that is typed), while any of the tree write to that.
 *
 * The cursor rests where the next text goes: at the start of the board's first line, or, behind an
 * unfinished line, on that one, with the board below. Whoever writes takes the board away, writes,
 * and puts it back as its keeper has left it, in one system call. So what is printed is neither
 * held back nor changed nor lost, stands above the board, and no line of either is torn. A keeper
 * that is dead keeps nothing: its lines are left to be written over. */
#ifndef MP_SHM_BOARD_H
#define MP_SHM_BOARD_H

#include "base/robust.h"

#include <stdbool.h>
#include <stddef.h>

enum { MP_BOARD_ROOM = 8 << 10, MP_BOARD_TAIL = 256 };

/* Where the cursor rests. */
enum mp_board_place {
    MP_BOARD_ANYWHERE,  /* nobody knows what was written before */
    MP_BOARD_FRESH,     /* at the start of a line */
    MP_BOARD_UNFINISHED /* behind text */
};

/* Lies in the session. `keeper` changes by compare-and-swap; the rest belongs to who has the lock,
 * and but for `place` the keeper alone writes it. */
typedef struct mp_board {
    _Atomic uint32_t keeper; /* a member's name, 0: none */
    mp_robust lock;
    uint64_t device; /* of the terminal */
    enum mp_board_place place;
    bool torn;     /* the last writing was cut off */
    uint32_t rows; /* 0: no bars are shown */
    uint32_t wipe; /* 0: no line is typed; else it is taken away by so many bytes of the text, and
                      put back by the others */
    uint32_t size; /* of the text */
    char text[MP_BOARD_ROOM];
    uint32_t tail_size;       /* 0: none that is known */
    char tail[MP_BOARD_TAIL]; /* the unfinished line above what is typed */
} mp_board;

/* What is to be seen. */
typedef struct mp_board_view {
    const char *above; /* lines that stay, each with its newline */
    size_t above_size;
    const char *lines; /* the board: `rows` lines, newlines between them */
    size_t size;
    unsigned rows, columns; /* the terminal has so many columns */
} mp_board_view;

/* This process keeps the board from now on, on the terminal that is open as `fd`. False where
 * another living one does, or no terminal is. */
bool mp_board_take(int fd);

/* Keeper: shows this on `fd`, which is not to block. 0; -EAGAIN: not within so many milliseconds
 * (others write, the terminal takes nothing), or not now, since it belongs to other jobs; another
 * negative errno: the terminal is gone. */
int mp_board_show(int fd, const mp_board_view *view, int patience);

/* Keeper: it has drawn a line, and rests where that is typed. Whoever writes first writes `wipe`,
 * which brings the cursor to the start of a free line, and in the end `draw`, which shows all of it
 * again. Nothing is written now. Where they are too long, or the board cannot be had at once, the
 * line is like any other text. */
void mp_board_cover(const char *wipe, size_t wipe_size, const char *draw, size_t draw_size);

/* Who is no keeper: nothing. Keeper: it is nobody's any more, and what is typed is no business of
 * others. Waits for who writes, but not for ever. */
void mp_board_uncover(void);

/* Who is no keeper: nothing. Keeper: it is nobody's any more; the cursor goes to the line behind
 * what is shown, which stays, if that can be had at once. */
void mp_board_leave(int fd);

/* Anybody: mp_fd_write, above the board. Waits for who else writes, but not for ever. */
int mp_board_write(int fd, const char *bytes, size_t size);

#endif
