-- Handles of what processes share: their classes, and how they are sent.
--
-- A handle is sent as the name of its cell, which any process of the tree can attach. What was sent
-- stays used until it has arrived: what a task takes along until this process's pools are idle; what
-- went in a message for as long as who has sent that says.

local core, require = ...

local errors = require "moonpool.errors"

local handle = {
  any = false,    -- whether something was sent since the last message
  pooled = false, -- whether a task may have taken something along
  lasting = {},   -- what nobody tells the arrival of
}

local pooled, latest = {}, {} -- how often what was sent, by tasks and since the last message

local kinds = {}

local function describe(self)
  local kind, index = core.shared_name(self)
  return ("%s %d"):format(kind, index)
end

--- It is being sent.
function handle.note(object)
  pooled[object], latest[object] = (pooled[object] or 0) + 1, (latest[object] or 0) + 1
  handle.any, handle.pooled = true, true
end

local function reduce(self)
  local kind, index, generation = core.shared_name(self)
  local baggage = kinds[kind].baggage
  handle.note(self)
  if baggage then
    return handle.by_name, kind, index, generation, baggage(self)
  end
  return handle.by_name, kind, index, generation
end

--- What is sent from now on goes with a message.
function handle.begin()
  latest, handle.any = {}, false
end

--- What went with the message, which has the caller to keep it.
function handle.taken()
  local mine = latest
  for object, n in pairs(mine) do
    local left = (pooled[object] or 0) - n
    pooled[object] = left > 0 and left or nil
  end
  handle.begin()
  return mine
end

--- What went with the message stays used as long as this process lives.
function handle.keep()
  for object in pairs(handle.taken()) do
    handle.lasting[object] = true
  end
end

--- All that tasks have taken along has arrived.
function handle.release()
  pooled, handle.pooled = {}, false
  handle.begin()
end

--- Makes a class of handles: `index` is its methods' table or an __index function; furnish(handle,
--- ...) gives a new handle what it keeps, of the cell or of what baggage(handle) has returned where
--- it was sent.
function handle.define(kind, class)
  local meta = core.shared_meta(kind)
  meta.__reduce, meta.__tostring, meta.__index = reduce, describe, class.index
  kinds[kind] = class
  return meta
end

--- The handle of a thing that another process of the tree has sent by this name.
function handle.attach(kind, index, generation, ...)
  local self = core.shared_at(kind, index, generation)
  if self == nil then
    errors.raise("closed", ("this %s is gone: no process uses it any more"):format(kind))
  end
  local furnish = kinds[kind].furnish
  if furnish and core.shared_kept(self) == nil then
    furnish(self, ...)
  end
  return self
end

return handle
