local mp = require "moonpool"
local script = require "spec.support.script"
local with_pool = require "spec.support.with_pool"

-- Functions that know, by files in a directory, how often an item has begun.
local function counting()
  local directory = os.tmpname()
  os.remove(directory)
  assert(os.execute("mkdir " .. directory))
  local function begin(i)
    local file <close> = assert(io.open(directory .. "/" .. i, "a+"))
    file:write("x")
    file:flush()
    file:seek("set")
    return #file:read("a")
  end
  return begin, function() os.execute("rm -r " .. directory) end
end

describe("retries", function()
  it("runs items that raise again, and counts their attempts", function()
    with_pool(3, function(pool)
      local begin, clean = counting()
      local fail = error
      local r = pool:map(function(i)
        local n = begin(i)
        if i % 3 == 0 and n < 3 then fail("not yet") end
        return n
      end, mp.range(30), { retries = 2 })
      for i = 1, 30 do assert.equal(i % 3 == 0 and 3 or 1, r[i]) end
      clean()
    end)
  end)

  it("gives up behind the last one, with its number", function()
    with_pool(2, function(pool)
      local fail = error
      local function f(i) if i == 4 then fail("never") end return i end
      local ok, err = pcall(pool.map, pool, f, mp.range(6), { retries = 2 })
      assert.is_false(ok)
      assert.same({ "task", 4, 3 }, { err.kind, err.index, err.attempt })
      local r = pool:map(f, mp.range(6), { retries = 1, on_error = "collect" })
      assert.same({ 1, 2 }, { r.failed, r.errors[4].attempt })
      ok, err = pcall(pool.apply, pool, f, { 4 }, { retries = 4 })
      assert.same({ false, 5 }, { ok, err.attempt })
      for i, v, e in pool:imap(f, mp.range(6), { retries = 1, on_error = "collect" }) do
        assert.equal(i == 4 and "task" or i, v or e.kind)
      end
    end)
  end)

  it("runs again what lost its worker or cannot be returned", function()
    with_pool(2, function(pool)
      local begin, clean = counting()
      local exit, create = os.exit, coroutine.create
      local r = pool:map(function(i)
        local n = begin(i)
        if i == 5 and n < 3 then exit(n) end
        if i == 6 and n < 2 then return create(exit) end
        return n
      end, mp.range(10), { retries = 3 })
      assert.same({ n = 10, 1, 1, 1, 1, 3, 2, 1, 1, 1, 1 }, r)
      clean()
    end)
  end)

  it("stops when the same item has killed every worker that took it", function()
    with_pool(4, function(pool)
      local kill, pid = os.execute, mp.getpid
      local r = pool:map(function(i)
        if i == 17 then kill("kill -9 " .. pid()) end
        return i
      end, mp.range(100), { retries = 3, on_error = "collect" })
      assert.equal(1, r.failed)
      local err = r.errors[17]
      assert.same({ "worker_lost", 9, 4, 17 }, { err.kind, err.signal, err.attempt, err.index })
      for i = 1, 100 do assert.equal(i ~= 17 and i or nil, r[i]) end
    end)
  end)

  it("waits before each attempt, twice as long each time", function()
    with_pool(2, function(pool)
      local fail, now = error, mp.monotonic
      local begin, clean = counting()
      local r = pool:map(function(i)
        local at = now()
        if begin(i) < 3 then fail(at) end
        return at
      end, mp.range(3), { retries = 2, retry_delay = 0.05 })
      local started = mp.monotonic()
      assert.equal(3, r.n)
      pool:map(function(i) if begin(i + 100) < 3 then fail("") end end, mp.range(3),
        { retries = 2, retry_delay = 0.05 })
      assert.is_true(mp.monotonic() - started >= 0.15)
      clean()
    end)
  end)

  it("gives an item its random numbers on every attempt", function()
    with_pool(3, function(pool)
      local begin, clean = counting()
      local fail, random = error, math.random
      local function f(i, flaky)
        local drawn = random(0)
        if flaky and begin(i) < 2 then fail("") end
        return drawn
      end
      local plain = pool:starmap(f, mp.zip(mp.range(50), function() return false end), { seed = 3 })
      local again = pool:starmap(f, mp.zip(mp.range(50), function() return true end),
        { seed = 3, retries = 1 })
      assert.same(plain, again)
      clean()
    end)
  end)

  it("makes the descriptor readable when it is due", function()
    with_pool(1, function(pool)
      local fail = error
      local begin, clean = counting()
      local r = pool:apply_async(function() return begin(1) < 2 and fail("") or 7 end, {},
        { retries = 1, retry_delay = 0.1 })
      pool:fileno()
      local fd = pool:fileno()
      while not r:ready() do
        assert.is_true(require "spec.readable"(fd, 20000))
        pool:poll(0)
      end
      assert.equal(7, r:get())
      clean()
    end)
  end)

  it("ends with the pool that is terminated, and is waited for by join", function()
    with_pool(2, function(pool)
      local fail = error
      local r = pool:apply_async(fail, { "x" }, { retries = 5, retry_delay = 1000 })
      assert.is_false(pool:wait(0.1))
      pool:terminate()
      assert.equal("cancelled", select(2, pcall(r.get, r)).kind)
    end)
    with_pool(2, function(pool)
      local begin, clean = counting()
      local fail = error
      local r = pool:apply_async(function() return begin(1) < 3 and fail("") or 5 end, {},
        { retries = 2, retry_delay = 0.02 })
      pool:close()
      pool:join()
      assert.equal(5, r:get())
      clean()
    end)
  end)

  it("is a default of the pool's that a call may change", function()
    with_pool({ processes = 1, retries = 2, retry_delay = 0 }, function(pool)
      local fail = error
      assert.equal(3, select(2, pcall(pool.apply, pool, fail, { "x" })).attempt)
      assert.equal(1, select(2, pcall(pool.apply, pool, fail, { "x" }, { retries = 0 })).attempt)
    end)
  end)

  it("does not try a worker's initializer again", function()
    local out = script.output [[
      local pool = mp.Pool { processes = 2, initializer = function() error("unfit") end }
      local ok, err = pcall(pool.map, pool, print, mp.range(3), { retries = 1000, retry_delay = 1 })
      print(ok, err.kind)
      pool:terminate() pool:join()
    ]]
    assert.equal("false\tinitializer\n", out)
  end)

  it("refuses what is no number of times or seconds", function()
    with_pool(1, function(pool)
      for _, options in ipairs { { retries = -1 }, { retries = 1.5 }, { retries = "2" },
        { retry_delay = -1 }, { retry_delay = 0 / 0 }, { retry_delay = true } } do
        local ok, err = pcall(pool.map, pool, print, {}, options)
        assert.is_false(ok)
        assert.equal("argument", err.kind)
        assert.truthy(err.message:find("retr", 1, true))
      end
    end)
  end)
end)
