/* The width of text: see columns.h. The C library knows the width of characters, in a locale of
 * UTF-8; that of the program stays as it is. */
#include "base/columns.h"

#include <locale.h>
#include <pthread.h>
#include <stdbool.h>
#include <wchar.h>

enum { EMOJI_SELECTOR = 0xFE0F, WIDE_FROM = 0x1100 };

static locale_t utf8;

static void make_locale(void)
{
    utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL);
}

/* Without that locale all that may be wide is. */
static int width_of(wchar_t c)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_locale);
    if (utf8 == (locale_t)0)
        return c >= WIDE_FROM ? 2 : 1;
    locale_t before = uselocale(utf8);
    int width = wcwidth(c);
    uselocale(before);
    return width;
}

/* One character: bytes of the text, and columns. */
typedef struct glyph {
    size_t bytes;
    size_t columns;
    char instead; /* shown in its place, 0: itself */
} glyph;

/* The length of the sequence that begins with this byte; 0: none does. */
static size_t length_by(unsigned char first)
{
    return first < 0x80   ? 1
           : first < 0xC2 ? 0
           : first < 0xE0 ? 2
           : first < 0xF0 ? 3
           : first < 0xF5 ? 4
                          : 0;
}

/* Reads one code point; its length, 0 where the bytes are none. */
static size_t read_point(const unsigned char *p, size_t n, wchar_t *point)
{
    static const wchar_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = length_by(p[0]);
    if (length == 0 || length > n)
        return 0;
    *point = length == 1 ? p[0] : p[0] & (0x7F >> length);
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        *point = (*point << 6) | (p[i] & 0x3F);
    }
    bool surrogate = *point >= 0xD800 && *point <= 0xDFFF;
    return *point < least[length] || *point > 0x10FFFF || surrogate ? 0 : length;
}

/* Of those that the C library counts as nothing: a zero, and what turns lines around or ends them.
 */
static bool is_unfit(wchar_t c)
{
    return c == 0 || (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

static glyph look_at(const char *text, size_t n)
{
    wchar_t point = 0;
    size_t bytes = read_point((const unsigned char *)text, n, &point);
    if (bytes == 0)
        return (glyph){1, 1, '?'};
    if (point == '\t' || point == '\n')
        return (glyph){bytes, 1, ' '};
    if (point == EMOJI_SELECTOR)
        return (glyph){bytes, 1, 0};
    int width = is_unfit(point) ? -1 : width_of(point);
    return width < 0 ? (glyph){bytes, 1, '?'} : (glyph){bytes, (size_t)width, 0};
}

size_t mp_columns(const char *text, size_t n)
{
    size_t columns = 0;
    for (size_t at = 0; at < n;) {
        glyph g = look_at(text + at, n - at);
        columns += g.columns;
        at += g.bytes;
    }
    return columns;
}

int mp_columns_fit(const char *text, size_t n, size_t columns, mp_buffer *out, size_t *taken)
{
    *taken = 0;
    for (size_t at = 0; at < n;) {
        glyph g = look_at(text + at, n - at);
        if (*taken + g.columns > columns)
            return 0;
        const char *shown = g.instead != 0 ? &g.instead : text + at;
        int status = mp_buffer_append(out, shown, g.instead != 0 ? 1 : g.bytes);
        if (status < 0)
            return status;
        *taken += g.columns;
        at += g.bytes;
    }
    return 0;
}
