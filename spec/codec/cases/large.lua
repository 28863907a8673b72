-- Depth and size.
local t = ...
local enc, dec, there = t.enc, t.dec, t.there

local function nested(n, wrap)
  local v = "end"
  for i = 1, n do v = wrap(v, i) end
  return v
end

local function check_depth(n)
  local v = dec("", enc("", nested(n, function(inner, i) return { inner, i } end)))
  for i = n, 1, -1 do
    assert(v[2] == i)
    v = v[1]
  end
  assert(v == "end")
  v = dec("", enc("", nested(n, function(inner, i) return { inner = inner, i = i } end)))
  for i = n, 1, -1 do
    assert(v.i == i)
    v = v.inner
  end
  assert(v == "end")
  v = dec("", enc("", nested(n, function(inner, i) return { [inner] = i } end)))
  for i = n, 1, -1 do
    assert(v[next(v)] == i)
    v = next(v)
  end
  assert(v == "end")
end

for _, n in ipairs { 398, 399, 400, 401, 402, 403, 100000 } do
  t.case("nested " .. n .. " deep", function() check_depth(n) end)
end

t.case("nested a million deep", function()
  local v = dec("", enc("", nested(1000000, function(inner) return { inner } end)))
  for _ = 1, 1000000 do v = v[1] end
  assert(v == "end")
end)

t.case("a record nested 100,000 deep with shared parts and objects", function()
  local part, mt = { "part" }, { __index = { kind = "node" } }
  local v = there(nested(100000, function(inner, i)
    return setmetatable({ inner = inner, i = i, part = part }, mt)
  end))
  local first = v.part
  for i = 100000, 1, -1 do
    assert(v.i == i and v.part == first and v.kind == "node")
    v = v.inner
  end
end)

t.case("functions nested 20,000 deep through upvalues", function()
  local f = function() return "end" end
  for _ = 1, 20000 do
    local g = f
    f = function() return g end
  end
  f = there(f)
  for _ = 1, 20000 do f = f() end
  assert(f() == "end")
end)

t.case("a million floats, a million integers, a million mixed", function()
  local floats, integers, mixed = {}, {}, {}
  for i = 1, 1000000 do
    floats[i], integers[i], mixed[i] = i / 3, i * i - 5, i % 2 == 0 and i or tostring(i)
  end
  for _, v in ipairs { floats, integers, mixed } do
    local u = dec("", enc("", v))
    assert(#u == 1000000)
    for i = 1, 1000000 do
      assert(u[i] == v[i] and math.type(u[i]) == math.type(v[i]))
    end
  end
end)

t.case("a map of 300,000 tables, each met twice", function()
  local list, map = {}, {}
  for i = 1, 300000 do
    list[i] = { i }
    map["k" .. i] = list[i]
  end
  local l, m = dec("", enc("", list, map))
  for i = 1, 300000 do assert(m["k" .. i] == l[i] and l[i][1] == i) end
end)

t.case("a closure over 50 MB", function()
  local data = { rows = {}, text = ("x"):rep(10 << 20) }
  for i = 1, 100 do
    local row = {}
    for k = 1, 50000 do row[k] = i * k + 0.5 end
    data.rows[i] = row
  end
  t.adopt(function() return data end)
  local bytes = enc("f", function(i, k) return data.rows[i][k], #data.text end)
  assert(#bytes > 50000000)
  local v, n = dec("f", bytes)(100, 50000)
  assert(v == 5000000.5 and n == 10 << 20)
end)

t.case("adoption finds a class beside bulk data", function()
  local Class = { __index = {} }
  local bulk = {}
  for i = 1, 300000 do bulk[i] = { i } end
  t.adopt(function() return bulk, Class end)
  assert(there(Class) == Class)
end)
