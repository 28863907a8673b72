local mp = require "moonpool"

local function list(iterable)
  local values = {}
  for v in iterable do values[#values + 1] = v end
  return values
end

describe("range", function()
  it("counts from 1, ends included", function()
    assert.same({ 1, 2, 3 }, list(mp.range(3)))
    assert.same({ 3, 4, 5 }, list(mp.range(3, 5)))
    assert.same({ 1, 4, 7 }, list(mp.range(1, 9, 3)))
    assert.same({ 3, 2, 1 }, list(mp.range(3, 1, -1)))
  end)

  it("may be empty", function()
    assert.same({}, list(mp.range(0)))
    assert.same({}, list(mp.range(5, 4)))
    assert.same({}, list(mp.range(1, 5, -1)))
    assert.equal(0, #mp.range(0))
  end)

  it("knows its length", function()
    assert.equal(3, #mp.range(3))
    assert.equal(3, #mp.range(1, 9, 4))
    assert.equal(11, #mp.range(0, 1, 0.1))
  end)

  it("keeps integers integers, and does not let floats drift", function()
    assert.equal("integer", math.type(list(mp.range(2))[2]))
    local values = list(mp.range(0, 1, 0.1))
    assert.equal(11, #values)
    assert.equal(3 * 0.1, values[4])
    assert.equal(1.0, values[11])
  end)

  it("reaches the ends of the integers", function()
    local last = math.maxinteger
    assert.same({ last - 1, last }, list(mp.range(last - 1, last)))
    assert.same({ math.mininteger + 1, math.mininteger },
      list(mp.range(math.mininteger + 1, math.mininteger, -1)))
  end)

  it("works in a plain for, any number of times", function()
    local range = mp.range(3)
    assert.same({ 1, 2, 3 }, list(range))
    assert.same({ 1, 2, 3 }, list(range))
    for i in range do
      if i == 2 then break end
    end
    assert.same({ 1, 2, 3 }, list(range))
  end)

  it("refuses what is no number", function()
    for _, args in ipairs { {}, { "3" }, { 1, {} }, { 1, 2, "x" }, { 0 / 0 }, { 1, 5, 0 } } do
      local ok, err = pcall(mp.range, table.unpack(args))
      assert.is_false(ok)
      assert.equal("argument", err.kind)
    end
  end)
end)

describe("zip", function()
  local function pairs_of(zip)
    local values = {}
    for a, b in zip do values[#values + 1] = { a, b } end
    return values
  end

  it("goes to the shortest", function()
    assert.same({ { 1, "a" }, { 2, "b" } }, pairs_of(mp.zip({ 1, 2, 3 }, { "a", "b" })))
    assert.same({ { "a", 1 }, { "b", 2 } }, pairs_of(mp.zip({ "a", "b" }, { 1, 2, 3 })))
    assert.same({}, pairs_of(mp.zip({}, { 1 })))
    assert.same({}, pairs_of(mp.zip()))
  end)

  it("takes tables, ranges, functions and zips", function()
    assert.same({ { 1, 10 }, { 2, 20 } }, pairs_of(mp.zip(mp.range(2), mp.range(10, 30, 10))))
    local i = 0
    assert.same({ { 1, 5 }, { 2, 6 } }, pairs_of(mp.zip(function()
      i = i + 1
      return i <= 2 and i or nil
    end, { 5, 6, 7 })))
  end)

  it("keeps nils within a table's n", function()
    local zip = mp.zip({ 1, nil, 3, n = 3 }, { "a", "b", "c" })
    local pool <close> = mp.Pool(1)
    local results = pool:starmap(function(a, b) return { a or false, b } end, zip)
    assert.same({ { 1, "a" }, { false, "b" }, { 3, "c" }, n = 3 }, results)
  end)

  it("refuses what cannot be iterated", function()
    local ok, err = pcall(mp.zip, { 1 }, 5)
    assert.is_false(ok)
    assert.equal("argument", err.kind)
    assert.matches("argument 2", err.message)
  end)

  it("is an item a table in map", function()
    local pool <close> = mp.Pool(2)
    assert.same({ 3, 7, n = 2 }, pool:map(function(t) return t[1] + t[2] end,
      mp.zip({ 1, 3 }, { 2, 4 })))
  end)
end)

describe("linspace", function()
  it("steps evenly, both ends exact", function()
    assert.same({ 0.0, 0.25, 0.5, 0.75, 1.0 }, list(mp.linspace(0, 1, 5)))
    local values = list(mp.linspace(0, 0.3, 4))
    assert.equal(0.3, values[4])
    assert.same({ 2.0 }, list(mp.linspace(2, 5, 1)))
  end)

  it("gives floats, knows its length, can be indexed", function()
    local space = mp.linspace(1, 3, 3)
    assert.equal("float", math.type(space[1]))
    assert.equal(3, #space)
    assert.equal(2.0, space[2])
    assert.is_nil(space[4])
  end)

  it("refuses what makes no sense", function()
    for _, args in ipairs { { 0, 1 }, { 0, 1, 0 }, { 0, 1, 2.5 }, { 0, math.huge, 3 }, { "a", 1, 3 } } do
      local ok, err = pcall(mp.linspace, table.unpack(args))
      assert.is_false(ok)
      assert.equal("argument", err.kind)
    end
  end)
end)

describe("each", function()
  it("walks what a generic for would", function()
    local seen = {}
    for k, v in mp.each(pairs { a = 1, b = 2 }) do seen[k] = v end
    assert.same({ a = 1, b = 2 }, seen)
  end)

  it("stays at its end, and closes what the triple brought", function()
    local closed = 0
    local guard = setmetatable({}, { __close = function() closed = closed + 1 end })
    local step = mp.each(function(n, i) if i < n then return i + 1 end end, 2, 0, guard)
    assert.equal(1, step())
    assert.equal(2, step())
    assert.equal(0, closed)
    assert.is_nil(step())
    assert.is_nil(step())
    assert.equal(1, closed)
  end)

  it("refuses what is no iterator", function()
    local ok, err = pcall(mp.each, { 1, 2 })
    assert.is_false(ok)
    assert.equal("argument", err.kind)
    assert.truthy(err.message:find("pairs(t)", 1, true))
  end)
end)
