/* What the pool's record is told, by those who settle items: see record.h. */
#include "pool/inner.h"

static enum mp_record_outcome outcome_of(const mp_arrival *a)
{
    switch (a->kind) {
    case MP_ARRIVAL_DONE:
        return MP_RECORD_DONE;
    case MP_ARRIVAL_TIMEOUT:
        return MP_RECORD_TIMEOUT;
    case MP_ARRIVAL_DEATH:
        return a->death->overdue ? MP_RECORD_TIMEOUT : MP_RECORD_LOST;
    case MP_ARRIVAL_DAMAGED:
        return MP_RECORD_LOST;
    default:
        return MP_RECORD_FAILED;
    }
}

/* Of one item that did not end by itself, what is known of its times. */
static void guess_times(mp_record_news *news, const mp_arrival *a)
{
    if (a->kind == MP_ARRIVAL_DEATH) {
        news->times = (mp_frame_times){a->death->began, a->death->found, a->death->pid};
    } else {
        news->seat = MP_SEATS_MAX;
        news->times.ended = mp_now();
    }
}

/* The bytes of the row's items from `first` on. */
static void describe(mp_row *row, uint32_t first, uint32_t n)
{
    mp_record *r = row->call->pool->record;
    size_t size;
    if (mp_record_is_made(r, row->call->recorded)) {
        r->described += r->mute ? 0 : n;
        return;
    }
    for (uint32_t i = 0; i < n && !r->mute; i++) {
        const unsigned char *bytes = mp_row_item(row, first + i, &size);
        mp_record_describe(r, bytes, size);
    }
}

static mp_record_news news_of(const mp_row *row, const mp_arrival *a)
{
    return (mp_record_news){.call = row->call->recorded,
                            .outcome = outcome_of(a),
                            .index = row->first + row->done,
                            .attempt = row->attempt,
                            .seat = a->seat};
}

static void note(mp_row *row, const mp_arrival *a, bool dropped)
{
    mp_record *r = row->call->pool->record;
    mp_record_news news = news_of(row, a);
    size_t size = a->size;
    bool ended = a->kind != MP_ARRIVAL_DEATH && a->kind != MP_ARRIVAL_DAMAGED;
    if (!ended || !mp_frame_cut_times(a->data, &size, &news.times))
        guess_times(&news, a);
    if (dropped)
        news.outcome = MP_RECORD_CANCELLED;
    if (!mp_record_item_ran(r, &news))
        return;
    describe(row, row->done, 1);
    if (ended && news.outcome != MP_RECORD_DONE && a->kind != MP_ARRIVAL_NO_ROOM && size > 0)
        mp_record_failed(r, a->data, size);
}

void mp_row_note(mp_row *row, const mp_arrival *a, bool dropped)
{
    if (row->call->recorded != 0)
        note(row, a, dropped);
}

void mp_row_note_run(mp_row *row, const mp_arrival *a, const mp_result_frame results[], unsigned n)
{
    if (row->call->recorded == 0)
        return;
    mp_record *r = row->call->pool->record;
    uint64_t before = r->cut;
    note(row, a, false);
    if (r->cut == before)
        describe(row, row->done + 1, mp_record_items_ran(r, results, n));
    else
        r->cut += n;
}
