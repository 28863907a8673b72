"""How many items a second come of tasks of one length; see length.lua.

    python3 spec/bench/length.py WORKERS ROUNDS ITEMS [CHUNK]
"""

import sys

import bench

workers = int(sys.argv[1])  # 0: a serial loop
rounds, items = int(sys.argv[2]), int(sys.argv[3])
chunk = int(sys.argv[4]) if len(sys.argv) > 4 else None


def task(i):
    x = 1
    for _ in range(rounds):
        x = (x * 16807) % 2147483647
    return x + i


if __name__ == "__main__":
    if workers == 0:
        seconds, results = bench.timed(lambda: list(map(task, range(1, items + 1))))
        bench.report(sum(results), item=seconds / items)
    else:
        bench.throughput(items, lambda pool: pool.map(task, range(1, items + 1), chunk))
