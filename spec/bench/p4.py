"""P4: values through a Queue from one process to another; see p4.lua."""

import bench

SMALL, LARGE = 50000, 100


def serve(here, there):
    while True:
        what = there.get()
        if isinstance(what, bytes):
            here.put(what)
        else:
            for i in range(1, what + 1):
                here.put(i)


def stream(here, there, n):
    there.put(n)
    return sum(here.get() for _ in range(n))


def trips(here, there, n, value):
    total = 0
    for _ in range(n):
        there.put(value)
        total += len(here.get())
    return total


if __name__ == "__main__":
    here, there = bench.context.Queue(), bench.context.Queue()
    process = bench.context.Process(target=serve, args=(here, there), daemon=True)
    process.start()
    stream(here, there, 100)
    small, one = bench.timed(stream, here, there, SMALL)
    large, two = bench.timed(trips, here, there, LARGE, b"x" * (1 << 20))
    process.kill()
    process.join()
    there.cancel_join_thread()
    bench.report(one + two, small=small / SMALL, large=large / LARGE)
