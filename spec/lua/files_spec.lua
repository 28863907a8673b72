-- mp.save and mp.load: what is saved is loaded as the same, and what is wrong is told with its place.
local lfs = require "lfs"
local mp = require "moonpool"
local random_values = require "spec.support.random_values"

local same = random_values.same
local folder

local function path(name) return folder .. "/" .. name end

local function read(name)
  local file <close> = assert(io.open(path(name), "rb"))
  return file:read "a"
end

local function write(name, text)
  local file <close> = assert(io.open(path(name), "wb"))
  file:write(text)
end

local function failure(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return err
end

local function kept(name, value)
  mp.save(path(name), value)
  return mp.load(path(name))
end

local function with_folder()
  before_each(function()
    folder = os.tmpname()
    os.remove(folder)
    lfs.mkdir(folder)
  end)
  after_each(function() os.execute("rm -r " .. folder) end)
end

describe("a file", function()
  with_folder()

  it("is of the format that its ending names, in any case", function()
    for _, ending in ipairs { "cbor", "json", "jsonl", "csv", "JSON", "Csv" } do
      assert.same({ { a = 1 } }, kept("x." .. ending, { { a = 1 } }))
    end
    assert.equal("a\n1\n", read "x.Csv")
    assert.equal('[{"a": 1}]\n', read "x.JSON")
  end)

  it("of another ending is refused, with those that are known", function()
    for _, name in ipairs { "x.txt", "x", "x.", "json", "a.json/x", "x.json/" } do
      for _, f in ipairs { mp.save, mp.load } do
        local err = failure(f, path(name), {})
        assert.equal("argument", err.kind)
        assert.matches("must be a path that ends in .cbor, .json, .jsonl or .csv", err.message, 1, true)
      end
    end
    assert.matches("save: the first argument must be a path, got nil", failure(mp.save).message)
    assert.equal("argument", failure(mp.load, "a\0.json").kind)
  end)

  it("that is not there, or is a folder, is a system error with its errno", function()
    local err = failure(mp.load, path "none.json")
    assert.equal("system", err.kind)
    assert.equal(2, err.errno)
    assert.equal("open " .. path "none.json" .. ": No such file or directory", err.message)
    lfs.mkdir(path "folder.json")
    assert.equal(21, failure(mp.load, path "folder.json").errno)
    assert.equal(21, failure(mp.save, path "folder.json", 1).errno)
    assert.equal(2, failure(mp.save, path "none/x.json", 1).errno)
    assert.equal(20, failure(mp.save, path "x.json/y.json", (write("x.json", "1"))).errno)
  end)

  it("is written and read in tasks as well", function()
    local pool <close> = mp.Pool(2)
    local save, load, name = mp.save, mp.load, path "%d.json"
    local sums = pool:map(function(i)
      save(name:format(i), { i, i * i })
      return load(name:format(i))[2]
    end, mp.range(5))
    assert.same({ 1, 4, 9, 16, 25, n = 5 }, sums)
  end)
end)

describe(".cbor", function()
  with_folder()

  it("keeps what mp.dumps keeps", function()
    local shared = { 1.0, 2 }
    local value = kept("x.cbor", { shared, shared, [2.5] = "\xff", [true] = math.huge })
    assert.equal(value[1], value[2])
    assert.equal("float", math.type(value[1][1]))
    assert.equal("\xff", value[2.5])
    assert.equal(math.huge, value[true])
    assert.is_nil(kept("x.cbor", nil))
  end)

  it("that is damaged is a decode error that names the file", function()
    mp.save(path "x.cbor", { rows = { 1, "two" } })
    local text = read "x.cbor"
    for _, damaged in ipairs { "", text:sub(1, -2), text .. "\0", "\xff" } do
      write("x.cbor", damaged)
      local err = failure(mp.load, path "x.cbor")
      assert.equal("decode", err.kind)
      assert.equal(path "x.cbor", err.file)
      assert.equal(1, (err.message:find(path "x.cbor" .. ": ", 1, true)))
    end
    local err = failure(mp.save, path "x.cbor", { rows = { print } })
    assert.equal("encode", err.kind)
    assert.equal("value.rows[1]", err.path)
  end)
end)

describe(".json", function()
  with_folder()

  it("gives random values back", function()
    random_values.each(300, function(random)
      local value = random_values.json(random, 4)
      assert.is_true(same(value, kept("x.json", value)), mp.show(value))
    end)
  end)

  it("keeps integers of 64 bits, apart from floats", function()
    local value = { math.maxinteger, math.mininteger, 1.0, -0.0, 1e300, 0.1 }
    assert.is_true(same(value, kept("x.json", value)))
    assert.equal("[9223372036854775807, -9223372036854775808, 1.0, -0.0, 1e+300, 0.1]\n", read "x.json")
  end)

  it("has the same bytes whatever the order of keys", function()
    local a, b = {}, {}
    for i = 1, 50 do
      a["k" .. i], b["k" .. 51 - i] = i, 51 - i
    end
    mp.save(path "a.json", a)
    mp.save(path "b.json", b)
    assert.equal(read "a.json", read "b.json")
    mp.save(path "c.json", { b = 1, B = 2, a = 3, ["a "] = 4, ["é"] = 5 })
    assert.equal('{"B": 2, "a": 3, "a ": 4, "b": 1, "é": 5}\n', read "c.json")
  end)

  it("writes nils in a list as null, and an empty table as a list", function()
    assert.same({ 1, nil, 3, n = 3 }, kept("x.json", { 1, nil, 3, n = 3 }))
    assert.equal("[1, null, 3]\n", read "x.json")
    assert.same({ 1, nil, n = 2 }, kept("x.json", { 1, n = 2 }))
    assert.same({ 1 }, kept("x.json", { 1, n = 1 }))
    assert.same({}, kept("x.json", {}))
    assert.equal("[]\n", read "x.json")
    assert.same({ n = 3 }, kept("x.json", { n = 3 }))
    assert.equal('{"n": 3}\n', read "x.json")
    assert.is_nil(kept("x.json", nil))
    assert.equal("null\n", read "x.json")
  end)

  it("writes strings as other readers want them", function()
    mp.save(path "x.json", "\0\1\b\t\n\f\r\"\\/\127é\u{10FFFF}")
    assert.equal('"\\u0000\\u0001\\b\\t\\n\\f\\r\\"\\\\/\127é\u{10FFFF}"\n', read "x.json")
    assert.equal("\0\1\b\t\n\f\r\"\\/\127é\u{10FFFF}", mp.load(path "x.json"))
  end)

  it("takes the contents of objects of a class", function()
    local Point = { __index = {}, __name = "Point" }
    assert.same({ x = 1 }, kept("x.json", setmetatable({ x = 1 }, Point)))
  end)

  local cycle = { list = {} }
  cycle.list[3], cycle.list[1], cycle.list[2] = cycle, 1, 2
  local deep = {}
  for _ = 1, 3000 do deep = { deep } end
  for name, case in pairs {
    ["NaN"] = { { rows = { 1, 2, { x = 0 / 0 } } }, "value.rows[3].x", "no NaN" },
    ["an infinity"] = { -math.huge, "value", "no infinity" },
    ["a function"] = { { ["a b"] = { print } }, 'value["a b"][1]', "cannot write a function" },
    ["an object of the library"] = { { r = mp.range(3) }, "value.r", "cannot write a Range" },
    ["bytes"] = { { x = "\xff" }, "value.x", "not UTF-8" },
    ["a key of bytes"] = { { ["\xff"] = 1 }, 'value["\\255"]', "not UTF-8" },
    ["a key with a zero"] = { { ["a\0b"] = 1 }, 'value["a\\000b"]', "zero byte" },
    ["mixed keys"] = { { x = { 1, y = 2 } }, "value.x", "neither a list nor an object" },
    ["mixed keys with n"] = { { x = { 1, n = "2" } }, "value.x", "neither a list nor an object" },
    ["gaps"] = { { 1, nil, 3 }, "value", "field n" },
    ["a field n too small"] = { { 1, 2, n = 1 }, "value", "field n" },
    ["a float as key"] = { { [1.5] = 1 }, "value", "not the number 1.5" },
    ["a table as key"] = { { [{}] = 1 }, "value", "not a table" },
    ["a cycle"] = { cycle, "value.list[3]", "within itself" },
    ["great depth"] = { deep, "value" .. ("[1]"):rep(132) .. "...", "too deep" },
  } do
    it("tells " .. name .. " by its path, and touches nothing", function()
      write("x.json", "before")
      local err = failure(mp.save, path "x.json", case[1])
      assert.equal("encode", err.kind)
      assert.equal(case[2], err.path)
      assert.matches(case[3], err.message, 1, true)
      assert.equal("before", read "x.json")
    end)
  end

  it("is read as deep as it is written", function()
    local value = 1
    for _ = 1, 2047 do value = { value } end
    assert.is_true(same(value, kept("x.json", value)))
  end)

  it("that others wrote is read: space, exponents, escapes, a mark at its begin", function()
    write("x.json", '\xEF\xBB\xBF {"a":[ 1E2,-0 , 1.50,null],\r\n"b":"\\u00e9\\/" , "a2":{},"b":true}\n\n')
    assert.is_true(same({ a = { 100.0, 0, 1.5, n = 4 }, a2 = {}, b = true }, mp.load(path "x.json")))
    write("x.json", '"\\u00e9\\ud83d\\ude00\\/"')
    assert.equal("é😀/", mp.load(path "x.json"))
  end)

  it("with integers that are too large has floats in their places", function()
    write("x.json", '[9223372036854775807, 9223372036854775808, -9223372036854775808,\n-9223372036854775809, '
      .. '123456789012345678901234567890, "9223372036854775808\\"9223372036854775808", '
      .. '0.9223372036854775808, 1e0000000000000000000001, 1]')
    assert.is_true(same({ math.maxinteger, 2 ^ 63, math.mininteger, -2.0 ^ 63, 123456789012345678901234567890.0,
      '9223372036854775808"9223372036854775808', 0.9223372036854775808, 10.0, 1 }, mp.load(path "x.json")))
  end)

  it("that is damaged is a decode error with line and column", function()
    for text, place in pairs {
      ["[1,\n 2,x]"] = "2:4:", ["[1, 2"] = "1:", [""] = "1:", ["[1]]"] = "1:4:", ["{'a': 1}"] = "1:2:",
      ["[1,\n123456789012345678901234567890, 1234567890123456789012345678901, x]"] = "2:66:",
      ['["\xff"]'] = "1:", ["[1e999]"] = "1:6:", ["NaN"] = "1:3:", ['{"a\\u0000": 1}'] = "1:",
      [("["):rep(100000)] = "1:",
    } do
      write("x.json", text)
      local err = failure(mp.load, path "x.json")
      assert.equal("decode", err.kind)
      assert.equal(path "x.json", err.file)
      assert.equal(1, (err.message:find(path "x.json" .. ":" .. place, 1, true)), err.message)
      assert.equal(("%s:%d:%d:"):format(err.file, err.line, err.column), err.message:match "^(.-:%d+:%d+:)")
    end
  end)
end)

describe(".jsonl", function()
  with_folder()

  it("has a value a line, of any iterable", function()
    assert.same({ 1, { a = { 2 } }, "three\n" }, kept("x.jsonl", { 1, { a = { 2 } }, "three\n" }))
    assert.equal('1\n{"a": [2]}\n"three\\n"\n', read "x.jsonl")
    assert.same({ 1, nil, 3, n = 3 }, kept("x.jsonl", { 1, nil, 3, n = 3 }))
    assert.same({}, kept("x.jsonl", {}))
    assert.equal("", read "x.jsonl")
    assert.same({ 2, 4 }, kept("x.jsonl", mp.range(2, 5, 2)))
    assert.same({ { 1, 0.0 }, { 2, 1.0 } }, kept("x.jsonl", mp.zip(mp.range(2), mp.linspace(0, 1, 2))))
    local words = ("one two"):gmatch "%w+"
    assert.same({ "one", "two" }, kept("x.jsonl", words))
    assert.equal("argument", failure(mp.save, path "x.jsonl", 5).kind)
    assert.equal("argument", failure(mp.save, path "x.jsonl", { a = 1 }).kind)
  end)

  it("skips empty lines, and names the line of an error", function()
    write("x.jsonl", '1\r\n\n  \n{"a":\t2}')
    assert.same({ 1, { a = 2 } }, mp.load(path "x.jsonl"))
    write("x.jsonl", "1\n\n[1, ]\n")
    local err = failure(mp.load, path "x.jsonl")
    assert.same({ "decode", 3, 5 }, { err.kind, err.line, err.column })
    err = failure(mp.save, path "x.jsonl", { 1, { x = print } })
    assert.same({ "encode", "value[2].x" }, { err.kind, err.path })
  end)
end)

describe("another language", function()
  with_folder()

  it("reads the same from each format", function()
    random_values.each(20, function(random)
      local value, records = random_values.json(random, 4), {}
      for i = 1, random(0, 5) do
        records[i] = { name = random_values.string(random, true), x = random_values.number(random),
          ok = random(2) == 1 }
      end
      for _, ending in ipairs { "json", "cbor" } do mp.save(path("v." .. ending), value) end
      for _, ending in ipairs { "json", "jsonl", "csv" } do mp.save(path("r." .. ending), records) end
      local result = mp.run({ "/usr/bin/python3", "spec/support/read_files.py", folder }, { check = true })
      assert.equal("same\n", result.stdout)
    end)
  end)
end)
