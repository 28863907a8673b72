-- What `require "moonpool"` gives.

local core, require = ...

local Pool = require "moonpool.pool"
local athand = require "moonpool.athand"
local completed = require "moonpool.completed"
local connection = require "moonpool.connection"
local context = require "moonpool.context"
local errors = require "moonpool.errors"
local handle = require "moonpool.handle"
local iterable = require "moonpool.iterable"
local kinds = require "moonpool.kinds"
local later = require "moonpool.later"
local manager = require "moonpool.manager"
local process = require "moonpool.process"
local pump = require "moonpool.pump"
local queue = require "moonpool.queue"
local reload = require "moonpool.reload"
local run = require "moonpool.run"
local share = require "moonpool.share"
local shared = require "moonpool.shared"
local show = require "moonpool.show"
local sync = require "moonpool.sync"
local task = require "moonpool.task"
local wait = require "moonpool.wait"
local waiter = require "moonpool.waiter"

local experiment = later "moonpool.experiment"
local files = later "moonpool.files"
local grid = later "moonpool.grid"
local sample = later "moonpool.sample"

local mp = { _VERSION = "Moonpool " .. core.version }

local LONGEST_SLEEP = 1e9 -- seconds, 30 years

--- A pool of worker processes: Pool([processes [, initializer [, initargs
--- [, maxtasksperchild]]]]) or Pool{processes = n, ...}.
mp.Pool = Pool.new

mp.range = iterable.range
mp.linspace = iterable.linspace
mp.zip = iterable.zip
mp.each = iterable.each
mp.as_completed = completed.iterate

--- All combinations of values, as grid.lua says.
function mp.grid(...)
  return grid.grid(...)
end

--- Random points of a space, as sample.lua says.
function mp.sample(...)
  return sample.sample(...)
end

--- Runs a function over a space, as experiment.lua says.
function mp.experiment(...)
  return experiment.experiment(...)
end

--- Writes a value to a file, as files.lua says.
function mp.save(...)
  return files.save(...)
end

--- Reads what save has written.
function mp.load(...)
  return files.load(...)
end

--- Sleeps so many seconds; a signal that is to interrupt the script ends it early.
function mp.sleep(seconds)
  if type(seconds) ~= "number" or seconds ~= seconds then
    errors.argument("sleep", "the argument", "a number of seconds", seconds)
  end
  local deadline = pump.deadline(math.min(seconds, LONGEST_SLEEP))
  repeat
    local over = core.nap(deadline)
  until over
end

--- Logs its arguments, as print would write them: in a worker to the pool's log, or with
--- where it comes from to standard error; elsewhere to standard error.
function mp.log(...)
  local words = table.pack(...)
  for i = 1, words.n do
    words[i] = tostring(words[i])
  end
  local text = table.concat(words, "\t")
  if not core.log(text) then
    io.stderr:write(text, "\n")
  end
end

--- The item that runs in this worker: fields index, attempt, seed, methods save, saved, progress;
--- nil where none does.
mp.task = task.current

--- Requires a module afresh here and in all workers of this process's pools.
function mp.reload(name)
  return reload(mp, name)
end

mp.timeit = athand.timeit
mp.glob = athand.glob

mp.time = core.time
mp.monotonic = core.monotonic
mp.getpid = core.pid
mp.getppid = core.parent_pid
mp.cpu_count = core.cpu_count
mp.process_cpu_count = core.process_cpu_count

mp.Process = process.new
mp.current_process = process.current
mp.parent_process = process.parent
mp.active_children = process.active_children
mp.set_start_method = context.set_start_method
mp.get_start_method = context.get_start_method
mp.get_all_start_methods = context.get_all_start_methods
mp.start_forkserver = context.start_forkserver
mp.wait = wait.any
mp.set_waiter = waiter.set
mp.run = run.run

for _, name in ipairs { "Lock", "RLock", "Semaphore", "BoundedSemaphore", "Event", "Condition",
  "Barrier" } do
  mp[name] = sync[name]
end
for _, name in ipairs { "Queue", "JoinableQueue", "SimpleQueue" } do
  mp[name] = queue[name]
end
mp.Pipe = connection.Pipe
mp.Value = shared.Value
mp.Array = shared.Array
mp.share = share.share
mp.Manager = manager.Manager
mp.update = manager.update
mp._attach = handle.attach -- by whose name what is shared is sent
mp._shared = share.attach
mp._connection = connection.receive
mp._proxy = manager.attach

--- The module with that start method for what its Pool and Process make: called with a dot.
function mp.get_context(method)
  return context.make(mp, method)
end

--- A value's bytes (CBOR, RFC 8949). `options.functions`: functions may be met.
function mp.dumps(value, options)
  if options ~= nil and type(options) ~= "table" then
    errors.argument("dumps", "the second argument", "a table of options", options)
  end
  return core.dumps(value, options and options.functions or false)
end

--- The value in `bytes` from `options.position` (1) on, and the position behind it.
--- `options.functions`: accept functions; only for bytes that you made yourself.
function mp.loads(bytes, options)
  if type(bytes) ~= "string" then
    errors.argument("loads", "the first argument", "a string", bytes)
  end
  if options ~= nil and type(options) ~= "table" then
    errors.argument("loads", "the second argument", "a table of options", options)
  end
  local position = options and options.position
  if position ~= nil and (math.type(position) ~= "integer" or position < 1) then
    errors.argument("loads", "position", "a positive integer", position)
  end
  options = options or {}
  return core.loads(bytes, options.position or 1, options.functions or false)
end

--- The prompt of this process, until its input ends: reads lines, runs them, prints what they give.
function mp.repl()
  require("moonpool.repl").run(mp)
end

--- What the program's subcommand of that name does with these arguments; false: it did not work out.
function mp._command(name, ...)
  return require("moonpool.commands." .. name)(mp, ...)
end

-- With a colon the library itself would be the first argument.
for name, f in pairs(mp) do
  if type(f) == "function" then
    mp[name] = function(...)
      if ... == mp then
        errors.raise("argument", ("%s: write mp.%s(...) with a dot"):format(name, name))
      end
      return f(...)
    end
  end
end

mp.type = kinds.of -- which take any value, the library too
mp.show = show.text

handle.by_name = mp._attach
share.by_name = mp._shared
connection.by_name = mp._connection
manager.by_name = mp._proxy

return mp
