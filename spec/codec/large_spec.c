/* timeout: 240
 * Depth and size through the codec: cases in Lua. */
#include "spec/support/codec_state.h"

TEST(large)
{
    codec_run("spec/codec/cases/large.lua");
}

CHECK_MAIN
