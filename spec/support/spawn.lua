-- What LUA_INIT runs where specs are to be run with that start method.
require "moonpool".set_start_method "spawn"
