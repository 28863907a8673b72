/* How the core says what went wrong: see error.h. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int mp_fail(mp_error *error, int code, const char *format, ...)
{
    if (error == NULL)
        return code;
    error->code = code;
    va_list args;
    va_start(args, format);
    int length = vsnprintf(error->text, sizeof error->text, format, args);
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
    error->code = code;
    va_list args;
    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    return code;
}
