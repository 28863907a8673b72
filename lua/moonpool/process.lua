-- mp.Process, and who this process is.
--
-- Invariants: `children` holds every child of this process that was not seen to be gone, so
-- that none is collected while it runs; a child empties it first of all. What an object is
-- stands in `states`, so that its fields can be looked after.

local core, require = ...

local context = require "moonpool.context"
local crew = require "moonpool.crew"
local errors = require "moonpool.errors"
local freight = require "moonpool.freight"
local kinds = require "moonpool.kinds"
local options = require "moonpool.options"
local pump = require "moonpool.pump"
local wait = require "moonpool.wait"

local process = {}

local SIGKILL, SIGTERM = 9, 15
local FORK = 1          -- the core's number of that start method
local UNKNOWN = 255     -- the exit code where somebody else has taken it
local LAST_PATIENCE = 1 -- seconds that a daemon has for its end

local methods = {}
local Process = kinds.class "Process"
local states = setmetatable({}, { __mode = "k" })
local children, born = {}, 0
local current, parent, keeper

local function check_self(self, name)
  errors.check_self(self, Process, name, "process")
  local state = states[self]
  if state.closed then
    errors.raise("closed", ("%s: the process object was closed"):format(name))
  end
  return state
end

-- The state of a child of this process.
local function check_child(self, name)
  local state = check_self(self, name)
  if state.pid == core.pid() then
    errors.raise("state", ("%s: this is the process itself"):format(name))
  elseif state.maker ~= core.pid() then
    errors.raise("state", ("%s: only the parent of %s, process %d, can do that"):format(name,
      state.name, state.maker))
  elseif not state.child then
    errors.raise("state", ("%s: %s was not started yet"):format(name, state.name))
  end
  return state
end

-- Whether the child has ended.
local function look(child)
  local state = states[child]
  if not state.over then
    local over, code = core.ended(state.child)
    if over then
      state.over, state.exitcode = true, code or UNKNOWN
      children[child] = nil
      freight.unload(state.things or {})
      state.things = nil
    end
  end
  return state.over
end

local function living()
  local list = {}
  for child in pairs(children) do
    if not look(child) then
      list[#list + 1] = child
    end
  end
  table.sort(list, function(a, b) return states[a].number < states[b].number end)
  return list
end

-- ---- the end of a process that has children ----

local function await_end(child)
  local state = states[child]
  local deadline = state.daemon and core.monotonic() + LAST_PATIENCE
  while not look(child) do
    if deadline and core.monotonic() >= deadline then
      core.signal(state.child, SIGKILL)
      deadline = nil
    end
    if core.sleep_on({ state.sentinel }, deadline or nil) then
      return false
    end
  end
  return true
end

-- Daemons are ended, the others are waited for, until an interrupt says otherwise.
local function end_children()
  local list = living()
  for _, child in ipairs(list) do
    if states[child].daemon then
      core.signal(states[child].child, SIGTERM)
    end
  end
  for _, child in ipairs(list) do
    if not await_end(child) then
      return
    end
  end
end

-- The state is closed: finalizers run in the reverse order of their objects' making, so the
-- keeper that was made behind the last child comes before all children's own.
local Keeper = {}

function Keeper:__gc()
  if self == keeper and states[process.current()].pid == self.pid then
    end_children()
  end
end

-- ---- the child ----

local function describe(err)
  return debug.traceback(tostring(err), 2)
end

-- What there is to know of a process that is no child of this one.
local function stand_in(name, pid, identity, daemon)
  local it = setmetatable({}, Process)
  states[it] = { name = name, pid = pid, identity = identity, daemon = daemon }
  return it
end

local function be(self, state, maker)
  parent = stand_in(maker.name, maker.pid, maker.identity, maker.daemon)
  children, born, keeper = {}, 0, nil
  state.pid = core.pid()
  current = self
  math.randomseed(state.seed)
  local ok, err = xpcall(self.run, describe, self)
  if not ok then
    io.stderr:write(state.name, ": ", err, "\n")
  end
  crew.end_all()
  end_children()
  return ok and 0 or 1
end

-- ---- the object ----

local FIELDS = { target = true, args = true, name = true, daemon = true, start_method = true }

local function check_name(call, name)
  if type(name) ~= "string" or name == "" then
    errors.argument(call, "name", "a string", name)
  end
end

local function check_daemon(call, daemon)
  if type(daemon) ~= "boolean" then
    errors.argument(call, "daemon", "a boolean", daemon)
  end
end

local function check_fields(given)
  if type(given) ~= "table" then
    errors.argument("Process", "the argument", "a table { target =, args =, name =, daemon = }",
      given)
  end
  options.check_names("Process", given, FIELDS, "field")
  if given.target ~= nil and not errors.is_callable(given.target) then
    errors.argument("Process", "target", "a function", given.target)
  end
  if given.args ~= nil and type(given.args) ~= "table" then
    errors.argument("Process", "args", "a table", given.args)
  end
  if given.name ~= nil then
    check_name("Process", given.name)
  end
  if given.daemon ~= nil then
    check_daemon("Process", given.daemon)
  end
end

--- A process that is to run target(args...): Process{target =, args =, name =, daemon =}. It is
--- forked by start, with all that the script has then. A daemon ends with its parent at the
--- latest, however that ends; another is waited for where the parent's state is closed.
function process.new(given)
  given = given == nil and {} or given
  check_fields(given)
  local own = states[process.current()]
  born = born + 1
  local identity = own.identity and ("%s:%d"):format(own.identity, born) or tostring(born)
  local daemon = given.daemon
  if daemon == nil then
    daemon = own.daemon or false
  end
  local self = setmetatable({}, Process)
  states[self] = {
    name = given.name or "Process-" .. identity,
    daemon = daemon,
    target = given.target,
    args = given.args or {},
    identity = identity,
    number = born,
    maker = core.pid(),
    method = context.number("Process", "start_method", given.start_method),
  }
  return self
end

--- What the process does: calls its target. Another `run` may be set on the object.
function methods:run()
  local state = check_self(self, "run")
  if state.target then
    state.target(table.unpack(state.args, 1, state.args.n or #state.args))
  end
end

-- What a fresh process is told of itself and of who makes it.
local function describe_to(self, state, maker)
  local fields = {}
  for key, value in next, self do
    fields[key] = value
  end
  return {
    name = state.name, daemon = state.daemon, identity = state.identity, seed = state.seed,
    target = state.target, args = state.args, fields = fields,
    maker = { name = maker.name, pid = maker.pid, identity = maker.identity, daemon = maker.daemon },
  }
end

--- In a fresh process: is what it was told to be. Returns its exit code.
function process.become(told)
  local self = setmetatable(told.fields, Process)
  states[self] = {
    name = told.name, daemon = told.daemon, identity = told.identity, seed = told.seed,
    target = told.target, args = told.args,
  }
  return be(self, states[self], told.maker)
end

local function launch(child, state, method, told)
  core.launch(child, state.daemon, method, told)
  state.things = freight.taken()
end

local function bear(self, state, method, told)
  local child = core.unborn()
  local maker = states[process.current()]
  if method == FORK then
    core.bear(child, state.daemon, function() return be(self, state, maker) end)
  else
    launch(child, state, method, told)
  end
  state.child = child
  state.pid, state.sentinel = core.sentinel(child)
  children[self] = true
  keeper = setmetatable({ pid = core.pid() }, Keeper)
end

--- Starts it, once. An error "system" where the system refuses.
function methods:start()
  local state = check_self(self, "start")
  if state.pid then
    errors.raise("state", ("start: %s was started before"):format(state.name))
  elseif state.maker ~= core.pid() then
    errors.raise("state", ("start: process %d, which made %s, can start it"):format(state.maker,
      state.name))
  end
  living()
  local method = core.start_method(state.method, "start the process")
  state.seed = math.random(0)
  local told
  if method ~= FORK then
    freight.begin()
    told = core.tell(describe_to(self, state, states[process.current()]))
  end
  core.undisturbed(bear, self, state, method, told) -- lest an interrupt loses a child that is born
end

--- Waits for its end, `timeout` seconds at most: true when it has ended, else false.
function methods:join(timeout)
  local deadline = pump.deadline(timeout)
  if self == parent then
    return process.join_parent(deadline)
  end
  local state = check_child(self, "join")
  local descriptors = { state.sentinel }
  while not look(self) do
    if deadline and core.monotonic() >= deadline then
      return false
    end
    core.sleep_on(descriptors, deadline)
  end
  return true
end

function process.parent_lives()
  return core.parent_pid() == states[parent].pid
end

-- The descriptor stays open: it is asked for once or never.
function process.join_parent(deadline)
  local state = states[parent]
  state.watch = state.watch or core.watch_parent(state.pid)
  while process.parent_lives() do
    if deadline and core.monotonic() >= deadline then
      return false
    end
    core.sleep_on({ state.watch }, deadline)
  end
  return true
end

--- Whether it was started and has not ended.
function methods:is_alive()
  local state = check_self(self, "is_alive")
  if self == current then
    return true
  elseif self == parent then
    return process.parent_lives()
  elseif state.maker == core.pid() and not state.child then
    return false
  end
  check_child(self, "is_alive")
  return not look(self)
end

local function send(self, name, signal)
  local state = check_child(self, name)
  if not look(self) then
    core.signal(state.child, signal)
  end
end

--- Asks it to end, by SIGTERM.
function methods:terminate()
  send(self, "terminate", SIGTERM)
end

--- Ends it, by SIGKILL.
function methods:kill()
  send(self, "kill", SIGKILL)
end

--- Gives up what the object holds; the process must have ended.
function methods:close()
  errors.check_self(self, Process, "close", "process")
  local state = states[self]
  if state.closed then
    return
  end
  if state.child and not look(self) then
    errors.raise("state", ("close: %s still runs; join or terminate it first"):format(state.name))
  end
  if state.child then
    core.leave(state.child)
  end
  state.closed = true
end

local readable = {}

function readable.name(state)
  return state.name
end

function readable.daemon(state)
  return state.daemon or false
end

function readable.pid(state)
  return state.pid
end

function readable.sentinel(state)
  if not state.sentinel then
    errors.raise("state", ("sentinel: %s was not started here"):format(state.name))
  end
  return state.sentinel
end

function readable.exitcode(state, self)
  if state.child and state.maker == core.pid() then
    look(self)
  end
  return state.exitcode
end

kinds.note_methods(Process, methods)

function Process:__index(key)
  if methods[key] then
    return methods[key]
  end
  local read = readable[key]
  return read and read(key == "name" and states[self] or check_self(self, key), self)
end

local writable = {}

function writable.name(state, name)
  check_name("Process", name)
  state.name = name
end

function writable.daemon(state, daemon)
  check_daemon("Process", daemon)
  if state.pid then
    errors.raise("state", ("daemon: %s was started already"):format(state.name))
  end
  state.daemon = daemon
end

function Process:__newindex(key, value)
  if writable[key] then
    writable[key](states[self], value)
  elseif readable[key] then
    errors.raise("argument", ("Process: %s cannot be set"):format(key))
  else
    rawset(self, key, value)
  end
end

local function fate(state)
  if state.closed then
    return "closed"
  elseif state.child and state.maker == core.pid() and state.over then
    return ("pid %d, exit code %d"):format(state.pid, state.exitcode)
  end
  return state.pid and ("pid %d"):format(state.pid) or "not started"
end

function Process:__tostring()
  local state = states[self]
  if state.child and state.maker == core.pid() then
    look(self)
  end
  return ("Process %s (%s)"):format(state.name, fate(state))
end

function Process:__reduce()
  errors.raise("encode", ("cannot send %s: a Process is its maker's"):format(states[self].name))
end

-- ---- who is here ----

-- A pool's worker has inherited its host's.
local function worker_of_host(number, host, host_name)
  local made_by = current and states[current]
  local name = made_by and made_by.pid == host and made_by.name or host_name
  parent = stand_in(name or "MainProcess", host)
  children, born, keeper = {}, 0, nil
  return stand_in(("PoolWorker-%d"):format(number), core.pid(), tostring(number), true)
end

--- This process.
function process.current()
  if not current or states[current].pid ~= core.pid() then
    local number, host, host_name = core.worker()
    current = number and worker_of_host(number, host, host_name)
      or stand_in("MainProcess", core.pid(), nil, false)
  end
  return current
end

--- The process that made this one, or nil in the main process.
function process.parent()
  process.current()
  return parent
end

--- The children of this process that have not ended, in the order in which they were made.
function process.active_children()
  process.current()
  return living()
end

wait.register(Process, function(self)
  check_child(self, "wait")
  return look(self)
end, function(self)
  return states[self].sentinel
end)

return process
