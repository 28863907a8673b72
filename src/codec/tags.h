/* The CBOR tags that are written and read. Moonpool's own are in the range
 * that is free for anybody (RFC 8949, section 9.2: first come, first served). */
#ifndef MP_CODEC_TAGS_H
#define MP_CODEC_TAGS_H

enum mp_tag {
    MP_TAG_BIGNUM = 2, /* integers beyond 64 bits: refused */
    MP_TAG_NEGATIVE_BIGNUM = 3,
    MP_TAG_SHAREABLE = 28,   /* the n-th in a message is number n, from 0 */
    MP_TAG_REFERENCE = 29,   /* stands for the shareable of that number */
    MP_TAG_TYPED_FIRST = 64, /* RFC 8746: numbers side by side in a byte string */
    MP_TAG_INT64_LE = 79,
    MP_TAG_FLOAT64_LE = 86,
    MP_TAG_TYPED_LAST = 87,

    MP_TAG_OWN_FIRST = 52560,
    /* A value by name (names.h): its name as a byte string. */
    MP_TAG_NAMED = MP_TAG_OWN_FIRST,
    /* A table with a metatable: [content, metatable]. The content is an array,
     * a map or a typed array. */
    MP_TAG_OBJECT,
    /* A table that serves as a metatable or class and is the same one in all
     * processes: [id, content, metatable or null]. A receiver that knows the
     * id takes its own. */
    MP_TAG_CLASS,
    /* What a __reduce gave: [function, arguments...]. */
    MP_TAG_REDUCED,
    /* A Lua function: [code, upvalues..., name, value, name, value ...]. The
     * code is a byte string, 8 bytes of checksum and then the dump, or the
     * number of an earlier such string in the message. As many upvalues as the
     * code says follow, then the globals that it names. */
    MP_TAG_FUNCTION,
    /* In an upvalue's place: it is the upvalue of that number in the message,
     * counted from 0 over all upvalues that have a value there. */
    MP_TAG_UPVALUE,
    MP_TAG_OWN_LAST = MP_TAG_UPVALUE,
};

#endif
