/* Which globals a function names: see proto_scan.h.
 *
 * The instructions are those of Lua 5.4 (lopcodes.h; the same from 5.4.0 on).
 * A dump is a header and one prototype, which holds its code before those
 * nested in it, so one pass over the bytes is enough: first its code is
 * followed, noting which registers held the globals table at each CLOSURE,
 * then the nested prototypes are visited with that. Recursion goes as deep as
 * prototypes nest, which the compiler keeps below 200, and scan_proto too.
 *
 * Invariant: every read goes through the dump reader or stays inside a span
 * that it has handed out. */
#include "codec/proto_scan.h"

#include "codec/dump_reader.h"

#include <errno.h>

enum {
    MAX_DEPTH = 200,
    REGISTERS = 256,
    INSTRUCTION_SIZE = 4,
    LEAST_PROTO_SIZE = 14,
    NO_CONSTANT = -1,
};

enum opcode {
    OP_MOVE = 0,
    OP_LOADK = 3,
    OP_LOADKX = 4,
    OP_LOADNIL = 8,
    OP_GETUPVAL = 9,
    OP_SETUPVAL = 10,
    OP_GETTABUP = 11,
    OP_GETTABLE = 12,
    OP_GETFIELD = 14,
    OP_SETTABUP = 15,
    OP_SETTABLE = 16,
    OP_SETI = 17,
    OP_SETFIELD = 18,
    OP_SELF = 20,
    OP_MMBIN = 46,
    OP_MMBINK = 48,
    OP_CONCAT = 53,
    OP_CLOSE = 54,
    OP_TEST = 66,
    OP_CALL = 68,
    OP_TAILCALL = 69,
    OP_RETURN = 70,
    OP_RETURN1 = 72,
    OP_FORLOOP = 73,
    OP_FORPREP = 74,
    OP_TFORPREP = 75,
    OP_TFORCALL = 76,
    OP_TFORLOOP = 77,
    OP_SETLIST = 78,
    OP_CLOSURE = 79,
    OP_VARARG = 80,
    OP_VARARGPREP = 81,
    OP_EXTRAARG = 82,
};

/* The slots, of registers or of upvalues, that hold the globals table. */
typedef struct slots {
    uint64_t words[REGISTERS / 64];
} slots;

typedef struct reader {
    mp_dump dump;
    mp_buffer constants; /* of the prototype whose code is followed */
    mp_buffer captured;  /* a stack of `slots`, one for each nested prototype */
    mp_buffer *names;
} reader;

/* What a prototype tells those nested in it. */
typedef struct frame {
    size_t nested;
    slots env_upvalues;
    size_t captured_at; /* its nested ones' first in reader.captured; SIZE_MAX: has none */
} frame;

/* What a prototype is told by the one around it; the outermost has no such
 * one, and is told directly which of its upvalues are the globals table. */
typedef struct outer {
    const slots *registers;
    const slots *upvalues;
    const slots *own; /* NULL but for the outermost */
} outer;

/* A prototype while its code is followed. */
typedef struct code {
    const unsigned char *bytes;
    size_t count; /* instructions */
    size_t constants;
    unsigned registers;
    slots env; /* registers that hold the globals table */
    int32_t constant_in[REGISTERS];
    frame *frame;
} code;

static const slots no_slots;

static bool has(const slots *s, unsigned i)
{
    return (s->words[i / 64] >> (i % 64) & 1) != 0;
}

static void put(slots *s, unsigned i)
{
    s->words[i / 64] |= (uint64_t)1 << (i % 64);
}

static void drop(slots *s, unsigned i)
{
    s->words[i / 64] &= ~((uint64_t)1 << (i % 64));
}

/* Each upvalue is a register or an upvalue of the prototype around. */
static int take_upvalues(reader *r, const outer *around, slots *env_upvalues)
{
    size_t count;
    if (mp_dump_count(&r->dump, 3, &count) != 0 || count >= REGISTERS)
        return -EINVAL;
    *env_upvalues = around->own != NULL ? *around->own : no_slots;
    for (unsigned i = 0; i < count; i++) {
        const unsigned char *description = mp_dump_take(&r->dump, 3);
        const slots *from = description[0] != 0 ? around->registers : around->upvalues;
        if (around->own == NULL && has(from, description[1]))
            put(env_upvalues, i);
    }
    return 0;
}

bool mp_proto_next_name(const mp_buffer *names, size_t *at, const char **name, size_t *len)
{
    if (*at >= names->len)
        return false;
    memcpy(len, names->data + *at, sizeof *len);
    *name = (const char *)names->data + *at + sizeof *len;
    *at += sizeof *len + *len;
    return true;
}

static bool is_named(const mp_buffer *names, const mp_dump_constant *c)
{
    const char *name;
    size_t len, at = 0;
    while (mp_proto_next_name(names, &at, &name, &len))
        if (len == c->len && memcmp(name, c->text, len) == 0)
            return true;
    return false;
}

static int add_name(mp_buffer *names, mp_dump_constant *c)
{
    int status = 0;
    if (!c->named && !is_named(names, c)) {
        status = mp_buffer_reserve(names, sizeof c->len + c->len);
        if (status == 0)
            status = mp_buffer_append(names, &c->len, sizeof c->len);
        if (status == 0)
            status = mp_buffer_append(names, c->text, c->len);
    }
    c->named = status == 0;
    return status;
}

static uint32_t instruction(const code *p, size_t pc)
{
    uint32_t word;
    memcpy(&word, p->bytes + pc * INSTRUCTION_SIZE, sizeof word);
    return word;
}

static unsigned arg_a(uint32_t word)
{
    return word >> 7 & 0xff;
}

static unsigned arg_b(uint32_t word)
{
    return word >> 16 & 0xff;
}

static unsigned arg_c(uint32_t word)
{
    return word >> 24;
}

static bool arg_k(uint32_t word)
{
    return (word >> 15 & 1) != 0;
}

/* Registers first..last get values that are not followed. */
static void forget(code *p, unsigned first, unsigned last)
{
    for (unsigned i = first; i <= last && i < REGISTERS; i++) {
        drop(&p->env, i);
        p->constant_in[i] = NO_CONSTANT;
    }
}

static void set_env(code *p, unsigned a, bool env)
{
    forget(p, a, a);
    if (env)
        put(&p->env, a);
}

/* The globals table is indexed by constant k; *is_table tells whether what is
 * found there is that table again. */
static int name_constant(reader *r, const code *p, size_t k, bool *is_table)
{
    if (k >= p->constants)
        return -EINVAL;
    mp_dump_constant *c = (mp_dump_constant *)(void *)r->constants.data + k;
    if (c->text == NULL)
        return -EINVAL;
    *is_table = c->len == 2 && memcmp(c->text, "_G", 2) == 0;
    return add_name(r->names, c);
}

/* The same by a register, which may hold anything. */
static int name_register(reader *r, const code *p, unsigned b, bool *is_table)
{
    if (p->constant_in[b] == NO_CONSTANT)
        return 0;
    size_t k = (size_t)p->constant_in[b];
    const mp_dump_constant *c = (const mp_dump_constant *)(const void *)r->constants.data + k;
    return c->text == NULL ? 0 : name_constant(r, p, k, is_table);
}

static int follow_get(reader *r, code *p, uint32_t word)
{
    unsigned op = word & 0x7f, b = arg_b(word), c = arg_c(word);
    bool is_table = false;
    int status = 0;
    if (has(op == OP_GETTABUP ? &p->frame->env_upvalues : &p->env, b)) {
        bool by_register = op == OP_GETTABLE || (op == OP_SELF && !arg_k(word));
        status =
            by_register ? name_register(r, p, c, &is_table) : name_constant(r, p, c, &is_table);
    }
    if (op == OP_SELF && arg_a(word) + 1 < REGISTERS)
        set_env(p, arg_a(word) + 1, has(&p->env, b));
    set_env(p, arg_a(word), is_table);
    return status;
}

static int follow_set(reader *r, const code *p, uint32_t word)
{
    unsigned op = word & 0x7f, a = arg_a(word), b = arg_b(word);
    bool is_table;
    if (!has(op == OP_SETTABUP ? &p->frame->env_upvalues : &p->env, a))
        return 0;
    return op == OP_SETTABLE ? name_register(r, p, b, &is_table)
                             : name_constant(r, p, b, &is_table);
}

/* LOADK, and LOADKX with its constant in the word behind it. */
static int follow_constant(code *p, uint32_t word, size_t *pc)
{
    uint32_t k = word >> 15;
    if ((word & 0x7f) == OP_LOADKX) {
        if (++*pc >= p->count || (instruction(p, *pc) & 0x7f) != OP_EXTRAARG)
            return -EINVAL;
        k = instruction(p, *pc) >> 7;
    }
    if (k >= p->constants)
        return -EINVAL;
    forget(p, arg_a(word), arg_a(word));
    p->constant_in[arg_a(word)] = (int32_t)k;
    return 0;
}

static int begin_captured(reader *r, frame *f)
{
    if (f->captured_at != SIZE_MAX)
        return 0;
    int status = mp_buffer_reserve(&r->captured, f->nested * sizeof(slots));
    if (status == 0) {
        f->captured_at = r->captured.len;
        memset(r->captured.data + f->captured_at, 0, f->nested * sizeof(slots));
        r->captured.len += f->nested * sizeof(slots);
    }
    return status;
}

/* Notes for the nested prototype which registers of this one it would capture
 * as the globals table. */
static int follow_closure(reader *r, code *p, uint32_t word)
{
    size_t index = word >> 15;
    int status = 0;
    if (index >= p->frame->nested)
        return -EINVAL;
    if (memcmp(&p->env, &no_slots, sizeof no_slots) != 0) {
        status = begin_captured(r, p->frame);
        if (status == 0)
            memcpy(r->captured.data + p->frame->captured_at + index * sizeof(slots), &p->env,
                   sizeof(slots));
    }
    forget(p, arg_a(word), arg_a(word));
    return status;
}

static void follow_move(code *p, uint32_t word)
{
    unsigned a = arg_a(word), b = arg_b(word);
    int32_t k = p->constant_in[b];
    set_env(p, a, has(&p->env, b));
    p->constant_in[a] = k;
}

static bool sets_no_register(unsigned op)
{
    return op == OP_SETUPVAL || op == OP_SETI || (op >= OP_MMBIN && op <= OP_MMBINK) ||
           (op >= OP_CLOSE && op <= OP_TEST) || (op >= OP_RETURN && op <= OP_RETURN1) ||
           op == OP_TFORPREP || op == OP_SETLIST || op == OP_VARARGPREP || op == OP_EXTRAARG;
}

/* Instructions whose results are of no interest, but for where they land. */
static void follow_other(code *p, uint32_t word)
{
    unsigned op = word & 0x7f, a = arg_a(word);
    if (sets_no_register(op))
        return;
    if (op == OP_LOADNIL || op == OP_CONCAT)
        forget(p, a, a + arg_b(word));
    else if (op == OP_CALL || op == OP_TAILCALL || op == OP_VARARG)
        forget(p, a, p->registers);
    else if (op == OP_TFORCALL)
        forget(p, a + 4, p->registers);
    else if (op >= OP_FORLOOP && op <= OP_TFORLOOP)
        forget(p, a, a + 3);
    else
        forget(p, a, a);
}

static int follow(reader *r, code *p, size_t *pc)
{
    uint32_t word = instruction(p, *pc);
    switch (word & 0x7f) {
    case OP_MOVE:
        follow_move(p, word);
        return 0;
    case OP_LOADK:
    case OP_LOADKX:
        return follow_constant(p, word, pc);
    case OP_GETUPVAL:
        set_env(p, arg_a(word), has(&p->frame->env_upvalues, arg_b(word)));
        return 0;
    case OP_GETTABUP:
    case OP_GETTABLE:
    case OP_GETFIELD:
    case OP_SELF:
        return follow_get(r, p, word);
    case OP_SETTABUP:
    case OP_SETTABLE:
    case OP_SETFIELD:
        return follow_set(r, p, word);
    case OP_CLOSURE:
        return follow_closure(r, p, word);
    default:
        follow_other(p, word);
        return (word & 0x7f) <= OP_EXTRAARG ? 0 : -EINVAL;
    }
}

static int follow_code(reader *r, code *p)
{
    int status = 0;
    for (unsigned i = 0; i < REGISTERS; i++)
        p->constant_in[i] = NO_CONSTANT;
    for (size_t pc = 0; pc < p->count && status == 0; pc++)
        status = follow(r, p, &pc);
    return status;
}

/* Takes a prototype up to its nested ones, and names what its own code does. */
static int scan_own_code(reader *r, const outer *around, frame *f)
{
    code p = {.frame = f};
    int status = mp_dump_skip_string(&r->dump); /* source */
    if (status == 0)
        status = mp_dump_skip_numbers(&r->dump, 2); /* first and last line */
    const unsigned char *sizes = status == 0 ? mp_dump_take(&r->dump, 3) : NULL;
    if (sizes == NULL || mp_dump_count(&r->dump, INSTRUCTION_SIZE, &p.count) != 0)
        return -EINVAL;
    p.registers = sizes[2]; /* behind the parameters and "is a vararg function" */
    p.bytes = mp_dump_take(&r->dump, p.count * INSTRUCTION_SIZE);
    status = mp_dump_constants(&r->dump, &r->constants, &p.constants);
    if (status == 0)
        status = take_upvalues(r, around, &f->env_upvalues);
    if (status == 0)
        status = mp_dump_count(&r->dump, LEAST_PROTO_SIZE, &f->nested);
    return status == 0 ? follow_code(r, &p) : status;
}

static int scan_proto(reader *r, const outer *around, int depth)
{
    frame f = {.captured_at = SIZE_MAX};
    int status = depth < MAX_DEPTH ? scan_own_code(r, around, &f) : -EINVAL;
    for (size_t i = 0; i < f.nested && status == 0; i++) {
        slots registers = no_slots;
        if (f.captured_at != SIZE_MAX)
            memcpy(&registers, r->captured.data + f.captured_at + i * sizeof(slots), sizeof(slots));
        outer here = {&registers, &f.env_upvalues, NULL};
        status = scan_proto(r, &here, depth + 1);
    }
    if (f.captured_at != SIZE_MAX)
        r->captured.len = f.captured_at;
    return status == 0 ? mp_dump_skip_debug(&r->dump) : status;
}

/* Behind the header the number of upvalues stands once more. */
static int scan_dump(reader *r, const slots *own)
{
    const outer nothing = {&no_slots, &no_slots, own};
    if (mp_dump_header(&r->dump) != 0 || mp_dump_take(&r->dump, 1) == NULL)
        return -EINVAL;
    int status = scan_proto(r, &nothing, 0);
    return status == 0 && r->dump.left != 0 ? -EINVAL : status;
}

int mp_proto_check(const unsigned char *dump, size_t size)
{
    mp_dump d = {dump, size};
    return mp_dump_header(&d);
}

int mp_proto_globals(const unsigned char *dump, size_t size, int env_upvalue, mp_buffer *names)
{
    reader r = {.dump = {dump, size}, .names = names};
    slots own = no_slots;
    size_t len = names->len;
    if (env_upvalue > 0 && env_upvalue < REGISTERS)
        put(&own, (unsigned)env_upvalue - 1);
    mp_buffer_init_heap(&r.constants);
    mp_buffer_init_heap(&r.captured);
    int status = scan_dump(&r, &own);
    mp_buffer_free(&r.constants);
    mp_buffer_free(&r.captured);
    if (status != 0)
        names->len = len;
    return status;
}
