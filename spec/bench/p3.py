"""P3: values there and back through a Pipe to another process; see p3.lua."""

import bench

SMALL, LARGE = 20000, 100


def echo(connection):
    while True:
        connection.send(connection.recv())


def trips(connection, n, value=None):
    total = 0
    for i in range(1, n + 1):
        connection.send(value or i)
        back = connection.recv()
        total += len(back) if value else back
    return total


if __name__ == "__main__":
    here, there = bench.context.Pipe()
    process = bench.context.Process(target=echo, args=(there,), daemon=True)
    process.start()
    trips(here, 100)
    small, one = bench.timed(trips, here, SMALL)
    large, two = bench.timed(trips, here, LARGE, b"x" * (1 << 20))
    process.kill()
    process.join()
    bench.report(one + two, small=small / SMALL, large=large / LARGE)
