"""W10: make a pool and map 100 items over a function that refers to 50 MB; then once more."""

import bench

SIZE, ITEMS = 50_000_000, 100

data = b"moonpool " * (SIZE // 9)


def look(i):
    return data[i * 1000 - 1]


def first():
    pool = bench.context.Pool(bench.workers)
    return pool, pool.map(look, range(1, ITEMS + 1))


if __name__ == "__main__":
    seconds, (pool, results) = bench.timed(first)
    again = pool.map(look, range(1, ITEMS + 1))
    pool.close()
    pool.join()
    bench.report(sum(results) + sum(again), first=seconds)
