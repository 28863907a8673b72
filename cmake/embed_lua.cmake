# Writes the Lua files in FILES (all below ROOT) into the C file OUTPUT as the
# table that src/lua/sources.h declares. Run as a script, at build time.
set(arrays "")
set(rows "")
set(index 0)
foreach(file IN LISTS FILES)
  file(RELATIVE_PATH path ${ROOT} ${file})
  string(REGEX REPLACE "(/init)?\\.lua$" "" module ${path})
  string(REPLACE "/" "." module ${module})
  file(READ ${file} hex HEX)
  string(LENGTH "${hex}" size)
  math(EXPR size "${size} / 2")
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
  string(APPEND arrays "static const unsigned char source_${index}[] = {${bytes}0};\n")
  string(APPEND rows "    {\"${module}\", source_${index}, ${size}, \"@${path}\"},\n")
  math(EXPR index "${index} + 1")
endforeach()
file(WRITE ${OUTPUT} "#include \"lua/sources.h\"\n\n${arrays}
const mp_lua_source mp_lua_sources[] = {\n${rows}    {0, 0, 0, 0},\n};\n")
