"""T2: what an idle pool of 8 does; see t2.lua. The pool's own threads count, which are this
process's."""

import os
import time

import bench

WORKERS, SETTLE, WHILE = 8, 0.5, 2


def used(pid):
    """Seconds of processor time, and how often the process's threads have slept."""
    sleeps, seconds = 0, 0.0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(") ", 1)[1].split()
        with open(f"/proc/{pid}/task/{task}/status", encoding="ascii") as file:
            status = file.read().split("\nvoluntary_ctxt_switches:")[1]
        seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        sleeps += int(status.split()[0])
    return seconds, sleeps


def all_used(pids):
    each = [used(pid) for pid in pids]
    return sum(seconds for seconds, _ in each), sum(sleeps for _, sleeps in each)


if __name__ == "__main__":
    pool = bench.context.Pool(WORKERS)
    total = sum(pool.map(bench.square, range(1, 1001)))
    pids = [child.pid for child in bench.multiprocessing.active_children()] + [os.getpid()]
    time.sleep(SETTLE)
    seconds, sleeps = all_used(pids)
    time.sleep(WHILE)
    seconds_later, sleeps_later = all_used(pids)
    bench.report(total, cpu=(seconds_later - seconds) / WHILE,
                 wakes=(sleeps_later - sleeps) / WHILE)
    pool.close()
    pool.join()
