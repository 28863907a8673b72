"""P1: a Lock that nobody else wants, and one that two processes want all the time; see p1.lua."""

import bench

ALONE, TOGETHER = 300000, 100000


def work(lock, times):
    for _ in range(times):
        lock.acquire()
        lock.release()
    return times


def work_and_count(lock, entered, times):
    done = work(lock, times)
    with entered.get_lock():
        entered.value += done


def together(lock, entered):
    processes = [bench.context.Process(target=work_and_count, args=(lock, entered, TOGETHER))
                 for _ in range(bench.workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


if __name__ == "__main__":
    lock, entered = bench.context.Lock(), bench.context.Value("q")
    alone, times = bench.timed(work, lock, ALONE)
    contended, _ = bench.timed(together, lock, entered)
    bench.report(times + entered.value, alone=alone / ALONE,
                 contended=contended / (bench.workers * TOGETHER))
