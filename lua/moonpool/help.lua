-- help(what): the signature of something public, and what it does, in a line.

local _, require = ...

local errors = require "moonpool.errors"
local kinds = require "moonpool.kinds"
local texts = require "moonpool.help_texts"

local help = {}

local CLASSES = { pool = "moonpool.pool", result = "moonpool.result" }

local function text_of(name)
  local entry = texts[name]
  return entry and ("%s\n  %s"):format(entry[1], entry[2])
end

-- The names of the list that begin so, sorted.
local function names_from(prefix)
  local names = {}
  for name in pairs(texts) do
    if name:sub(1, #prefix) == prefix then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names
end

local function list(names)
  local lines = {}
  for i, name in ipairs(names) do
    lines[i] = "  " .. texts[name][1]
  end
  return table.concat(lines, "\n")
end

-- Which name stands for that function: pool:map and the like, mp.range, jobs.
local function name_of(mp, f)
  for prefix, module in pairs(CLASSES) do
    for name, value in pairs(require(module)) do
      if value == f and texts[prefix .. ":" .. name] then
        return prefix .. ":" .. name
      end
    end
  end
  for name in pairs(texts) do
    local own = name:match "^mp%.(.*)$"
    if (own and mp and rawget(mp, own) or rawget(_G, name)) == f then
      return name
    end
  end
end

-- A name as somebody writes it: "map", "pool.map", "mp.range".
local function find_name(name)
  local candidates = { name, (name:gsub("%.", ":")), "mp." .. name, "pool:" .. name, "result:" .. name }
  for _, candidate in ipairs(candidates) do
    if texts[candidate] then
      return candidate
    end
  end
end

local function overview()
  local words = {}
  for name in pairs(texts) do
    if not name:find "[.:]" then
      words[#words + 1] = name
    end
  end
  table.sort(words)
  return ("At the prompt:\n%s\n  EXPRESSION &\n  _, _1, _2, ...\n"
    .. "help(pool), help(mp), help(pool.map), help \"range\" say more."):format(list(words))
end

local function about(mp, what)
  if what == mp then
    return list(names_from "mp.")
  elseif type(what) == "string" then
    local name = find_name(what)
    return name and text_of(name)
  elseif kinds.of(what) == "Pool" then
    return list(names_from "pool:")
  elseif kinds.of(what) == "AsyncResult" or kinds.of(what) == "Job" then
    return list(names_from "result:")
  end
  local name = name_of(mp, what)
  return name and text_of(name)
end

--- Prints what is known of a function, of a name, of a pool or the module; without an argument, what
--- can be said at the prompt.
function help.about(mp, ...)
  local text
  if select("#", ...) == 0 then
    text = overview()
  else
    text = about(mp, (...))
  end
  print(text or ("nothing is known of %s; help() lists what is"):format(errors.describe((...))))
end

return help
