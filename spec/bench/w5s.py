"""W5s: echo 16 strings of 8 MiB, there and back."""

import bench

STRINGS, SIZE = 16, 8 << 20

if __name__ == "__main__":
    strings = [bytes([97 + i]) * SIZE for i in range(STRINGS)]
    bench.throughput(STRINGS, lambda pool: pool.map(bench.echo, strings, 1),
                     lambda results: sum(len(s) * s[-1] for s in results))
