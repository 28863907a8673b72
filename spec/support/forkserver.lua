-- What LUA_INIT runs where specs are to be run with that start method: the server is there before
-- anybody looks which children there are.
local mp = require "moonpool"
mp.set_start_method "forkserver"
mp.start_forkserver()
