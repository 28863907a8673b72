-- The classes of the library's objects, and which one a value is of.

local kinds = {}

local names = setmetatable({}, { __mode = "k" }) -- by metatable
local methods_of = setmetatable({}, { __mode = "k" })

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

--- Notes where the methods of a class stand, whose objects are not indexed by a table.
function kinds.note_methods(meta, methods)
  methods_of[meta] = methods
end

--- The methods of all classes, as an iteration over (kind, name, function).
function kinds.methods()
  return coroutine.wrap(function()
    for meta, kind in pairs(names) do
      local index = rawget(meta, "__index")
      for name, value in next, methods_of[meta] or type(index) == "table" and index or meta do
        coroutine.yield(kind, name, value)
      end
    end
  end)
end

return kinds
