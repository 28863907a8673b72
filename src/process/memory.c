/* RLIMIT_DATA, which counts private writable memory (since Linux 4.7): RLIMIT_AS would
 * count the large reservations for shared memory, too. */
#include "process/memory.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* Field 6 of statm (proc(5)): data and stack, in pages. */
static int64_t private_pages(void)
{
    long long pages = -1;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return -1;
    if (fscanf(file, "%*s %*s %*s %*s %*s %lld", &pages) != 1)
        pages = -1;
    fclose(file);
    return pages;
}

int mp_memory_limit(uint64_t more)
{
    int64_t pages = private_pages();
    if (pages < 0)
        return -ENOENT;
    rlim_t limit = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + more;
    struct rlimit both;
    getrlimit(RLIMIT_DATA, &both);
    if (limit < more || limit > both.rlim_max)
        return 0; /* what holds already is narrower */
    both = (struct rlimit){.rlim_cur = limit, .rlim_max = limit};
    return setrlimit(RLIMIT_DATA, &both) < 0 ? -errno : 0;
}
