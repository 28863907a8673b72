/* How the core says what went wrong: see error.h. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The length that the whole text would have, as vsnprintf. */
static int write_text(mp_error *error, int code, const char *format, va_list args)
{
    error->code = code;
    return vsnprintf(error->text, sizeof error->text, format, args);
}

int mp_fail(mp_error *error, int code, const char *format, ...)
{
    if (error == NULL)
        return code;
    va_list args;
    va_start(args, format);
    int length = write_text(error, code, format, args);
    va_end(args);
    if (length < 0 || (size_t)length >= sizeof error->text - 1)
        return code;
    const char *reason = strerrordesc_np(-code);
    snprintf(error->text + length, sizeof error->text - (size_t)length, ": %s",
             reason != NULL ? reason : "unknown error");
    return code;
}

int mp_fail_plainly(mp_error *error, int code, const char *format, ...)
{
    if (error == NULL)
        return code;
    va_list args;
    va_start(args, format);
    write_text(error, code, format, args);
    va_end(args);
    return code;
}
