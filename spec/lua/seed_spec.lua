local mp = require "moonpool"

local ITEMS = 60

local function draw(i)
  return { math.random(0), math.random(1000), i }
end

local function numbers(pool, options)
  local values = {}
  for i, v in ipairs(pool:map(draw, mp.range(ITEMS), options)) do values[i] = v[1] end
  return values
end

local function with_pool(fields, f)
  local pool <close> = mp.Pool(fields)
  return f(pool)
end

describe("seed", function()
  it("gives item i the numbers of math.randomseed(seed, i)", function()
    local expected = {}
    for _, seed in ipairs { 0, 42, -1, math.mininteger } do
      for i = 1, ITEMS do
        math.randomseed(seed, i)
        expected[i] = math.random(0)
      end
      assert.same(expected, with_pool({ processes = 2 }, function(pool)
        return numbers(pool, { seed = seed })
      end))
    end
  end)

  it("makes results the same for any number of workers and any chunks", function()
    local first
    for _, processes in ipairs { 1, 2, 3 } do
      for _, chunksize in ipairs { 1, 7, 60 } do
        local values = with_pool({ processes = processes }, function(pool)
          return numbers(pool, { seed = 7, chunksize = chunksize })
        end)
        first = first or values
        assert.same(first, values)
      end
    end
  end)

  it("of a pool seeds its calls, each with another stream", function()
    local function two(pool) return { numbers(pool), numbers(pool) } end
    local one = with_pool({ processes = 2, seed = 5 }, two)
    assert.same(one, with_pool({ processes = 1, seed = 5 }, two))
    assert.are_not.same(one[1], one[2])
    local met = {}
    for _, values in ipairs(one) do
      for _, v in ipairs(values) do
        assert.is_nil(met[v])
        met[v] = true
      end
    end
  end)

  it("is drawn from math.random where none is given", function()
    math.randomseed(3)
    local expected = math.random(0)
    math.randomseed(3)
    with_pool({ processes = 1 }, function(pool) assert.equal(expected, pool.seed) end)
  end)

  it("holds whatever functions the task takes from math", function()
    local random = math.random
    with_pool({ processes = 2 }, function(pool)
      math.randomseed(9, 1)
      local expected = math.random(0)
      assert.equal(expected, pool:apply(function() return random(0) end, {}, { seed = 9 }))
    end)
  end)

  it("must be an integer", function()
    with_pool({ processes = 1 }, function(pool)
      local ok, err = pcall(pool.map, pool, draw, { 1 }, { seed = 1.5 })
      assert.is_false(ok)
      assert.equal("argument", err.kind)
    end)
    assert.equal("argument", select(2, pcall(mp.Pool, { seed = "x" })).kind)
  end)
end)

describe("pack", function()
  it("keeps all values of an item, as a table with n", function()
    with_pool({ processes = 2 }, function(pool)
      local results = pool:map(function(x)
        if x == 2 then return end
        return x, nil, x * 2
      end, { 1, 2 }, { pack = true })
      assert.same({ 1, nil, 2, n = 3 }, results[1])
      assert.same({ n = 0 }, results[2])
      assert.equal(2, results.n)
    end)
  end)
end)

describe("a pool's defaults", function()
  it("hold for calls that say nothing else", function()
    with_pool({ processes = 2, on_error = "collect" }, function(pool)
      local function fail(x) if x == 2 then error("no") end return x end
      assert.equal(1, pool:map(fail, { 1, 2, 3 }).failed)
      assert.is_false((pcall(pool.map, pool, fail, { 1, 2, 3 }, { on_error = "raise" })))
    end)
  end)

  it("name the nearest field for one that is not known", function()
    local ok, err = pcall(mp.Pool, { proceses = 2 })
    assert.is_false(ok)
    assert.truthy(err.message:find('"processes"', 1, true))
  end)

  it("give callback errors to on_callback_error", function()
    local seen = {}
    local pool = mp.Pool { processes = 1, on_callback_error = function(err) seen[#seen + 1] = err end }
    pool:apply_async(function() end, {}, function() error("in callback", 0) end)
    assert.is_false((pcall(pool.wait, pool)))
    assert.same({ "in callback" }, seen)
    pool:close()
    pool:join()
  end)
end)
