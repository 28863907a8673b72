// A C++ host: primes are counted in ranges by a lambda that runs in workers; results come in as they are
// ready, and each is owned by what C++ code owns things with.
#include <moonpool.h>

#include <cstdio>
#include <cstring>
#include <memory>

struct Range {
    int from, upto;
};

struct PoolDeleter {
    void operator()(moonpool *pool) const { moonpool_free(pool); }
};

int main()
{
    moonpool_handle(
        "count_primes",
        [](void *, const void *input, size_t, moonpool_reply *reply) {
            Range range;
            int primes = 0;
            std::memcpy(&range, input, sizeof range);
            for (int n = range.from; n < range.upto; n++) {
                bool prime = n > 1;
                for (int d = 2; prime && d * d <= n; d++)
                    prime = n % d != 0;
                primes += prime;
            }
            return moonpool_write(reply, &primes, sizeof primes);
        },
        nullptr);

    moonpool *made = nullptr;
    moonpool_options options = {};
    options.size = sizeof options;
    if (int status = moonpool_new(&made, &options)) {
        std::fprintf(stderr, "%s\n", moonpool_strerror(status));
        return 1;
    }
    std::unique_ptr<moonpool, PoolDeleter> pool(made);

    int total = 0;
    for (int from = 0; from < 200000; from += 5000) {
        Range range = {from, from + 5000};
        int status = moonpool_submit(
            pool.get(), "count_primes", &range, sizeof range,
            [](void *user, const moonpool_result *result) {
                int primes = 0;
                if (result->error == 0)
                    std::memcpy(&primes, result->bytes, sizeof primes);
                *static_cast<int *>(user) += primes;
            },
            &total);
        if (status != 0)
            return 1;
    }
    while (moonpool_pending(pool.get()) > 0)
        moonpool_wait(pool.get(), MOONPOOL_NEVER);
    std::printf("%d primes below 200000\n", total);
    return 0;
}
