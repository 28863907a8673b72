"""W9: what memory an idle worker of a pool of 8 takes for itself; see w9.lua."""

import time

import bench

WORKERS, SETTLE = 8, 0.3


def pss(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0


if __name__ == "__main__":
    before = set(bench.multiprocessing.active_children())
    pool = bench.context.Pool(WORKERS)
    total = sum(pool.map(bench.square, range(1, 1001)))
    time.sleep(SETTLE)
    sizes = [pss(child.pid) for child in set(bench.multiprocessing.active_children()) - before]
    bench.report(total, worker=bench.quantile(sizes, 0.5))
    pool.close()
    pool.join()
