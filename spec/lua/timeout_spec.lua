-- timeout: 120
-- Each way of running for ever ends by its deadline, a second of grace and half a second.
local mp = require "moonpool"
local script = require "spec.support.script"
local signals = require "spec.signals"
local with_pool = require "spec.support.with_pool"

local LIMIT = 0.2
local HARD = LIMIT + 1.5

local function spin() while true do end end

-- The error of an item that ran too long, and how long the call took.
local function late(pool, f, ...)
  local start = mp.monotonic()
  local ok, err = pcall(pool.apply, pool, f, { ... }, { timeout = LIMIT })
  assert.is_false(ok)
  assert.equal("timeout", err.kind)
  return err, mp.monotonic() - start
end

local ENDLESS = {
  ["a loop"] = spin,
  ["a loop in a coroutine in a coroutine"] = function()
    local wrap = coroutine.wrap
    return function() wrap(function() wrap(spin)() end)() end
  end,
  ["a sleep"] = function()
    local sleep = mp.sleep
    return function() sleep(1000) end
  end,
  ["a program that is waited for"] = function()
    local execute = os.execute
    return function() execute("sleep 3") end
  end,
  ["a sleep in C"] = function()
    local sleep = signals.sleep
    return function() sleep(60) end
  end,
  ["a loop that catches everything"] = function()
    local catch = pcall
    return function() while true do catch(spin) end end
  end,
  ["a loop that resumes what fails"] = function()
    local create, resume = coroutine.create, coroutine.resume
    return function() while true do resume(create(spin)) end end
  end,
  ["a pattern that backtracks"] = function()
    local find, rep = string.find, string.rep
    return function() find(rep("a", 100000), rep(".-", 30) .. "b") end
  end,
  ["a worker that blocks all signals"] = function()
    local block = signals.block
    return function() block() spin() end
  end,
  ["a variable that is closed in a loop"] = function()
    local set = setmetatable
    return function()
      local _ <close> = set({}, { __close = spin })
      while true do end
    end
  end,
}

describe("timeout", function()
  for name, make in pairs(ENDLESS) do
    it("ends " .. name, function()
      with_pool(1, function(pool)
        local f = make == spin and spin or make()
        local err, took = late(pool, f)
        assert.same({ 1, 1 }, { err.index, err.attempt })
        assert.is_true(took >= LIMIT and took < HARD, ("took %g seconds"):format(took))
        assert.equal(9, pool:apply(function() return 9 end))
      end)
    end)
  end

  it("ends a worker that was stopped", function()
    with_pool(2, function(pool)
      local stop, pid = os.execute, mp.getpid
      local err = late(pool, function() stop("kill -STOP " .. pid()) end)
      assert.equal("PoolWorker-1", err.worker)
    end)
  end)

  it("is kept while the host is busy elsewhere", function()
    with_pool(1, function(pool)
      local path = script.temporary()
      local r = pool:apply_async(spin, {}, { timeout = LIMIT })
      local s = pool:apply_async(signals.block and function()
        signals.block()
        spin()
      end, {}, { timeout = LIMIT })
      local open, now = io.open, mp.monotonic
      local last = pool:apply_async(function()
        local file <close> = open(path, "w")
        file:write(now())
      end)
      local start = mp.monotonic()
      os.execute("sleep 3")
      local done = tonumber(script.read(path))
      os.remove(path)
      assert.is_true(done - start < 2 * HARD)
      for _, result in ipairs { r, s } do
        assert.equal("timeout", select(2, pcall(result.get, result)).kind)
      end
      last:get()
    end)
  end)

  it("says where the item was, which it was, and in which worker", function()
    with_pool(1, function(pool)
      local err = late(pool, spin, "x", 2)
      assert.same({ "x", 2, n = 2 }, err.args)
      assert.truthy(err.traceback:find("timeout_spec.lua", 1, true))
      assert.equal("number", type(err.pid))
      assert.equal("PoolWorker-1", err.worker)
    end)
  end)

  it("fails only the item that is late, in a chunk and in all forms", function()
    with_pool(2, function(pool)
      local function f(i)
        if i % 10 == 5 then spin() end
        return i
      end
      local options = { timeout = LIMIT, chunksize = 15, on_error = "collect" }
      local r = pool:map(f, mp.range(30), options)
      assert.equal(3, r.failed)
      for i = 1, 30 do
        assert.equal(i % 10 == 5 and "timeout" or i, r[i] or r.errors[i].kind)
      end
      for _, form in ipairs { "imap", "imap_unordered" } do
        local n = 0
        for i, v, e in pool[form](pool, f, mp.range(12), { timeout = LIMIT, on_error = "collect" }) do
          assert.equal(i == 5 and "timeout" or i, v or e.kind)
          n = n + 1
        end
        assert.equal(12, n)
      end
    end)
  end)

  it("fails an item that caught the error and went on", function()
    with_pool(1, function(pool)
      local catch = pcall
      late(pool, function() catch(spin) return 7 end)
    end)
  end)

  it("lets what the error closes tidy up", function()
    with_pool(1, function(pool)
      local path, open, set = script.temporary(), io.open, setmetatable
      late(pool, function()
        local _ <close> = set({}, { __close = function()
          local file <close> = open(path, "w")
          file:write("tidy")
        end })
        while true do end
      end)
      assert.equal("tidy", script.read(path))
      os.remove(path)
    end)
  end)

  it("tells a caught error by its kind", function()
    with_pool(1, function(pool)
      local catch, warn_kind = pcall, error
      local ok, err = pcall(pool.apply, pool, function()
        local _, e = catch(spin)
        warn_kind(e.kind)
      end, {}, { timeout = LIMIT })
      assert.is_false(ok)
      assert.equal("timeout", err.kind)
    end)
  end)

  it("leaves the items behind it alone", function()
    with_pool(1, function(pool)
      local r = pool:map(function(i)
        if i == 1 then spin() end
        local n = 0
        for k = 1, 3000000 do n = n + k % 7 end
        return n
      end, mp.range(5), { timeout = 5, on_error = "collect" })
      assert.equal(1, r.failed)
      for i = 3, 5 do assert.equal(r[2], r[i]) end
    end)
  end)

  it("runs a late item again where retries say so", function()
    with_pool(2, function(pool)
      local err = select(2, pcall(pool.apply, pool, spin, {}, { timeout = 0.1, retries = 2 }))
      assert.same({ "timeout", 3 }, { err.kind, err.attempt })
    end)
  end)

  it("is a default of the pool's", function()
    with_pool({ processes = 1, timeout = LIMIT }, function(pool)
      assert.equal("timeout", select(2, pcall(pool.apply, pool, spin)).kind)
    end)
  end)

  it("refuses what is no time", function()
    with_pool(1, function(pool)
      for _, bad in ipairs { 0, -1, 0 / 0, "1", true } do
        local ok, err = pcall(pool.map, pool, spin, {}, { timeout = bad })
        assert.is_false(ok)
        assert.equal("argument", err.kind)
        assert.truthy(err.message:find("timeout", 1, true))
      end
    end)
  end)
end)

describe("before each item", function()
  it("signals are open again, and timers off", function()
    with_pool(1, function(pool)
      local block, blocked, alarm, running =
        signals.block, signals.blocked, signals.alarm, signals.running
      local r = pool:map(function(i)
        local seen = blocked()
        local timed = running()
        if i % 2 == 1 then block() else alarm(100) end
        return { seen, timed }
      end, mp.range(20), { chunksize = 20 })
      for i = 1, 20 do assert.same({ 0, false }, r[i]) end
    end)
  end)

  it("hooks are gone", function()
    with_pool(1, function(pool)
      local set, get, fail = debug.sethook, debug.gethook, error
      local r = pool:map(function()
        local was = get()
        set(function() fail("hook") end, "", 1000000)
        return was == nil
      end, mp.range(10), { chunksize = 10 })
      for i = 1, 10 do assert.is_true(r[i]) end
    end)
  end)
end)
