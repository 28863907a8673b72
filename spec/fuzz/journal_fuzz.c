/* A journal's file of any bytes: it is read to its end, what it says of records lies within them,
 * and each record that counts is whole. */
#include "journal/journal.h"
#include "journal/scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool always(void *ctx, uint64_t run)
{
    (void)ctx;
    return run > 0;
}

static void look_at(const mp_journal *journal, const mp_journal_entry *entry)
{
    mp_buffer b;
    mp_buffer_init_heap(&b);
    if (mp_journal_read(journal, entry->position, &b) != 1)
        abort();
    mp_journal_record r = mp_journal_record_read(b.data + MP_JOURNAL_HEAD, b.len - MP_JOURNAL_HEAD);
    if (r.kind != entry->kind || r.item != entry->item || r.value > b.len - MP_JOURNAL_HEAD)
        abort();
    uint64_t count;
    const unsigned char *values;
    mp_journal_record_values(b.data + MP_JOURNAL_HEAD + r.value, b.data + b.len, &count, &values);
    const mp_journal_entry *found = mp_journal_find(journal, r.item, &r.args, r.kind);
    if (entry->run > 0 && (found == NULL || found->item != r.item))
        abort();
    mp_buffer_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    mp_error error;
    size_t count;
    mp_journal_record_read(data, size);
    int fd = memfd_create("journal", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    mp_journal *journal = mp_journal_open(path, false, &error);
    if (journal != NULL) {
        if (mp_journal_damaged(journal) > size || mp_journal_use(journal, false, always, NULL) < 0)
            abort();
        const mp_journal_entry *entries = mp_journal_entries(journal, &count);
        for (size_t i = 0; i < count; i++)
            look_at(journal, &entries[i]);
    }
    mp_journal_close(journal);
    close(fd);
    return 0;
}
