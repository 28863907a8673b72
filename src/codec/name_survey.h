/* The search that gives values their names: see names.h for their form.
 *
 * Breadth first from the loaded modules, keys in byte order, so that of the
 * ways to a value the shortest is found, the same on every run. Everything is
 * read raw: no code of the user runs, but for finalizers. */
#ifndef MP_CODEC_NAME_SURVEY_H
#define MP_CODEC_NAME_SURVEY_H

#include "codec/names.h"

enum mp_survey_kind {
    MP_SURVEY_PUBLIC,  /* what hangs on modules by string keys */
    MP_SURVEY_PRIVATE, /* also by upvalues of their functions and by metatables */
    MP_SURVEY_GLOBALS, /* what hangs on globals */
};

/* Pushes a new table from value (weak) to name. The bits of all of them are
 * set in `filter` if it is not NULL. The table at stack index `functions`
 * holds C functions of the standard library by name: those found here that
 * have no other in their place are added. Raises memory errors. */
void mp_survey(lua_State *L, enum mp_survey_kind kind, int functions, mp_name_filter *filter);

#endif
