-- timeout: 120
-- Pools in unusual places: within workers within workers, and in coroutines that are left.
local leaks = require "spec.support.leaks"
local mp = require "moonpool"
local script = require "spec.support.script"

describe("pools three deep", function()
  it("work, each within a worker of the one above, and leave nothing", function()
    local r = script.run([[
      local pool <close> = mp.Pool(2)
      local sums = pool:map(function(a)
        local inner <close> = mp.Pool(2)
        local sum = 0
        for _, v in ipairs(inner:map(function(b)
          local innermost <close> = mp.Pool(1)
          local n = 0
          for _, v in innermost:imap(function(c) return a * b * c end, mp.range(3)) do n = n + v end
          return n
        end, { 1, 2 })) do sum = sum + v end
        return sum
      end, { 1, 2, 3 })
      print(table.concat(sums, " "))
    ]])
    assert.equal("", r.errors)
    assert.equal("18 36 54\n", r.output)
    assert.is_true(script.left_nothing(r))
  end)
end)

describe("a coroutine", function()
  local function first_of(pool)
    local co = coroutine.create(function()
      for _, v in pool:imap(math.abs, mp.range(-10000, -1)) do coroutine.yield(v) end
    end)
    local _, v = coroutine.resume(co)
    return co, v
  end

  it("that is dropped within an imap loop leaves a usable pool, and nothing to wait for", function()
    local before = leaks.snapshot()
    local pool = mp.Pool(2)
    local _, v = first_of(pool)
    assert.equal(10000, v)
    collectgarbage()
    collectgarbage()
    assert.same({ 5, n = 1 }, pool:map(math.abs, { -5 }))
    pool:close()
    assert.is_true(pool:join(30))
    assert.equal("", leaks.left(before))
  end)

  it("that is closed within an imap loop cancels the rest", function()
    local pool <close> = mp.Pool(2)
    local co = first_of(pool)
    assert.is_true(coroutine.close(co))
    assert.is_true(pool:wait(30))
    assert.same({ 5, n = 1 }, pool:map(math.abs, { -5 }))
  end)

  it("that is closed within a pool's block ends the pool", function()
    local before = leaks.snapshot()
    local pool
    local co = coroutine.create(function()
      local own <close> = mp.Pool(1)
      pool = own
      coroutine.yield(own:apply(math.abs, { -1 }))
    end)
    assert.same({ true, 1 }, { coroutine.resume(co) })
    assert.is_true(coroutine.close(co))
    assert.matches("joined", tostring(pool))
    assert.equal("", leaks.left(before))
  end)
end)
