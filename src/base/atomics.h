/* The few atomic operations that the shared memory is built from, each with
 * the ordering it stands for in its name. Everything shared between processes
 * goes through these. */
#ifndef MP_BASE_ATOMICS_H
#define MP_BASE_ATOMICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#if defined(__SANITIZE_THREAD__)
#define MP_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MP_THREAD_SANITIZER 1
#endif
#endif

/* What the other side published before its store is seen after this load. */
#define mp_load_acquire(p) atomic_load_explicit((p), memory_order_acquire)
/* Everything written before is seen by whoever acquires this store. */
#define mp_store_release(p, v) atomic_store_explicit((p), (v), memory_order_release)
/* A value that orders nothing: hints, counters, one's own fields. */
#define mp_load_relaxed(p) atomic_load_explicit((p), memory_order_relaxed)
#define mp_store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define mp_add_relaxed(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
/* Store then load of different words must not swap (say "I sleep", then look
 * again): this fence stands between them, on both sides. */
#ifdef MP_THREAD_SANITIZER
/* It knows no fences; changing one common word is as strong. */
__attribute__((weak)) _Atomic uint32_t mp_fence_word;
#define mp_fence() ((void)atomic_fetch_add_explicit(&mp_fence_word, 1, memory_order_seq_cst))
#else
#define mp_fence() atomic_thread_fence(memory_order_seq_cst)
#endif
#define mp_exchange(p, v) atomic_exchange_explicit((p), (v), memory_order_acq_rel)

static inline bool mp_cas_u64(_Atomic uint64_t *p, uint64_t expected, uint64_t desired)
{
    return atomic_compare_exchange_strong_explicit(p, &expected, desired, memory_order_acq_rel,
                                                   memory_order_acquire);
}

static inline bool mp_cas_u32(_Atomic uint32_t *p, uint32_t expected, uint32_t desired)
{
    return atomic_compare_exchange_strong_explicit(p, &expected, desired, memory_order_acq_rel,
                                                   memory_order_acquire);
}

/* What a spinning loop does between two looks. */
static inline void mp_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
