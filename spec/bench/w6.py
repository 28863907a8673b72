"""W6: 2,000 tasks of heavy-tailed cost, default chunks; see w6.lua."""

import bench

TASKS, LEAST, MOST = 2000, 4000, 400000


def spin(rounds):
    x = 1
    for _ in range(rounds):
        x = (x * 16807) % 2147483647
    return x


def costs():
    state = 42
    for _ in range(TASKS):
        state = (state * 16807) % 2147483647
        yield min(MOST, LEAST * 2147483647 // state)


if __name__ == "__main__":
    mixed = list(costs())
    pool = bench.started_pool()
    pool.map(spin, mixed)
    serial = lambda: sum(spin(rounds) for rounds in mixed)
    first, expected = bench.timed(serial)
    seconds, results = bench.timed(pool.map, spin, mixed)
    second, _ = bench.timed(serial)
    longest_last, others = bench.timed(pool.map, spin, sorted(mixed))
    third, _ = bench.timed(serial)
    ideal = (first + 2 * second + third) / 4 / bench.workers
    assert sum(results) == expected == sum(others)
    bench.report(expected, mixed=seconds / ideal, sorted=longest_last / ideal)
    pool.close()
    pool.join()
