/* Pools of handlers whose nurseries are no forks of the host: what they are told, and what they do
 * then. */
#include "host/roles.h"

#include "host/inner.h"

#include <string.h>

void mp_host_brief(void *pool, mp_letter *letter)
{
    const moonpool_options *options = &((const moonpool *)pool)->options;
    const char *init = options->worker_init != NULL ? options->worker_init : "";
    mp_letter_put_number(letter, options->tasks_per_worker);
    mp_letter_put_text(letter, init, strlen(init) + 1);
}

int mp_host_play(mp_letter *letter)
{
    static moonpool pool;
    size_t size;
    pool = (moonpool){0}; /* the process may be a fork of one that was a nursery, too */
    pool.options.tasks_per_worker = mp_letter_take_number(letter);
    const char *init = mp_letter_take_text(letter, &size);
    pool.options.worker_init = size > 1 ? init : NULL;
    mp_handler handler = mp_host_handler(&pool);
    return mp_local_serve(letter, &handler);
}
