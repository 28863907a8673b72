/* How many threads this process has. */
#ifndef MP_BASE_THREADS_H
#define MP_BASE_THREADS_H

/* As the kernel counts them; 1 where it does not say. One that was joined may be there for an
 * instant still, so where there are several this takes some milliseconds. */
unsigned mp_threads_running(void);

#endif
