-- Pool: what a user calls. The path of an item through the engine:
--
--   pool:map(f, iterable)      here: options, the shape of the result
--   core.call, core.input      a call: its function (by value, or in hand), its items' source
--   core.feed                  items, encoded into shared memory, a granule at a time
--     ... workers claim granules, run f, publish results (src/pool/worker.c) ...
--   core.take                  results into the call's table, failures into error objects
--   AsyncResult / Iterator     handed to the user, callbacks by pump.lua

local core, require = ...

local AsyncResult = require "moonpool.result"
local Iterator = require "moonpool.imap"
local context = require "moonpool.context"
local crew = require "moonpool.crew"
local desk = require "moonpool.desk"
local errors = require "moonpool.errors"
local iterable = require "moonpool.iterable"
local kinds = require "moonpool.kinds"
local later = require "moonpool.later"
local lifetime = require "moonpool.lifetime"
local options = require "moonpool.options"
local process = require "moonpool.process"
local progress = require "moonpool.progress"
local pump = require "moonpool.pump"
local reduce = require "moonpool.reduce"
local share = require "moonpool.share"
local timeline = require "moonpool.timeline"
local wait = require "moonpool.wait"

local journal = later "moonpool.journal"
local replay = later "moonpool.replay"

local Pool = kinds.class "Pool"
Pool.__index = Pool

local FEED = 4096        -- items encoded between two looks at what has come

-- The core's numbers of shapes (src/lua/state.h).
local SHAPES = { apply = 0, map = 1, imap = 2, imap_unordered = 3 }

-- ---- making ----

local MOST_PROCESSES = 1024

local function check_processes(name, n)
  local count = errors.whole(n)
  if not count or count < 1 or count > MOST_PROCESSES then
    errors.argument(name, "processes", ("an integer from 1 to %d"):format(MOST_PROCESSES), n)
  end
  return count
end

local FIELDS = {
  processes = true, initializer = true, initargs = true, maxtasksperchild = true, seed = true,
  on_error = true, on_callback_error = true, retries = true, retry_delay = true,
  timeout = true, progress = true, output = true, log = true, memory_limit = true,
  start_method = true,
}

local function check_fields(given)
  options.check_names("Pool", given, FIELDS, "field")
  options.check_defaults("Pool", given)
  for _, name in ipairs { "initializer", "on_callback_error", "output", "log" } do
    if given[name] ~= nil and not share.is_function(given[name]) then
      errors.argument("Pool", name, "a function", given[name])
    end
  end
  if given.initargs ~= nil and type(given.initargs) ~= "table" then
    errors.argument("Pool", "initargs", "a table of arguments", given.initargs)
  end
  local tasks, limit = given.maxtasksperchild, given.memory_limit
  if tasks ~= nil and (math.type(tasks) ~= "integer" or tasks < 1) then
    errors.argument("Pool", "maxtasksperchild", "a positive integer", tasks)
  elseif limit ~= nil and (errors.whole(limit) or 0) < 1 then
    errors.argument("Pool", "memory_limit", "a positive integer", limit)
  end
  return given
end

--- Pool([processes [, initializer [, initargs [, maxtasksperchild]]]]) or a table of these
--- and of seed and on_error for its calls, and on_callback_error(err). Workers start with
--- the first work.
function Pool.new(processes, initializer, initargs, maxtasksperchild)
  local given = check_fields(type(processes) == "table" and processes or {
    processes = processes, initializer = initializer, initargs = initargs,
    maxtasksperchild = maxtasksperchild,
  })
  local method = context.number("Pool", "start_method", given.start_method)
  process.current() -- its workers are to know who has made them
  processes = check_processes("Pool", given.processes or core.default_processes()
    or core.process_cpu_count())
  local seed, output = given.seed or math.random(0), given.output or desk.output()
  return crew.note(setmetatable({
    core = core.pool(processes, share.held(given.initializer), given.initargs, given.maxtasksperchild,
      given.memory_limit, output ~= nil, given.log ~= nil, seed, method),
    seed = seed,
    given_seed = given.seed,
    processes = processes,
    initializer = given.initializer,
    on_error = given.on_error,
    retries = given.retries,
    timeout = given.timeout,
    progress = given.progress,
    has_defaults = (given.retries or given.timeout or given.progress) ~= nil,
    broken = false,
    watched = {},
    retry_delay = given.retry_delay,
    on_callback_error = given.on_callback_error,
    output = output,
    attributes = output ~= given.output, -- its output is told whose it is
    log = given.log,
    at_prompt = desk.output() ~= nil,
    state = "open",
    listening = 0, -- calls that are not over and have a callback
    callbacks = { first = 1, last = 0 },
    callback_errors = 0,
    streams = setmetatable({}, { __mode = "k" }),
  }, Pool))
end

local function check_self(pool, name)
  errors.check_self(pool, Pool, name, "pool")
end

local function check_open(pool, name)
  check_self(pool, name)
  if pool.broken then
    errors.throw_kept(pool.broken)
  elseif pool.state ~= "open" then
    errors.raise("closed", ("%s: the pool is %s"):format(name, pool.state))
  end
  if not core.owns(pool.core) then
    errors.raise("closed",
      ("%s: this pool belongs to the process that made it; make one of your own here"):format(name))
  end
end

local function check_function(name, f)
  if not errors.is_callable(f) then
    local hint = type(f) == "table" and "the function comes first, then its items"
      or "pass the function itself, not what a call of it returns"
    errors.raise("argument", ("%s: the first argument must be a function, got %s; %s"):format(name,
      errors.describe(f), hint))
  end
end

local NONE = options.NONE
local NEXT, INEXT = next, (ipairs {})

-- What a generic for takes is three values, and an input is one.
local function check_single(name, source, state)
  if (source == NEXT or source == INEXT) and type(state) == "table" then
    local maker = source == NEXT and "pairs" or "ipairs"
    errors.raise("argument", ("%s: %s(t) gives three values; write mp.each(%s(t))"):format(name,
      maker, maker))
  end
end

local function check_args(name, args)
  if args ~= nil and type(args) ~= "table" then
    errors.raise("argument",
      ("%s: args must be a table of arguments, got %s; write {%s}"):format(name,
        errors.describe(args), type(args) == "string" and ("%q"):format(args) or tostring(args)))
  end
end

-- ---- submitting ----

-- What a call's options and the pool's defaults say beside the arguments of core.call.
local function configure(pool, name, result, given)
  progress.watch(pool, name, result, given)
  if given.total then
    core.expect(result.call, given.total)
  end
  if given.duplicate then
    core.duplicate(result.call)
  end
  local limit = given.timeout or pool.timeout
  if limit then
    core.time_limit(result.call, limit)
  end
  local retries = given.retries or pool.retries
  if retries then
    core.retry(result.call, retries, given.retry_delay or pool.retry_delay or 0)
  end
end

local function end_journal(pool, holder)
  if holder.journal then
    journal.finish(pool, holder.journal)
  end
end

-- A call of this shape with its result object; items are still to come.
local function open_call(pool, name, f, shape, star, given, result, by_value)
  check_function(name, f)
  result.shape = shape
  result.collect = (given.on_error or pool.on_error) == "collect"
  local first_values = shape == "map" and not given.pack
  local record = given.journal and journal.open(pool, name, f, given, first_values)
  if type(f) == "userdata" then
    f, by_value = share.as_function(f), true
  end
  local ok, err = pcall(core.call, pool.core, f, SHAPES[shape], result.collect, star,
    given.chunksize or 0, result, record and record.seed or given.seed, given.pack or false,
    by_value or false, record and record.core)
  if record then
    journal.watch(pool, result, record)
  end
  if not ok then
    end_journal(pool, result)
    errors.throw(err)
  end
  if record then
    core.timed(result.call)
  elseif shape == "map" and not progress.listens(pool, given) then
    core.quiet(result.call)
  end
  if given ~= NONE or pool.has_defaults then
    configure(pool, name, result, given)
  end
  return result
end

-- Encodes all the input, taking in what comes meanwhile, and waiting while there is
-- more on its way than memory should hold.
local function feed_all(pool, call)
  while core.feed(call, FEED) do
    pump.turn(pool)
    while core.crowded(pool.core) do
      if not pump.turn(pool) then
        pump.pause(pool)
      end
    end
  end
  core.seal(call)
end

-- Gives the call its items by `fill(pool, call, ...)`. An error of the input or of
-- the codec ends the call and is raised. It is waited for only when it is whole: what
-- waits meanwhile may be its own input, or never come back to it.
local function fill_call(pool, result, fill, ...)
  local ok, err = pcall(fill, pool, result.call, ...)
  if not ok then
    pump.release(pool, result.call)
    end_journal(pool, result)
    errors.throw(err)
  elseif not result.done then
    pump.expect(pool, result)
  end
  return result
end

local function fill_map(pool, call, name, source)
  iterable.input(call, name, source)
  feed_all(pool, call)
end

local function submit_map(pool, name, f, source, star, given, prepare)
  if given.journal and replay.wants(given.journal) then
    replay.item(name, f, source, star)
  end
  local result = open_call(pool, name, f, "map", star, given,
    AsyncResult.called_back(pool, given))
  if prepare then
    prepare(result.call)
  end
  return fill_call(pool, result, fill_map, name, source)
end

local NO_ARGS = { n = 0 }

local function fill_apply(_, call, args)
  core.give(call, args)
end

-- submit_apply where no option says anything: in one step.
local function submit_plainly(pool, name, f, args)
  local result = AsyncResult.new(pool)
  local ok, err = pcall(core.apply, pool.core, f, args, result)
  if not ok then
    if not core.owns(pool.core) then
      check_open(pool, name) -- which says so
    end
    if result.call then
      core.release(result.call)
    end
    errors.throw(err)
  end
  return result
end

-- Whether what was given to an apply form is as it mostly is, so that there is nothing to check.
local function is_plain(pool, f, args, given, error_callback)
  return given == nil and error_callback == nil and type(f) == "function"
    and type(args) == "table" and getmetatable(pool) == Pool and pool.state == "open"
    and not pool.broken and not pool.has_defaults
end

local function submit_apply(pool, name, f, args, given)
  if given.journal and replay.wants(given.journal) then
    replay.apply(f, args)
  end
  local result = open_call(pool, name, f, "apply", true, given,
    AsyncResult.called_back(pool, given))
  return fill_call(pool, result, fill_apply, args or NO_ARGS)
end

--- Runs f(args...) in a worker; returns all that it returns, raises what it raised.
function Pool:apply(f, args, given)
  local result
  if is_plain(self, f, args, given) then
    result = submit_plainly(self, "apply", f, args)
  else
    check_open(self, "apply")
    check_args("apply", args)
    result = submit_apply(self, "apply", f, args, options.of_apply("apply", given))
  end
  if desk.submitted then
    desk.submitted(self, "apply", result, true)
  end
  return result:get()
end

--- The same, but returns an AsyncResult at once. Never blocks, never runs callbacks.
function Pool:apply_async(f, args, given, error_callback)
  local result
  if is_plain(self, f, args, given, error_callback) then
    result = submit_plainly(self, "apply_async", f, args)
  else
    check_open(self, "apply_async")
    check_args("apply_async", args)
    local chosen = options.of_apply("apply_async", given, error_callback)
    result = submit_apply(self, "apply_async", f, args, chosen)
  end
  if desk.submitted then
    desk.submitted(self, "apply", result)
  end
  return result
end

local function map_form(name, star)
  return function(self, f, source, given)
    check_open(self, name)
    check_single(name, source, given)
    local began = desk.submitted and core.monotonic()
    local result = submit_map(self, name, f, source, star, options.of_map(name, given))
    if desk.submitted then
      desk.submitted(self, name, result, true, began)
    end
    return result:get()
  end
end

local function map_async_form(name, star)
  return function(self, f, source, given, callback, error_callback)
    check_open(self, name)
    check_single(name, source, given)
    local chosen = options.of_map(name, given, callback, error_callback)
    local began = desk.submitted and core.monotonic()
    local result = submit_map(self, name, f, source, star, chosen)
    if desk.submitted then
      desk.submitted(self, star and "starmap" or "map", result, false, began)
    end
    return result
  end
end

--- map(f, iterable [, chunksize or options]): a table of f's first values in input
--- order, its field n the number of items. starmap passes an item's values all.
Pool.map = map_form("map", false)
Pool.starmap = map_form("starmap", true)
Pool.map_async = map_async_form("map_async", false)
Pool.starmap_async = map_async_form("starmap_async", true)

crew.install(Pool, { check_open = check_open, check_args = check_args,
  check_processes = check_processes, open_call = open_call, fill_call = fill_call })

reduce.install(Pool, { check_open = check_open, check_function = check_function,
  submit = submit_map })

timeline.install(Pool, check_self)

local function imap_form(name, shape, star)
  return function(self, f, source, given)
    check_open(self, name)
    check_single(name, source, given)
    local chosen = options.of_map(name, given)
    if chosen.journal and replay.wants(chosen.journal) then
      replay.item(name, f, source, star)
    end
    local stream = open_call(self, name, f, shape, star, chosen, Iterator.stream(self))
    local ok, err = pcall(iterable.input, stream.call, name, source)
    if not ok then
      pump.release(self, stream.call)
      end_journal(self, stream)
      errors.throw(err)
    end
    local iterator = Iterator.new(stream)
    return iterator, nil, nil, iterator
  end
end

--- imap(f, iterable [, chunksize or options]): an iterator of index and values, in
--- input order; imap_unordered: as they complete; the istarmap forms unpack items.
Pool.imap = imap_form("imap", "imap", false)
Pool.imap_unordered = imap_form("imap_unordered", "imap_unordered", false)
Pool.istarmap = imap_form("istarmap", "imap", true)
Pool.istarmap_unordered = imap_form("istarmap_unordered", "imap_unordered", true)

lifetime.install(Pool, check_self)

wait.register(AsyncResult, AsyncResult.ready, function(result)
  return result.pool and result.pool:fileno() -- none where another's asking has made it ready
end)

function Pool.__reduce()
  return nil, "a pool belongs to the process that made it; make one of your own there"
end

function Pool:__tostring()
  return ("Pool of %d (%s)"):format(self.processes, self.state)
end

return Pool
