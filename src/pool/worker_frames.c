/* What a worker writes into its result ring: frames, and what its tasks tell between them.
 *
 * Invariants: frames do not nest; nothing is dropped: where there is no room, the host is told
 * and waited for. */
#include "pool/worker_inner.h"

#include <errno.h>

/* ---- results ---- */

static void wait_for_reader(worker *w, uint64_t seen)
{
    mp_result_will_wait(&w->writer);
    mp_worker_ring(w);
    mp_result_wait(&w->writer, seen);
    w->waited = true;
}

static uint64_t reading_mark(const worker *w)
{
    return mp_load_acquire(&w->writer.shared->head);
}

/* Grows the open frame; where the unread spill is at its limit, waits for the host. */
static int grow_patiently(mp_buffer *b, size_t more)
{
    worker *w = b->lender;
    for (;;) {
        uint64_t seen = reading_mark(w);
        int status = mp_result_grow(&w->writer, more);
        if (status != -EAGAIN)
            return status;
        wait_for_reader(w, seen);
    }
}

mp_buffer *mp_worker_open_frame(worker *w)
{
    mp_buffer *b = mp_result_open(&w->writer, sizeof(mp_frame_row));
    while (b == NULL) { /* the mark is on the host's cache line: seldom looked at */
        uint64_t seen = reading_mark(w);
        b = mp_result_open(&w->writer, sizeof(mp_frame_row));
        if (b == NULL)
            wait_for_reader(w, seen);
    }
    return b;
}

void mp_worker_lend(worker *w)
{
    w->writer.out.grow = grow_patiently;
    w->writer.out.lender = w;
}

void mp_worker_publish_small(worker *w, unsigned kind, const void *bytes, size_t size)
{
    for (;;) {
        uint64_t seen = reading_mark(w);
        if (mp_result_publish_small(&w->writer, kind, bytes, size))
            return;
        wait_for_reader(w, seen);
    }
}

/* ---- texts and states ---- */

typedef struct text_head {
    size_t size;
    unsigned kind;
} text_head;

/* What goes before it: the item's index, and for a state its row, too. */
static int write_head(const worker *w, unsigned kind, mp_buffer *b)
{
    if (kind != MP_FRAME_STATE)
        return mp_buffer_append(b, &w->index, sizeof w->index);
    mp_frame_row head = {.row = w->row, .index = w->index};
    head.check = mp_frame_row_check(&head);
    return mp_buffer_append(b, &head, sizeof head);
}

static int publish_text(worker *w, unsigned kind, const char *bytes, size_t size)
{
    mp_buffer *b = mp_worker_open_frame(w);
    int status = write_head(w, kind, b);
    if (status == 0)
        status = mp_buffer_append(b, bytes, size);
    if (status == 0)
        mp_result_publish(&w->writer, kind);
    else
        mp_result_discard(&w->writer);
    mp_worker_ring(w);
    return status;
}

static int keep_text(worker *w, unsigned kind, const char *bytes, size_t size)
{
    text_head head = {.size = size, .kind = kind};
    size_t before = w->texts.len;
    int status = mp_buffer_append(&w->texts, &head, sizeof head);
    if (status == 0)
        status = mp_buffer_append(&w->texts, bytes, size);
    if (status < 0)
        w->texts.len = before;
    return status;
}

/* The open frame's bytes go to memory of the worker's own, the text before them, and they behind it
 * where the ring has room; else they stay there until somebody asks for more. */
static int publish_before(worker *w, unsigned kind, const char *bytes, size_t size)
{
    mp_buffer copy, *out = &w->writer.out;
    mp_buffer_init_heap(&copy);
    int status = mp_buffer_append(&copy, out->data, out->len);
    if (status < 0)
        return status;
    mp_result_discard(&w->writer);
    status = publish_text(w, kind, bytes, size);
    mp_worker_open_frame(w);
    mp_buffer_free(&w->held_back);
    w->held_back = copy;
    out->data = copy.data;
    out->len = out->cap = copy.len;
    mp_buffer_reserve(out, 1);
    return status;
}

int mp_worker_put_back(worker *w, int outcome)
{
    mp_buffer *out = &w->writer.out;
    bool apart = out->data == w->held_back.data;
    int status = apart && outcome >= 0 ? mp_buffer_reserve(out, out->cap - out->len + 1) : outcome;
    if (apart && status < 0) {
        mp_result_discard(&w->writer);
        mp_worker_open_frame(w);
    }
    mp_buffer_free(&w->held_back);
    return status < 0 ? status : outcome;
}

/* Frames do not nest: an open one that is empty makes way, behind one that is not the text waits;
 * but a state must be there before it. */
int mp_worker_tell(void *teller, unsigned kind, const char *bytes, size_t size)
{
    worker *w = teller;
    if (w->writing && w->writer.out.len > 0)
        return kind == MP_FRAME_STATE ? publish_before(w, kind, bytes, size)
                                      : keep_text(w, kind, bytes, size);
    if (w->writing)
        mp_result_discard(&w->writer);
    int status = publish_text(w, kind, bytes, size);
    if (w->writing)
        mp_worker_open_frame(w);
    return status;
}

void mp_worker_show(void *teller, double fraction)
{
    const worker *w = teller;
    uint64_t bits;
    memcpy(&bits, &fraction, sizeof bits);
    mp_store_relaxed(&w->seat->shown, bits);
    mp_store_release(&w->seat->shown_item, mp_load_relaxed(&w->seat->items));
}

void mp_worker_publish_texts(worker *w)
{
    text_head head;
    for (size_t at = 0; at < w->texts.len; at += sizeof head + head.size) {
        memcpy(&head, w->texts.data + at, sizeof head);
        publish_text(w, head.kind, (const char *)w->texts.data + at + sizeof head, head.size);
    }
    w->texts.len = 0;
}

void mp_worker_publish_row(worker *w, uint64_t row, uint64_t index)
{
    mp_frame_row head = {.row = row, .index = index};
    head.check = mp_frame_row_check(&head);
    mp_worker_publish_small(w, MP_FRAME_ROW, &head, sizeof head);
}

void mp_worker_publish_skipped(worker *w, uint32_t count)
{
    mp_frame_skipped skipped = {.count = count, .check = ~count};
    mp_worker_publish_small(w, MP_FRAME_SKIPPED, &skipped, sizeof skipped);
}
