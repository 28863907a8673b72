"""W2a: map x*x over 100,000 integers, one at a time."""

import sys

import bench

ITEMS = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000

if __name__ == "__main__":
    bench.throughput(ITEMS, lambda pool: pool.map(bench.square, range(1, ITEMS + 1), 1))
