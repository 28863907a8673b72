-- Start methods: how workers and processes come to be, and contexts, which are the module with one
-- of them chosen.

local core, require = ...

local errors = require "moonpool.errors"
local kinds = require "moonpool.kinds"

local context = {}

local NAMES = { "fork", "spawn", "forkserver" } -- by the core's numbers
local NUMBERS = { fork = 1, spawn = 2, forkserver = 3 }
local DEFAULT = 0

--- The core's number of a start method; nil is what was set for all, or else the default one.
function context.number(call, which, name)
  if name == nil then
    return DEFAULT
  end
  return NUMBERS[name] or errors.argument(call, which, '"fork", "spawn" or "forkserver"', name)
end

--- From now on new pools and processes are made by this one, where nothing else is said; nil: by
--- "fork" while this process has one thread, else by the forkserver where it runs, else "spawn".
function context.set_start_method(name)
  core.set_start_method(context.number("set_start_method", "the argument", name))
end

--- The name of the one by which a process would be made now.
function context.get_start_method()
  local set = core.set_start_method()
  return NAMES[set] or NAMES[core.start_method(DEFAULT, "")]
end

--- All that there are, the one first that is used where nothing is said.
function context.get_all_start_methods()
  return table.pack(table.unpack(NAMES))
end

--- Starts the forkserver, unless one runs: a clean copy of this process, or where it has threads a
--- new one, from which later workers and processes are forked.
function context.start_forkserver()
  core.start_forkserver()
end

local function describe(self)
  return ("Context (%s)"):format(self.get_start_method())
end

-- The fields of a pool or a process with the context's start method among them.
local function with(given, name)
  local fields = { start_method = name }
  for key, value in pairs(given) do
    fields[key] = value
  end
  return fields
end

--- The module with that start method; without a name the module itself.
function context.make(mp, name)
  if name == nil then
    return mp
  end
  context.number("get_context", "the argument", name)
  local own = {}
  local function check_dot(call, first)
    if first == own then
      errors.raise("argument", ("%s: write ctx.%s(...) with a dot"):format(call, call))
    end
  end
  function own.Pool(first, initializer, initargs, maxtasksperchild)
    check_dot("Pool", first)
    return mp.Pool(with(type(first) == "table" and first or {
      processes = first, initializer = initializer, initargs = initargs,
      maxtasksperchild = maxtasksperchild,
    }, name))
  end
  function own.Process(given)
    check_dot("Process", given)
    return mp.Process(type(given) == "table" and with(given, name) or given)
  end
  function own.get_start_method()
    return name
  end
  function own.set_start_method()
    errors.raise("state", ("set_start_method: this context's is %q for good"):format(name))
  end
  local meta = kinds.class "Context"
  meta.__index, meta.__tostring = mp, describe
  return setmetatable(own, meta)
end

return context
