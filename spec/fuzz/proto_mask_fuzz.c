/* The mask of a function, over bytes that claim to be a dump: as they are, and with this machine's
 * header before them. */
#include "codec/proto_mask.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const unsigned char HEADER[] = "\x1bLua\x54\x00\x19\x93\r\n\x1a\n\x04\x08\x08"
                                      "\x78\x56\0\0\0\0\0\0\0\0\0\0\0\x28\x77\x40\x01";

static void mask(const unsigned char *dump, size_t size)
{
    mp_buffer code, constants;
    mp_buffer_init_heap(&code);
    mp_buffer_init_heap(&constants);
    if (mp_proto_mask(dump, size, &code, &constants) > 0)
        abort();
    mp_buffer_free(&code);
    mp_buffer_free(&constants);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t head = sizeof HEADER - 1;
    unsigned char *whole = malloc(head + size);
    if (whole == NULL)
        return 0;
    memcpy(whole, HEADER, head);
    memcpy(whole + head, data, size);
    mask(whole, head + size);
    free(whole);
    mask(data, size);
    return 0;
}
