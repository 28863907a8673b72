"""P5: a value of a manager's dict, got and set; see p5.lua."""

import bench

N = 10000


def get(shared, n):
    return sum(shared["a"] for _ in range(n))


def put(shared, n):
    for i in range(1, n + 1):
        shared["b"] = i
    return shared["b"]


if __name__ == "__main__":
    with bench.context.Manager() as manager:
        shared = manager.dict(a=1)
        get(shared, 100)
        got, one = bench.timed(get, shared, N)
        set_, two = bench.timed(put, shared, N)
    bench.report(one + two, get=got / N, set=set_ / N)
