-- timeout: 120
-- An interrupt is an error out of a hook, at any instruction. Whatever was half-done then,
-- the next call goes on with it: no result is lost, and each callback is called.
local mp = require "moonpool"
local leaks = require "spec.support.leaks"

local function identity(x) return x end

-- Calls f(...); the hook raises behind so many instructions: it counts itself, for where hooks are
-- put off Lua begins anew. True if it did.
local function interrupted(at, f, ...)
  local struck = false
  local function strike()
    at = at - 1
    if at > 0 then return end
    debug.sethook()
    struck = true
    error("interrupted!", 0)
  end
  pcall(function(...)
    debug.sethook(strike, "", 1)
    f(...)
    debug.sethook()
  end, ...)
  debug.sethook()
  return struck
end

-- What takes results in, given results and the pool.
local CALLS = {
  wait = function(pool) pool:wait() end,
  poll = function(pool) pool:poll(1) end,
  get = function(_, results) results[2]:get() end,
  ready = function(_, results) while not results[3]:ready() do mp.sleep(0.001) end end,
}

local function round(pool, call, at)
  local results, called = {}, {}
  for i = 1, 3 do
    results[i] = pool:apply_async(identity, { i }, function(v) called[v] = (called[v] or 0) + 1 end)
  end
  local struck = interrupted(at, call, pool, results)
  assert.is_true(pool:wait(30))
  for i = 1, 3 do
    assert.is_true(results[i]:ready())
    assert.equal(i, results[i]:get())
  end
  -- One callback may have been cut off at its first instructions.
  local missing = 0
  for i = 1, 3 do
    assert.is_true((called[i] or 0) <= 1)
    missing = missing + (called[i] and 0 or 1)
  end
  assert.is_true(missing <= 1)
  return struck
end

describe("an interrupt at any instruction of", function()
  for name, call in pairs(CALLS) do
    it(name .. " loses no result and leaves a pool that goes on", function()
      local before = leaks.snapshot()
      local pool = mp.Pool(1)
      pool:apply(identity, { 1 })
      local at, calm = 1, 0
      while at < 400 and calm < 3 do
        calm = round(pool, call, at) and 0 or calm + 1
        at = at + 1
      end
      assert.is_true(at > 30)
      pool:close()
      assert.is_true(pool:join(30))
      assert.equal("", leaks.left(before))
    end)
  end
end)

it("an interrupt within what is told of prints and progress keeps later ones from nothing", function()
  local before = leaks.snapshot()
  local lines, told, called = 0, 0, 0
  local pool = mp.Pool { processes = 2, output = function() lines = lines + 1 end }
  local function work()
    pool:map(function() print "two\nlines" end, mp.range(4), { progress = function() told = told + 1 end })
    pool:apply_async(function() print "line" end, {}, function() called = called + 1 end):get()
    pool:wait()
  end
  work()
  for _ = 1, 400 do
    assert.is_true(interrupted(math.random(20, 3000), function() while true do work() end end))
  end
  pool:wait()
  lines, told, called = 0, 0, 0
  work()
  assert.is_true(lines >= 9)
  assert.is_true(told >= 1)
  assert.equal(1, called)
  pool:close()
  assert.is_true(pool:join(30))
  assert.equal("", leaks.left(before))
end)
