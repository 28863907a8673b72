/* Reading the command line: see options.h. Nothing here changes argv, since
 * the script gets all of it in its table `arg`. */
#include "cli/options.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *mp_option_value(char **argv, int *at)
{
    const char *attached = argv[*at] + 2;
    if (*attached != '\0')
        return attached;
    const char *next = argv[*at + 1];
    if (next == NULL || next[0] == '-')
        return NULL;
    ++*at;
    return next;
}

/* A decimal number from 1 to INT_MAX, or 0. */
static int positive(const char *text)
{
    if (text[strspn(text, "0123456789")] != '\0')
        return 0;
    errno = 0;
    long number = strtol(text, NULL, 10);
    return errno == 0 && number <= INT_MAX ? (int)number : 0;
}

/* An option with a value; moves *at onto the value. */
static bool read_valued(mp_options *options, char **argv, int *at)
{
    char letter = argv[*at][1];
    const char *value = mp_option_value(argv, at);
    if (value == NULL)
        return false;
    if (letter == 'j')
        return (options->processes = positive(value)) > 0;
    options->code = options->code || letter == 'e';
    return true;
}

static bool read_switch(mp_options *options, const char *word)
{
    if (word[2] != '\0' || strchr("EivW", word[1]) == NULL)
        return false;
    options->bare = options->bare || word[1] == 'E';
    options->interactive = options->interactive || word[1] == 'i';
    options->version = options->version || word[1] == 'v' || word[1] == 'i';
    return true;
}

static bool takes_value(const char *word)
{
    return strchr("elj", word[1]) != NULL;
}

const char *mp_options_read(mp_options *options, char **argv)
{
    int at = argv[0] == NULL ? 0 : 1;
    *options = (mp_options){0};
    for (; argv[at] != NULL && argv[at][0] == '-' && argv[at][1] != '\0'; at++) {
        const char *word = argv[at];
        if (strcmp(word, "--") == 0) {
            at++;
            break;
        }
        bool right =
            takes_value(word) ? read_valued(options, argv, &at) : read_switch(options, word);
        if (!right)
            return word;
    }
    options->script = at;
    return NULL;
}

void mp_options_complain(const char *word)
{
    if (!takes_value(word))
        fprintf(stderr, "moonpool: unrecognized option '%s'\n", word);
    else if (word[1] == 'j')
        fputs("moonpool: '-j' needs a positive integer\n", stderr);
    else
        fprintf(stderr, "moonpool: '%s' needs argument\n", word);
    fputs("usage: moonpool [options] [script [args]]\n"
          "Available options are:\n"
          "  -e stat   execute string 'stat'\n"
          "  -i        enter interactive mode after executing 'script'\n"
          "  -l mod    require library 'mod' into global 'mod'\n"
          "  -l g=mod  require library 'mod' into global 'g'\n"
          "  -v        show version information\n"
          "  -E        ignore environment variables\n"
          "  -W        turn warnings on (they are, unless a script turns them off)\n"
          "  -j n      let pools have 'n' workers where they are not told how many\n"
          "  --        stop handling options\n"
          "  -         stop handling options and execute stdin\n",
          stderr);
}
