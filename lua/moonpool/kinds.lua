-- The classes of the library's objects, and which one a value is of.

local kinds = {}

local names = setmetatable({}, { __mode = "k" }) -- by metatable

--- Notes that `meta` is the metatable of objects of that name; returns it.
function kinds.note(meta, name)
  names[meta] = name
  return meta
end

--- A metatable for a new class.
function kinds.class(name)
  return kinds.note({ __name = name }, name)
end

--- The name of the library's object ("Pool", "Queue", ...), nil for any other value.
function kinds.of(value)
  local meta = getmetatable(value)
  return type(meta) == "table" and names[meta] or nil
end

return kinds
