-- What messages and tasks take along: handles of what is shared, and connections. They must stay until
-- they have arrived, though who has sent them lets go of them at once.
--
-- A thing is noted while it is encoded. A handle that goes into a queue or into a shared value belongs
-- to that, so that it outlives its sender; what a task has taken along stays until this process's
-- pools are idle, and what a pool's initializer has as long as the pool is there; the rest until
-- whatever carries it says that it has arrived, or never will.

local core = ...

local freight = {
  any = false,    -- whether the message that is being made has some
  pooled = false, -- whether tasks may have
}

local aboard = {}  -- of that message
local tasks = {}
local waiting = {} -- messages: their things, and how to ask whether they have arrived
local starts = setmetatable({}, { __mode = "k" }) -- of pools: what new workers begin with
local Start = {}

--- `object` is being encoded. It is a handle, or `undo()` is called when it has arrived, or never will.
function freight.note(object, undo)
  local carrier = core.message_carrier()
  local thing = { object = not undo and object or nil, undo = undo }
  if carrier == nil then
    tasks[#tasks + 1] = thing
    freight.pooled = true
    return
  elseif type(carrier) == "table" then
    starts[carrier] = starts[carrier] or setmetatable({}, Start)
    table.insert(starts[carrier], thing)
    return
  elseif carrier ~= true and carrier ~= object and not undo then
    core.shared_give(object, carrier)
    thing.index, thing.generation = select(2, core.shared_name(carrier))
  end
  aboard[#aboard + 1] = thing
  freight.any = true
end

--- They have arrived, or never will.
function freight.unload(things)
  for _, thing in ipairs(things) do
    if thing.undo then
      thing.undo()
    elseif thing.index then
      core.shared_take(thing.object, thing.index, thing.generation)
    end
  end
end

Start.__gc = freight.unload

--- What is aboard belongs to the message that was made, and is the caller's to look after.
function freight.taken()
  local things = aboard
  aboard, freight.any = {}, false
  return things
end

--- A new message is begun. What is aboard was of one that was never sent.
function freight.begin()
  if freight.any then
    freight.unload(freight.taken())
  end
end

--- Looks after things until arrived(...) is true.
function freight.await(things, arrived, ...)
  for i = #waiting, 1, -1 do
    local other = waiting[i]
    if other.arrived(table.unpack(other)) then
      waiting[i] = waiting[#waiting]
      waiting[#waiting] = nil
      freight.unload(other.things)
    end
  end
  waiting[#waiting + 1] = { things = things, arrived = arrived, ... }
end

--- No task is under way.
function freight.release()
  local things = tasks
  tasks, freight.pooled = {}, false
  freight.unload(things)
end

return freight
