/* What a C spec is made of: cases, run one after another, and checks.
 *
 *     TEST(adds) { CHECK_EQ_INT(1 + 1, 2); }
 *     CHECK_MAIN
 *
 * A check that fails prints its place, its expression and both values, and
 * the case goes on; REQUIRE is a CHECK that leaves the function. The program's
 * exit code is 1 if any check failed. Checks hold in the process that runs
 * main; a forked child reports by its exit code (check_failures != 0). Names
 * given to the program run only those cases. */
#ifndef MP_SPEC_SUPPORT_CHECK_H
#define MP_SPEC_SUPPORT_CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef struct check_case {
    const char *name;
    void (*run)(void);
} check_case;

enum { CHECK_MAX_CASES = 100 };

static check_case check_cases[CHECK_MAX_CASES];
static int check_count;
static int check_failures;

static inline bool check_that(bool holds, const char *file, int line, const char *expression)
{
    if (!holds) {
        check_failures++;
        fprintf(stderr, "%s:%d: failed: %s\n", file, line, expression);
    }
    return holds;
}

static inline bool check_int(long long a, long long b, const char *file, int line,
                             const char *expression)
{
    if (!check_that(a == b, file, line, expression))
        fprintf(stderr, "    left %lld, right %lld\n", a, b);
    return a == b;
}

static inline bool check_str(const char *a, const char *b, const char *file, int line,
                             const char *expression)
{
    bool same = a != NULL && b != NULL ? strcmp(a, b) == 0 : a == b;
    if (!check_that(same, file, line, expression))
        fprintf(stderr, "    left  \"%s\"\n    right \"%s\"\n", a != NULL ? a : "(null)",
                b != NULL ? b : "(null)");
    return same;
}

static inline bool check_mem(const void *a, const void *b, size_t n, const char *file, int line,
                             const char *expression)
{
    const unsigned char *x = a, *y = b;
    size_t i = 0;
    while (i < n && x[i] == y[i])
        i++;
    if (!check_that(i == n, file, line, expression))
        fprintf(stderr, "    byte %zu of %zu: left %02x, right %02x\n", i, n, x[i], y[i]);
    return i == n;
}

static inline void check_add(const char *name, void (*run)(void))
{
    if (check_count < CHECK_MAX_CASES)
        check_cases[check_count] = (check_case){name, run};
    check_count++;
}

static inline bool check_wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return argc < 2;
}

static inline int check_run(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    check_that(check_count <= CHECK_MAX_CASES, __FILE__, __LINE__, "room for all cases");
    for (int i = 0; i < check_count && i < CHECK_MAX_CASES; i++) {
        int before = check_failures;
        if (!check_wanted(check_cases[i].name, argc, argv))
            continue;
        check_cases[i].run();
        printf("%s %s\n", check_failures == before ? "ok    " : "FAILED", check_cases[i].name);
    }
    return check_failures == 0 ? 0 : 1;
}

#define CHECK(condition) ((void)check_that((condition), __FILE__, __LINE__, #condition))
#define CHECK_EQ_INT(a, b)                                                                         \
    ((void)check_int((long long)(a), (long long)(b), __FILE__, __LINE__, #a " == " #b))
#define CHECK_STR(a, b) ((void)check_str((a), (b), __FILE__, __LINE__, #a " == " #b))
#define CHECK_MEM(a, b, n)                                                                         \
    ((void)check_mem((a), (b), (n), __FILE__, __LINE__, #a " == " #b " (" #n " bytes)"))
#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!check_that((condition), __FILE__, __LINE__, #condition))                              \
            return;                                                                                \
    } while (0)

/* Cases enter the list before main, in the order of the file. */
#define TEST(name)                                                                                 \
    static void check_case_##name(void);                                                           \
    __attribute__((constructor)) static void check_add_##name(void)                                \
    {                                                                                              \
        check_add(#name, check_case_##name);                                                       \
    }                                                                                              \
    static void check_case_##name(void)

#define CHECK_MAIN                                                                                 \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        return check_run(argc, argv);                                                              \
    }

#endif
