/* How many threads this process has. */
#ifndef MP_BASE_THREADS_H
#define MP_BASE_THREADS_H

/* As the kernel counts them; 1 where it does not say. */
unsigned mp_threads_running(void);

#endif
