/* Whatever bytes a letter holds, what is taken out lies within them, and damage is told once and
 * for all. The first bytes say in which order things are taken. */
#include "base/letter.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take(mp_letter *l, unsigned what)
{
    char name[16];
    size_t n;
    const char *text;
    switch (what % 4) {
    case 0:
        mp_letter_take_number(l);
        break;
    case 1:
        text = mp_letter_take_text(l, &n);
        if (n > 0 && (text < (const char *)l->bytes.data ||
                      text + n > (const char *)l->bytes.data + l->bytes.len))
            abort();
        break;
    case 2:
        mp_letter_take_name(l, name, sizeof name);
        break;
    default:
        if (mp_letter_take_fd(l) >= 0)
            abort(); /* there is none */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { ORDER = 16 };
    mp_letter l;
    if (size < ORDER)
        return 0;
    mp_letter_init(&l);
    mp_buffer_append(&l.bytes, data + ORDER, size - ORDER);
    for (int i = 0; i < ORDER; i++) {
        int before = l.status;
        take(&l, data[i]);
        if (before < 0 && l.status != before)
            abort();
    }
    mp_letter_free(&l);
    return 0;
}
