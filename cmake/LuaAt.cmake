# A Lua 5.4 that is not the system's: MOONPOOL_LUA is the prefix where it was installed, or its source
# tree, built. Stands in for what pkg-config says of the system's.
find_path(LUA_AT_INCLUDE lua.h HINTS ${MOONPOOL_LUA} PATH_SUFFIXES include include/lua5.4 src
          NO_DEFAULT_PATH)
find_library(LUA_ARCHIVE NAMES liblua5.4.a liblua.a HINTS ${MOONPOOL_LUA} PATH_SUFFIXES lib src
             NO_DEFAULT_PATH)
if(NOT LUA_AT_INCLUDE OR NOT LUA_ARCHIVE)
  message(FATAL_ERROR "MOONPOOL_LUA: no lua.h, or no liblua.a, below ${MOONPOOL_LUA}")
endif()
file(STRINGS ${LUA_AT_INCLUDE}/lua.h version REGEX "define LUA_VERSION_MINOR[ \t]+\"?4")
if(NOT version)
  message(FATAL_ERROR "MOONPOOL_LUA: ${LUA_AT_INCLUDE}/lua.h is not Lua 5.4's")
endif()
set(LUA_INCLUDE_DIRS ${LUA_AT_INCLUDE})
add_library(PkgConfig::LUA INTERFACE IMPORTED)
target_include_directories(PkgConfig::LUA INTERFACE ${LUA_AT_INCLUDE})
target_link_libraries(PkgConfig::LUA INTERFACE ${LUA_ARCHIVE} ${CMAKE_DL_LIBS} m)
