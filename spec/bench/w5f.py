"""W5f: a list of a million floats, there and back."""

import bench

FLOATS = 1_000_000

if __name__ == "__main__":
    floats = [i + 0.5 for i in range(1, FLOATS + 1)]
    bench.throughput(1, lambda pool: pool.apply(bench.echo, (floats,)), warm=True)
