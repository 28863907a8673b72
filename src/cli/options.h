/* The command line of the program, read but not yet carried out. */
#ifndef MP_CLI_OPTIONS_H
#define MP_CLI_OPTIONS_H

#include <stdbool.h>

typedef struct mp_options {
    int script;       /* where in argv the script stands; argc when there is none */
    int processes;    /* of -j; 0 when it was not given */
    bool interactive; /* -i */
    bool version;     /* -v, or -i which implies it */
    bool bare;        /* -E */
    bool code;        /* -e */
} mp_options;

/* Reads the options in front of the script. argv ends with NULL.
 * Returns NULL, or the word of argv that is wrong. */
const char *mp_options_read(mp_options *options, char **argv);

/* The value of the option that argv[*at] is, which takes one: the rest of the
 * word, or the next word, onto which *at then moves. NULL when there is none. */
const char *mp_option_value(char **argv, int *at);

/* Writes to standard error what is wrong with that word, as mp_options_read
 * gave it, and how the program is called. */
void mp_options_complain(const char *word);

#endif
