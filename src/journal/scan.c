/* Finding whole records: see scan.h.
 *
 * Invariants: the window holds the bytes of the file from `base` on; a record counts only once
 * its checksum has been seen to be right; behind one that is not whole the search goes on at
 * its next byte, so that damage costs the records that it touches and no others. */
#include "journal/scan.h"

#include <errno.h>
#include <unistd.h>

enum { AT_ONCE = 1 << 20, MOSTLY = 512 };

void mp_scan_begin(mp_scan *scan, int fd, uint64_t file)
{
    *scan = (mp_scan){.fd = fd, .file = file};
    mp_buffer_init_heap(&scan->window);
}

void mp_scan_end(mp_scan *scan)
{
    mp_buffer_free(&scan->window);
}

/* Appends up to n bytes from `position` on; their number, 0 at the end, or a negative errno. */
static ssize_t read_some(int fd, uint64_t position, size_t n, mp_buffer *out)
{
    int status = mp_buffer_reserve(out, n);
    if (status < 0)
        return status;
    ssize_t got;
    do {
        got = pread(fd, out->data + out->len, n, (off_t)position);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    out->len += (size_t)got;
    return got;
}

/* Lets what was looked at go. */
static void slide(mp_scan *scan)
{
    size_t left = scan->window.len - scan->at;
    memmove(scan->window.data, scan->window.data + scan->at, left);
    scan->window.len = left;
    scan->base += scan->at;
    scan->at = 0;
}

/* Lets `n` bytes stand in the window from `at` on: 1; 0: the file has not so many. */
static int ensure(mp_scan *scan, uint64_t n)
{
    if (n > scan->file - scan->base - scan->at)
        return 0;
    if (scan->window.len - scan->at < n && scan->at > 0)
        slide(scan);
    while (scan->window.len - scan->at < n) {
        uint64_t missing = n - (scan->window.len - scan->at);
        ssize_t got = read_some(scan->fd, scan->base + scan->window.len,
                                missing > AT_ONCE ? (size_t)missing : AT_ONCE, &scan->window);
        if (got <= 0)
            return (int)got;
    }
    return 1;
}

/* Moves to the next place where a head may begin and there is room for one: 1, or 0 at the end. */
static int seek(mp_scan *scan)
{
    for (;;) {
        int status = ensure(scan, MP_JOURNAL_HEAD);
        if (status <= 0)
            return status;
        size_t found = mp_journal_record_seek(scan->window.data, scan->window.len, scan->at);
        if (found < scan->window.len) {
            scan->at = found;
            return ensure(scan, MP_JOURNAL_HEAD);
        }
        scan->at = scan->window.len - MP_JOURNAL_HEAD + 1;
    }
}

/* Whether a whole record stands here. */
static int look(mp_scan *scan)
{
    uint64_t size = mp_journal_record_size(scan->window.data + scan->at);
    if (size > scan->file)
        return 0;
    int status = ensure(scan, MP_JOURNAL_HEAD + size);
    if (status <= 0)
        return status;
    const unsigned char *head = scan->window.data + scan->at;
    return mp_journal_record_is_whole(head, size, scan->base + scan->at);
}

/* The record that stands here is given. */
static void take(mp_scan *scan)
{
    scan->position = scan->base + scan->at;
    scan->size = mp_journal_record_size(scan->window.data + scan->at);
    scan->body = scan->window.data + scan->at + MP_JOURNAL_HEAD;
    scan->damaged += scan->position - scan->end;
    scan->end = scan->position + MP_JOURNAL_HEAD + scan->size;
    scan->at += MP_JOURNAL_HEAD + (size_t)scan->size;
}

int mp_scan_next(mp_scan *scan)
{
    for (;;) {
        int status = seek(scan);
        if (status > 0)
            status = look(scan);
        else
            return status;
        if (status < 0)
            return status;
        if (status > 0) {
            take(scan);
            return 1;
        }
        scan->at++;
    }
}

/* Appends bytes until the buffer holds `n`, as many as the file has more of up to `most`. */
static int read_up_to(int fd, uint64_t position, size_t n, size_t most, mp_buffer *out)
{
    while (out->len < n) {
        ssize_t got = read_some(fd, position + out->len, most - out->len, out);
        if (got <= 0)
            return (int)got;
    }
    return 1;
}

int mp_scan_read(int fd, uint64_t file, uint64_t position, mp_buffer *out)
{
    out->len = 0;
    int status = read_up_to(fd, position, MP_JOURNAL_HEAD, MOSTLY, out);
    if (status <= 0 || mp_journal_record_seek(out->data, MP_JOURNAL_HEAD, 0) != 0)
        return status < 0 ? status : 0;
    uint64_t size = mp_journal_record_size(out->data);
    if (size > file)
        return 0;
    size_t all = MP_JOURNAL_HEAD + (size_t)size;
    status = read_up_to(fd, position, all, all, out);
    if (status <= 0)
        return status;
    out->len = all;
    return mp_journal_record_is_whole(out->data, size, position);
}
