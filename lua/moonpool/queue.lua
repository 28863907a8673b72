-- Queues: values that any number of processes put in and take out, in the order of their putting.
--
-- The steps are C (core.queue_*); what waits goes round in Lua.

local core, require = ...

local errors = require "moonpool.errors"
local freight = require "moonpool.freight"
local handle = require "moonpool.handle"
local pump = require "moonpool.pump"
local sync = require "moonpool.sync"
local wait = require "moonpool.wait"

local queue = {}

local WATCH = 0.05 -- seconds between two looks at a queue whose putter may have been killed

local closed = setmetatable({}, { __mode = "k" }) -- those that this process has closed

local function check_open(self, name)
  if closed[self] then
    errors.raise("closed", name .. ": the queue is closed")
  end
end

local function limit(call, block, timeout)
  if block ~= nil or timeout ~= nil then
    return sync.limit(call, block, timeout)
  end
end

--- What went with a message is looked after until that is got, or the queue is gone.
function queue.await(self, things)
  local _, index, generation = core.shared_name(self)
  freight.await(things, core.queue_arrived, index, generation, core.queue_number(self))
end

--- Puts a message of these values, however long that takes; what went with it is aboard.
function queue.post(self, ...)
  freight.begin()
  local done, bytes = core.queue_put(self, ...)
  while not done do
    core.queue_await_room(self, 1)
    done = core.queue_put_bytes(self, bytes)
  end
end

local methods = {}

--- Puts a value. While the queue is full it waits, `timeout` seconds at most, or not at all where
--- block is false: then the error is "full".
function methods:put(value, block, timeout)
  check_open(self, "put")
  local deadline = limit("put", block, timeout)
  freight.begin()
  local done, bytes = core.queue_put(self, value)
  if not done and not sync.until_got(self, function()
    return core.queue_put_bytes(self, bytes)
  end, core.queue_await_room, deadline) then
    freight.begin()
    errors.raise("full", "put: the queue is full")
  end
  if freight.any then
    queue.await(self, freight.taken())
  end
end

--- Takes the first value. While there is none it waits, `timeout` seconds at most, or not at all
--- where block is false: then the error is "empty".
function methods:get(block, timeout)
  check_open(self, "get")
  local deadline = limit("get", block, timeout)
  local got, value = core.queue_take(self)
  if not got then
    got, value = sync.until_got(self, core.queue_take, core.queue_await_message, deadline)
  end
  if not got then
    errors.raise("empty", "get: the queue is empty")
  end
  return value
end

--- put that does not wait.
function methods:put_nowait(value)
  return methods.put(self, value, false)
end

--- get that does not wait.
function methods:get_nowait()
  return methods.get(self, false)
end

--- How many values are in it now.
function methods:qsize()
  check_open(self, "qsize")
  return (core.queue_state(self))
end

--- Whether none is in it now.
function methods:empty()
  check_open(self, "empty")
  return core.queue_state(self) == 0
end

--- Whether it takes no more now.
function methods:full()
  check_open(self, "full")
  local n, most = core.queue_state(self)
  return most > 0 and n >= most
end

--- This process uses it no longer: what is in it stays for the others.
function methods:close()
  closed[self] = true
end

--- A value that was got is dealt with. An error "state" where that was said of all that were put.
function methods:task_done()
  if not core.queue_finish(self) then
    errors.raise("state", "task_done: called more often than values were put")
  end
end

--- Waits until task_done was called for all that were put, `timeout` seconds at most: whether it
--- was.
function methods:join(timeout)
  return sync.until_got(self, core.queue_is_finished, core.queue_await_finish,
    pump.deadline(timeout))
end

local function is_ready(self)
  check_open(self, "wait")
  return core.queue_state(self) > 0
end

for _, kind in ipairs { "Queue", "SimpleQueue", "JoinableQueue" } do
  local meta = handle.define(kind, { index = methods })
  meta.__close = methods.close
  wait.register(meta, is_ready, core.queue_watch, { slice = WATCH, rest = core.queue_unwatch })
end

local function of_kind(kind)
  return function(most)
    most = most == nil and 0 or most
    sync.check_count(kind, "the argument", most, -0x7fffffff)
    local self = core.shared(kind)
    core.queue_begin(self, math.max(most, 0))
    return self
  end
end

--- Queue([maxsize]): without (or with 0 or less) put never waits.
queue.Queue = of_kind("Queue")
queue.JoinableQueue = of_kind("JoinableQueue")

--- A queue without bound.
function queue.SimpleQueue()
  return core.shared("SimpleQueue")
end

return queue
