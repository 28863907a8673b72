# jansson, which reads JSON. JANSSON_INCLUDE_DIR, and what to link it by: JANSSON_OF_PROGRAM, its
# archive where there is one, so that the program needs nothing of it where it runs, and
# JANSSON_OF_LIBRARIES, the same where it was compiled for shared libraries, too, else the shared one.
find_path(JANSSON_INCLUDE_DIR jansson.h)
find_library(JANSSON_ARCHIVE libjansson.a)
find_library(JANSSON_LIBRARY jansson)
if(NOT JANSSON_INCLUDE_DIR OR NOT JANSSON_LIBRARY)
  message(FATAL_ERROR "jansson, a JSON library, is missing: on Debian install libjansson-dev, "
                      "elsewhere jansson 2.11 or newer; CMAKE_PREFIX_PATH tells where it is")
endif()
file(STRINGS ${JANSSON_INCLUDE_DIR}/jansson.h version REGEX "define JANSSON_(MAJOR|MINOR)_VERSION")
string(REGEX REPLACE "[^0-9]+" ";" version "${version}") # ;major;minor
list(POP_FRONT version)
list(JOIN version "." version)
if(version VERSION_LESS 2.11)
  message(FATAL_ERROR "jansson ${version} is too old: 2.11 or newer is needed")
endif()

set(JANSSON_OF_PROGRAM ${JANSSON_LIBRARY})
set(JANSSON_OF_LIBRARIES ${JANSSON_LIBRARY})
if(JANSSON_ARCHIVE)
  # Nobody else is to find its functions in ours, of whatever version theirs are.
  set(JANSSON_OF_PROGRAM ${JANSSON_ARCHIVE} -Wl,--exclude-libs,libjansson.a)
  execute_process(COMMAND ${CMAKE_C_COMPILER} -shared -o ${CMAKE_CURRENT_BINARY_DIR}/CMakeFiles/jansson.so
                          -Wl,--whole-archive ${JANSSON_ARCHIVE} -Wl,--no-whole-archive
                  RESULT_VARIABLE status OUTPUT_QUIET ERROR_QUIET)
  if(status EQUAL 0)
    set(JANSSON_OF_LIBRARIES ${JANSSON_OF_PROGRAM})
  endif()
endif()
