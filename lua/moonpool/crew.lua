-- A pool's workers as a whole: starting them, changing their number, making them anew, and
-- what every one of them is to do once.

local core, require = ...

local AsyncResult = require "moonpool.result"
local errors = require "moonpool.errors"
local options = require "moonpool.options"
local pump = require "moonpool.pump"

local crew = {}

local BIRTH_WAIT = 1      -- seconds that `workers` waits for all to be born
local BIRTH_PAUSE = 0.002

local EVERYWHERE = {
  on_error = true, timeout = true, seed = true, pack = true, callback = true,
  error_callback = true, progress = true,
}

local function check_options(given)
  if given == nil then
    return {}
  elseif type(given) ~= "table" then
    errors.argument("everywhere", "the third argument", "a table of options", given)
  end
  options.check_names("everywhere", given, EVERYWHERE, "option")
  return options.of_map("everywhere", given)
end

-- What a worker does now, as `workers` tells it; nil where there is none yet.
local function view(pool, rank)
  local number, pid, state, item, progress = core.worker_at(pool.core, rank)
  return number and { name = ("PoolWorker-%d"):format(number), pid = pid, state = state, item = item,
    progress = progress }
end

local function list(pool)
  local workers, born = {}, true
  for rank = 1, pool.processes do
    local worker = view(pool, rank)
    workers[#workers + 1] = worker
    born = born and worker ~= nil and worker.pid ~= nil
  end
  return workers, born
end

local NO_ARGS = { n = 0 }

-- One item, which is kept back by a granule of two until every worker is to have it.
local function fill(_, call, args)
  core.input(call, "args", args)
  core.feed(call, 1)
  core.everywhere(call)
end

--- Gives Pool its methods. `inner`: check_open(pool, name), check_args(name, args),
--- check_processes(name, n), open_call and fill_call of pool.lua.
function crew.install(Pool, inner)
  --- Starts all workers now; otherwise they start on demand.
  function Pool:start()
    inner.check_open(self, "start")
    core.start(self.core)
  end

  --- From now on n workers; those too many end their item first.
  function Pool:resize(n)
    inner.check_open(self, "resize")
    self.processes = inner.check_processes("resize", n)
    self.regrouped = true
    core.resize(self.core, n)
  end

  --- Every worker ends behind its item; new ones, of this process as it is then, start
  --- when there is work.
  function Pool:refresh()
    inner.check_open(self, "refresh")
    self.regrouped = true
    core.refresh(self.core)
  end

  --- A list of {name, pid, state, item, progress}, state "idle", "busy" or "starting", progress
  --- what the item has told of its own. Starts all.
  function Pool:workers()
    inner.check_open(self, "workers")
    local deadline = pump.deadline(BIRTH_WAIT)
    core.start(self.core)
    local workers, born = list(self)
    while not born and self.state == "open" and core.monotonic() < deadline do
      if not pump.turn(self) then
        pump.pause(self, pump.deadline(BIRTH_PAUSE))
      end
      inner.check_open(self, "workers")
      core.start(self.core)
      workers, born = list(self)
    end
    return workers
  end

  local function submit(pool, f, args, given)
    given.chunksize = 2
    local result = inner.open_call(pool, "everywhere", f, "map", true, given,
      AsyncResult.called_back(pool, given), true)
    core.retry(result.call, 0, 0)
    return inner.fill_call(pool, result, fill, args or NO_ARGS)
  end

  --- Runs f(args...) once in every worker, before any task submitted after it, and in every
  --- worker born later, before its first task; a table of results, n of them. Raises the
  --- first failure, or has a table `errors` under on_error = "collect"; a worker that dies
  --- in it is a failure.
  function Pool:everywhere(f, args, given)
    inner.check_open(self, "everywhere")
    inner.check_args("everywhere", args)
    local chosen = {}
    for name, value in pairs(check_options(given)) do
      chosen[name] = value
    end
    return submit(self, f, args, chosen):get()
  end

  --- The same for the library itself, without waiting; nothing where no worker is.
  function crew.tell(pool, f, args, error_callback)
    if core.crew(pool.core) > 0 then
      submit(pool, f, args, { error_callback = error_callback })
    end
  end
end

--- Notes a new pool.
function crew.note(pool)
  pump.pools[pool] = true
  return pool
end

--- A list of the pools of this process that are open.
function crew.open_pools()
  local open = {}
  for pool in pairs(pump.pools) do
    if pool.state == "open" and not pool.broken and core.owns(pool.core) then
      open[#open + 1] = pool
    end
  end
  return open
end

--- Terminates the pools of this process that were not joined: it ends.
function crew.end_all()
  for pool in pairs(pump.pools) do
    if pool.state ~= "joined" and core.owns(pool.core) then
      pcall(pool.terminate, pool)
      pcall(pool.join, pool)
    end
  end
end

return crew
