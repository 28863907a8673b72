-- Values made up for round trips, from a seed that a failure names.
local random_values = {}

local function byte_string(random, most, valid)
  local parts = {}
  for i = 1, random(0, most) do
    parts[i] = valid and utf8.char(({ random(0, 127), random(0, 0xD7FF), random(0xE000, 0x10FFFF) })[random(3)])
      or string.char(random(0, 255))
  end
  return table.concat(parts)
end

local SPECIAL = { 0, -0.0, 1.0, 0.1, 1e15, 1e16, 1e100, 5e-324, -1.5, 2 ^ 53, 2 ^ 63, 1 / 3,
  math.maxinteger, math.mininteger, 1.7976931348623157e308 }

--- A number of any kind that has digits.
function random_values.number(random)
  local pick = random(4)
  if pick == 1 then
    return SPECIAL[random(#SPECIAL)]
  elseif pick == 2 then
    return random(0) >> random(0, 63)
  end
  local v = string.unpack("<d", string.pack("<i8", random(0)))
  return v == v and math.abs(v) ~= math.huge and v or random()
end

--- A string, of valid UTF-8 where that is asked for; often one that looks like something else.
function random_values.string(random, valid)
  local looks = { "", "1", "1.0", "true", "false", "nan", "inf", "-inf", "null", "1e5", " 1", "0x10", "a,b", 'q"',
    "l\n", "\r\n", "\r", "-", "+1", "1+5", ".", ".5", "5.", "007" }
  return random(2) == 1 and looks[random(#looks)] or byte_string(random, 12, valid)
end

local function scalar(random, valid)
  local pick = random(5)
  if pick == 1 then
    return random(2) == 1
  elseif pick <= 3 then
    return random_values.number(random)
  end
  return random_values.string(random, valid)
end
random_values.scalar = scalar

--- What JSON can say: lists (with nils, their length in n) and tables with names.
function random_values.json(random, depth)
  local pick = depth > 0 and random(3) or 3
  if pick == 3 then
    return scalar(random, true)
  end
  local t = {}
  if pick == 1 then
    for i = 1, random(0, 5) do t[i] = random_values.json(random, depth - 1) end
    if #t > 1 and random(3) == 1 then
      t.n = #t
      t[random(#t - 1)] = nil
    end
  else
    for _ = 1, random(1, 5) do
      t["k" .. byte_string(random, 5, true):gsub("%z", "")] = random_values.json(random, depth - 1)
    end
  end
  return t
end

--- Whether two values are the same, subtypes and the sign of zero as well.
function random_values.same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    return math.type(a) == math.type(b) and (a == b or a ~= a and b ~= b)
      and (a ~= 0 or math.type(a) == "integer" or 1 / a == 1 / b)
  end
  for k, v in pairs(a) do
    if not random_values.same(v, b[k]) then return false end
  end
  for k in pairs(b) do
    if a[k] == nil then return false end
  end
  return true
end

--- Calls body(random) `times` times, each with numbers of its own; a failure names its seed.
function random_values.each(times, body)
  local state = os.time() * 1000
  for i = 1, times do
    local seed = state + i
    math.randomseed(seed)
    local ok, err = pcall(body, math.random)
    if not ok then error(("with seed %d: %s"):format(seed, tostring(err)), 0) end
  end
end

return random_values
