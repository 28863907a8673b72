/* valgrind
 * timeout: 240
 * The codec over one state, and between two: the cases are Lua files. */
#include "spec/support/codec_state.h"

TEST(values)
{
    codec_run("spec/codec/cases/values.lua");
}

TEST(rfc8949)
{
    codec_run("spec/codec/cases/rfc8949.lua");
}

TEST(sharing)
{
    codec_run("spec/codec/cases/sharing.lua");
}

TEST(functions)
{
    codec_run("spec/codec/cases/functions.lua");
}

TEST(objects)
{
    codec_run("spec/codec/cases/objects.lua");
}

TEST(errors)
{
    codec_run("spec/codec/cases/errors.lua");
}

TEST(hostile)
{
    codec_run("spec/codec/cases/hostile.lua");
}

CHECK_MAIN
