local mp = require "moonpool"

local function identity(x) return x end

local function noting()
  local told = {}
  return told, function(done, total) told[#told + 1] = { done, total } end
end

local function check(told, n, total)
  local before = 0
  for _, t in ipairs(told) do
    assert.is_true(t[1] > before)
    assert.equal(total, t[2])
    before = t[1]
  end
  assert.equal(n, before)
end

describe("progress", function()
  it("counts up to all items, in every form", function()
    local pool <close> = mp.Pool(2)
    for _, form in ipairs { "map", "starmap" } do
      local told, tell = noting()
      pool[form](pool, identity, mp.range(500), { progress = tell })
      check(told, 500, 500)
    end
    local told, tell = noting()
    pool:map_async(identity, { 1, 2, 3 }, { progress = tell }):get()
    check(told, 3, 3)
    told, tell = noting()
    pool:apply_async(identity, { 1 }, { progress = tell }):get()
    check(told, 1, 1)
    for _, form in ipairs { "imap", "imap_unordered" } do
      told, tell = noting()
      local n = 0
      for _ in pool[form](pool, identity, mp.range(50), { progress = tell }) do n = n + 1 end
      assert.equal(50, n)
      check(told, 50, 50)
    end
  end)

  it("tells the length of an iterator where total gives it, else nil until it is known", function()
    local pool <close> = mp.Pool(2)
    local told, tell = noting()
    local function source()
      local i = 0
      return function()
        i = i + 1
        return i <= 20 and i or nil
      end
    end
    for _ in pool:imap(identity, source(), { progress = tell, total = 20 }) do end
    check(told, 20, 20)
    told, tell = noting()
    pool:map(identity, source(), { progress = tell })
    assert.equal(20, told[#told][1])
    assert.equal(20, told[#told][2])
  end)

  it("hears of results while the call goes on", function()
    local pool <close> = mp.Pool(2)
    local sleep = mp.sleep
    local told, tell = noting()
    pool:map(function() sleep(0.02) end, mp.range(20), { progress = tell, chunksize = 1 })
    assert.is_true(#told >= 5)
    told, tell = noting()
    local watched = pool:map_async(function() sleep(0.02) end, mp.range(20),
      { progress = tell, chunksize = 1 })
    pool:map(function() sleep(0.02) end, mp.range(20), { chunksize = 1 })
    watched:get()
    assert.is_true(#told >= 5)
  end)

  it("counts the items of a reduction", function()
    local pool <close> = mp.Pool(2)
    local told, tell = noting()
    pool:reduce(identity, math.max, mp.range(1000), { progress = tell })
    check(told, 1000, 1000)
  end)

  it("is forgotten with a call that was left, cancelled or never begun", function()
    local pool <close> = mp.Pool(1)
    local sleep, fail = mp.sleep, error
    local gone = setmetatable({}, { __mode = "k" })
    local function noted()
      local function tell() return gone end
      gone[tell] = true
      return { progress = tell }
    end
    for i in pool:imap(identity, mp.range(1000), noted()) do
      if i == 3 then break end
    end
    pool:apply_async(sleep, { 100 }, noted()):cancel()
    pcall(pool.map, pool, identity, function() fail("input") end, noted())
    pool:apply(identity, { 1 })
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(gone))
  end)

  it("counts failures as done", function()
    local pool <close> = mp.Pool(2)
    local fail = error
    local told, tell = noting()
    pool:map(function(i) if i % 2 == 0 then fail("even") end end, mp.range(10),
      { progress = tell, on_error = "collect" })
    check(told, 10, 10)
  end)

  it("is a default of the pool's", function()
    local told, tell = noting()
    local pool <close> = mp.Pool { processes = 1, progress = tell }
    pool:map(identity, mp.range(3))
    check(told, 3, 3)
  end)

  it("does no harm by its errors", function()
    local caught = {}
    local pool = mp.Pool { processes = 1, on_callback_error = function(err) caught[#caught + 1] = err end }
    local fail = error
    assert.equal(3, pool:map(identity, mp.range(3), { progress = function() fail("mine", 0) end }).n)
    assert.equal("mine", caught[1])
    assert.is_true(pool:stats().callback_errors > 0)
    pool:terminate()
    pcall(pool.join, pool)
  end)

  it("refuses what is no function and no length", function()
    local pool <close> = mp.Pool(1)
    for _, options in ipairs { { progress = 5 }, { total = -1 }, { total = "3" } } do
      local ok, err = pcall(pool.map, pool, identity, {}, options)
      assert.same({ false, "argument" }, { ok, err.kind })
    end
  end)
end)
