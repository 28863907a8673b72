-- The server of a manager: it holds lists and dicts, and does to them what clients ask, one
-- request at a time.
--
-- A request is: the queue for its answer (index, generation), its number there, the operation, the
-- object, the arguments. Nothing else is known of a client.

local core, require = ...

local errors = require "moonpool.errors"
local freight = require "moonpool.freight"
local queue = require "moonpool.queue"

local server = {}

local PAUSE = 1    -- seconds between two looks of one that has nothing to do
local LOOK = 100000 -- instructions between two looks whether a client lives
local INBOXES = 64 -- answered to between two looks for those of the dead

local own -- the manager that this process serves
local objects, made = {}, 0

-- ---- what can be done ----

local operations = {}

function operations.new(_, kind, value)
  made = made + 1
  objects[made] = { kind = kind, value = value }
  return made
end

function operations.get(object, key)
  return object.value[key]
end

function operations.len(object)
  return #object.value
end

function operations.all(object)
  return object.value
end

-- A list stays one: it grows at its end and shrinks there.
local function set_in_list(list, i, value)
  local n = #list
  if value == nil and (i < n and i >= 1) then
    errors.raise("argument", ("list: element %d of %d cannot be nil; pop it"):format(i, n))
  elseif value ~= nil and (i < 1 or i > n + 1) then
    errors.raise("argument", ("list: element %d of %d"):format(i, n))
  elseif i >= 1 and i <= n + 1 then
    list[i] = value
  end
end

function operations.set(object, key, value)
  if object.kind == "list" then
    set_in_list(object.value, key, value)
  else
    object.value[key] = value
  end
end

-- f gets a copy, as everybody does, so that nothing is changed where it fails; what it gives is known to
-- be sendable before it is stored.
function operations.update(object, key, f)
  local old = object.value[key]
  if type(old) == "table" then
    old = core.loads(core.dumps(old, true), 1, true)
  end
  local new = f(old)
  if type(new) ~= "number" and type(new) ~= "string" then
    core.dumps(new, true)
  end
  operations.set(object, key, new)
  return new
end

-- ---- of lists ----

local function check_value(name, value)
  if value == nil then
    errors.raise("argument", ("%s: a list holds no nil"):format(name))
  end
end

local function check_place(name, i, n, most)
  if math.type(i) ~= "integer" or i < 1 or i > most then
    errors.raise("argument", ("%s: place %s in a list of %d"):format(name, tostring(i), n))
  end
end

local function same(a, b)
  if a == b or type(a) ~= "table" or type(b) ~= "table" then
    return a == b
  end
  for key, value in next, a do
    if not same(value, b[key]) then
      return false
    end
  end
  for key in next, b do
    if a[key] == nil then
      return false
    end
  end
  return true
end

local function place_of(name, list, value)
  for i, other in ipairs(list) do
    if same(other, value) then
      return i
    end
  end
  errors.raise("argument", ("%s: %s is not in the list"):format(name, errors.describe(value)))
end

function operations.append(object, value)
  check_value("append", value)
  table.insert(object.value, value)
end

function operations.insert(object, i, value)
  check_place("insert", i, #object.value, #object.value + 1)
  check_value("insert", value)
  table.insert(object.value, i, value)
end

function operations.pop(object, i)
  local n = #object.value
  if i == nil then
    i = n
  end
  check_place("pop", i, n, n)
  return table.remove(object.value, i)
end

function operations.remove(object, value)
  table.remove(object.value, place_of("remove", object.value, value))
end

function operations.extend(object, values)
  table.move(values, 1, #values, #object.value + 1, object.value)
end

function operations.index(object, value)
  return place_of("index", object.value, value)
end

function operations.count(object, value)
  local n = 0
  for _, other in ipairs(object.value) do
    n = same(other, value) and n + 1 or n
  end
  return n
end

function operations.reverse(object)
  local list = object.value
  for i = 1, #list // 2 do
    local j = #list - i + 1
    list[i], list[j] = list[j], list[i]
  end
end

-- A comparison that fails has moved nothing.
function operations.sort(object, less)
  local sorted = table.move(object.value, 1, #object.value, 1, {})
  table.sort(sorted, less)
  object.value = sorted
end

-- ---- answering ----

--- Whether this process serves that manager.
function server.serves(manager)
  return manager == own
end

--- Does one operation to the object of that number; what comes of it.
function server.perform(operation, number, ...)
  return operations[operation](objects[number], ...)
end

local inboxes, known = {}, 0

-- Those that nobody else uses were of the dead.
local function forget_inboxes()
  for key, inbox in pairs(inboxes) do
    if core.shared_others(inbox) == 0 then
      inboxes[key] = nil
    end
  end
  known = 0
end

local function inbox_of(index, generation)
  local key = generation << 32 | index
  if not inboxes[key] then
    known = known + 1
    if known > INBOXES then
      forget_inboxes()
    end
    inboxes[key] = core.shared_at("SimpleQueue", index, generation)
  end
  return inboxes[key]
end

local function put(inbox, ...)
  queue.post(inbox, ...)
  if freight.any then
    queue.await(inbox, freight.taken())
  end
end

-- Functions of clients run here: one whose client has died is ended.
local function attended(inbox, operation, ...)
  if operation ~= "update" and operation ~= "sort" then
    return pcall(server.perform, operation, ...)
  end
  core.on_count(function()
    if core.shared_others(inbox) == 0 then
      errors.raise("cancelled", operation .. ": its client is gone")
    end
  end, LOOK)
  local ok, result = pcall(server.perform, operation, ...)
  core.on_count(nil)
  return ok, result
end

local function answer(err, index, generation, number, ...)
  local inbox = inbox_of(index, generation)
  if not inbox then
    return -- who asked is gone
  end
  local ok, result = false, err
  if not err then
    ok, result = attended(inbox, ...)
  end
  if not pcall(put, inbox, number, ok, result) then
    put(inbox, number, false, tostring(result))
  end
end

-- "done", "ended" or, where there was no request, nil.
local function serve(err, ...)
  if err == nil then
    return nil
  elseif select(4, ...) == "shutdown" then
    return "ended"
  end
  answer(err, ...)
  return "done"
end

--- Serves until it is asked to end.
function server.run(manager, requests)
  core.manager_serve(manager)
  own = manager
  local idle, served = 0, nil
  while served ~= "ended" do
    served = serve(core.queue_take_anyway(requests))
    if served then
      idle = 0
    else
      core.queue_await_message(requests, idle, core.monotonic() + PAUSE, true)
      idle = idle + 1
    end
  end
end

return server
