/* valgrind */
#include "base/columns.h"
#include "spec/support/check.h"

#include <locale.h>

static size_t columns(const char *text)
{
    return mp_columns(text, strlen(text));
}

TEST(characters_take_none_one_or_two)
{
    CHECK_EQ_INT((int)columns(""), 0);
    CHECK_EQ_INT((int)columns("plain"), 5);
    CHECK_EQ_INT((int)columns("é"), 1);
    CHECK_EQ_INT((int)columns("e\xCC\x81"), 1);
    CHECK_EQ_INT((int)columns("漢字"), 4);
    CHECK_EQ_INT((int)columns("\xF0\x9F\x9A\x80"), 2);
    CHECK_EQ_INT((int)columns("█▏"), 2);
    CHECK_EQ_INT((int)columns("\xE2\x9D\xA4\xEF\xB8\x8F"), 2);
}

static void check_fit(const char *text, size_t room, const char *shown, size_t taken)
{
    mp_buffer b;
    size_t n = 99;
    mp_buffer_init_heap(&b);
    CHECK_EQ_INT(mp_columns_fit(text, strlen(text), room, &b, &n), 0);
    CHECK_EQ_INT((int)n, (int)taken);
    CHECK(b.len == strlen(shown) && (b.len == 0 || memcmp(b.data, shown, b.len) == 0));
    mp_buffer_free(&b);
}

TEST(what_fits_ends_between_characters)
{
    check_fit("plain", 3, "pla", 3);
    check_fit("漢字", 3, "漢", 2);
    check_fit("漢字", 1, "", 0);
    check_fit("e\xCC\x81x", 1, "e\xCC\x81", 1);
    check_fit("", 5, "", 0);
    check_fit("x", 0, "", 0);
}

TEST(what_would_do_harm_is_shown_as_something_else)
{
    check_fit("a\tb\nc", 9, "a b c", 5);
    check_fit("\x1b[2J\r\x07", 9, "?[2J??", 6);
    check_fit("\xC2\x9B"
              "1m",
              9, "?1m", 3);
    static const char right_to_left[] = {(char)0xE2, (char)0x80, (char)0xAE, 'x', 0};
    check_fit(right_to_left, 9, "?x", 2);
    check_fit("\x80\xFF\xC0\x80", 9, "????", 4);
    check_fit("\xED\xA0\x80", 9, "???", 3);
    check_fit("\xF4\x90\x80\x80", 9, "????", 4);
    check_fit("\xE6\xBC", 9, "??", 2);
    mp_buffer b;
    size_t n;
    mp_buffer_init_heap(&b);
    CHECK_EQ_INT(mp_columns_fit("a\0b", 3, 9, &b, &n), 0);
    CHECK(b.len == 3 && memcmp(b.data, "a?b", 3) == 0);
    mp_buffer_free(&b);
}

TEST(the_locale_stays)
{
    setlocale(LC_ALL, "C");
    columns("漢");
    CHECK_STR(setlocale(LC_CTYPE, NULL), "C");
    CHECK(uselocale((locale_t)0) == LC_GLOBAL_LOCALE);
}

CHECK_MAIN
