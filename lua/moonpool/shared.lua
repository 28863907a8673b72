-- Value and Array: typed numbers in memory that processes share.

local core, require = ...

local errors = require "moonpool.errors"
local handle = require "moonpool.handle"
local sync = require "moonpool.sync"

local shared = {}

-- A lock of its own, for steps that are more than one reading or writing.
local function give_lock(self)
  local lock = sync.RLock()
  core.value_lock(self, lock)
  core.shared_give(lock, self)
  core.shared_keep(self, lock)
  return self
end

local function furnish(self)
  core.shared_keep(self, handle.attach(core.value_lock(self)))
end

-- ---- Value ----

local value = {}

--- Adds n, in one step that no other process comes between; the new value.
function value:add(n)
  return core.value_add(self, n)
end

--- Its RLock.
function value:get_lock()
  return core.shared_kept(self)
end

local value_meta = handle.define("Value", {
  methods = value,
  index = function(self, key)
    if key == "value" then
      return core.value_get(self)
    end
    return value[key]
  end,
  furnish = furnish,
})

function value_meta:__newindex(key, n)
  if key ~= "value" then
    errors.argument("Value", "the field", "value", key)
  end
  core.value_set(self, n)
end

function value_meta:__tostring()
  return ("Value %s"):format(core.value_get(self))
end

--- Value(type [, number]): a number of a type as string.pack names it, 0.
function shared.Value(type_name, number)
  local self = core.shared("Value")
  core.value_begin(self, type_name)
  if number ~= nil then
    core.value_set(self, number)
  end
  return give_lock(self)
end

-- ---- Array ----

local array = {}

local array_meta = core.shared_meta("Array")

-- Bounds as string.sub takes them.
local function bounds(name, n, i, j)
  i, j = i == nil and 1 or i, j == nil and -1 or j
  for which, bound in pairs { ["the first argument"] = i, ["the second argument"] = j } do
    if not errors.whole(bound) then
      errors.argument(name, which, "an integer", bound)
    end
  end
  i = i < 0 and math.max(n + i + 1, 1) or math.max(i, 1)
  j = j < 0 and n + j + 1 or math.min(j, n)
  return i, j
end

--- A table of the elements i (1) to j (the last); both as in string.sub.
function array:slice(i, j)
  i, j = bounds("slice", #self, i, j)
  return core.array_slice(self, i, j)
end

--- A table of all elements.
function array:totable()
  return core.array_slice(self, 1, #self)
end

--- Sets the elements from i on to those of a table or an Array: all, or none where one does not fit.
function array:set(i, values)
  if not errors.whole(i) then
    errors.argument("set", "the first argument", "an integer", i)
  elseif type(values) ~= "table" and getmetatable(values) ~= array_meta then
    errors.argument("set", "the second argument", "a table or an Array", values)
  end
  local n, size = #values, #self
  if i < 1 or i > size + 1 or n > size + 1 - i then
    errors.raise("argument", ("set: %d elements from %d on, of %d"):format(n, i, size))
  end
  if type(values) == "table" or not core.array_copy(self, i, values) then
    core.array_set(self, i, values, n)
  end
end

--- Sets all elements to v.
function array:fill(v)
  core.array_fill(self, v)
end

array.get_lock = value.get_lock

handle.define("Array", { index = array, methods = array, furnish = furnish })
array_meta.__index, array_meta.__newindex, array_meta.__len = core.array_access(array)

function array_meta:__tostring()
  return ("Array of %d"):format(#self)
end

--- Array(type, n or table): numbers of a type as string.pack names it, n zeroes or those given.
function shared.Array(type_name, given)
  local n = errors.whole(type(given) == "table" and #given or given)
  if not n or n < 0 then
    errors.argument("Array", "the second argument", "a number of elements or a table", given)
  end
  local self = core.shared("Array")
  core.value_begin(self, type_name, n)
  if type(given) == "table" then
    array.set(self, 1, given)
  end
  return give_lock(self)
end

return shared
