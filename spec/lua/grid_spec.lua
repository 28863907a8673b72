-- mp.grid: every combination, made when it is asked for.
local mp = require "moonpool"
local with_pool = require "spec.support.with_pool"

local function failure(...)
  local ok, err = pcall(...)
  assert.is_false(ok)
  assert.equal("argument", err.kind)
  return err.message
end

-- What a loop gives, on a line each.
local function listed(grid)
  local lines = {}
  for params in grid do lines[#lines + 1] = mp.show(params) end
  return table.concat(lines, "\n")
end

describe("mp.grid", function()
  it("gives each combination, names sorted, the last one fastest", function()
    local grid = mp.grid { lr = { 0.1, 0.01 }, depth = { 2, 4, 8 } }
    local all = {}
    for _, depth in ipairs { 2, 4, 8 } do
      for _, lr in ipairs { 0.1, 0.01 } do all[#all + 1] = { depth = depth, lr = lr } end
    end
    assert.equal(6, #grid)
    for i = 1, 6 do assert.same(all[i], grid[i]) end
    local i = 0
    for params in grid do
      i = i + 1
      assert.same(all[i], params)
    end
    assert.equal(6, i)
  end)

  it("has nothing outside, and makes each anew", function()
    local grid = mp.grid { x = { 1, 2 } }
    for _, i in ipairs { 0, 3, -1, 1.5, "x", math.mininteger, math.maxinteger } do assert.is_nil(grid[i]) end
    grid[1].x = 7
    assert.equal(1, grid[1].x)
    assert.equal("Grid", mp.type(grid))
    assert.equal("grid of 4 (x: 2, y: 2)", tostring(mp.grid { x = { 1, 2 }, y = { 1, 2 } }))
  end)

  it("takes lists, ranges, and one value as a list of one", function()
    local values = mp.Array("d", { 1.5, 2.5 })
    local grid = mp.grid { a = mp.range(0, 20, 10), b = mp.linspace(0, 1, 2), c = 5, d = values, e = "word", f = false }
    assert.equal(12, #grid)
    assert.same({ a = 0, b = 0.0, c = 5, d = 1.5, e = "word", f = false }, grid[1])
    assert.same({ a = 20, b = 1.0, c = 5, d = 2.5, e = "word", f = false }, grid[12])
    local layers = { { 64 }, { 64, 32 } }
    assert.equal(layers[2], mp.grid { layers = layers }[2].layers)
    assert.equal(3, #mp.grid { inner = mp.grid { x = { 1, 2, 3 } } })
  end)

  it("is as its lists were when it was made", function()
    local values = { 1, 2 }
    local grid = mp.grid { x = values }
    values[1], values[3] = 7, 8
    assert.equal("{x = 1}\n{x = 2}", listed(grid))
  end)

  it("may be empty, of one, or far too large to be made", function()
    assert.equal(0, #mp.grid { x = {}, y = { 1, 2 } })
    assert.is_nil(mp.grid { x = {}, y = { 1, 2 } }[1])
    assert.equal("", listed(mp.grid { x = {} }))
    assert.equal("{}", listed(mp.grid {}))
    local huge = mp.grid { a = mp.range(1 << 30), b = mp.range(1 << 31) }
    assert.equal(1 << 61, #huge)
    assert.same({ a = 1 << 30, b = (1 << 31) - 1 }, huge[(1 << 61) - 1])
    assert.matches("more combinations", failure(mp.grid, { a = mp.range(1 << 40), b = mp.range(1 << 40) }))
  end)

  it("is walked from its begin by each loop, also by one within another", function()
    local grid, n = mp.grid { x = { 1, 2, 3 } }, 0
    for p in grid do
      if p.x == 2 then break end
    end
    for a in grid do
      for b in grid do
        n = n + 1
        assert.same({ (n + 2) // 3, (n - 1) % 3 + 1 }, { a.x, b.x })
      end
    end
    assert.equal(9, n)
  end)

  it("refuses what is none", function()
    for _, space in ipairs { 5, "x", mp.range(3), print } do
      assert.matches("grid: the first argument must be a table of parameters", failure(mp.grid, space), 1, true)
    end
    assert.matches("the first argument", failure(mp.grid))
    assert.matches("grid: a parameter's name must be a string, got number 1", failure(mp.grid, { { 1, 2 } }), 1, true)
    assert.matches("grid: lr has keys but no items", failure(mp.grid, { lr = { min = 1 } }), 1, true)
    assert.matches("grid: the length of lr", failure(mp.grid, { lr = { n = -1 } }), 1, true)
  end)

  it("is an input of every form of a call", function()
    with_pool(2, function(pool)
      local grid = mp.grid { a = mp.range(10), b = { 1, 2, 3 } }
      local function f(params, extra) return params.a * 100 + params.b + (extra or 0) end
      local expected = { n = 30 }
      for i = 1, 30 do expected[i] = f(grid[i]) end
      assert.same(expected, pool:map(f, grid))
      assert.same(expected, pool:map_async(f, grid, 7):get())
      local seen = { n = 0 }
      for i, v in pool:imap(f, grid) do
        seen.n = seen.n + 1
        assert.equal(seen.n, i)
        seen[i] = v
      end
      assert.same(expected, seen)
      for i, v in pool:imap_unordered(f, grid) do assert.equal(expected[i], v) end
      local zipped = pool:starmap(f, mp.zip(grid, mp.range(1000, 30000, 1000)))
      for i = 1, 30 do assert.equal(expected[i] + 1000 * i, zipped[i]) end
      assert.same({ n = 0 }, pool:map(f, mp.grid { a = {} }))
    end)
  end)

  it("can be sent", function()
    with_pool(1, function(pool)
      local grid = mp.grid { a = mp.range(3), b = { "x", "y" } }
      local count, last, text = pool:apply(function()
        local n = 0
        for _ in grid do n = n + 1 end
        return n, grid[#grid], tostring(grid)
      end)
      assert.same({ 6, { a = 3, b = "y" }, tostring(grid) }, { count, last, text })
    end)
  end)
end)
