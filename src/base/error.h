/* How the core says what went wrong.
 *
 * A function that can fail returns 0 or a negative errno value, and fills the
 * mp_error it was given with one sentence that names the thing and the call.
 * Nothing here prints, allocates or exits. */
#ifndef MP_BASE_ERROR_H
#define MP_BASE_ERROR_H

enum { MP_ERROR_TEXT = 256 };

typedef struct mp_error {
    int code;                 /* negative errno, 0 while nothing failed */
    char text[MP_ERROR_TEXT]; /* NUL-terminated, cut where it is too long */
} mp_error;

/* Fills `error` (which may be NULL) with `code`, a negative errno value, and
 * the formatted text, followed by ": " and the text of the errno.
 * Returns `code`, so that callers write `return mp_fail(...)`. */
int mp_fail(mp_error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same without the errno's text: for what is said in full. */
int mp_fail_plainly(mp_error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
