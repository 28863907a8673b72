-- mp.sample: combinations of parameters at random.
--
-- Invariants: what an item's parameter is depends on the seed, the item's place and the parameter's
-- name, on nothing else: not on how many items there are, nor on the other parameters. math.random is
-- left alone but for a seed that was not given.
--
-- Each draws from a SplitMix64 of its own (Steele, Lea and Flood, 2014).

local _, require = ...

local errors = require "moonpool.errors"
local kinds = require "moonpool.kinds"
local lazy = require "moonpool.lazy"
local options = require "moonpool.options"

local sample = {}

-- ---- random numbers ----

local GOLDEN = 0x9E3779B97F4A7C15

local function mix(x)
  x = (x ~ x >> 30) * 0xBF58476D1CE4E5B9
  x = (x ~ x >> 27) * 0x94D049BB133111EB
  return x ~ x >> 31
end

-- FNV-1a
local function hash(text)
  local h = 0xCBF29CE484222325
  for i = 1, #text do
    h = (h ~ text:byte(i)) * 0x100000001B3
  end
  return h
end

-- A function that gives 64 random bits a call.
local function stream(seed, name, i)
  local state = mix(mix(seed + GOLDEN) ~ hash(name)) + mix(i * GOLDEN)
  return function()
    state = state + GOLDEN
    return mix(state)
  end
end

-- From 0 to `most`, both included and all alike; unsigned.
local function up_to(most, bits)
  local mask = most
  for shift = 0, 5 do
    mask = mask | mask >> (1 << shift)
  end
  local x
  repeat
    x = bits() & mask
  until not math.ult(most, x)
  return x
end

-- From 0 to less than 1.
local function fraction(bits)
  return (bits() >> 11) * 0x1p-53
end

-- ---- what is drawn from ----

local function between(low, high, part)
  local x = low + part * (high - low)
  if x - x ~= 0 then -- they are too far apart
    x = low * (1 - part) + high * part
  end
  return math.min(math.max(x, low), high)
end

local draws = {}

function draws.list(from, bits)
  return from.values[up_to(from.count - 1, bits) + 1]
end

function draws.float(from, bits)
  return between(from.min, from.max, fraction(bits))
end

function draws.log(from, bits)
  local x = math.exp(between(math.log(from.min), math.log(from.max), fraction(bits)))
  return math.min(math.max(x, from.min), from.max)
end

function draws.integer(from, bits)
  return from.min + up_to(from.max - from.min, bits)
end

-- An integer has the part of the line from itself to the next.
function draws.log_integer(from, bits)
  local x = math.exp(between(math.log(from.min), math.log(from.max + 1.0), fraction(bits)))
  if x >= from.max then
    return from.max
  end
  return math.max(math.floor(x), from.min)
end

local RANGE = { min = true, max = true, log = true, integer = true }

local function check_end(name, range, field)
  local value = range[field]
  local which = ("%s.%s"):format(name, field)
  if type(value) ~= "number" or value ~= value or math.abs(value) == math.huge then
    errors.argument("sample", which, "a finite number", value)
  elseif range.integer and not math.tointeger(value) then
    errors.argument("sample", which, "an integer", value)
  end
  return range.integer and math.tointeger(value) or value + 0.0
end

local function check_range(name, range)
  options.check_names("sample", range, RANGE, "field of " .. name)
  for _, field in ipairs { "log", "integer" } do
    if range[field] ~= nil and type(range[field]) ~= "boolean" then
      errors.argument("sample", ("%s.%s"):format(name, field), "a boolean", range[field])
    end
  end
  local low, high = check_end(name, range, "min"), check_end(name, range, "max")
  if low > high then
    errors.raise("argument", ("sample: %s.min must not be above its max, got %s and %s"):format(name,
      low, high))
  elseif range.log and low <= 0 then
    errors.argument("sample", name .. ".min", "more than 0 where log is set", low)
  end
  local draw = range.log and (range.integer and "log_integer" or "log") or range.integer and "integer" or "float"
  return { draw = draw, min = low, max = high }
end

local function is_range(value)
  return type(value) == "table" and not kinds.of(value) and value[1] == nil and next(value) ~= nil
    and value.n == nil
end

local function source_of(name, value)
  if is_range(value) then
    return check_range(name, value)
  end
  local values, count = lazy.values("sample", name, value)
  if count == 0 then
    errors.raise("argument", ("sample: the list %s has nothing to choose from"):format(name))
  end
  return { draw = "list", values = values, count = count }
end

local Sample = lazy.class("Sample", function(self, i)
  local params = {}
  for k, name in ipairs(self.names) do
    local source = self.sources[k]
    params[name] = draws[source.draw](source, stream(self.seed, name, i))
  end
  return params
end)

function Sample.__tostring(self)
  return ("sample of %d (%s; seed %d)"):format(self.n, table.concat(self.names, ", "), self.seed)
end

--- sample(space, n [, seed]): n tables of parameters. In `space` one of a list is chosen, a table
--- {min =, max = [, log = true] [, integer = true]} is a range (with `log` each magnitude is as likely,
--- integers have both ends included), anything else is what it is. The same integer `seed` gives the
--- same items in every process, and more of them begin with the same; without one it is drawn from
--- math.random and stands in the field `seed`. Lazy; `#`, indexing and a generic for work.
function sample.sample(space, n, seed)
  local names = lazy.names("sample", space)
  if math.type(n) ~= "integer" or n < 0 then
    errors.argument("sample", "n", "an integer, 0 or more", n)
  elseif seed ~= nil and math.type(seed) ~= "integer" then
    errors.argument("sample", "the seed", "an integer", seed)
  end
  local self = { names = names, sources = {}, n = n, seed = seed or math.random(0) }
  for k, name in ipairs(names) do
    self.sources[k] = source_of(name, space[name])
  end
  return setmetatable(self, Sample)
end

return sample
