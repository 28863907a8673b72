-- mp.share: values and functions that are encoded once, for all who get a handle.

local core, require = ...

local freight = require "moonpool.freight"
local handle = require "moonpool.handle"

local share = {}

local Shared

local within = setmetatable({}, { __mode = "k" }) -- what a shared value refers to
local Within = { __gc = freight.unload }

-- What it holds, in a box: decoded the first time that this process asks.
local function open(self)
  local box = core.shared_kept(self)
  if not box then
    box = core.worker() and core.share_recall(self) or nil
    if not box then
      box = { core.share_decode(self) }
      if core.worker() then
        core.share_remember(self, box)
      end
    end
    core.shared_keep(self, box)
  end
  return box
end

local methods = {}

--- What it holds. The same one each time in a process; what is changed in it stays there.
function methods:get()
  return open(self)[1]
end

Shared = handle.define("Shared", { index = methods })

function Shared:__call(...)
  return open(self)[1](...)
end

--- A handle of the value, or of the function with all that it refers to, as they are now: it is
--- sent for next to nothing, and each process that gets it decodes it once.
function share.share(value)
  local self = core.shared("Shared")
  freight.begin()
  core.share_fill(self, value)
  if freight.any then
    within[self] = setmetatable(freight.taken(), Within)
  end
  return self
end

-- In the place of a function: what is built where it arrives is the function itself.
local Caller = {}

function Caller:__reduce()
  freight.note(self.handle)
  return share.by_name, select(2, core.shared_name(self.handle))
end

function Caller:__call(...)
  return self.handle(...)
end

--- What to send where a function is called as often as there are items; f itself where it is no
--- handle.
function share.as_function(f)
  return getmetatable(f) == Shared and setmetatable({ handle = f }, Caller) or f
end

--- Whether it is a function, or a handle, which may stand for one.
function share.is_function(f)
  return type(f) == "function" or getmetatable(f) == Shared
end

--- What a handle that was given as a function holds; f itself where it is no handle.
function share.held(f)
  return getmetatable(f) == Shared and open(f)[1] or f
end

--- What Caller sends: the function.
function share.attach(index, generation)
  return open(handle.attach("Shared", index, generation))[1]
end

return share
