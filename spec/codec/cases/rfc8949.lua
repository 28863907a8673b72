-- The examples of RFC 8949, appendix A, as far as Lua can represent them, and
-- the rules for what it cannot.
local t = ...
local bytes, dec, same = t.bytes, t.dec, t.same

local nan = 0 / 0
local NIL = {}
local vectors = {
  { "00", 0 }, { "01", 1 }, { "0a", 10 }, { "17", 23 }, { "1818", 24 }, { "1819", 25 }, { "1864", 100 },
  { "1903e8", 1000 }, { "1a000f4240", 1000000 }, { "1b000000e8d4a51000", 1000000000000 },
  { "20", -1 }, { "29", -10 }, { "3863", -100 }, { "3903e7", -1000 },
  { "f90000", 0.0 }, { "f98000", -0.0 }, { "f93c00", 1.0 }, { "fb3ff199999999999a", 1.1 }, { "f93e00", 1.5 },
  { "f97bff", 65504.0 }, { "fa47c35000", 100000.0 }, { "fa7f7fffff", 3.4028234663852886e+38 },
  { "fb7e37e43c8800759c", 1.0e+300 }, { "f90001", 5.960464477539063e-8 }, { "f90400", 0.00006103515625 },
  { "f9c400", -4.0 }, { "fbc010666666666666", -4.1 }, { "f97c00", math.huge }, { "f97e00", nan },
  { "f9fc00", -math.huge }, { "fa7f800000", math.huge }, { "fa7fc00000", nan }, { "faff800000", -math.huge },
  { "fb7ff0000000000000", math.huge }, { "fb7ff8000000000000", nan }, { "fbfff0000000000000", -math.huge },
  { "f4", false }, { "f5", true }, { "f6", NIL }, { "f7", NIL },
  { "c074323031332d30332d32315432303a30343a30305a", "2013-03-21T20:04:00Z" }, { "c11a514b67b0", 1363896240 },
  { "c1fb41d452d9ec200000", 1363896240.5 }, { "d74401020304", "\1\2\3\4" }, { "d818456449455446", "\x64IETF" },
  { "d82076687474703a2f2f7777772e6578616d706c652e636f6d", "http://www.example.com" },
  { "40", "" }, { "4401020304", "\1\2\3\4" }, { "60", "" }, { "6161", "a" }, { "6449455446", "IETF" },
  { "62225c", "\"\\" }, { "62c3bc", "\u{fc}" }, { "63e6b0b4", "\u{6c34}" }, { "64f0908591", "\u{10151}" },
  { "80", {} }, { "83010203", { 1, 2, 3 } }, { "8301820203820405", { 1, { 2, 3 }, { 4, 5 } } },
  { "98190102030405060708090a0b0c0d0e0f101112131415161718181819",
    { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25 } },
  { "a0", {} }, { "a201020304", { [1] = 2, [3] = 4 } }, { "a26161016162820203", { a = 1, b = { 2, 3 } } },
  { "826161a161626163", { "a", { b = "c" } } },
  { "a56161614161626142616361436164614461656145", { a = "A", b = "B", c = "C", d = "D", e = "E" } },
  { "5f42010243030405ff", "\1\2\3\4\5" }, { "7f657374726561646d696e67ff", "streaming" }, { "9fff", {} },
  { "9f018202039f0405ffff", { 1, { 2, 3 }, { 4, 5 } } }, { "9f01820203820405ff", { 1, { 2, 3 }, { 4, 5 } } },
  { "83018202039f0405ff", { 1, { 2, 3 }, { 4, 5 } } }, { "83019f0203ff820405", { 1, { 2, 3 }, { 4, 5 } } },
  { "9f0102030405060708090a0b0c0d0e0f101112131415161718181819ff",
    { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25 } },
  { "bf61610161629f0203ffff", { a = 1, b = { 2, 3 } } }, { "826161bf61626163ff", { "a", { b = "c" } } },
  { "bf6346756ef563416d7421ff", { Fun = true, Amt = -2 } },
}

t.case("appendix A", function()
  for _, vector in ipairs(vectors) do
    local input, expected = bytes(vector[1]), vector[2]
    if expected == NIL then expected = nil end
    assert(same(dec("", input), expected), vector[1])
    assert(same(dec("", "\x81" .. input), { expected }), "in an array: " .. vector[1])
    assert(same(dec("", "\xa1\x61k" .. input), { k = expected }), "in a map: " .. vector[1])
  end
end)

t.case("integers that do not fit are refused", function()
  for _, hex in ipairs { "1bffffffffffffffff", "1b8000000000000000", "3bffffffffffffffff", "3b8000000000000000",
    "c249010000000000000000", "c349010000000000000000" } do
    t.refused("", bytes(hex), "an integer that does not fit 64 bits at byte")
    t.refused("", bytes("81" .. hex), "an integer that does not fit 64 bits at byte")
  end
  assert(dec("", bytes "1b7fffffffffffffff") == math.maxinteger)
  assert(dec("", bytes "3b7fffffffffffffff") == math.mininteger)
end)

t.case("other simple values are refused", function()
  for _, hex in ipairs { "e0", "f0", "f3", "f818", "f8ff", "f820" } do
    t.refused("", bytes(hex), "an unknown simple value at byte 1")
  end
end)

t.case("what is not well-formed is refused (appendix F)", function()
  for _, hex in ipairs { "1c", "1d", "1e", "3c", "3d", "3e", "5c", "5d", "5e", "7c", "7d", "7e", "9c", "9d", "9e",
    "bc", "bd", "be", "dc", "dd", "de", "fc", "fd", "fe" } do
    t.refused("", bytes(hex), "a reserved length")
  end
  for _, hex in ipairs { "1f", "3f", "df" } do
    t.refused("", bytes(hex), "an indefinite length where there is none")
  end
  t.refused("", bytes "ff", "a break that ends nothing at byte 1")
  for _, hex in ipairs { "81ff", "8200ff", "a100ff", "a2000102ff", "bf00ff", "9f81ff", "c0ff" } do
    t.refused("", bytes(hex), "a break that ends nothing")
  end
  for _, hex in ipairs { "5f00ff", "5f21ff", "5f6100ff", "5f80ff", "5fa0ff", "5fc000ff", "5fe0ff", "7f4100ff",
    "5f5f4100ffff", "7f7f6100ffff" } do
    t.refused("", bytes(hex), "a chunk of the string expected")
  end
end)

t.case("typed arrays of every kind (RFC 8746)", function()
  local kinds = {
    { "40", "4201ff", { 1, 255 } }, { "44", "4201ff", { 1, 255 } }, { "48", "4201ff", { 1, -1 } },
    { "41", "440102fffe", { 258, 65534 } }, { "45", "440201feff", { 258, 65534 } },
    { "49", "440102fffe", { 258, -2 } }, { "4d", "440201feff", { 258, -2 } },
    { "42", "4400000001", { 1 } }, { "46", "44ffffffff", { 4294967295 } },
    { "4a", "44ffffffff", { -1 } }, { "4e", "4400000080", { -2147483648 } },
    { "43", "487fffffffffffffff", { math.maxinteger } }, { "47", "480100000000000000", { 1 } },
    { "4b", "488000000000000000", { math.mininteger } }, { "4f", "48feffffffffffffff", { -2 } },
    { "50", "443c00c400", { 1.0, -4.0 } }, { "54", "44003c00c4", { 1.0, -4.0 } },
    { "51", "443fc00000", { 1.5 } }, { "55", "440000c03f", { 1.5 } },
    { "52", "483ff8000000000000", { 1.5 } }, { "56", "48000000000000f83f", { 1.5 } },
    { "56", "40", {} }, { "4f", "40", {} },
  }
  for _, kind in ipairs(kinds) do
    assert(same(dec("", bytes("d8" .. kind[1] .. kind[2])), kind[3]), kind[1])
  end
  local function quad(hex) return dec("", bytes("d85350" .. hex))[1] end
  assert(quad("3fff" .. ("0"):rep(28)) == 1.0)
  assert(quad("c000" .. "8" .. ("0"):rep(27)) == -3.0)
  assert(quad("3ffd5555555555555555555555555555") == 1 / 3)
  assert(quad("7fff" .. ("0"):rep(28)) == math.huge)
  assert(quad("7fff8" .. ("0"):rep(27)) ~= quad("7fff8" .. ("0"):rep(27)))
  assert(quad("0000" .. ("0"):rep(27) .. "1") == 0.0)
  assert(1 / quad("8000" .. ("0"):rep(28)) == -math.huge)
  assert(quad("43fe" .. ("f"):rep(28)) == math.huge)
  assert(quad("00010" .. ("0"):rep(27)) == 0.0)
  assert(dec("", bytes("d85750" .. ("00"):rep(14) .. "ff3f"))[1] == 1.0)
  t.refused("", bytes "d84c4101", "a reserved typed array")
  t.refused("", bytes "d85643000000", "a typed array that ends within a number")
  t.refused("", bytes "d84348ffffffffffffffff", "an integer that does not fit 64 bits")
  t.refused("", bytes "d85683010203", "the bytes of a typed array expected")
  t.refused("", bytes "d8565f4100ff", "the bytes of a typed array expected")
end)

t.case("unknown tags are passed through, however many", function()
  assert(same(dec("", bytes "d9d9f782c101d8208101"), { 1, { 1 } }))
  assert(same(dec("", bytes "d82882820203820102"), { { 2, 3 }, { 1, 2 } }))
  assert(dec("", ("\xc6"):rep(100000) .. "\1") == 1)
  assert(dec("", bytes "dbffffffffffffffff05") == 5)
end)
