/* CBOR heads and small floats: see head.h. */
#include "codec/head.h"

#include <math.h>

unsigned char *mp_head_put_long(unsigned char *p, unsigned major, uint64_t argument)
{
    unsigned width = argument <= UINT8_MAX    ? 0
                     : argument <= UINT16_MAX ? 1
                     : argument <= UINT32_MAX ? 2
                                              : 3;
    unsigned bytes = 1u << width;
    *p = (unsigned char)(major << 5 | (24 + width));
    uint64_t big_endian = htobe64(argument << (64 - 8 * bytes));
    memcpy(p + 1, &big_endian, bytes);
    return p + 1 + bytes;
}

static const unsigned char *read_endless(const unsigned char *p, mp_head *head,
                                         const char **problem)
{
    if (head->major <= MP_MAJOR_NEGATIVE || head->major == MP_MAJOR_TAG) {
        *problem = "an indefinite length where there is none";
        return NULL;
    }
    head->argument = 0;
    return p;
}

const unsigned char *mp_head_read(const unsigned char *p, const unsigned char *end, mp_head *head,
                                  const char **problem)
{
    head->major = *p >> 5;
    head->info = *p & 31;
    p++;
    if (head->info < MP_HEAD_SHORT) {
        head->argument = head->info;
        return p;
    }
    if (head->info == MP_HEAD_ENDLESS)
        return read_endless(p, head, problem);
    if (head->info > 27) {
        *problem = "a reserved length";
        return NULL;
    }
    size_t bytes = (size_t)1 << (head->info - 24);
    if ((size_t)(end - p) < bytes) {
        *problem = "cut short";
        return NULL;
    }
    head->argument = mp_head_argument(p, head->info);
    return p + bytes;
}

double mp_half_value(uint16_t bits)
{
    int exponent = bits >> 10 & 31;
    int mantissa = bits & 1023;
    double value;
    if (exponent == 0)
        value = ldexp(mantissa, -24);
    else if (exponent != 31)
        value = ldexp(mantissa + 1024, exponent - 25);
    else
        value = mantissa == 0 ? (double)INFINITY : (double)NAN;
    return (bits & 0x8000) != 0 ? -value : value;
}

double mp_single_value(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

double mp_quad_value(uint64_t high, uint64_t low)
{
    int exponent = (int)(high >> 48 & 0x7FFF);
    uint64_t mantissa = high & 0xFFFFFFFFFFFF;
    double value;
    if (exponent == 0x7FFF)
        value = mantissa == 0 && low == 0 ? (double)INFINITY : (double)NAN;
    else if (exponent == 0)
        value = 0; /* what is subnormal there is far below the smallest double */
    else {
        /* 63 bits of significand, the last of which stands for all that is cut. */
        uint64_t top = (UINT64_C(1) << 48 | mantissa) << 14 | low >> 50;
        top |= (low & ((UINT64_C(1) << 50) - 1)) != 0;
        value = ldexp((double)(int64_t)top, exponent - 16383 - 62);
    }
    return high >> 63 != 0 ? -value : value;
}
