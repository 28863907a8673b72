"""W3: 5,000 blocking apply, one after another: how long one takes."""

import bench

CALLS = 5_000


def calls(pool, count):
    taken = [bench.timed(pool.apply, bench.square, (i,)) for i in range(1, count + 1)]
    return [seconds for seconds, _ in taken], sum(result for _, result in taken)


if __name__ == "__main__":
    with bench.started_pool() as pool:
        calls(pool, 100)
        seconds, total = calls(pool, CALLS)
    bench.report(total, median=bench.quantile(seconds, 0.5), p99=bench.quantile(seconds, 0.99),
                 p999=bench.quantile(seconds, 0.999))
