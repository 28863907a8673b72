-- Plain values: there and back, and the bytes they are.
local t = ...
local enc, dec, hex, same = t.enc, t.dec, t.hex, t.same

local function round(v)
  for _, flags in ipairs { "", "f", "t", "ft" } do
    assert(same(v, dec(flags, assert(enc(flags, v)))), flags)
  end
end

t.case("scalars keep value and subtype", function()
  local values = { 0, 1, 23, 24, 255, 256, 65535, 65536, 4294967295, 4294967296, -1, -24, -25, -256, -257,
    -65536, -65537, -4294967296, -4294967297, math.maxinteger, math.mininteger, 0.0, -0.0, 1.0, -1.5, 1e308,
    5e-324, math.huge, -math.huge, 2.0 ^ 53, 2.0 ^ 63, true, false, "", "a", "\0", ("x"):rep(23), ("x"):rep(24),
    ("x"):rep(255), ("x"):rep(256), ("\255\0"):rep(40000) }
  for _, v in ipairs(values) do round(v) end
  round(0 / 0)
  round(nil)
end)

t.case("integers and floats are told apart on the wire", function()
  assert(hex(enc("", 1)) == "01")
  assert(hex(enc("", 1.0)) == "fb3ff0000000000000")
  assert(hex(enc("", math.mininteger)) == "3b7fffffffffffffff")
end)

t.case("several values, nil among them and at the end", function()
  local n = select("#", dec("", enc("", nil, 1, nil, "x", nil)))
  assert(n == 5)
  local a, b, c, d, e = dec("", enc("", nil, { 1 }, nil, "x", nil))
  assert(a == nil and same(b, { 1 }) and c == nil and d == "x" and e == nil)
  assert(select("#", dec("", enc(""))) == 0)
end)

t.case("as many values as asked for", function()
  local bytes = enc("", 1, "two", { 3 }, 4)
  local used, a, b = t.decn("", bytes, 2)
  assert(used == 5 and a == 1 and b == "two")
  used, a, b = t.decn("", bytes, 0)
  assert(used == 0 and a == nil and b == nil)
  assert(select("#", t.decn("", bytes, 100)) == 5)
  used = t.decn("", bytes, 3)
  assert(used == 7)
end)

t.case("strings are bytes, or text where they are UTF-8 and it is asked for", function()
  assert(hex(enc("", "a")) == "4161")
  assert(hex(enc("t", "a")) == "6161")
  assert(hex(enc("t", "\u{fc}\u{6c34}\u{10151}")) == "69c3bce6b0b4f0908591")
  assert(hex(enc("t", "\xff")) == "41ff")
  for _, bad in ipairs { "\xc0\x80", "\xc3", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
    "\x80", "a\xe6\xb0", "\xf0\x80\x80\x80", "\xc3\x28" } do
    assert(enc("t", bad):byte() >> 5 == 2, hex(bad))
    round(bad)
  end
  for _, good in ipairs { "\xc2\x80", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xf0\x90\x80\x80",
    "\xf4\x8f\xbf\xbf", "\0" } do
    assert(enc("t", good):byte() >> 5 == 3, hex(good))
    round(good)
  end
  assert(hex(enc("t", { a = "\xff" })) == "a1616141ff")
end)

t.case("sequences are arrays, all else is a map", function()
  assert(hex(enc("", {})) == "80")
  assert(hex(enc("", { 1, 2, 3 })) == "83010203")
  assert(hex(enc("", { { 1, 2 }, { 3 } })) == "828201028103")
  assert(hex(enc("", { [2] = 1 })) == "a10201")
  assert(hex(enc("", { a = 1 })) == "a1416101")
  assert(enc("", { 1, 2, x = 3 }):byte() == 0xA3)
  assert(enc("", { 1, nil, 3 }):byte() == 0xA2)
  assert(enc("", { [0] = 0, 1, 2 }):byte() == 0xA3)
  assert(enc("", { 1, 2, [1.5] = 0 }):byte() == 0xA3)
  local backwards = {}
  for i = 40, 1, -1 do backwards[i] = "v" .. i end
  assert(hex(enc("", backwards)):sub(1, 4) == "9828")
  local sparse = {}
  for i = 1, 64 do sparse[i] = "v" .. i end
  sparse[63] = nil
  assert(enc("", sparse):byte() == 0xB8)
  for _, v in ipairs { {}, { {} }, { 1, nil, 3 }, { [0] = 0, 1 }, { 1, 2, [1.5] = 0, x = 3 }, backwards, sparse,
    { [math.mininteger] = 1, [math.maxinteger] = 2, [-1] = 3 }, { [true] = false, [false] = true },
    { [""] = "", [" "] = { [""] = {} } } } do
    round(v)
  end
end)

t.case("a border that is no length", function()
  local odd = {}
  for i = 0, 30 do odd[1 << i] = i end
  round(odd)
  odd = { n = 3 }
  for i = 1, 100 do odd[i] = i + 0.5 end
  round(odd)
  odd[50] = nil
  round(odd)
  odd = {}
  for i = 1, 100 do odd[i] = i + 0.5 end
  odd[50], odd[101] = nil, nil
  odd[200] = 1.5
  round(odd)
end)

t.case("maps of any size", function()
  for _, n in ipairs { 1, 22, 23, 24, 25, 255, 256, 257, 65535, 65536, 70000 } do
    local map = {}
    for i = 1, n do map["k" .. i] = i end
    local bytes = enc("", map)
    assert(same(map, dec("", bytes)), n)
    local head = n < 24 and ("%02x"):format(0xA0 + n) or n < 256 and ("b8%02x"):format(n)
      or n < 65536 and ("b9%04x"):format(n) or ("ba%08x"):format(n)
    assert(hex(bytes:sub(1, #head // 2)) == head, n)
  end
end)

t.case("maps whose first entries are large", function()
  local map = {}
  for i = 1, 40 do map[i * 1.5] = { ("x"):rep(10000), map = { [i] = i } } end
  round(map)
  round({ map, { map2 = { map } } })
end)

t.case("tables as keys", function()
  local key = { 1, { 2 } }
  local u = dec("", enc("", { [key] = "v", [{}] = { [{}] = 1 } }))
  local found = 0
  for k, v in pairs(u) do
    if v == "v" then
      assert(same(k, key))
    else
      assert(same(k, {}) and same(next(v), {}))
    end
    found = found + 1
  end
  assert(found == 2)
end)

t.case("sequences of numbers of one subtype are typed arrays", function()
  assert(hex(enc("", { 1.5, 2.5, 3.5 })) == "83fb3ff8000000000000fb4004000000000000fb400c000000000000")
  assert(hex(enc("", { 1.5, 2.5, 3.5, -0.0 }))
    == "d8565820000000000000f83f00000000000004400000000000000c400000000000000080")
  assert(hex(enc("", { 1, 2, 3, 4, 5, 6, 7 })) == "8701020304050607")
  assert(hex(enc("", { 1, 2, 3, 4, 5, 6, 7, -1 }):sub(1, 12)) == "d84f58400100000000000000")
  for _, n in ipairs { 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 100, 1000 } do
    local floats, integers, mixed, holed = {}, {}, {}, {}
    for i = 1, n do
      floats[i], integers[i], mixed[i], holed[i] = i * 0.5, -i, i, i * 0.25
    end
    mixed[n] = 0.5
    holed[n // 2] = nil
    for _, v in ipairs { floats, integers, mixed, holed, { floats, integers, x = { mixed } } } do round(v) end
    mixed[n] = "x"
    round(mixed)
    floats.extra = true
    round(floats)
  end
  round { 0 / 0, math.huge, -math.huge, -0.0, 0.0 }
end)

t.case("an 8 MiB string", function()
  local s = ("\0\255abcdef"):rep(1 << 20)
  assert(dec("", enc("", s)) == s)
  assert(dec("", enc("", { s, s }))[2] == s)
end)
