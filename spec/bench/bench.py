"""What the workloads share on the side of CPython's multiprocessing.Pool; see bench.lua.

Each is run as `python3 spec/bench/wN.py [WORKERS]` and prints one line as its Lua twin does.
"""

import gc
import math
import multiprocessing
import sys
import time

context = multiprocessing.get_context("fork")
workers = int(sys.argv[1]) if len(sys.argv) > 1 else 2


def square(x):
    return x * x


def echo(x):
    return x


def started_pool():
    """A pool whose workers are awake."""
    pool = context.Pool(workers)
    pool.map(echo, range(1000))
    return pool


def timed(function, *arguments):
    """The seconds that a call takes, and what it returns."""
    start = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - start, result


def quantile(values, share):
    """The value below which this share of the values lies, by the nearest rank."""
    return sorted(values)[max(1, math.ceil(share * len(values))) - 1]


def report(checksum, **measures):
    words = [f"{name}={seconds:.12f}" for name, seconds in measures.items()]
    print(" ".join(words), f"checksum={int(checksum)}")


def throughput(items, run, checksum=sum, warm=False):
    """Measures run(pool), which is so many items, all under way at once."""
    pool = started_pool()
    if warm:
        run(pool)
    gc.collect()
    seconds, results = timed(run, pool)
    pool.close()
    pool.join()
    report(checksum(results), item=seconds / items)
