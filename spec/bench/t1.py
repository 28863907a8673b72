"""T1: the tail of a map; see t1.lua."""

import time

import bench

MAPS, ITEMS, SHORT = 300, 64, 2e-5  # seconds
TASKS, TASK, STRAGGLER = 1000, 1e-4, 3e-2


def until_later(seconds):
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        pass
    return time.monotonic()


def short_item(_):
    return until_later(SHORT)


def task(i):
    until_later(STRAGGLER if i == TASKS // 2 else TASK)
    return i


if __name__ == "__main__":
    pool = bench.started_pool()
    backs = []
    for _ in range(MAPS):
        results = pool.map(short_item, range(ITEMS))
        backs.append(time.monotonic() - max(results))
    seconds, results = bench.timed(pool.map, task, range(1, TASKS + 1))
    ideal = ((TASKS - 1) * TASK + STRAGGLER) / bench.workers
    bench.report(sum(results), back=bench.quantile(backs, 0.5), straggler=seconds / ideal)
    pool.close()
    pool.join()
