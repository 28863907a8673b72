-- Handles of what processes share: their classes, and how they are sent.
--
-- A handle is sent as the name of its cell, which any process of the tree can attach.

local core, require = ...

local errors = require "moonpool.errors"
local freight = require "moonpool.freight"
local kinds = require "moonpool.kinds"

local handle = {}

local classes = {}

local function describe(self)
  local kind, index = core.shared_name(self)
  return ("%s %d"):format(kind, index)
end

local function reduce(self)
  local kind, index, generation = core.shared_name(self)
  local baggage = classes[kind].baggage
  freight.note(self)
  if baggage then
    return handle.by_name, kind, index, generation, baggage(self)
  end
  return handle.by_name, kind, index, generation
end

--- Makes a class of handles: `index` is its methods' table or an __index function, `methods` then that
--- table; furnish(handle, ...) gives a new handle what it keeps, of the cell or of what baggage(handle)
--- has returned where it was sent.
function handle.define(kind, class)
  local meta = kinds.note(core.shared_meta(kind), kind)
  meta.__reduce, meta.__tostring, meta.__index = reduce, describe, class.index
  kinds.note_methods(meta, class.methods)
  classes[kind] = class
  return meta
end

--- The handle of a thing that another process of the tree has sent by this name.
function handle.attach(kind, index, generation, ...)
  local self = core.shared_at(kind, index, generation)
  if self == nil then
    errors.raise("closed", ("this %s is gone: no process uses it any more"):format(kind))
  end
  local furnish = classes[kind].furnish
  if furnish and core.shared_kept(self) == nil then
    furnish(self, ...)
  end
  return self
end

return handle
