/* Errors: the code comes back, the text names the thing and the errno, and
 * whatever is too long is cut and not written past. */
#include "base/error.h"
#include "spec/support/check.h"

#include <errno.h>

TEST(says_what_and_why)
{
    mp_error e = {0};
    CHECK_EQ_INT(mp_fail(&e, -ENOENT, "open %s", "/nowhere"), -ENOENT);
    CHECK_EQ_INT(e.code, -ENOENT);
    CHECK_STR(e.text, "open /nowhere: No such file or directory");
}

TEST(needs_nobody_to_listen)
{
    CHECK_EQ_INT(mp_fail(NULL, -EPERM, "kill %d", 1), -EPERM);
}

TEST(an_unknown_errno_has_a_text)
{
    mp_error e = {0};
    CHECK_EQ_INT(mp_fail(&e, -99999, "call"), -99999);
    CHECK_STR(e.text, "call: unknown error");
}

TEST(long_texts_are_cut)
{
    struct {
        mp_error error;
        char fence[8];
    } guarded;
    char name[1000];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    for (int length = MP_ERROR_TEXT - 40; length < MP_ERROR_TEXT + 3; length++) {
        memset(&guarded, '!', sizeof guarded);
        mp_fail(&guarded.error, -ENOENT, "%.*s", length, name);
        REQUIRE(memchr(guarded.error.text, '\0', MP_ERROR_TEXT) != NULL);
        CHECK_EQ_INT(guarded.error.text[0], 'x');
        CHECK_MEM(guarded.fence, "!!!!!!!!", sizeof guarded.fence);
    }
}

CHECK_MAIN
