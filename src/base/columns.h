/* How wide text is on a terminal.
 *
 * Text is UTF-8, whatever the program's locale; what is none, and what would move the cursor, is
 * measured and shown as a question mark, a tab or a newline as a space. */
#ifndef MP_BASE_COLUMNS_H
#define MP_BASE_COLUMNS_H

#include "base/buffer.h"

/* The columns that these n bytes take: two for wide characters, none for combining ones. Where
 * terminals are of two minds (an emoji by a variation selector), the larger number. */
size_t mp_columns(const char *text, size_t n);

/* Appends to `out` as much of the text as `columns` hold, fit to be shown; the columns that it
 * takes go to *taken. Returns 0 or a negative errno. */
int mp_columns_fit(const char *text, size_t n, size_t columns, mp_buffer *out, size_t *taken);

#endif
