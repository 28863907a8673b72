"""W4: make a pool of 2, or of 8, run one task, close, join; the median of 20."""

import bench

TIMES = 20


def life(workers, x):
    pool = bench.context.Pool(workers)
    result = pool.apply(bench.square, (x,))
    pool.close()
    pool.join()
    return result


def lives(workers):
    taken = [bench.timed(life, workers, i) for i in range(1, TIMES + 1)]
    return bench.quantile([seconds for seconds, _ in taken], 0.5), sum(r for _, r in taken)


if __name__ == "__main__":
    two, sum_of_two = lives(2)
    eight, sum_of_eight = lives(8)
    bench.report(sum_of_two + sum_of_eight, two=two, eight=eight)
