-- Lists whose items are made when they are asked for: what grids and samples have in common.
--
-- Invariants: `#list` and list[i] cost the same wherever i is; each item is a table of its own, made
-- anew each time; loops over the same list may be nested, since where a loop is stands with the item
-- that it was given last.

local core, require = ...

local errors = require "moonpool.errors"
local iterable = require "moonpool.iterable"
local kinds = require "moonpool.kinds"

local lazy = {}

local places = setmetatable({}, { __mode = "k" }) -- of items that were given to loops

--- A class of such lists, whose field n is their length: item(list, i) makes one.
function lazy.class(name, item)
  local class = iterable.note_indexed(kinds.class(name))

  function class.__index(list, i)
    if math.type(i) == "integer" and i >= 1 and i <= list.n then
      return item(list, i)
    end
  end

  function class.__len(list)
    return list.n
  end

  function class.__call(list, _, previous)
    local i = previous == nil and 1 or (places[previous] or list.n) + 1
    local params = list[i]
    if params then
      places[params] = i
    end
    return params
  end

  return class
end

--- The names in a table of parameters, in the order of their bytes. Raises "argument" for what is no
--- such table.
function lazy.names(call_name, space)
  if type(space) ~= "table" or kinds.of(space) then
    errors.argument(call_name, "the first argument", "a table of parameters, as in {lr = {0.1, 0.01}}", space)
  end
  local names = {}
  for name in pairs(space) do
    if type(name) ~= "string" then
      errors.argument(call_name, "a parameter's name", "a string", name)
    end
    names[#names + 1] = name
  end
  return core.sort_strings(names)
end

local function is_indexable(value)
  if type(value) == "table" then
    return true
  end
  local meta = type(value) == "userdata" and getmetatable(value)
  return type(meta) == "table" and meta.__len ~= nil and meta.__index ~= nil
end

--- The values that a parameter takes, and their number: those of a list, which may be lazy, or the
--- one that is no list.
function lazy.values(call_name, name, value)
  if not is_indexable(value) then
    return { value }, 1
  end
  local n = value.n
  if n == nil then
    n = #value
  end
  if math.type(n) ~= "integer" or n < 0 then
    errors.argument(call_name, ("the length of %s"):format(name), "an integer, 0 or more", n)
  elseif n == 0 and type(value) == "table" and not getmetatable(value) and next(value) ~= nil
    and value.n == nil then
    errors.raise("argument", ("%s: %s has keys but no items; a parameter's values are a list"):format(call_name,
      name))
  end
  if iterable.is_indexed(value) then
    return value, n
  end
  return table.move(value, 1, n, 1, {}), n
end

return lazy
