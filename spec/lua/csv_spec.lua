-- mp.save and mp.load of .csv: lists of records.
local mp = require "moonpool"
local random_values = require "spec.support.random_values"

local path

local function read()
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

local function loaded(text)
  local file <close> = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  return mp.load(path)
end

local function kept(records)
  mp.save(path, records)
  return mp.load(path)
end

local function failure(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return err
end

describe("records in .csv", function()
  setup(function() path = os.tmpname() .. ".csv" end)
  teardown(function()
    os.remove(path)
    os.remove((path:gsub("%.csv$", "")))
  end)

  it("have a head line of all keys, sorted, and a line each", function()
    mp.save(path, { { lr = 0.1, depth = 2 }, { depth = 4, name = "b" }, {} })
    assert.equal("depth,lr,name\n2,0.1,\n4,,b\n,,\n", read())
    mp.save(path, { { b = 1, B = 2, a = 3 } })
    assert.equal("B,a,b\n2,3,1\n", read())
  end)

  it("come back as they were, whatever is in them", function()
    random_values.each(300, function(random)
      local names, records = {}, {}
      for i = 1, random(0, 4) do names[i] = random_values.string(random, false) end
      for i = 1, random(0, 5) do
        records[i] = {}
        for _, name in ipairs(names) do
          if random(4) > 1 then records[i][name] = random_values.scalar(random, false) end
        end
      end
      assert.is_true(random_values.same(records, kept(records)), mp.show(records) .. read())
    end)
  end)

  it("keep numbers, booleans and strings that look like them apart", function()
    local records = {
      { v = 1 }, { v = 1.0 }, { v = "1" }, { v = true }, { v = "true" }, { v = "" }, {}, { v = math.mininteger },
      { v = 0 / 0 }, { v = "nan" }, { v = -math.huge }, { v = "-inf" }, { v = 'a"b' }, { v = "a,b" }, { v = " x" },
      { v = "two\r\nlines" }, { v = "\xEF\xBB\xBF" },
    }
    assert.is_true(random_values.same(records, kept(records)))
    assert.equal('v\n1\n1.0\n"1"\ntrue\n"true"\n""\n\n-9223372036854775808\nnan\n"nan"\n-inf\n"-inf"\n"a""b"\n"a,b"\n'
      .. ' x\n"two\r\nlines"\n\xEF\xBB\xBF\n', read())
  end)

  it("may be none, or empty, or have odd names", function()
    assert.same({}, kept {})
    assert.equal("", read())
    assert.same({ {}, {} }, kept { {}, {} })
    assert.same({ { [""] = 1 } }, kept { { [""] = 1 } })
    assert.same({ { ["\xEF\xBB\xBFa"] = 1 } }, kept { { ["\xEF\xBB\xBFa"] = 1 } })
    assert.same({ { ["a,b"] = 1, ['"'] = 2, ["1"] = 3, ["\n"] = 4 } },
      kept { { ["a,b"] = 1, ['"'] = 2, ["1"] = 3, ["\n"] = 4 } })
    assert.same({ { a = 1 }, {}, { a = 3 } }, kept { { a = 1 }, nil, { a = 3 }, n = 3 })
  end)

  it("come of any iterable", function()
    local i = 0
    assert.same({ { i = 1 }, { i = 2 } }, kept(function()
      i = i + 1
      return i <= 2 and { i = i } or nil
    end))
  end)

  it("that cannot be written are told with record and key", function()
    for _, case in ipairs {
      { { { a = 1 }, { a = { 1 } } }, "value[2].a", "cannot write a table" },
      { { { ["a b"] = print } }, 'value[1]["a b"]', "cannot write a function" },
      { { { 5 } }, "value[1][1]", "keys are names" },
      { { {}, 5 }, "value[2]", "a record is a table" },
    } do
      local err = failure(mp.save, path, case[1])
      assert.same({ "encode", case[2] }, { err.kind, err.path })
      assert.matches(case[2] .. ": ", err.message, 1, true)
      assert.matches(case[3], err.message, 1, true)
    end
    assert.equal("argument", failure(mp.save, path, { a = 1 }).kind)
  end)

  it("that others wrote are read", function()
    assert.same({ { a = 1, b = "x" }, { a = 2.5, b = "y z" } }, loaded "\xEF\xBB\xBFa,b\r\n1,x\r\n2.5,y z\r\n")
    assert.same({ { a = 1, b = "x" } }, loaded 'a,b\n\n"1",x\n' and loaded 'a,b\r\n\r\n1,"x"')
    assert.same({ { a = "1", b = "" } }, loaded 'a,b\n"1",""')
    assert.same({ { a = 'say "hi"\r\nthere', b = 2 } }, loaded 'a,b\n"say ""hi""\r\nthere",2\n')
    assert.same({ { a = 1 }, { b = 2 } }, loaded "a,b\n1\n,2\n")
    assert.same({ { a = 'b"c' } }, loaded 'a\nb"c\n')
    assert.same({ { [""] = 0, a = 1 } }, loaded ",a\n0,1\n")
    assert.same({}, loaded "\xEF\xBB\xBF")
    assert.same({}, loaded "a,b\n")
  end)

  it("have numbers where something reads as one", function()
    local words = { "1", "-1", "+1", "007", "1.", ".5", "-1.5e-3", "1E5", "9223372036854775808", "inf" }
    local numbers = { 1, -1, 1, 7, 1.0, 0.5, -0.0015, 1e5, 2 ^ 63, math.huge }
    for i, record in ipairs(loaded("a\n" .. table.concat(words, "\n"))) do
      assert.is_true(random_values.same(numbers[i], record.a), words[i])
    end
    for _, text in ipairs { "0x10", "1e", "1+5", ".", "-", "e5", " 1", "1 ", "NaN", "True", "1_0", "5-3", "1e+" } do
      assert.same({ { a = text } }, loaded("a\n" .. text .. "\n"))
    end
  end)

  it("that are damaged are a decode error with file and line", function()
    for text, case in pairs {
      ["a,b\n1,2\n1,2,3\n"] = { 3, "3 fields, and 2" },
      ['a,b\n"two\nlines",2\n1,2,\n'] = { 4, "3 fields, and 2" },
      ['a\n1\n"x\n'] = { 3, "have no end" },
      ['a\n"x" \n'] = { 2, "behind the quotes" },
      ['a,b\n"x"y,1\n'] = { 2, "behind the quotes" },
      ["a,b,a\n"] = { 1, 'has "a" twice' },
      ["\nx\n"] = { 2, "1 fields, and 0" },
    } do
      local err = failure(loaded, text)
      assert.same({ "decode", path, case[1] }, { err.kind, err.file, err.line })
      assert.equal(1, (err.message:find(("%s:%d: "):format(path, case[1]), 1, true)))
      assert.matches(case[2], err.message, 1, true)
    end
  end)
end)
