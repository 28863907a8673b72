/* Failpoints: named places in the data path where a test makes the process
 * die, stop, wait or fail. Outside the test build (MP_TEST_BUILD) they are
 * nothing.
 *
 * Driven by the environment variable MOONPOOL_FAILPOINTS, a list
 * `name:action@n` separated by commas: at the n-th passage (from 1, counted
 * per process; `@n+` means from the n-th on; default 1) do `action`:
 * kill (SIGKILL to itself), stop (SIGSTOP), exit (_exit(3)), segv, abort,
 * error (the place fails as with ENOMEM), delay=MS. A name may be followed by
 * `/K` to count across processes in the file named by MOONPOOL_FAILPOINT_DIR,
 * so that only K passages of the whole run act (a replacement would otherwise
 * die at the same place). */
#ifndef MP_BASE_FAILPOINT_H
#define MP_BASE_FAILPOINT_H

#include <stdbool.h>

#ifdef MP_TEST_BUILD
/* Passes the place `name`; true if it is to fail with an error there. */
bool mp_failpoint(const char *name);
#define MP_FAILPOINT(name) ((void)mp_failpoint(name))
#define MP_FAILPOINT_ERROR(name) mp_failpoint(name)
#else
#define MP_FAILPOINT(name) ((void)0)
#define MP_FAILPOINT_ERROR(name) false
#endif

#endif
