-- What runs functions of a program within Moonpool's calls: callbacks, and those that are told of
-- progress and of what tasks print. While one runs, no other of its pool does.

local core = ...

local dispatch = {}

local Run = {}

-- For a coroutine that is closed in there.
function Run:__close()
  self.pool.dispatching = self.within
end

--- Calls f(pool, ...), which runs such functions; however it ends, others may run behind it. May yield.
function dispatch.run(pool, f, ...)
  local _ <close> = setmetatable({ pool = pool, within = pool.dispatching }, Run)
  core.during(pool, "dispatching", f, pool, ...)
end

return dispatch
