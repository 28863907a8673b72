-- mp.sample: parameters at random, the same in every process.
local mp = require "moonpool"
local script = require "spec.support.script"
local with_pool = require "spec.support.with_pool"

local SPACE = [[{
  lr = { min = 1e-4, max = 1, log = true }, depth = { min = 1, max = 6, integer = true },
  width = { min = 1, max = 1000, log = true, integer = true }, u = { min = -1, max = 1 },
  name = { "a", "b", "c" }, step = mp.range(10, 30, 10), fixed = 7,
}]]
local space = load("local mp = ... return " .. SPACE)(mp)

local function failure(...)
  local ok, err = pcall(...)
  assert.is_false(ok)
  assert.equal("argument", err.kind)
  return err.message
end

-- How many of n items have each value of x.
local function counts(values, n)
  local count = {}
  for params in mp.sample({ x = values }, n, 1) do count[params.x] = (count[params.x] or 0) + 1 end
  return count
end

describe("mp.sample", function()
  it("gives as many as asked for, each within its space", function()
    local sample, n = mp.sample(space, 500, 3), 0
    assert.equal(500, #sample)
    for p in sample do
      n = n + 1
      assert.is_true(p.lr >= 1e-4 and p.lr <= 1 and p.u >= -1 and p.u <= 1)
      assert.is_true(math.type(p.lr) == "float" and math.type(p.u) == "float")
      assert.is_true(math.type(p.depth) == "integer" and p.depth >= 1 and p.depth <= 6)
      assert.is_true(math.type(p.width) == "integer" and p.width >= 1 and p.width <= 1000)
      assert.truthy(p.name:find "^[abc]$")
      assert.is_true(p.step % 10 == 0 and p.step >= 10 and p.step <= 30)
      assert.equal(7, p.fixed)
      assert.same(sample[n], p)
    end
    assert.equal(500, n)
    assert.is_nil(sample[501])
    assert.is_nil(sample[0])
    assert.equal("Sample", mp.type(sample))
    assert.equal("sample of 2 (x; seed 5)", tostring(mp.sample({ x = { 1 } }, 2, 5)))
  end)

  it("is the same for a seed, in every process, and another for another seed", function()
    local here = mp.show(mp.sample(space, 20, 42)[20])
    local body = ("io.write(mp.show(mp.sample(%s, 20, 42)[20]))"):format(SPACE)
    for _ = 1, 3 do assert.equal(here, script.output(body)) end
    assert.equal(here, script.output("os.setlocale '' math.randomseed(1) " .. body, { program = "stock" }))
    assert.not_equal(here, mp.show(mp.sample(space, 20, 43)[20]))
  end)

  it("is known for ever by its seed", function()
    local p = mp.sample({ a = { min = 0, max = 99, integer = true }, b = { min = 0, max = 1 } }, 3, 1)
    assert.same({ 96, 75, 48, 0.50660173712454437 }, { p[1].a, p[2].a, p[3].a, p[1].b })
  end)

  it("begins with the same however many there are, and whatever else is in the space", function()
    local few, many = mp.sample(space, 5, 9), mp.sample(space, 5000, 9)
    for i = 1, 5 do assert.same(few[i], many[i]) end
    local less = mp.sample({ lr = space.lr }, 5, 9)
    for i = 1, 5 do assert.equal(few[i].lr, less[i].lr) end
  end)

  it("without a seed draws one, and leaves math.random alone with one", function()
    math.randomseed(7)
    local a = mp.sample(space, 3)
    math.randomseed(7)
    assert.equal(math.random(0), a.seed)
    assert.same(a[2], mp.sample(space, 3, a.seed)[2])
    math.randomseed(7)
    local expected = math.random(0)
    math.randomseed(7)
    local _ = mp.sample(space, 3, 1)[2]
    assert.equal(expected, math.random(0))
  end)

  it("chooses all alike, ends included", function()
    local thrown = counts({ min = 1, max = 6, integer = true }, 12000)
    for face = 1, 6 do assert.is_true(math.abs(thrown[face] - 2000) < 200, thrown[face]) end
    local chosen = counts({ "a", "b", "c" }, 6000)
    for _, word in ipairs { "a", "b", "c" } do assert.is_true(math.abs(chosen[word] - 2000) < 200) end
    local near = counts({ min = -1, max = 1, integer = true }, 300)
    assert.is_true(near[-1] > 50 and near[0] > 50 and near[1] > 50)
  end)

  it("gives each magnitude the same part under log", function()
    local below, magnitudes = 0, { 0, 0, 0 }
    local logs = { x = { min = 1e-3, max = 1, log = true }, i = { min = 1, max = 999, log = true, integer = true } }
    for p in mp.sample(logs, 6000, 2) do
      below = below + (p.x < math.sqrt(1e-3) and 1 or 0)
      magnitudes[#tostring(p.i)] = magnitudes[#tostring(p.i)] + 1
    end
    assert.is_true(math.abs(below - 3000) < 300, below)
    for i = 1, 3 do assert.is_true(math.abs(magnitudes[i] - 2000) < 250, magnitudes[i]) end
  end)

  it("keeps to ranges of any width", function()
    for _, case in ipairs {
      { min = math.mininteger, max = math.maxinteger, integer = true }, { min = 5, max = 5, integer = true },
      { min = 5.0, max = 6.0, integer = true }, { min = math.maxinteger - 1, max = math.maxinteger, integer = true },
      { min = 1, max = math.maxinteger, integer = true, log = true }, { min = 3, max = 3, integer = true, log = true },
      { min = -1.7e308, max = 1.7e308 }, { min = 0.1, max = 0.1 }, { min = 5e-324, max = 1.7e308, log = true },
      { min = 0.3, max = 0.3, log = true },
    } do
      for p in mp.sample({ x = case }, 200, 4) do
        assert.is_true(p.x >= case.min and p.x <= case.max)
        assert.equal(case.integer and "integer" or "float", math.type(p.x))
      end
    end
  end)

  it("refuses what is none, with its name", function()
    for message, case in pairs {
      ["x.min must not be above its max, got 2.0 and 1.0"] = { min = 2, max = 1 },
      ["x.min must be more than 0 where log is set"] = { min = 0, max = 1, log = true },
      ['unknown field of x string "mx"; did you mean "max"?'] = { min = 0, mx = 1 },
      ["x.max must be a finite number, got nil"] = { min = 0 },
      ["x.min must be a finite number, got string"] = { min = "0", max = 1 },
      ["x.min must be a finite number, got number -inf"] = { min = -math.huge, max = 1 },
      ["x.max must be an integer, got number 1.5"] = { min = 0, max = 1.5, integer = true },
      ["x.log must be a boolean, got number 1"] = { min = 1, max = 2, log = 1 },
      ["the list x has nothing to choose from"] = {},
    } do
      assert.matches("sample: " .. message, failure(mp.sample, { x = case }, 1), 1, true)
    end
    assert.matches("n must be an integer, 0 or more, got number -1", failure(mp.sample, {}, -1), 1, true)
    assert.matches("n must be", failure(mp.sample, {}))
    assert.matches("seed must be an integer", failure(mp.sample, {}, 1, 1.5))
    assert.matches("sample: the first argument must be a table of parameters", failure(mp.sample, 5, 1))
    assert.matches("name must be a string", failure(mp.sample, { 5 }, 1))
  end)

  it("is an input of calls, and can be sent", function()
    with_pool(2, function(pool)
      local sample = mp.sample(space, 40, 5)
      local widths = pool:map(function(params) return params.width end, sample)
      assert.equal(40, widths.n)
      for i = 1, 40 do assert.equal(sample[i].width, widths[i]) end
      assert.same(sample[40], pool:apply(function() return sample[#sample] end))
    end)
  end)
end)
