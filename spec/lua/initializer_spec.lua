-- luacheck: globals ready count
local mp = require "moonpool"

local function identity(...) return ... end

local function with_pool(fields, f)
  local pool <close> = mp.Pool(fields)
  return f(pool)
end

local function raised(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return err
end

describe("initializer", function()
  it("runs in each worker before its first task", function()
    local fields = { processes = 2, initializer = function(a, b) ready = a + b end, initargs = { 3, 4 } }
    with_pool(fields, function(pool)
      for _, v in ipairs(pool:map(function() return ready end, mp.range(20), 1)) do
        assert.equal(7, v)
      end
    end)
  end)

  it("takes nil among its arguments, and may be given in Python's order", function()
    local pool <close> = mp.Pool(1, function(...) count = select("#", ...) end, { nil, nil, n = 2 })
    assert.equal(2, pool:apply(function() return count end))
  end)

  it("runs in a replacement, too", function()
    local fields = { processes = 1, initializer = function() ready = true end }
    with_pool(fields, function(pool)
      pool:map(function() os.exit(1) end, { 1 }, { on_error = "collect" })
      assert.is_true(pool:apply(function() return ready end))
    end)
  end)

  it("that fails makes every call raise, whatever on_error says", function()
    local fields = { processes = 2, initializer = function() error({ code = 5 }) end }
    with_pool(fields, function(pool)
      local err = raised(pool.map, pool, identity, mp.range(50), { on_error = "collect" })
      assert.equal("initializer", err.kind)
      assert.same({ code = 5 }, err.value)
      assert.truthy(err.traceback:find("initializer_spec", 1, true))
      assert.equal("initializer", raised(pool.apply, pool, identity).kind)
      assert.equal("initializer", raised(pool.imap, pool, identity, { 1 }).kind)
    end)
  end)

  it("that fails ends an imap, and results that wait", function()
    local fields = { processes = 1, initializer = function() error("no") end }
    with_pool(fields, function(pool)
      local later = pool:apply_async(identity)
      local iterator = pool:imap(identity, mp.range(5))
      assert.equal("initializer", raised(iterator.next, iterator).kind)
      assert.equal("initializer", raised(later.get, later).kind)
    end)
  end)

  it("that ends its worker again and again is given up", function()
    local fields = { processes = 2, initializer = function() os.exit(9) end }
    with_pool(fields, function(pool)
      local err = raised(pool.map, pool, identity, mp.range(5))
      assert.equal("initializer", err.kind)
      assert.equal(9, err.exitcode)
    end)
  end)

  it("must be a function, its arguments a table", function()
    assert.equal("argument", raised(mp.Pool, { initializer = 1 }).kind)
    assert.equal("argument", raised(mp.Pool, { initializer = print, initargs = 1 }).kind)
  end)
end)

describe("maxtasksperchild", function()
  local function most_per_worker(pids)
    local counts, most, workers = {}, 0, 0
    for _, pid in ipairs(pids) do
      workers = workers + (counts[pid] and 0 or 1)
      counts[pid] = (counts[pid] or 0) + 1
      most = math.max(most, counts[pid])
    end
    return most, workers
  end

  it("counts items, and replaces the worker behind them", function()
    with_pool({ processes = 2, maxtasksperchild = 3 }, function(pool)
      local most, workers = most_per_worker(pool:map(mp.getpid, mp.range(30)))
      assert.is_true(most <= 3)
      assert.is_true(workers >= 10)
    end)
  end)

  it("is looked at behind a chunk", function()
    with_pool({ processes = 1, maxtasksperchild = 3 }, function(pool)
      assert.equal(10, (most_per_worker(pool:map(mp.getpid, mp.range(40), 10))))
    end)
  end)

  it("counts failed items", function()
    with_pool({ processes = 1, maxtasksperchild = 2 }, function(pool)
      local results = pool:map(function(i)
        if i % 2 == 0 then error("even") end
        return mp.getpid()
      end, mp.range(6), { on_error = "collect", chunksize = 1 })
      assert.equal(3, results.failed)
      assert.equal(1, (most_per_worker { results[1], results[3], results[5] }))
    end)
  end)

  it("loses nothing over many replacements", function()
    with_pool({ processes = 3, maxtasksperchild = 1 }, function(pool)
      local results = pool:map(identity, mp.range(200))
      for i = 1, 200 do assert.equal(i, results[i]) end
    end)
  end)

  it("must be a positive integer", function()
    for _, n in ipairs { 0, -1, 1.5, "2" } do
      assert.equal("argument", raised(mp.Pool, { maxtasksperchild = n }).kind)
    end
  end)
end)
