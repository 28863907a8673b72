/* A journal: the results of a call's items in a file, as they come (record.h says in what form),
 * and which of those that stand in there already may be used again.
 *
 * Who writes one holds a lock on it. Not for several threads at once. Nothing blocks but on the
 * file. */
#ifndef MP_JOURNAL_JOURNAL_H
#define MP_JOURNAL_JOURNAL_H

#include "base/error.h"
#include "journal/record.h"

typedef struct mp_journal mp_journal;

/* One of an item's records, as it stands in the file. */
typedef struct mp_journal_entry {
    uint64_t position;
    uint64_t item;
    mp_digest args;
    uint32_t run;
    uint32_t next; /* of the same place in the table, from 1; 0: none */
    enum mp_journal_record_kind kind;
} mp_journal_entry;

/* Opens the file and finds its records. To `write`: makes it where there is none, and locks it;
 * -EBUSY with *error: somebody else writes to it. -EINVAL: it is no journal. NULL on failure. */
mp_journal *mp_journal_open(const char *path, bool write, mp_error *error);

/* Writes nothing; the lock goes. NULL is no journal. */
void mp_journal_close(mp_journal *journal);

/* How many heads it has, where they lie, and the highest number of a run that is told of. */
size_t mp_journal_runs(const mp_journal *journal);
uint64_t mp_journal_run_at(const mp_journal *journal, size_t i);
uint64_t mp_journal_last_run(const mp_journal *journal);

/* The records of items, in the file's order. */
const mp_journal_entry *mp_journal_entries(const mp_journal *journal, size_t *count);

/* Bytes of it that belong to no whole record. */
uint64_t mp_journal_damaged(const mp_journal *journal);

/* From now on mp_journal_find looks at records of runs for which `valid(ctx, run)` holds; of an
 * item that is the same if its arguments are, whatever its index, with by_arguments: one of its own
 * index comes first. Returns 0 or
 * -ENOMEM. */
int mp_journal_use(mp_journal *journal, bool by_arguments, bool (*valid)(void *ctx, uint64_t run),
                   void *ctx);

/* The last record of that kind of this item, or NULL. */
const mp_journal_entry *mp_journal_find(const mp_journal *journal, uint64_t item,
                                        const mp_digest *args, enum mp_journal_record_kind kind);

/* Reads the record at `position` anew, its head first: 1; 0: it is not whole; a negative errno. */
int mp_journal_read(const mp_journal *journal, uint64_t position, mp_buffer *out);

/* Where the next record is to be written: mp_journal_record_begin, then its body, then
 * mp_journal_add with the buffer's length of before. What is behind that length may be dropped
 * instead. */
mp_buffer *mp_journal_out(mp_journal *journal);
void mp_journal_add(mp_journal *journal, size_t start);

/* Bytes that are not in the file yet. */
size_t mp_journal_waiting(const mp_journal *journal);

/* Gives what was added to the kernel. Behind a failure (a negative errno with *error) it is
 * still there, to be tried again. */
int mp_journal_write(mp_journal *journal, mp_error *error);

/* Has the disk hold all that was written: fdatasync. -ESTALE: but it is not there any more, since
 * somebody else has removed, replaced or cut the file. */
int mp_journal_sync(mp_journal *journal, mp_error *error);

#endif
