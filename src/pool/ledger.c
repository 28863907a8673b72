/* The rows of the ledger: see ledger.h. */
#include "pool/ledger.h"

#include "base/memory.h"

#include <stdlib.h>

enum { NO = -1, STATES = MP_ROW_PUBLISHED + 1, EVENTS = MP_ROW_DELAY + 1 };

/* An id is a slot (low half) and how often the slot was used (high half). */
static uint32_t slot_of(uint64_t id)
{
    return (uint32_t)id;
}

static const int next_state[STATES][EVENTS] = {
    /*                      QUEUE           PUBLISH           WITHDRAW     SETTLE       DELAY */
    [MP_ROW_FREE] = {MP_ROW_BACKLOG, NO, NO, NO, MP_ROW_DELAYED},
    [MP_ROW_BACKLOG] = {NO, MP_ROW_PUBLISHED, MP_ROW_FREE, NO, NO},
    [MP_ROW_DELAYED] = {MP_ROW_BACKLOG, NO, MP_ROW_FREE, NO, NO},
    [MP_ROW_PUBLISHED] = {MP_ROW_BACKLOG, NO, MP_ROW_FREE, MP_ROW_FREE, NO},
};

bool mp_ledger_has_published(const mp_ledger *l)
{
    for (uint32_t i = 0; i < l->slots; i++)
        if (l->rows[i] != NULL && l->rows[i]->state == MP_ROW_PUBLISHED && !l->rows[i]->bound)
            return true;
    return false;
}

bool mp_row_step(mp_row *row, enum mp_row_event event)
{
    int next = next_state[row->state][event];
    if (next == NO)
        return false;
    row->state = (enum mp_row_state)next;
    return true;
}

static bool grow(mp_ledger *l)
{
    uint32_t capacity = l->capacity != 0 ? l->capacity * 2 : 64;
    mp_row **rows = mp_realloc(l->rows, capacity * sizeof(mp_row *));
    if (rows == NULL)
        return false;
    l->rows = rows;
    uint32_t *free_slots = mp_realloc(l->free_slots, capacity * sizeof *free_slots);
    if (free_slots == NULL)
        return false;
    l->free_slots = free_slots;
    l->capacity = capacity;
    return true;
}

/* A slot keeps its row's memory for the next row. */
static mp_row *fresh_slot(mp_ledger *l)
{
    if (l->slots == l->capacity && !grow(l))
        return NULL;
    mp_row *row = mp_calloc(1, sizeof *row);
    if (row == NULL)
        return NULL;
    row->id = l->slots;
    l->rows[l->slots++] = row;
    return row;
}

mp_row *mp_ledger_add(mp_ledger *l)
{
    mp_row *row = l->free_count > 0 ? l->rows[l->free_slots[--l->free_count]] : fresh_slot(l);
    if (row == NULL)
        return NULL;
    *row = (mp_row){.id = row->id + (UINT64_C(1) << 32), .state = MP_ROW_FREE, .attempt = 1};
    l->live++;
    return row;
}

mp_row *mp_ledger_find(const mp_ledger *l, uint64_t id)
{
    uint32_t slot = slot_of(id);
    if (slot >= l->slots || l->rows[slot]->id != id || l->rows[slot]->state == MP_ROW_FREE)
        return NULL;
    return l->rows[slot];
}

void mp_ledger_remove(mp_ledger *l, mp_row *row)
{
    row->state = MP_ROW_FREE;
    mp_saved_drop(&row->saved);
    l->free_slots[l->free_count++] = slot_of(row->id);
    l->live--;
}

void mp_ledger_destroy(mp_ledger *l)
{
    for (uint32_t i = 0; i < l->slots; i++) {
        mp_saved_drop(&l->rows[i]->saved);
        mp_free(l->rows[i]);
    }
    mp_free(l->rows);
    mp_free(l->free_slots);
    *l = (mp_ledger){0};
}
