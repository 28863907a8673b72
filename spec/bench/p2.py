"""P2: the sum of a shared Array of 10,000,000 doubles, each worker its part; see p2.lua."""

import bench

ELEMENTS, SLICE = 10000000, 10000

array = bench.context.Array("d", ELEMENTS, lock=False)


def total(part):
    length = ELEMENTS // bench.workers
    result = 0
    for first in range((part - 1) * length, part * length, SLICE):
        for element in array[first:first + SLICE]:
            result += element
    return result


if __name__ == "__main__":
    array[:] = [0.5] * ELEMENTS
    pool = bench.started_pool()
    seconds, sums = bench.timed(pool.map, total, range(1, bench.workers + 1), 1)
    bench.report(sum(sums), element=seconds / ELEMENTS)
    pool.close()
    pool.join()
