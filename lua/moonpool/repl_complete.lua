-- What may stand where the cursor is: names, fields, methods, keywords; files within strings.
--
-- Only looks: no metamethod is called but __index that are tables are followed.

local _, require = ...

local chunk = require "moonpool.repl_chunk"
local files = require "moonpool.repl_files"
local help = require "moonpool.help"
local kinds = require "moonpool.kinds"
local show = require "moonpool.show"

local complete = {}

local DEEPEST = 20 -- of tables behind __index

local function index_of(value)
  local meta = debug.getmetatable(value)
  local index = type(meta) == "table" and rawget(meta, "__index")
  return type(index) == "table" and index or type(meta) == "table" and kinds.of(value) and meta or nil
end

local function field(value, name)
  for _ = 1, DEEPEST do
    if type(value) == "table" and rawget(value, name) ~= nil then
      return rawget(value, name)
    end
    value = index_of(value)
    if value == nil then
      return nil
    end
  end
end

-- The names in a value, and in what it inherits from. Of the library's objects, those of their class.
local function names_in(value, methods)
  local found = {}
  local own = not kinds.of(value)
  for _ = 1, DEEPEST do
    if type(value) == "table" and own then
      for name, what in next, value do
        if type(name) == "string" and name:find "^[%a_][%w_]*$" and not (kinds.of(what) == nil
            and methods and type(what) ~= "function") then
          found[name] = true
        end
      end
    end
    own, value = true, index_of(value)
    if value == nil then
      break
    end
  end
  return found
end

-- The value that `a.b.c` names, nil where there is none.
local function value_of(scope, path)
  local first, rest = path:match "^([%a_][%w_]*)(.*)$"
  local value = first and chunk.variable(scope, first)
  for name in (rest or ""):gmatch "[.:]([%a_][%w_]*)" do
    if value == nil then
      return nil
    end
    value = field(value, name)
  end
  return value
end

-- Those that are for everybody, of an object of that kind. What stands in the tables of the library's
-- own classes beside them is not; of what is made in C all is.
local function names_of(kind, value, methods)
  local known = help.methods(kind)
  local found = (#known == 0 or type(value) == "userdata") and names_in(value, methods) or {}
  for _, name in ipairs(known) do
    found[name] = true
  end
  return found
end

-- What may stand behind that path and `.` or `:`. A pool is there, though it be made by the first line
-- that speaks of it.
local function names_behind(scope, path, mark)
  local value = value_of(scope, path)
  local kind = kinds.of(value) or value == nil and path == "pool" and "Pool"
  if kind then
    return names_of(kind, value, mark == ":")
  end
  return value ~= nil and names_in(value, mark == ":") or {}
end

local function all_names(scope)
  local found = {}
  for word in pairs(show.KEYWORDS) do
    found[word] = true
  end
  for name in next, _G do
    if type(name) == "string" and name:find "^[%a_][%w_]*$" then
      found[name] = true
    end
  end
  for name in pairs(scope) do
    found[name] = true
  end
  found.pool = true
  return found
end

local function names_at(scope, text, start)
  local beginning, before = text:sub(start), text:sub(1, start - 1)
  local path, mark = before:match "([%a_][%w_.]*)%s*([.:])%s*$"
  local found
  if path then
    found = names_behind(scope, path, mark)
  elseif before:find "[.:]%s*$" and not before:find "%.%.%s*$" then
    found = {}
  else
    found = all_names(scope)
  end
  local list = {}
  for name in pairs(found) do
    if name:sub(1, #beginning) == beginning and (name:sub(1, 1) ~= "_" or beginning ~= "") then
      list[#list + 1] = name
    end
  end
  table.sort(list)
  return list
end

--- A sorted list of the words that may stand from `start` on, where `text` is the line up to the
--- cursor and has their beginning. Where these are files, what they stand in: "quoted" or "long".
function complete.words(scope, text, start)
  local list, within = files.words(text, start)
  if list then
    return list, within
  end
  return names_at(scope, text, start)
end

return complete
