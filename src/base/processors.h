/* How many processors there are, and how many of them this process may use. */
#ifndef MP_BASE_PROCESSORS_H
#define MP_BASE_PROCESSORS_H

/* Processors that are online, at least 1. */
int mp_processors_online(void);

/* Those that this process may run on: its affinity mask, and no more than the
 * cgroup quotas above it (cpu.max of v2, cpu.cfs_quota_us of v1, rounded up).
 * `root` is what /proc and /sys are looked for under, "/" but in tests. At least 1. */
int mp_processors_usable(const char *root);

#endif
