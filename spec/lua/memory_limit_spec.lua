-- label: plain
-- A sanitizer has an allocator of its own, which ends the process where memory is refused.
local mp = require "moonpool"

describe("memory_limit", function()
  it("fails the task that takes more, and not the worker", function()
    local pool = mp.Pool { processes = 1, memory_limit = 64 << 20 }
    local pid, rep, collect = mp.getpid, string.rep, collectgarbage
    local worker = pool:apply(pid)
    local ok, err = pcall(pool.apply, pool, function()
      local t = {}
      for i = 1, 1000000 do t[i] = rep("x", 1000) .. i end
      return #t
    end)
    assert.is_false(ok)
    assert.equal("task", err.kind)
    assert.truthy(tostring(err.value):find("memory", 1, true))
    assert.equal(worker, pool:apply(pid))
    assert.equal(8 << 20, pool:apply(function()
      collect()
      return #rep("x", 8 << 20)
    end))
    pool:close()
    pool:join()
  end)

  it("counts from what the worker has at its start #fork", function()
    local large = ("x"):rep(200 << 20)
    local pool = mp.Pool { processes = 1, memory_limit = 32 << 20 }
    assert.equal(5, pool:apply(function() return #large > 0 and 5 end))
    pool:close()
    pool:join()
  end)

  it("counts what is taken of a heap that was inherited with room in it", function()
    local room = {}
    for i = 1, 1000000 do room[i] = { i } end
    assert.equal(1000000, #room)
    room = nil -- luacheck: ignore 311
    collectgarbage()
    local pool = mp.Pool { processes = 1, memory_limit = 16 << 20 }
    local function take(n)
      local t = {}
      for i = 1, n do t[i] = { i } end
      return #t
    end
    assert.equal(1000, pool:apply(take, { 1000 }))
    local ok, err = pcall(pool.apply, pool, take, { 1000000 })
    assert.same({ false, "task", "not enough memory" }, { ok, err.kind, err.value })
    assert.equal(1000, pool:apply(take, { 1000 }))
    pool:close()
    pool:join()
  end)

  it("does not count results, which are shared", function()
    local pool = mp.Pool { processes = 1, memory_limit = 48 << 20 }
    local rep = string.rep
    for _ = 1, 10 do assert.equal(8 << 20, #pool:apply(function() return rep("x", 8 << 20) end)) end
    pool:close()
    pool:join()
  end)

  it("must be a positive integer", function()
    for _, bad in ipairs { 0, -1, 1.5, "1G" } do
      local ok, err = pcall(mp.Pool, { memory_limit = bad })
      assert.same({ false, "argument" }, { ok, err.kind })
      assert.truthy(err.message:find("memory_limit", 1, true))
    end
  end)
end)

describe("a worker in which tasks have left too much", function()
  it("is replaced behind the item that found no memory", function()
    collectgarbage() -- what the worker inherits it could collect, and go on
    local pool = mp.Pool { processes = 1, memory_limit = 32 << 20 }
    local pid, rep, hoard = mp.getpid, string.rep, {}
    local worker = pool:apply(pid)
    local results = pool:map(function(i)
      if i == 5 then
        for n = 1, 1000000 do hoard[1] = { hoard[1], rep("x", 1000) .. n } end
      end
      return pid()
    end, mp.range(20), { on_error = "collect", chunksize = 20 })
    assert.equal(1, results.failed)
    assert.truthy(results.errors[5].message:find("memory", 1, true))
    assert.equal(worker, results[4])
    assert.not_equal(worker, results[6])
    assert.equal(results[20], pool:apply(pid))
    pool:close()
    pool:join()
  end)
end)
