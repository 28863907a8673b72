"""W8: imap_unordered over a generator of a million, no chunk size given; see w8.lua."""

import time

import bench

ITEMS, REST_AT = 1_000_000, 100
pulled = 0


def generator():
    global pulled
    pulled = 0
    for i in range(1, ITEMS + 1):
        pulled += 1
        yield i


def ahead_of_rest(pool):
    for n, _ in enumerate(pool.imap_unordered(bench.square, generator()), 1):
        if n == REST_AT:
            time.sleep(0.2)
            return pulled - n


if __name__ == "__main__":
    pool = bench.started_pool()
    seconds, total = bench.timed(lambda: sum(pool.imap_unordered(bench.square, generator())))
    bench.report(total, item=seconds / ITEMS, ahead=ahead_of_rest(pool))
    pool.terminate()
    pool.join()
