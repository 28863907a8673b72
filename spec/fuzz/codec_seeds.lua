-- Writes first inputs for decode_fuzz and roundtrip_fuzz into a directory:
--   lua5.4 spec/fuzz/codec_seeds.lua DIRECTORY
-- Needs the built moonpool on package.cpath.
local mp = require "moonpool"
local directory = assert(arg[1], "usage: codec_seeds.lua DIRECTORY")

local shared, mt, n = { 1 }, { __index = { kind = "seed" } }, 0
local class = { __index = {}, __name = "Seed" }
local cycle = {}
cycle.self, cycle[cycle] = cycle, 1

local map = {}
for i = 1, 30 do map["key" .. i] = i end

local values = {
  0, -1, 1 << 40, math.mininteger, 1.5, -0.0, math.huge, "", "text", "\255bytes", ("long "):rep(60), true, false,
  {}, { 1, 2, 3 }, { 0.5, 1.5, 2.5, 3.5 }, { 1, 2, 3, 4, 5, 6, 7, 8, 9 }, { a = 1, b = { c = { "d" } } },
  { [1.5] = 1, [true] = 2, [-3] = 3 }, { [{ 1 }] = { [{}] = 2 } }, { shared, shared, { shared } }, cycle, map,
  setmetatable({ 1, x = 2 }, mt), { 1, nil, 3 },
}
local process_values = {
  math.sin, function(x) return x * x end, function() n = n + 1 return n, shared end, setmetatable({}, class), class,
  setmetatable({}, { __reduce = function() return math.max, 1, 2 end }), { string, table.concat },
}
local hex = {
  "f93c00", "fa47c35000", "5f42010243030405ff", "7f657374726561646d696e67ff", "9f018202039f0405ffff",
  "bf61610161629f0203ffff", "c11a514b67b0", "d74401020304", "d84044ff010203", "d8504400003c00", "d85350"
    .. "3fff0000000000000000000000000000", "d8494401020304", "83d81cd81c8101d81d00d81d01", "f7", "fb7ff8000000000000",
  "d9d9f7820102", "1bffffffffffffffff", "9bffffffffffffffff", "a1f601", "d81d00",
}

local count = 0
local function write(flags, bytes)
  count = count + 1
  local file = assert(io.open(("%s/%03d"):format(directory, count), "wb"))
  file:write(string.char(flags), bytes)
  file:close()
end

for _, v in ipairs(values) do
  write(0, mp.dumps(v))
  write(1, mp.dumps(v, { functions = true }))
end
write(2, mp.dumps(values[#values]))
for _, v in ipairs(process_values) do write(1, mp.dumps(v, { functions = true })) end
for _, h in ipairs(hex) do
  write(0, (h:gsub("%x%x", function(byte) return string.char(tonumber(byte, 16)) end)))
end
write(0, "\x5f\x59\x05\x00" .. ("c"):rep(1280) .. "\x59\x04\x00" .. ("d"):rep(1024) .. "\xff")
print(count .. " inputs")
