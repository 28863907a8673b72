/* A function's code and constants without its surroundings: see proto_mask.h.
 *
 * The format is that of ldump.c, the instructions are those of lopcodes.h, the same from Lua 5.4.0
 * on. What is written is self-delimiting (counts stand before what they count), so that different
 * functions give different bytes. */
#include "codec/proto_mask.h"

#include "codec/dump_reader.h"

#include <errno.h>

enum { MAX_DEPTH = 200, INSTRUCTION = 4, UPVALUE = 3, LEAST_PROTO = 14 };

enum opcode {
    OP_LOADI = 1,
    OP_LOADF = 2,
    OP_ADDI = 21,
    OP_SHRI = 32,
    OP_SHLI = 33,
    OP_MMBINI = 47,
    OP_EQI = 61,
    OP_GEI = 65,
};

typedef struct masker {
    mp_dump dump;
    mp_buffer *code, *constants;
} masker;

/* The bits of an instruction that are a number of the source: sBx, sC or sB. */
static uint32_t number_bits(uint32_t word)
{
    unsigned op = word & 0x7f;
    if (op == OP_LOADI || op == OP_LOADF)
        return UINT32_C(0xffff8000);
    if (op == OP_ADDI || op == OP_SHRI || op == OP_SHLI)
        return UINT32_C(0xff000000);
    if (op == OP_MMBINI || (op >= OP_EQI && op <= OP_GEI))
        return UINT32_C(0x00ff0000);
    return 0;
}

static int put_number(mp_buffer *out, uint64_t number)
{
    return mp_buffer_append(out, &number, sizeof number);
}

static int mask_instruction(masker *m, const unsigned char *bytes)
{
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
    uint32_t bits = number_bits(word), rest = word & ~bits, number = word & bits;
    int status = mp_buffer_append(m->code, &rest, sizeof rest);
    return status == 0 && bits != 0 ? mp_buffer_append(m->constants, &number, sizeof number)
                                    : status;
}

static int mask_code(masker *m)
{
    size_t count;
    if (mp_dump_count(&m->dump, INSTRUCTION, &count) != 0)
        return -EINVAL;
    int status = put_number(m->code, count);
    for (size_t i = 0; i < count && status == 0; i++)
        status = mask_instruction(m, mp_dump_take(&m->dump, INSTRUCTION));
    return status;
}

static int mask_constants(masker *m)
{
    mp_buffer taken;
    size_t count;
    const unsigned char *from = m->dump.at;
    mp_buffer_init_heap(&taken);
    int status = mp_dump_constants(&m->dump, &taken, &count);
    mp_buffer_free(&taken);
    if (status == 0)
        status = put_number(m->constants, count);
    return status == 0 ? mp_buffer_append(m->constants, from, (size_t)(m->dump.at - from)) : status;
}

/* How many; of nested functions, also where they come from. */
static int mask_upvalues(masker *m, int depth)
{
    size_t count;
    if (mp_dump_count(&m->dump, UPVALUE, &count) != 0)
        return -EINVAL;
    const unsigned char *bytes = mp_dump_take(&m->dump, count * UPVALUE);
    int status = put_number(m->code, count);
    return status == 0 && depth > 0 ? mp_buffer_append(m->code, bytes, count * UPVALUE) : status;
}

/* Up to the nested ones: its source, lines, parameters, "is a vararg function", registers. */
static int mask_own(masker *m, int depth)
{
    int status = mp_dump_skip_string(&m->dump);
    if (status == 0)
        status = mp_dump_skip_numbers(&m->dump, 2);
    const unsigned char *sizes = status == 0 ? mp_dump_take(&m->dump, 3) : NULL;
    if (sizes == NULL)
        return -EINVAL;
    status = mp_buffer_append(m->code, sizes, 3);
    if (status == 0)
        status = mask_code(m);
    if (status == 0)
        status = mask_constants(m);
    return status == 0 ? mask_upvalues(m, depth) : status;
}

static int mask_proto(masker *m, int depth)
{
    size_t nested = 0;
    int status = depth < MAX_DEPTH ? mask_own(m, depth) : -EINVAL;
    if (status == 0)
        status = mp_dump_count(&m->dump, LEAST_PROTO, &nested);
    if (status == 0)
        status = put_number(m->code, nested);
    for (size_t i = 0; i < nested && status == 0; i++)
        status = mask_proto(m, depth + 1);
    return status == 0 ? mp_dump_skip_debug(&m->dump) : status;
}

int mp_proto_mask(const unsigned char *dump, size_t size, mp_buffer *code, mp_buffer *constants)
{
    masker m = {{dump, size}, code, constants};
    if (mp_dump_header(&m.dump) != 0 || mp_dump_take(&m.dump, 1) == NULL)
        return -EINVAL;
    int status = mask_proto(&m, 0);
    return status == 0 && m.dump.left != 0 ? -EINVAL : status;
}
