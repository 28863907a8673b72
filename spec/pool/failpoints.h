/* Work under failpoints: where processes die, and that the sum comes out all the same. */
#ifndef MP_SPEC_POOL_FAILPOINTS_H
#define MP_SPEC_POOL_FAILPOINTS_H

#include "spec/pool/workshop.h"

static char budget_directory[64];

static inline void arm(const char *list)
{
    strcpy(budget_directory, "/tmp/moonpool-spec-XXXXXX");
    CHECK(mkdtemp(budget_directory) != NULL);
    setenv("MOONPOOL_FAILPOINT_DIR", budget_directory, 1);
    setenv("MOONPOOL_FAILPOINTS", list, 1);
}

/* Returns how many places have acted. */
static inline unsigned disarm(void)
{
    unsigned acted = 0;
    struct dirent *entry;
    unsetenv("MOONPOOL_FAILPOINTS");
    unsetenv("MOONPOOL_FAILPOINT_DIR");
    DIR *d = opendir(budget_directory);
    while (d != NULL && (entry = readdir(d)) != NULL) {
        char path[400];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", budget_directory, entry->d_name);
        unlink(path);
        acted++;
    }
    if (d != NULL)
        closedir(d);
    rmdir(budget_directory);
    return acted;
}

/* So many small items, some with results beyond the ring, under these failpoints.
 * At most `cost` items may be lost for each place that acts. */
static inline unsigned map_under(const char *list, unsigned items, unsigned cost)
{
    shop s;
    int before = check_failures;
    arm(list);
    shop_open(&s, 2);
    shop_call(&s, 3);
    shop_add_many(&s, 'd', 1, items - 2);
    shop_add_many(&s, 'g', 1500, 2);
    CHECK(shop_finish_call(&s));
    unsigned acted = disarm();
    shop_check(&s);
    CHECK(s.lost <= (uint64_t)acted * cost);
    CHECK_EQ_INT(s.done + s.lost, items);
    CHECK_EQ_INT(s.troubles, 0);
    shop_release(&s);
    shop_check_works(&s);
    mp_pool_finish(s.pool);
    CHECK(mp_pool_join(s.pool, mp_deadline(SHOP_PATIENCE)));
    shop_close(&s);
    if (check_failures != before)
        fprintf(stderr, "    under %s: %llu done, %llu lost, %u acted\n", list,
                (unsigned long long)s.done, (unsigned long long)s.lost, acted);
    return acted;
}

#endif
