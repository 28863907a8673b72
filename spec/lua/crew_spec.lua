local mp = require "moonpool"

local function pids(workers)
  local set, n = {}, 0
  for _, w in ipairs(workers) do
    if w.pid and not set[w.pid] then set[w.pid], n = true, n + 1 end
  end
  return set, n
end

describe("workers", function()
  it("lists all of them, started, with pids of their own", function()
    local pool <close> = mp.Pool(3)
    local workers = pool:workers()
    local _, n = pids(workers)
    assert.same({ 3, 3 }, { #workers, n })
    for i, w in ipairs(workers) do
      assert.equal("PoolWorker-" .. i, w.name)
      assert.is_nil(w.item)
    end
    local known = pids(workers)
    local pid = mp.getpid
    for _, p in ipairs(pool:map(pid, mp.range(30), 1)) do assert.is_true(known[p]) end
  end)

  it("tells who is busy, and with which item", function()
    local pool = mp.Pool(2)
    local sleep = mp.sleep
    local result = pool:map_async(function(i) if i == 7 then sleep(100) end end, mp.range(7))
    repeat
      pool:poll(0.01)
      local busy = {}
      for _, w in ipairs(pool:workers()) do
        if w.state == "busy" then busy[#busy + 1] = w.item end
      end
    until #busy == 1 and busy[1] == 7
    assert.is_false(result:ready())
    pool:terminate()
    pool:join()
    assert.equal("closed", select(2, pcall(pool.workers, pool)).kind)
  end)
end)

describe("start", function()
  it("starts all workers before there is work", function()
    local pool <close> = mp.Pool(2)
    pool:start()
    pool:start()
    local before = pids(pool:workers())
    assert.is_true(before[pool:apply(mp.getpid)])
  end)
end)

describe("resize", function()
  it("adds workers, those that are there stay", function()
    local pool <close> = mp.Pool(1)
    local first = pool:workers()[1].pid
    pool:resize(4)
    local workers = pool:workers()
    local _, n = pids(workers)
    assert.same({ 4, 4, first }, { #workers, n, workers[1].pid })
    assert.equal("Pool of 4 (open)", tostring(pool))
  end)

  it("takes workers away behind their item", function()
    local pool <close> = mp.Pool(3)
    local sleep, pid = mp.sleep, mp.getpid
    local slow = pool:map_async(function() sleep(0.3) return pid() end, mp.range(3), 1)
    pool:poll(0.1)
    pool:resize(1)
    local _, n = pids((function()
      local t = {}
      for i, p in ipairs(slow:get()) do t[i] = { pid = p } end
      return t
    end)())
    assert.is_true(n >= 1)
    local after = pool:map(function() return pid() end, mp.range(20), 1)
    for i = 2, 20 do assert.equal(after[1], after[i]) end
    assert.equal(after[1], pool:workers()[1].pid)
    assert.equal(1, #pool:workers())
  end)

  it("refuses what is no number of workers", function()
    local pool <close> = mp.Pool(1)
    for _, n in ipairs { 0, -1, 1.5, "2", 100000 } do
      local ok, err = pcall(pool.resize, pool, n)
      assert.same({ false, "argument" }, { ok, err.kind })
    end
    assert.equal(7, pool:apply(function() return 7 end))
  end)

  it("goes with calls of every kind", function()
    local pool <close> = mp.Pool(2)
    local seen = 0
    for i, v in pool:imap(function(x) return x + 1 end, mp.range(300), 1) do
      assert.equal(i + 1, v)
      seen = seen + 1
      if i % 50 == 0 then pool:resize(i // 50) end
    end
    assert.equal(300, seen)
  end)
end)

describe("refresh", function()
  it("gives the workers what this process is by then", function()
    local pool <close> = mp.Pool(2)
    local big = { text = "old" }
    pool:map(function() return big.text end, mp.range(4))
    local before = pids(pool:workers())
    pool:refresh()
    big.text = "new"
    local results = pool:map(function() return big.text end, mp.range(4))
    assert.same({ "new", "new", "new", "new" }, { table.unpack(results) })
    for _, w in ipairs(pool:workers()) do assert.is_nil(before[w.pid]) end
  end)

  it("lets what runs and what waits go on", function()
    local pool <close> = mp.Pool(2)
    local sleep = mp.sleep
    local results = {}
    for round = 1, 5 do
      results[round] = pool:map_async(function(i) sleep(0.005) return i * round end,
        mp.range(20), 1)
      pool:refresh()
    end
    for round, r in ipairs(results) do
      local values = r:get()
      for i = 1, 20 do assert.equal(i * round, values[i]) end
    end
    assert.equal(0, pool:stats().lost_workers)
  end)

  it("takes the function of the next call in hand again #fork", function()
    local pool <close> = mp.Pool(1)
    pool:apply(mp.getpid)
    pool:refresh()
    local file = io.tmpfile()
    file:write("inherited")
    file:flush()
    local text = pool:apply(function() file:seek("set") return file:read("a") end)
    assert.equal("inherited", text)
    file:close()
  end)
end)

describe("what all of them share", function()
  it("they need an open pool", function()
    local pool = mp.Pool(1)
    pool:close()
    pool:join()
    for _, name in ipairs { "start", "refresh", "workers", "everywhere" } do
      assert.equal("closed", select(2, pcall(pool[name], pool, mp.getpid)).kind)
    end
    assert.equal("closed", select(2, pcall(pool.resize, pool, 2)).kind)
    local ok, err = pcall(pool.start)
    assert.is_false(ok)
    assert.matches("pool:start", tostring(err), 1, true)
  end)
end)
