/* Paths of values in messages about them: ".log[3]". Text of a bounded length,
 * cut with "..." where it is too long. */
#ifndef MP_CODEC_PATH_H
#define MP_CODEC_PATH_H

#include <lua.h>

enum { MP_PATH_TEXT = 400, MP_PATH_KEY = 60 /* bytes shown of a key */ };

typedef struct mp_path {
    char text[MP_PATH_TEXT]; /* NUL-terminated; begins as all zero */
    size_t len;
} mp_path;

/* Appends formatted text. */
void mp_path_add(mp_path *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends the step to the key on the top of the stack, which is popped:
 * ".name", "[3]", "[\"odd key\"]", "[table]". */
void mp_path_add_key(mp_path *to, lua_State *L);

#endif
