/* The scan for globals, over bytes that claim to be a dump. The first byte is
 * the number of the upvalue; the rest is scanned as it is and, so that little
 * has to be guessed, with this machine's header put before it. What was found
 * must be inside the names, each once. */
#include "codec/proto_scan.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const unsigned char HEADER[] = "\x1bLua\x54\x00\x19\x93\r\n\x1a\n\x04\x08\x08"
                                      "\x78\x56\0\0\0\0\0\0\0\0\0\0\0\x28\x77\x40\x01";

static void check_names(const mp_buffer *names)
{
    const char *name, *other;
    size_t len, other_len, at = 0;
    while (mp_proto_next_name(names, &at, &name, &len)) {
        size_t next = at;
        if (at > names->len)
            abort();
        while (mp_proto_next_name(names, &next, &other, &other_len))
            if (len == other_len && memcmp(name, other, len) == 0)
                abort();
    }
    if (at != names->len)
        abort();
}

static void scan(const unsigned char *dump, size_t size, int upvalue)
{
    mp_buffer names;
    mp_buffer_init_heap(&names);
    int status = mp_proto_globals(dump, size, upvalue, &names);
    if (status != 0 && names.len != 0)
        abort();
    if (status == 0 && mp_proto_check(dump, size) != 0)
        abort();
    check_names(&names);
    mp_buffer_free(&names);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t head = sizeof HEADER - 1, total = head + size - 1;
    unsigned char *whole = malloc(total);
    if (whole == NULL)
        return 0;
    memcpy(whole, HEADER, head);
    memcpy(whole + head, data + 1, size - 1);
    scan(whole, total, data[0]);
    free(whole);
    scan(data + 1, size - 1, data[0]);
    return 0;
}
