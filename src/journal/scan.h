/* Reads a journal's file from its first byte to its last, and finds the records that are whole
 * whatever stands between them. */
#ifndef MP_JOURNAL_SCAN_H
#define MP_JOURNAL_SCAN_H

#include "journal/record.h"

typedef struct mp_scan {
    int fd;
    uint64_t file; /* bytes */
    uint64_t base; /* where in the file the window begins */
    size_t at;     /* in the window: what is not looked at yet */
    mp_buffer window;
    uint64_t position; /* of the record found last; its body is `size` bytes at `body` */
    const unsigned char *body;
    uint64_t size;
    uint64_t end;     /* behind the last whole record */
    uint64_t damaged; /* bytes before that which belong to none */
} mp_scan;

/* Begins at the first byte of `file` bytes behind fd, which stays the caller's. */
void mp_scan_begin(mp_scan *scan, int fd, uint64_t file);

/* 1: a whole record was found; 0: there is none any more; or a negative errno. Blocks on the
 * file. What it found holds until the next call. */
int mp_scan_next(mp_scan *scan);

void mp_scan_end(mp_scan *scan);

/* Reads the record at `position`: its head into the buffer, and its body behind. 1; 0: it is not
 * whole (any more); or a negative errno. */
int mp_scan_read(int fd, uint64_t file, uint64_t position, mp_buffer *out);

#endif
