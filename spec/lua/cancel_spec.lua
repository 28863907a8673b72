-- timeout: 120
local mp = require "moonpool"
local leaks = require "spec.support.leaks"
local script = require "spec.support.script"
local signals = require "spec.signals"
local with_pool = require "spec.support.with_pool"

local function spin() while true do end end
local function identity(x) return x end

local function kind_of(result)
  local ok, err = pcall(result.get, result)
  return ok and "done" or err.kind
end

-- Waits until a worker has begun what writes to `path`.
local function await(path)
  local deadline = mp.monotonic() + 20
  while script.read(path) == "" do
    assert.is_true(mp.monotonic() < deadline)
    mp.sleep(0.005)
  end
end

-- A function that says in a file that it runs, and then does `f`.
local function telling(f)
  local path, open = os.tmpname(), io.open
  return function()
    local file = open(path, "w")
    file:write("x")
    file:close()
    f()
  end, path
end

local BUSY = {
  ["a loop"] = function() return spin end,
  ["a sleep"] = function()
    local sleep = mp.sleep
    return function() sleep(1000) end
  end,
  ["a sleep in C"] = function()
    local sleep = signals.sleep
    return function() sleep(60) end
  end,
  ["a worker that blocks all signals"] = function()
    local block, rest = signals.block, spin
    return function()
      block()
      rest()
    end
  end,
  ["a loop that catches everything"] = function()
    local catch, rest = pcall, spin
    return function() while true do catch(rest) end end
  end,
}

describe("cancel", function()
  for name, make in pairs(BUSY) do
    it("stops " .. name, function()
      with_pool(1, function(pool)
        local f, path = telling(make())
        local r = pool:apply_async(f)
        await(path)
        local behind = pool:apply_async(identity, { 5 })
        assert.is_true(r:cancel())
        assert.equal("cancelled", kind_of(r))
        assert.equal(5, behind:get(20))
        os.remove(path)
      end)
    end)
  end

  it("takes back what nobody has begun", function()
    with_pool(1, function(pool)
      local f, path = telling(spin)
      local running = pool:apply_async(f)
      await(path)
      local marker = os.tmpname()
      local remove = os.remove
      local queued = pool:apply_async(remove, { marker })
      assert.is_true(queued:cancel())
      assert.is_true(running:cancel())
      assert.equal(1, pool:apply(identity, { 1 }))
      assert.equal("", script.read(marker))
      os.remove(marker)
      os.remove(path)
      assert.equal("cancelled", kind_of(queued))
    end)
  end)

  it("is false for what is done, and the second time", function()
    with_pool(1, function(pool)
      local r = pool:apply_async(identity, { 3 })
      r:wait()
      assert.is_false(r:cancel())
      assert.equal(3, r:get())
      local s = pool:apply_async(spin)
      assert.is_true(s:cancel())
      assert.is_false(s:cancel())
      assert.is_false(s:successful())
      assert.is_true(s:ready())
    end)
  end)

  it("gives the error to error_callback, the same that get raises, once", function()
    with_pool(1, function(pool)
      local got = {}
      local r = pool:apply_async(spin, {}, {
        callback = function() got[#got + 1] = "done" end,
        error_callback = function(err) got[#got + 1] = err end,
      })
      r:cancel()
      local ok, err = pcall(r.get, r)
      assert.is_false(ok)
      assert.equal(1, #got)
      assert.equal(err, got[1])
    end)
  end)

  it("ends a map half-way, keeping what was done", function()
    with_pool(2, function(pool)
      local rest = spin
      local r = pool:map_async(function(i) if i > 5 then rest() end return i end, mp.range(20),
        { chunksize = 1 })
      r:wait(0.3)
      assert.is_true(r:cancel())
      local ok, err = pcall(r.get, r)
      assert.same({ false, "cancelled" }, { ok, err.kind })
      for i = 1, 5 do assert.equal(i, err.results[i]) end
    end)
  end)

  it("works from a callback", function()
    with_pool(2, function(pool)
      local endless = pool:apply_async(spin)
      local cancelled
      pool:apply_async(identity, { 1 }, function() cancelled = endless:cancel() end)
      assert.equal("cancelled", kind_of(endless))
      assert.is_true(cancelled)
    end)
  end)

  it("names the first item of a map that was not done", function()
    with_pool(2, function(pool)
      local function f(x) if x > 3 then spin() end return x end
      for i, how in ipairs { "cancel", "terminate" } do
        local result, deadline = pool:map_async(f, mp.range(8), 1), mp.monotonic() + 20
        repeat pcall(result.get, result, 0.01) until pool:stats().done == 3 * i or mp.monotonic() > deadline
        if how == "cancel" then result:cancel() else pool:terminate() end
        local ok, err = pcall(result.get, result)
        assert.same({ false, "cancelled", 4, 3 }, { ok, err.kind, err.index, #err.results })
        assert.matches("\nin item 4\n", tostring(err))
      end
    end)
  end)

  it("leaves nothing to wait for: close and join end", function()
    local before = leaks.snapshot()
    local pool = mp.Pool(2)
    local results = {}
    for i = 1, 6 do results[i] = pool:apply_async(spin) end
    pool:wait(0.05)
    for i = 1, 6 do assert.is_true(results[i]:cancel()) end
    pool:close()
    assert.is_true(pool:join(20))
    assert.equal("", leaks.left(before))
  end)

  it("frees the workers of a map that has failed, and of a loop that was left", function()
    with_pool(3, function(pool)
      local rest, fail = spin, error
      local function f(i)
        if i == 2 then fail("two") elseif i > 2 then rest() end
        return i
      end
      local ok, err = pcall(pool.map, pool, f, mp.range(6), { chunksize = 1 })
      assert.same({ false, 2 }, { ok, err.index })
      assert.same({ 7, 7, 7, n = 3 }, pool:map(function() return 7 end, mp.range(3)))
      local loop <close> = pool:imap_unordered(function(k) if k > 1 then rest() end end, mp.range(5))
      assert.equal(1, loop:next())
      loop:close()
      assert.same({ 8, 8, 8, n = 3 }, pool:map(function() return 8 end, mp.range(3)))
    end)
  end)
end)
