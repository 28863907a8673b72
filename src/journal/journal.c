/* A journal's file: see journal.h.
 *
 * Invariants: `end` lies behind the last whole record; what is written is written there, so that
 * the rest of a record that was cut off is overwritten, and what is left of it behind is cut
 * away first; the file is locked from before it is read until it is closed. The lock is the open
 * file's, which no child inherits. */
#include "journal/journal.h"

#include "base/fd.h"
#include "base/memory.h"
#include "base/unforked.h"
#include "journal/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OUT_KEPT = 4 << 20 };

struct mp_journal {
    mp_unforked held;
    char *path;
    bool write;
    bool disturbed; /* somebody else has cut it */
    uint64_t file;  /* its bytes when it was opened */
    uint64_t end;
    uint64_t damaged;
    mp_buffer runs;    /* uint64_t: where heads lie */
    mp_buffer entries; /* mp_journal_entry */
    uint64_t last_run;
    mp_buffer out;
    bool by_arguments;
    uint32_t *table; /* of numbers of entries, from 1 */
    size_t places;   /* a power of two */
};

/* ---- opening ---- */

typedef struct opening {
    const char *path;
    bool write;
} opening;

static int open_file(void *ctx)
{
    const opening *o = ctx;
    int way = o->write ? O_RDWR | O_CREAT : O_RDONLY;
    int fd = mp_fd_lift(open(o->path, way | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666));
    return fd < 0 ? -errno : fd;
}

/* A new file's name is to be there behind a power cut, too. */
static void sync_folder(const char *path)
{
    char copy[PATH_MAX];
    if (strlen(path) >= sizeof copy)
        return;
    strcpy(copy, path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    fsync(fd);
    close(fd);
}

/* Somebody who was killed just now may hold it for a moment. */
static int lock(int fd)
{
    enum { TRIES = 50, PAUSE_US = 10000 };
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    for (int i = 0;; i++) {
        if (fcntl(fd, F_OFD_SETLK, &range) == 0)
            return 0;
        if ((errno != EAGAIN && errno != EACCES) || i == TRIES)
            return errno == EACCES || errno == EAGAIN ? -EBUSY : errno == EINVAL ? -ENOLCK : -errno;
        usleep(PAUSE_US);
    }
}

static int note(mp_journal *j, const mp_scan *scan)
{
    mp_journal_record r = mp_journal_record_read(scan->body, (size_t)scan->size);
    if (r.kind == MP_JOURNAL_RUN)
        return mp_buffer_append(&j->runs, &scan->position, sizeof scan->position);
    if (r.kind == MP_JOURNAL_OTHER || r.run > UINT32_MAX)
        return 0;
    mp_journal_entry entry = {.position = scan->position,
                              .item = r.item,
                              .args = r.args,
                              .run = (uint32_t)r.run,
                              .kind = r.kind};
    j->last_run = r.run > j->last_run ? r.run : j->last_run;
    return mp_buffer_append(&j->entries, &entry, sizeof entry);
}

static int read_all(mp_journal *j)
{
    mp_scan scan;
    mp_scan_begin(&scan, j->held.fd, j->file);
    int status;
    while ((status = mp_scan_next(&scan)) > 0) {
        status = note(j, &scan);
        if (status < 0)
            break;
    }
    j->end = scan.end;
    j->damaged = scan.damaged + (j->file - scan.end);
    mp_scan_end(&scan);
    return status;
}

/* What is not empty, has no whole record and does not begin as one is somebody's other file. */
static int check_form(const mp_journal *j, const char *path, mp_error *error)
{
    unsigned char first[3] = {0};
    if (j->end > 0 || j->file == 0)
        return 0;
    ssize_t n = pread(j->held.fd, first, sizeof first, 0);
    if (n > 0 && memcmp(first, "\xD9\xD9\xF7", (size_t)n) == 0)
        return 0;
    return mp_fail_plainly(error, -EINVAL, "%s is no journal", path);
}

static int begin(mp_journal *j, const char *path, mp_error *error)
{
    struct stat file;
    opening o = {.path = path, .write = j->write};
    int status = mp_unforked_hold(&j->held, open_file, &o);
    if (status < 0)
        return mp_fail(error, status, "cannot open the journal %s", path);
    if (fstat(j->held.fd, &file) < 0)
        return mp_fail(error, -errno, "cannot look at the journal %s", path);
    if (!S_ISREG(file.st_mode))
        return mp_fail_plainly(error, -EINVAL, "the journal %s is no regular file", path);
    status = j->write ? lock(j->held.fd) : 0;
    if (status == -EBUSY)
        return mp_fail_plainly(error, status, "the journal %s is in use by another call", path);
    if (status < 0)
        return mp_fail(error, status, "cannot lock the journal %s", path);
    fstat(j->held.fd, &file); /* whoever held the lock may have written */
    if (j->write && file.st_size == 0)
        sync_folder(path);
    j->file = (uint64_t)file.st_size;
    status = read_all(j);
    return status < 0 ? mp_fail(error, status, "cannot read the journal %s", path)
                      : check_form(j, path, error);
}

mp_journal *mp_journal_open(const char *path, bool write, mp_error *error)
{
    mp_journal *j = mp_calloc(1, sizeof *j);
    if (j == NULL) {
        mp_fail(error, -ENOMEM, "cannot open the journal %s", path);
        return NULL;
    }
    j->held.fd = -1;
    j->path = mp_malloc(strlen(path) + 1);
    j->write = write;
    mp_buffer_init_heap(&j->runs);
    mp_buffer_init_heap(&j->entries);
    mp_buffer_init_heap(&j->out);
    if (j->path == NULL)
        mp_fail(error, -ENOMEM, "cannot open the journal %s", path);
    else if (begin(j, strcpy(j->path, path), error) == 0)
        return j;
    mp_journal_close(j);
    return NULL;
}

void mp_journal_close(mp_journal *j)
{
    if (j == NULL)
        return;
    mp_unforked_close(&j->held);
    mp_buffer_free(&j->runs);
    mp_buffer_free(&j->entries);
    mp_buffer_free(&j->out);
    mp_free(j->table);
    mp_free(j->path);
    mp_free(j);
}

/* ---- what is there ---- */

size_t mp_journal_runs(const mp_journal *j)
{
    return j->runs.len / sizeof(uint64_t);
}

uint64_t mp_journal_run_at(const mp_journal *j, size_t i)
{
    return ((const uint64_t *)(const void *)j->runs.data)[i];
}

uint64_t mp_journal_last_run(const mp_journal *j)
{
    return j->last_run;
}

static mp_journal_entry *entries(const mp_journal *j)
{
    return (mp_journal_entry *)(void *)j->entries.data;
}

const mp_journal_entry *mp_journal_entries(const mp_journal *j, size_t *count)
{
    *count = j->entries.len / sizeof(mp_journal_entry);
    return entries(j);
}

uint64_t mp_journal_damaged(const mp_journal *j)
{
    return j->damaged;
}

int mp_journal_read(const mp_journal *j, uint64_t position, mp_buffer *out)
{
    return mp_scan_read(j->held.fd, j->file, position, out);
}

/* ---- what may be used ---- */

static size_t place_of(const mp_journal *j, uint64_t item, const mp_digest *args)
{
    uint64_t h;
    memcpy(&h, args->bytes, sizeof h);
    h += (j->by_arguments ? 0 : item) * UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(h ^ h >> 32) & (j->places - 1);
}

int mp_journal_use(mp_journal *j, bool by_arguments, bool (*valid)(void *ctx, uint64_t run),
                   void *ctx)
{
    size_t count;
    mp_journal_entries(j, &count);
    j->places = 16;
    while (j->places < count)
        j->places *= 2;
    mp_free(j->table);
    j->table = mp_calloc(j->places, sizeof *j->table);
    if (j->table == NULL)
        return -ENOMEM;
    j->by_arguments = by_arguments;
    for (size_t i = 0; i < count; i++) {
        mp_journal_entry *e = &entries(j)[i];
        if (!valid(ctx, e->run))
            continue;
        size_t place = place_of(j, e->item, &e->args);
        e->next = j->table[place];
        j->table[place] = (uint32_t)i + 1;
    }
    return 0;
}

const mp_journal_entry *mp_journal_find(const mp_journal *j, uint64_t item, const mp_digest *args,
                                        enum mp_journal_record_kind kind)
{
    if (j->table == NULL)
        return NULL;
    const mp_journal_entry *e, *other = NULL;
    for (uint32_t at = j->table[place_of(j, item, args)]; at != 0; at = e->next) {
        e = &entries(j)[at - 1];
        if (e->kind != kind || memcmp(&e->args, args, sizeof *args) != 0)
            continue;
        if (e->item == item)
            return e;
        if (other == NULL && j->by_arguments)
            other = e;
    }
    return other;
}

/* ---- writing ---- */

mp_buffer *mp_journal_out(mp_journal *j)
{
    return &j->out;
}

void mp_journal_add(mp_journal *j, size_t start)
{
    mp_journal_record_end(&j->out, start, j->end + start);
}

size_t mp_journal_waiting(const mp_journal *j)
{
    return j->out.len;
}

static int write_all(void *ctx)
{
    const mp_journal *j = ctx;
    for (size_t done = 0; done < j->out.len;) {
        ssize_t n =
            pwrite(j->held.fd, j->out.data + done, j->out.len - done, (off_t)(j->end + done));
        if (n < 0 && errno != EINTR)
            return -errno;
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static bool is_cut(const mp_journal *j)
{
    struct stat file;
    return fstat(j->held.fd, &file) == 0 && (uint64_t)file.st_size < j->end;
}

/* Whether who opens the path now finds what was written. */
static bool is_there(const mp_journal *j)
{
    struct stat ours, theirs;
    return !j->disturbed && !is_cut(j) && fstat(j->held.fd, &ours) == 0 &&
           stat(j->path, &theirs) == 0 && ours.st_dev == theirs.st_dev &&
           ours.st_ino == theirs.st_ino;
}

int mp_journal_write(mp_journal *j, mp_error *error)
{
    if (j->out.len == 0)
        return 0;
    if (j->file > j->end && ftruncate(j->held.fd, (off_t)j->end) == 0)
        j->file = j->end;
    j->disturbed = j->disturbed || is_cut(j);
    int status = mp_fd_lengthen(false, write_all, j);
    if (status < 0)
        return mp_fail(error, status, "cannot write to the journal");
    j->end += j->out.len;
    j->file = j->end;
    j->out.len = 0;
    if (j->out.cap > OUT_KEPT)
        mp_buffer_free(&j->out);
    return 0;
}

int mp_journal_sync(mp_journal *j, mp_error *error)
{
    if (fdatasync(j->held.fd) < 0)
        return mp_fail(error, -errno, "cannot sync the journal");
    if (!is_there(j))
        return mp_fail_plainly(error, -ESTALE,
                               "somebody has removed, replaced or cut the file meanwhile");
    return 0;
}
