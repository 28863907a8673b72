/* How frames lie in a result ring, for its writer and its reader only.
 *
 * A frame is a word (length << 8 | check << 4 | kind) and its bytes, filled up to 4. Two
 * lengths are escapes: of a spilled frame, whose word is followed by the offset
 * and the size of its extent (8 bytes each), and of a gap, where nothing more
 * lies before the ring's end.
 *
 * Positions are counts of bytes and go on for ever (differences count, so that
 * they may overflow). A writer that starts an emptied ring again at its first
 * byte leaves out at least a whole capacity of positions; so a tail that is more
 * than the capacity ahead of the reader says by itself where the unread frames
 * start, and one store publishes the start and the frame together. */
#ifndef MP_SHM_RESULT_FRAME_H
#define MP_SHM_RESULT_FRAME_H

#include "shm/result_ring.h"

enum {
    MP_RING_AT = 4096,        /* the ring's first byte in the region */
    MP_RING_FIRST = 32 << 10, /* bytes of it that are always allocated */
    MP_FRAME_WORD = 4,
    MP_FRAME_RECORD = 20, /* a spilled frame in the ring */
    MP_FRAME_GAP = 0xFFFFFE,
    MP_FRAME_SPILLED = 0xFFFFFF,
};

/* A frame that was found. */
typedef struct mp_frame {
    unsigned kind;
    bool spilled;
    uint64_t next;   /* the position behind it */
    uint64_t offset; /* of its bytes in the region */
    uint64_t size;
} mp_frame;

/* The frame's word. Its check is a sum over GF(16) of the word's other nibbles, in each byte
 * one of them doubled (polynomial x^4 + x + 1), so that no flipped bit and no flipped byte
 * goes unnoticed, and of other damage within a byte one in 17. */
static inline uint32_t mp_frame_word(unsigned kind, uint32_t length)
{
    uint32_t folded = length ^ length >> 8 ^ length >> 16;
    uint32_t doubled = ((folded >> 4) ^ kind) & 0xF;
    uint32_t check = (folded ^ doubled << 1 ^ (doubled >> 3) * 0x13) & 0xF;
    return length << 8 | check << 4 | kind;
}

static inline unsigned mp_frame_kind_of(uint32_t word)
{
    return word & 0xF;
}

static inline bool mp_frame_word_holds(uint32_t word)
{
    return mp_frame_word(mp_frame_kind_of(word), word >> 8) == word;
}

/* The bytes of the ring that a frame of `size` bytes takes. */
static inline uint64_t mp_frame_taken(uint64_t size)
{
    return MP_FRAME_WORD + ((size + 3) & ~UINT64_C(3));
}

/* Where an emptied ring whose tail is `tail` starts again. */
static inline uint64_t mp_ring_restart(uint64_t tail, uint64_t capacity)
{
    return ((tail + capacity - 1) & ~(capacity - 1)) + capacity;
}

/* Where the frames start that a reader at `at` has not read. */
static inline uint64_t mp_ring_unread(uint64_t at, uint64_t tail, uint64_t capacity)
{
    return tail - at > capacity ? mp_ring_restart(at, capacity) : at;
}

/* Finds the frame at `at` (or behind the gap there), of those published up to
 * `tail`, which is not `at`. False where no writer can have left it so. */
bool mp_frame_find(const mp_region *region, uint64_t at, uint64_t tail, uint64_t capacity,
                   mp_frame *frame);

#endif
