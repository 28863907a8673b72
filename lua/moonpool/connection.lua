-- Pipe and its two Connections: whole messages, values or bytes.

local core, require = ...

local errors = require "moonpool.errors"
local freight = require "moonpool.freight"
local kinds = require "moonpool.kinds"
local pump = require "moonpool.pump"
local wait = require "moonpool.wait"

local connection = {}

local methods = {}
local Connection = kinds.note(core.shared_meta("Connection"), "Connection")

local function send_all(self)
  while not core.connection_push(self) do
    if not core.connection_sleep(self) and not core.connection_push(self) then
      core.connection_alone(self)
    end
  end
end

-- What pull(self, most) gives as soon as it gives something.
local function receive(self, pull, most)
  local got, value = pull(self, most)
  while not got do
    local spoken_to = core.connection_sleep(self)
    got, value = pull(self, most)
    if not got and not spoken_to then
      core.connection_alone(self)
    end
  end
  return got, value
end

-- Whether nobody will receive any more what was sent to that end.
local function is_over(index, generation)
  return not core.connection_spoken(index, generation)
end

--- Sends a value: whatever can cross between processes. Waits for room; an error "system" (EPIPE)
--- where nobody is left to receive it.
function methods:send(value)
  freight.begin()
  core.connection_put_value(self, value)
  if freight.any then
    freight.await(freight.taken(), is_over, select(3, core.connection_ends(self)))
  end
  send_all(self)
end

--- Receives a value. An error "eof" where nothing is left and nobody who could send.
function methods:recv()
  local _, value = receive(self, core.connection_pull_value)
  return value
end

local function check_index(which, index)
  if index ~= nil and math.type(index) ~= "integer" then
    errors.argument("send_bytes", which, "an integer", index)
  end
end

--- Sends bytes i to j of a string (string.sub's), as a message.
function methods:send_bytes(bytes, i, j)
  if type(bytes) ~= "string" then
    errors.argument("send_bytes", "the first argument", "a string", bytes)
  end
  check_index("i", i)
  check_index("j", j)
  core.connection_put(self, (i or j) and bytes:sub(i or 1, j or -1) or bytes)
  send_all(self)
end

--- Receives a message's bytes. One that is longer than `most` stays there, and is an error
--- "system" (EMSGSIZE).
function methods:recv_bytes(most)
  if most ~= nil and (math.type(most) ~= "integer" or most < 0) then
    errors.argument("recv_bytes", "the argument", "a number of bytes", most)
  end
  return (receive(self, core.connection_pull, most))
end

-- Whether nothing will come: no process is left to speak to it, this one neither.
local function is_deserted(self)
  local _, reads = core.connection_fd(self)
  local spoken, here = core.connection_spoken(select(3, core.connection_ends(self)))
  return reads and not spoken and not here
end

--- Whether recv would not wait: a message is there, or the end. Waits for that `timeout` seconds
--- at most (0).
function methods:poll(timeout)
  local deadline = pump.deadline(timeout or 0)
  while not core.connection_ready(self) do
    if core.monotonic() >= deadline then
      return false
    end
    if not core.connection_sleep(self, deadline) and is_deserted(self) then
      return true -- the end
    end
  end
  return true
end

--- Closes this process's end.
function methods:close()
  core.connection_close(self)
end

--- Its descriptor.
function methods:fileno()
  local fd = core.connection_fd(self)
  if not fd then
    errors.raise("closed", "fileno: the connection is closed")
  end
  return fd
end

local fields = {}

function fields.closed(fd)
  return fd == nil
end

function fields.readable(_, reads)
  return reads
end

function fields.writable(_, _, writes)
  return writes
end

kinds.note_methods(Connection, methods)

function Connection:__index(key)
  local read = fields[key]
  return methods[key] or read and read(core.connection_fd(self))
end

Connection.__close = methods.close

-- A queue's message is received once, and so is a connection's; a task may be done again; what is
-- shared, and what a pool's workers begin with (a table carries it), is decoded by many.
local function way_of(carrier)
  if carrier == nil then
    return "task"
  end
  local many = type(carrier) == "table" or getmetatable(carrier) == core.shared_meta("Shared")
  return many and "many" or "once"
end

local function note(self, way, ticket, ...)
  local index, generation = core.connection_ends(self)
  freight.note(self, function()
    core.connection_arrived(index, generation, ticket, way)
  end)
  return ...
end

function Connection:__reduce()
  local way = way_of(core.message_carrier())
  return connection.by_name, note(self, way, core.connection_send(self, way))
end

connection.receive = core.connection_receive

function Connection:__tostring()
  local fd = core.connection_fd(self)
  return ("Connection (%s)"):format(fd or "closed")
end

wait.register(Connection, core.connection_ready, methods.fileno, { deserted = is_deserted })

--- Two Connections. Without duplex (false) the first receives what the second sends.
function connection.Pipe(duplex)
  if duplex ~= nil and type(duplex) ~= "boolean" then
    errors.argument("Pipe", "the argument", "a boolean", duplex)
  end
  return core.pipe(duplex == false)
end

return connection
