-- Iterables: tables, functions, and the lazy ones made here (range, zip).
--
-- `input` tells the core where a call's items come from; everything lazy works in
-- a plain generic for as well.

local core, require = ...

local errors = require "moonpool.errors"
local kinds = require "moonpool.kinds"

local iterable = {}

local indexed = setmetatable({}, { __mode = "k" }) -- classes whose objects are callable lists, too

--- Notes that objects of this class are indexed for their items, though they can be called.
function iterable.note_indexed(class)
  indexed[class] = true
  return class
end

--- Whether the value is such an object.
function iterable.is_indexed(value)
  return indexed[getmetatable(value)] ~= nil
end

-- ---- range ----

local Range = iterable.note_indexed(kinds.class "Range")

function Range.__index(range, i)
  if math.type(i) == "integer" and i >= 1 and i <= range.n then
    return range.first + (i - 1) * range.step
  end
end

function Range.__len(range)
  return range.n
end

-- As a generic for's iterator: counts by position, so that floats do not drift.
function Range.__call(range, _, previous)
  local position = previous == nil and 0 or range.at
  if position >= range.n then
    return nil
  end
  range.at = position + 1
  return range.first + position * range.step
end

function Range.__tostring(range)
  return ("range(%s, %s, %s)"):format(range.first, range.last, range.step)
end

local function count_steps(first, last, step)
  if (step > 0 and first > last) or (step < 0 and first < last) then
    return 0
  end
  if math.type(first) == "integer" and math.type(last) == "integer"
    and math.type(step) == "integer" then
    return (last - first) // step + 1
  end
  return math.floor((last - first) / step + 1e-9) + 1
end

local function check_number(call_name, value, which)
  if type(value) ~= "number" or value ~= value or math.abs(value) == math.huge then
    errors.argument(call_name, which, "a finite number", value)
  end
end

--- range(n): 1..n; range(first, last [, step]): both ends included. Lazy; `#` and a
--- generic for work.
function iterable.range(first, last, step)
  check_number("range", first, "the first argument")
  if last == nil then
    first, last = 1, first
  end
  step = step == nil and 1 or step
  check_number("range", last, "last")
  check_number("range", step, "step")
  if step == 0 then
    errors.argument("range", "step", "a number other than 0", step)
  end
  return setmetatable(
    { first = first, last = last, step = step, n = count_steps(first, last, step) }, Range)
end

-- ---- linspace ----

local Linspace = iterable.note_indexed(kinds.class "Linspace")

function Linspace.__index(space, i)
  if math.type(i) ~= "integer" or i < 1 or i > space.n then
    return nil
  elseif i == space.n then
    return space.last
  end
  return space.first + (space.last - space.first) * ((i - 1) / (space.n - 1))
end

function Linspace.__len(space)
  return space.n
end

function Linspace.__call(space, _, previous)
  local position = previous == nil and 1 or space.at + 1
  space.at = position
  return space[position]
end

function Linspace.__tostring(space)
  return ("linspace(%s, %s, %d)"):format(space.first, space.last, space.n)
end

--- linspace(a, b, n): n floats in even steps from a to b, both included. Lazy; `#`,
--- indexing and a generic for work.
function iterable.linspace(a, b, n)
  check_number("linspace", a, "a")
  check_number("linspace", b, "b")
  local count = errors.whole(n)
  if not count or count < 1 then
    errors.argument("linspace", "n", "a positive integer", n)
  end
  n = count
  local first = n == 1 and b or a
  return setmetatable({ first = first + 0.0, last = (n == 1 and a or b) + 0.0, n = n, at = 0 },
    Linspace)
end

-- ---- each ----

--- each(f, state, control, closing): what a generic for would walk through, as an
--- iterator function, so `mp.each(pairs(t))` can be passed where an iterable is taken.
function iterable.each(f, state, control, closing)
  if not errors.is_callable(f) then
    errors.argument("each", "the first argument", "an iterator, as in mp.each(pairs(t))", f)
  end
  local function keep(...)
    control = ...
    if control == nil then
      f = nil
      local _ <close> = closing
    end
    return ...
  end
  return function()
    if f then
      return keep(f(state, control))
    end
  end
end

-- ---- zip ----

local Zip = kinds.class "Zip"
Zip.__index = Zip

-- A function that gives one value of the iterable a call, nil at the end.
local function puller(source)
  if type(source) == "function" or getmetatable(source) == Zip then
    return source
  end
  local position, n = 0, source.n or #source
  return function()
    position = position + 1
    if position <= n then
      return source[position]
    end
  end
end

-- Pulls one value of each; nothing when the shortest has ended.
local function pull_all(zip)
  local values = {}
  for i, pull in ipairs(zip.pullers) do
    local value = pull()
    if value == nil and (not zip.lengths[i] or zip.at >= zip.lengths[i]) then
      zip.ended = true
      return nil
    elseif value == nil then
      values.n = #zip.pullers
    end
    values[i] = value
  end
  zip.at = zip.at + 1
  return values
end

function Zip.__call(zip)
  if zip.ended or zip.at >= zip.shortest then
    return nil
  end
  local values = pull_all(zip)
  if values then
    return table.unpack(values, 1, #zip.pullers)
  end
end

function Zip.__tostring(zip)
  return ("zip of %d"):format(#zip.pullers)
end

local function known_length(source)
  if type(source) == "table" and getmetatable(source) ~= Zip then
    return source.n or #source
  end
end

--- zip(a, b, ...): tables {a_i, b_i}, to the shortest; a generic for gets a_i, b_i.
--- It is consumed as it is read.
function iterable.zip(...)
  local sources = table.pack(...)
  local zip = { pullers = {}, lengths = {}, at = 0, shortest = math.huge }
  for i = 1, sources.n do
    local source = sources[i]
    if type(source) ~= "table" and type(source) ~= "function" then
      errors.argument("zip", ("argument %d"):format(i), "a table or an iterator function", source)
    end
    zip.pullers[i] = puller(source)
    zip.lengths[i] = known_length(source)
    zip.shortest = math.min(zip.shortest, zip.lengths[i] or math.huge)
  end
  if sources.n == 0 then
    zip.shortest = 0
  end
  return setmetatable(zip, Zip)
end

-- ---- what a call reads ----

local function zip_items(zip)
  return function()
    if not zip.ended and zip.at < zip.shortest then
      return pull_all(zip)
    end
  end
end

local function table_length(call_name, source)
  local n = source.n
  if n == nil then
    n = #source
  end
  if math.type(n) ~= "integer" or n < 0 then
    errors.argument(call_name, "the iterable's length", "a non-negative integer", n)
  end
  if n == 0 and source.n == nil and next(source) ~= nil and not getmetatable(source) then
    errors.raise("argument",
      ("%s: the table has keys but no items 1..n; write mp.each(pairs(t)) to pass its pairs"):format(call_name))
  end
  return n
end

local function hint_for(source)
  if type(source) == "number" then
    return ("; write mp.range(%s)"):format(source)
  elseif type(source) == "string" then
    return ("; write {%q}, or io.lines(%q) for the lines of a file"):format(source, source)
  end
  return ""
end

local function refuse(call_name, source)
  errors.raise("argument",
    ("%s: the iterable must be a table or an iterator function, got %s%s"):format(call_name,
      errors.describe(source), hint_for(source)))
end

-- Whether it is indexed for its items, rather than called.
local function is_list(source)
  return iterable.is_indexed(source) or type(source) == "table" and not errors.is_callable(source)
end

--- Tells `call` (of the core) that its items come from `source`.
function iterable.input(call, call_name, source)
  local meta = getmetatable(source)
  if meta == Range then
    core.input(call, "range", source.first, source.step, source.n)
  elseif meta == Zip then
    core.input(call, "function", zip_items(source))
  elseif type(source) == "function" then
    core.input(call, "function", source)
  elseif is_list(source) then
    core.input(call, "table", source, table_length(call_name, source))
  elseif errors.is_callable(source) then
    core.input(call, "function", function() return source() end)
  else
    refuse(call_name, source)
  end
end

-- Index and value, one after another.
local function walk_list(source, n)
  local position = 0
  return function()
    position = position + 1
    if position <= n then
      return position, source[position]
    end
  end
end

local function walk_values(pull)
  local position = 0
  return function()
    local value = pull()
    if value ~= nil then
      position = position + 1
      return position, value
    end
  end
end

--- An iterator of index and value over what a call would take as its items; an item that is nil has
--- its place.
function iterable.items(call_name, source)
  local meta = getmetatable(source)
  if meta == Zip then
    return walk_values(zip_items(source))
  elseif is_list(source) then
    return walk_list(source, table_length(call_name, source))
  elseif errors.is_callable(source) then
    return walk_values(function() return (source()) end)
  end
  refuse(call_name, source)
end

return iterable
