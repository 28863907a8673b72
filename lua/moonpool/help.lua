-- help(what): the signature of something public, and what it does, in a line.

local _, require = ...

local errors = require "moonpool.errors"
local kinds = require "moonpool.kinds"
local texts = require "moonpool.help_texts"

local help = {}

-- Classes that have the methods of another one.
local LIKE = { Job = "AsyncResult", JoinableQueue = "Queue", SimpleQueue = "Queue",
  BoundedSemaphore = "Semaphore" }

local function text_of(name)
  local entry = texts[name]
  return entry and ("%s\n  %s"):format(entry[1], entry[2])
end

-- The names for which that holds, sorted.
local function names_that(holds)
  local names = {}
  for name in pairs(texts) do
    if holds(name) then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names
end

local function names_from(prefix)
  return names_that(function(name) return name:sub(1, #prefix) == prefix end)
end

--- The names of the public methods of objects of that kind; none where nothing is known of it.
function help.methods(kind)
  local methods = {}
  for _, class in ipairs { kind, LIKE[kind] } do
    for _, name in ipairs(names_from(class .. ":")) do
      methods[#methods + 1] = name:sub(#class + 2)
    end
  end
  return methods
end

local function list(names)
  local lines = {}
  for i, name in ipairs(names) do
    lines[i] = "  " .. texts[name][1]
  end
  return table.concat(lines, "\n")
end

-- Which name stands for that function: Pool:map and the like, mp.range, jobs.
local function name_of(mp, f)
  for kind, method, value in kinds.methods() do
    local name = (LIKE[kind] or kind) .. ":" .. tostring(method)
    if value == f and texts[name] then
      return name
    end
  end
  for name in pairs(texts) do
    local own = name:match "^mp%.(.*)$"
    if (own and mp and rawget(mp, own) or rawget(_G, name)) == f then
      return name
    end
  end
end

-- The names that somebody may mean who writes "map", "pool.map", "mp.range" or "queue".
local function find_names(word)
  word = "." .. word:lower():gsub(":", ".")
  return names_that(function(name)
    local dotted = "." .. name:lower():gsub(":", ".")
    return dotted:sub(-#word) == word or dotted:sub(1, #word + 1) == word .. "."
  end)
end

local function overview()
  local words = names_that(function(name) return not name:find "[.:]" end)
  return ("At the prompt:\n%s\n  EXPRESSION &\n  _, _1, _2, ...\n"
    .. "help(pool), help(mp), help(pool.map), help \"range\" say more."):format(list(words))
end

-- ---- functions that are not the library's ----

local function key_of(t, f)
  local found
  for key, value in next, t do
    if rawequal(value, f) and type(key) == "string" and (not found or key < found) then
      found = key
    end
  end
  return found
end

-- The name by which it stands in a loaded module, or as a variable.
local function global_name(f, variables)
  local modules = {}
  for name, module in next, package.loaded do
    if type(name) == "string" and name ~= "_G" and type(module) == "table" then
      modules[#modules + 1] = name
    end
  end
  table.sort(modules)
  for _, name in ipairs(modules) do
    local key = key_of(package.loaded[name], f)
    if key then
      return name .. "." .. key
    end
  end
  return key_of(_G, f) or key_of(variables, f)
end

local function parameters_of(f, info)
  local names = {}
  for i = 1, info.nparams do
    names[i] = debug.getlocal(f, i)
  end
  names[#names + 1] = info.isvararg and "..." or nil
  return table.concat(names, ", ")
end

-- What is known of any: where it stands, and how it is called.
local function describe(f, variables)
  local name, info = global_name(f, variables), debug.getinfo(f, "Su")
  if info.what == "C" then
    return name and ("%s: a C function"):format(name) or "a C function"
  end
  return ("%s(%s)\n  %s:%d"):format(name or "function", parameters_of(f, info), info.short_src, info.linedefined)
end

local function about(mp, variables, what)
  if type(what) == "function" then
    return text_of(name_of(mp, what)) or describe(what, variables)
  elseif type(what) == "string" then
    local names = find_names(what)
    return #names == 1 and text_of(names[1]) or list(names)
  end
  local kind = tostring(kinds.of(what))
  if what == mp or kind == "Context" then
    return list(names_from "mp.")
  end
  local names = names_from(kind .. ":")
  local others = LIKE[kind] and names_from(LIKE[kind] .. ":") or {}
  return list(table.move(others, 1, #others, #names + 1, names))
end

--- Prints what is known of a function, of a name, of an object or the module; without an argument, what
--- can be said at the prompt. `variables`: name -> value of those that are no globals.
function help.about(mp, variables, ...)
  local text
  if select("#", ...) == 0 then
    text = overview()
  else
    text = about(mp, variables, (...))
  end
  io.stdout:write(text and text ~= "" and text
    or ("nothing is known of %s; help() lists what is"):format(errors.describe((...))), "\n")
end

return help
