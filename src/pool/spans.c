/* Spans of tasks: see spans.h. */
#include "pool/spans.h"

enum { LOOKS = 1000 };

static mp_span join(const mp_span *a, const mp_span *b)
{
    return (mp_span){.from = a->from,
                     .to = b->to,
                     .busy = a->busy + b->busy,
                     .items = a->items + b->items < a->items ? UINT32_MAX : a->items + b->items,
                     .pid = a->pid == b->pid ? a->pid : 0};
}

static void halve(mp_spans *s)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < MP_SPANS; i += 2)
        s->spans[n++] = join(&s->spans[i], &s->spans[i + 1]);
    s->count = n;
    s->each *= 2;
}

static void add(mp_spans *s, const mp_span *task)
{
    mp_span *last = s->count > 0 ? &s->spans[s->count - 1] : NULL;
    if (last != NULL && s->last < s->each && last->pid == task->pid) {
        *last = join(last, task);
        s->last++;
        return;
    }
    if (s->count == MP_SPANS)
        halve(s);
    s->spans[s->count++] = *task;
    s->last = 1;
}

void mp_spans_add(mp_spans *s, int64_t from, int64_t to, uint32_t items, int32_t pid)
{
    uint32_t version = mp_load_relaxed(&s->version) | 1; /* a dead writer may have left it odd */
    mp_span task = {from, to, to - from, items, pid};
    mp_store_relaxed(&s->version, version);
    atomic_thread_fence(memory_order_release);
    if (s->count > MP_SPANS)
        s->count = 0;
    if (s->each == 0)
        s->each = 1;
    add(s, &task);
    mp_store_release(&s->version, version + 1);
}

/* False where it was written to meanwhile. */
static bool copy(const mp_spans *s, mp_spans *found)
{
    uint32_t version = mp_load_acquire(&s->version);
    memcpy(found, s, sizeof *found);
    atomic_thread_fence(memory_order_acquire);
    return version % 2 == 0 && mp_load_relaxed(&s->version) == version;
}

static bool is_sound(const mp_span *span, int64_t after)
{
    return span->from >= after && span->to >= span->from && span->busy >= 0 &&
           span->busy <= span->to - span->from;
}

unsigned mp_spans_read(const mp_spans *s, mp_span found[MP_SPANS])
{
    mp_spans seen;
    int64_t after = 0;
    unsigned n = 0;
    for (int looks = 0; !copy(s, &seen) && looks < LOOKS; looks++)
        continue;
    for (unsigned i = 0; i < seen.count && i < MP_SPANS; i++) {
        if (!is_sound(&seen.spans[i], after))
            continue;
        found[n++] = seen.spans[i];
        after = seen.spans[i].to;
    }
    return n;
}
