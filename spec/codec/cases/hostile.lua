-- Bytes that nobody honest wrote.
local t = ...
local bytes, dec, enc, refused = t.bytes, t.dec, t.enc, t.refused

local function sample()
  local shared, mt = { 1 }, { __index = { 1 } }
  local n = 0
  return {
    1, -70000, 1.5, "text", ("x"):rep(300), true, { a = { b = { 1, 2, 3 } } }, { 0.5, 1.5, 2.5, 3.5 },
    shared, shared, setmetatable({ 1 }, mt), math.sin, function() n = n + 1 return n end,
    function() return n end, [1.5] = 3, [{ 1 }] = 2,
    reduced = setmetatable({}, { __reduce = function() return math.max, 1, 2 end }),
  }
end

t.case("cut short anywhere", function()
  local whole = enc("f", sample())
  for i = 1, #whole - 1 do
    local ok, err = pcall(dec, "f", whole:sub(1, i))
    assert(not ok and type(err) == "table", i)
  end
  for _, hex in ipairs { "18", "19ff", "1a000000", "1b00000000000000", "f9", "f93c", "fa000000", "fb00000000000000",
    "41", "6261", "5840", "81", "8201", "a1", "a101", "a201", "bf", "bf01", "9f", "5f", "5f41", "5f4161", "c1",
    "d81c", "d81d", "d856", "d85648", "d9", "9b0000000000000002" } do
    refused("", bytes(hex), "cut short at byte")
  end
end)

t.case("lengths beyond the bytes", function()
  for _, hex in ipairs { "5bffffffffffffffff", "7b7fffffffffffffff", "9bffffffffffffffff", "bbffffffffffffffff",
    "9b0fffffffffffffff", "bb7fffffffffffffff", "9affffffff01", "baffffffff0101", "d8565bfffffffffffffff8",
    "5f5bffffffffffffffff", "d9cd545bffffffffffffffff" } do
    local ok, err = pcall(dec, "f", bytes(hex))
    assert(not ok and type(err) == "table", hex)
  end
end)

t.case("nested heads that each claim all that is left take no memory", function()
  local parts = {}
  for i = 1, 100000 do parts[i] = ("\x9a%s"):format((">I4"):pack((100000 - i) * 5)) end
  collectgarbage()
  local before = collectgarbage("count")
  refused("", table.concat(parts), "cut short")
  assert(collectgarbage("count") - before < 64 * 1024)
end)

t.case("nesting without end", function()
  for _, s in ipairs { "\x81", "\xa1\x01", "\xa1", "\x9f", "\xbf", "\xd8\x1c\x81" } do
    refused("", s:rep(200000), "cut short")
  end
  refused("f", bytes("d9cd5182"):rep(100000), "cut short")
end)

t.case("long strings in chunks that end wrongly", function()
  for _, n in ipairs { 1, 500, 3000, 100000 } do
    local chunk = "\x5a" .. (">I4"):pack(n) .. ("c"):rep(n)
    local start = "\x81\x5f" .. chunk .. chunk
    assert(dec("", start .. "\xff")[1] == ("c"):rep(2 * n))
    refused("", start .. "\1", "a chunk of the string expected at byte " .. #start + 1)
    refused("", start .. "\x7a", "cut short")
    refused("", start .. "\x42a", "cut short")
    refused("", start, "cut short")
  end
end)

t.case("keys that no table can have", function()
  refused("", bytes "a1f601", "a key that is nil or not a number at byte")
  refused("", bytes "a1f701", "a key that is nil or not a number")
  refused("", bytes "a1f97e0001", "a key that is nil or not a number")
  refused("", bytes "a1fb7ff800000000000001", "a key that is nil or not a number")
  local u = dec("", bytes "a2f93c000101f6")
  assert(next(u) == nil, "1.0 and 1 are one key")
end)

t.case("references that lead nowhere", function()
  refused("", bytes "d81d00", "a reference to a value that is not there")
  refused("", bytes "82d81c80d81d01", "a reference to a value that is not there")
  refused("", bytes "82d81c80d81d1bffffffffffffffff", "a reference to a value that is not there")
  refused("", bytes "d81cd81d00", "a reference to a value that is not complete")
  refused("", bytes "82d81cf6d81d00", "a reference to a value that is not complete")
  refused("", bytes "d81d6161", "the number of a shared value expected")
end)

t.case("paths and places", function()
  local _, path = refused("", bytes "82018261616162ff", "a break that ends nothing at byte 8")
  assert(path == "", path)
  local message
  message, path = refused("", bytes "8201a1616182f6ff", "a break that ends nothing at byte 8")
  assert(path == "[2].a[2]", path .. message)
end)

t.case("what belongs to processes, made up", function()
  for _, hex in ipairs { "d9cd5101", "d9cd5180", "d9cd518101", "d9cd518201f6", "d9cd51828001", "d9cd5182806161",
    "d9cd5201", "d9cd5283008001", "d9cd52833801", "d9cd5382", "d9cd5380", "d9cd538101", "d9cd5401", "d9cd548101",
    "d9cd5480", "d9cd548140", "d9cd548148000000000000000000", "d9cd548100", "d9cd54811903e8", "d9cd5500", "d9cd5001",
    "d9cd5040", "d9cd50417a", "d9cd5042004d", "d9cd50474d6e6f6d6f6431", "d9cd504847002e6e6f7468" } do
    local ok, err = pcall(dec, "f", bytes(hex))
    assert(not ok and type(err) == "table", hex .. " " .. tostring(err))
  end
end)

t.case("upvalues and globals that are not there", function()
  local n = 0
  local whole = enc("f", function() n = n + 1 return n end)
  for i = 1, #whole do
    for _, byte in ipairs { 0, 0x40, 0x80, 0xA0, 0xC0, 0xF6, 0xFF } do
      local at = whole:find("\27Lua", 1, true)
      if i < at - 8 then
        local ok, err = pcall(dec, "f", whole:sub(1, i - 1) .. string.char(byte) .. whole:sub(i + 1))
        assert(ok or type(err) == "table", err)
      end
    end
  end
  refused("f", whole:sub(1, -2) .. bytes "d9cd5505", "an upvalue that is not there")
  refused("f", whole:sub(1, -2) .. bytes "d9cd55f6", "the number of an upvalue expected")
end)

t.case("a name that cannot be resolved says which", function()
  local message = refused("f", bytes "d9cd50" .. string.char(0x40 + 9) .. "Mno_such_", "no_such_")
  assert(message:find("package.path", 1, true) or message:find("no_such_", 1, true), message)
end)

t.case("every single-byte change of a plain message", function()
  local whole = enc("", { 1, "a", { k = { 1.5, true } }, { 0.5, 1, 2, 3 }, ("y"):rep(30) })
  for i = 1, #whole do
    for byte = 0, 255 do
      local changed = whole:sub(1, i - 1) .. string.char(byte) .. whole:sub(i + 1)
      local ok, err = pcall(dec, "", changed)
      assert(ok or type(err) == "table", err)
    end
  end
end)
