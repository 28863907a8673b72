# XXH3, compiled in from its header: XXHASH_INCLUDE_DIR.
find_path(XXHASH_INCLUDE_DIR xxhash.h)
if(NOT XXHASH_INCLUDE_DIR)
  message(FATAL_ERROR "Moonpool needs xxhash.h, 0.8 or newer: on Debian, apt-get install libxxhash-dev")
endif()
