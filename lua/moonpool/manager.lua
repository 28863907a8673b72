-- Managers: lists and dicts that a server process holds, and proxies of them that any process of
-- the tree can have.
--
-- Each client process has one queue for answers; a request carries its name and a number, so that an
-- answer which an interrupt has left behind is known for what it is.

local core, require = ...

local errors = require "moonpool.errors"
local freight = require "moonpool.freight"
local handle = require "moonpool.handle"
local kinds = require "moonpool.kinds"
local process = require "moonpool.process"
local queue = require "moonpool.queue"
local server = require "moonpool.manager_server"
local shared = require "moonpool.shared"
local show = require "moonpool.show"
local sync = require "moonpool.sync"

local manager = {}

local PATIENCE = 1 -- seconds that a server has for its end
local PAUSE = 0.0005
local DEEPEST = 8  -- proxies within proxies that are shown

-- ---- asking ----

local inbox, owner, index, generation, number

-- A fork does not read its parent's answers.
local function open_inbox()
  if owner ~= core.pid() then
    inbox, owner, number = queue.SimpleQueue(), core.pid(), 0
    index, generation = select(2, core.shared_name(inbox))
  end
end

local function gone()
  errors.raise("closed", "the manager's server is gone")
end

-- The answer to request `asked`; what that has taken along has arrived by then. A server that has died
-- may have answered before.
local function await(self, asked, things)
  local n, lives = 0, true
  while true do
    local got, answered, ok, result = core.queue_take(inbox)
    if got and answered == asked then
      freight.unload(things)
      return ok, result
    elseif not got then
      if not lives then
        freight.unload(things)
        gone()
      end
      core.queue_await_message(inbox, n)
      n = n + 1
      lives = n < 2 or core.manager_lives(self)
    end
  end
end

local function send(self, ...)
  local requests = core.shared_kept(self)
  if not requests then
    gone()
  end
  queue.post(requests, ...)
end

local function call(self, operation, object, ...)
  if server.serves(self) then
    return server.perform(operation, object, ...)
  end
  open_inbox()
  number = number + 1
  local asked = number
  send(self, index, generation, asked, operation, object, ...)
  local ok, result = await(self, asked, freight.taken())
  if not ok then
    errors.throw(result)
  end
  return result
end

-- ---- proxies ----

local of = setmetatable({}, { __mode = "k" })      -- what a proxy stands for
local known = setmetatable({}, { __mode = "v" })   -- proxies by that

local shown, depth = {}, 0 -- those that a tostring is under way of

local proxies = {}

local function proxy_of(kind, self, object)
  local key = ("%d %d %d"):format(object, select(2, core.shared_name(self)))
  local proxy = known[key]
  if not proxy then
    proxy = setmetatable({}, proxies[kind])
    of[proxy] = { manager = self, object = object, kind = kind }
    known[key] = proxy
  end
  return proxy
end

local function ask(proxy, operation, ...)
  local it = of[proxy]
  if not it.manager then
    gone()
  end
  return call(it.manager, operation, it.object, ...)
end

local function iterate(all, key)
  return next(all, key)
end

local function describe(proxy)
  return show.line(ask(proxy, "all"))
end

local function define(kind)
  local meta = kinds.class(kind)
  proxies[kind] = meta

  function meta:__len()
    return ask(self, "len")
  end

  function meta:__pairs()
    return iterate, ask(self, "all")
  end

  function meta:__tostring()
    if shown[self] then
      return "{cycle}"
    elseif depth >= DEEPEST then
      return "{...}"
    end
    shown[self], depth = true, depth + 1
    local ok, text = pcall(describe, self)
    shown[self], depth = nil, depth - 1
    if not ok and errors.is(text) and text.kind == "closed" then
      return ("%s (its manager is gone)"):format(of[self].kind)
    end
    return ok and text or errors.throw(text)
  end

  function meta:__reduce()
    local it = of[self]
    freight.note(it.manager)
    return manager.by_name, kind, it.object, select(2, core.shared_name(it.manager))
  end

  return meta
end

local function check_key(call_name, key)
  if key == nil or key ~= key then
    errors.argument(call_name, "the key", "a value but nil and nan", key)
  end
end

for _, kind in ipairs { "dict", "Namespace" } do
  local meta = define(kind)

  function meta:__index(key)
    return key ~= nil and ask(self, "get", key) or nil
  end

  function meta:__newindex(key, value)
    check_key(kind, key)
    ask(self, "set", key, value)
  end
end

-- A plain list of what an iterable gives.
local function listed(call_name, values)
  if type(values) ~= "table" or getmetatable(values) and not of[values] then
    if not errors.is_callable(values) then
      errors.argument(call_name, "the argument", "a table or something to iterate over", values)
    end
    local all = {}
    for value in values do
      all[#all + 1] = value
    end
    return all
  end
  local all = of[values] and ask(values, "all") or values
  local n = 0
  for key in next, all do
    n = n + 1
    if math.type(key) ~= "integer" or key < 1 or key > #all then
      n = math.huge
    end
  end
  if n ~= #all then
    errors.argument(call_name, "the argument", "a list without gaps or other keys", values)
  end
  return table.move(all, 1, #all, 1, {})
end

local list = {}

for _, name in ipairs { "append", "insert", "pop", "remove", "index", "count", "reverse",
  "sort" } do
  list[name] = function(self, ...)
    if not of[self] then
      errors.raise("argument", ("%s: called without its list; write list:%s(...) with a colon")
        :format(name, name))
    end
    return ask(self, name, ...)
  end
end

--- Adds the values of a list, or of anything to iterate over, at the end.
function list:extend(values)
  ask(self, "extend", listed("extend", values))
end

local List = define "list"

function List:__index(key)
  local i = math.tointeger(key)
  if i then
    return ask(self, "get", i)
  end
  return list[key]
end

function List:__newindex(key, value)
  local i = math.tointeger(key)
  if not i then
    errors.argument("list", "the place", "an integer", key)
  end
  ask(self, "set", i, value)
end

function List:__pairs()
  return ipairs(ask(self, "all"))
end

--- The proxy of an object that another process has sent by this. Where the manager is gone, it is one
-- that says so when it is used.
function manager.attach(kind, object, ...)
  local ok, self = pcall(handle.attach, "Manager", ...)
  if ok then
    return proxy_of(kind, self, object)
  elseif errors.is(self) and self.kind == "closed" then
    local proxy = setmetatable({}, proxies[kind])
    of[proxy] = { object = object, kind = kind }
    return proxy
  end
  errors.throw(self)
end

--- Sets proxy[key] to f(proxy[key]) in one step: nobody else comes between. f is sent to the server
--- and runs there; returns what it has returned.
function manager.update(proxy, key, f)
  if not of[proxy] then
    errors.argument("update", "the first argument", "a manager's proxy", proxy)
  elseif not errors.is_callable(f) then
    errors.argument("update", "the third argument", "a function", f)
  end
  check_key("update", key)
  return ask(proxy, "update", key, f)
end

-- ---- managers ----

local methods = {}

local function copied(kind, value)
  if value == nil then
    return {}
  elseif kind == "list" then
    return listed(kind, value)
  elseif type(value) ~= "table" then
    errors.argument(kind, "the argument", "a table", value)
  end
  local copy = {}
  for key, each in pairs(value) do
    copy[key] = each
  end
  return copy
end

for kind in pairs(proxies) do
  methods[kind] = function(self, value)
    return proxy_of(kind, self, call(self, "new", 0, kind, copied(kind, value)))
  end
end

for name, make in pairs { Lock = sync.Lock, RLock = sync.RLock, Semaphore = sync.Semaphore,
  BoundedSemaphore = sync.BoundedSemaphore, Condition = sync.Condition, Event = sync.Event,
  Barrier = sync.Barrier, Queue = queue.Queue, JoinableQueue = queue.JoinableQueue,
  Value = shared.Value, Array = shared.Array } do
  methods[name] = function(_, ...)
    return make(...)
  end
end

local servers = setmetatable({}, { __mode = "k" }) -- the processes of those made here

--- Ends the server and all that it holds. Only the process that made the manager can.
function methods:shutdown()
  local child = servers[self]
  if not child or child.maker ~= core.pid() then
    errors.raise("state", "shutdown: only the process that made the manager can end it")
  end
  if not child.over then
    child.over = true
    pcall(send, self, 0, 0, 0, "shutdown")
    if not child.process:join(PATIENCE) then
      child.process:kill()
      child.process:join()
    end
    child.process:close()
  end
end

local Manager = handle.define("Manager", {
  index = methods,
  furnish = function(self)
    local requests = core.shared_at("SimpleQueue", core.manager_queue(self))
    if requests then
      core.shared_keep(self, requests)
    end
  end,
})

Manager.__close = methods.shutdown

local function await_birth(self, child)
  while core.manager_lives(self) == nil do
    if not child:is_alive() then
      errors.raise("system", ("Manager: its server ended with exit code %d"):format(child.exitcode))
    end
    core.nap(core.monotonic() + PAUSE)
  end
end

--- Starts a manager: a process that holds what manager:list, :dict and :Namespace make, until
--- manager:shutdown or the end of the process that made it.
function manager.Manager()
  local self, requests = core.shared("Manager"), queue.SimpleQueue()
  core.manager_queue(self, requests)
  core.shared_give(requests, self)
  core.shared_keep(self, requests)
  local child = process.new { target = server.run, args = { self, requests }, daemon = true }
  child.name = child.name:gsub("^Process", "Manager")
  child:start()
  servers[self] = { process = child, maker = core.pid() }
  await_birth(self, child)
  return self
end

return manager
