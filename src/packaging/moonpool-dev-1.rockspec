rockspec_format = "3.0"
package = "moonpool"
version = "dev-1"
source = {
  url = ".",
}
description = {
  summary = "Parallel map for Lua 5.4",
  detailed = [[
    Pools of worker processes that scripts send functions and arguments to, and what else Python's
    multiprocessing offers. Linux only.
  ]],
  license = "MIT",
}
supported_platforms = { "linux" }
dependencies = {
  "lua >= 5.4, < 5.5",
}
external_dependencies = {
  JANSSON = { header = "jansson.h" },
  XXHASH = { header = "xxhash.h" },
}
build = {
  type = "cmake",
  variables = {
    CMAKE_INSTALL_PREFIX = "$(PREFIX)",
    MOONPOOL_MODULE_ONLY = "ON",
    CMAKE_BUILD_TYPE = "Release",
    MOONPOOL_MODULE_DIR = "$(LIBDIR)",
  },
}
