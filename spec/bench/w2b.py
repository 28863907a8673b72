"""W2b: 100,000 apply_async, then all results."""

import bench

ITEMS = 100_000


def run(pool):
    results = [pool.apply_async(bench.square, (i,)) for i in range(1, ITEMS + 1)]
    return [result.get() for result in results]


if __name__ == "__main__":
    bench.throughput(ITEMS, run)
