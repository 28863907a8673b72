"""W1: map x*x over a million integers, default chunks."""

import bench

ITEMS = 1_000_000

if __name__ == "__main__":
    bench.throughput(ITEMS, lambda pool: pool.map(bench.square, range(1, ITEMS + 1)))
