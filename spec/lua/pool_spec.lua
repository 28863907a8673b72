local mp = require "moonpool"

-- What travels names no globals in here: busted's blocks have environments of their own.
local function identity(...) return ... end

local function fails(kind, call, ...)
  local ok, err = pcall(call, ...)
  assert.is_false(ok)
  assert.equal(kind, type(err) == "table" and err.kind or err)
  return err
end

describe("Pool", function()
  it("takes its number of workers, bare or as a field", function()
    for _, pool in ipairs { mp.Pool(3), mp.Pool { processes = 3 } } do
      local pids = {}
      for _, pid in ipairs(pool:map(function() mp.sleep(0.1) return mp.getpid() end, mp.range(3), 1)) do
        pids[pid] = true
      end
      local n = 0
      for _ in pairs(pids) do n = n + 1 end
      assert.equal(3, n)
      assert.equal("Pool of 3 (open)", tostring(pool))
      pool:close()
      pool:join()
      assert.equal("Pool of 3 (joined)", tostring(pool))
    end
  end)

  it("has as many workers as processors by default", function()
    local pool <close> = mp.Pool()
    assert.equal(("Pool of %d (open)"):format(mp.process_cpu_count()), tostring(pool))
    assert.is_true(mp.process_cpu_count() >= 1)
    assert.is_true(mp.process_cpu_count() <= mp.cpu_count())
  end)

  it("makes its workers as it is told", function()
    for _, method in ipairs { "fork", "spawn" } do
      local pool <close> = mp.Pool { processes = 1, start_method = method }
      assert.equal(5, pool:apply(identity, { 5 }))
    end
    local err = fails("argument", mp.Pool, { start_method = "thread" })
    assert.matches('start_method must be "fork", "spawn" or "forkserver", got string "thread"',
      err.message)
  end)

  it("starts no process before there is work #fork", function()
    local leaks = require "spec.support.leaks"
    local before = leaks.snapshot().children
    local pool <close> = mp.Pool(4)
    assert.same(before, leaks.snapshot().children)
    pool:apply(identity)
    assert.not_same(before, leaks.snapshot().children)
  end)

  it("ends in any order of close, terminate and join", function()
    local orders = {
      { "close", "join" }, { "terminate", "join" }, { "close", "terminate", "join" },
      { "terminate", "close", "join" }, { "close", "close", "join", "join" },
      { "terminate", "terminate", "join", "join", "close", "terminate", "join" },
      { "close", "join", "terminate", "close", "join" },
    }
    for _, used in ipairs { false, true } do
      for _, order in ipairs(orders) do
        local pool = mp.Pool(2)
        if used then pool:map(identity, { 1, 2 }) end
        for _, step in ipairs(order) do
          local result = pool[step](pool)
          assert.is_true(step ~= "join" or result)
        end
        fails("closed", pool.map, pool, identity, { 1 })
      end
    end
  end)

  it("raises state when joined while open", function()
    local pool <close> = mp.Pool(1)
    local err = fails("state", pool.join, pool)
    assert.matches("close or terminate", err.message)
    assert.equal(1, pool:apply(identity, { 1 }))
  end)

  it("refuses all work once closed, and goes on with what it has", function()
    local pool = mp.Pool(2)
    local r = pool:map_async(function(x) mp.sleep(0.02) return x end, mp.range(6))
    pool:close()
    for _, name in ipairs { "map", "starmap", "map_async", "starmap_async", "apply", "apply_async",
      "imap", "imap_unordered", "istarmap", "istarmap_unordered" } do
      local err = fails("closed", pool[name], pool, identity, { 1 })
      assert.matches(name .. ": the pool is closed", err.message)
    end
    assert.is_true(pool:join())
    assert.is_true(r:ready())
    assert.same({ 1, 2, 3, 4, 5, 6, n = 6 }, r:get())
  end)

  it("joins up to a time", function()
    local pool = mp.Pool(1)
    local r = pool:apply_async(function() mp.sleep(0.3) return 5 end)
    pool:close()
    assert.is_false(pool:join(0))
    assert.is_false(pool:join(0.01))
    assert.is_true(pool:join(60))
    assert.equal(5, r:get())
  end)

  it("gets results after join", function()
    local pool = mp.Pool(2)
    local results = {}
    for i = 1, 50 do results[i] = pool:apply_async(identity, { i }) end
    pool:close()
    pool:join()
    for i = 1, 50 do assert.equal(i, results[i]:get()) end
  end)

  it("cancels what is pending when it is terminated", function()
    local pool = mp.Pool(2)
    local done = pool:apply_async(identity, { 1 })
    done:wait()
    local running, map = pool:apply_async(mp.sleep, { 100 }), pool:map_async(mp.sleep, { 0, 100, 100 }, 1)
    local queued = {}
    for i = 1, 100 do queued[i] = pool:apply_async(identity, { i }) end
    pool:terminate()
    assert.equal(1, done:get())
    fails("cancelled", running.get, running)
    fails("cancelled", map.get, map)
    for i = 1, 100 do
      assert.is_true(queued[i]:ready())
      if not queued[i]:successful() then fails("cancelled", queued[i].get, queued[i]) end
    end
    assert.is_true(pool:join())
    fails("cancelled", running.get, running)
  end)

  it("waits for its work at the normal end of its block", function()
    local got = {}
    do
      local pool <close> = mp.Pool(2)
      for i = 1, 5 do
        pool:apply_async(function(x) mp.sleep(0.02) return x end, { i },
          function(v) got[#got + 1] = v end)
      end
    end
    table.sort(got)
    assert.same({ 1, 2, 3, 4, 5 }, got)
  end)

  it("drops its work when its block ends by an error", function()
    local r, called
    local ok, err = pcall(function()
      local pool <close> = mp.Pool(1)
      r = pool:apply_async(mp.sleep, { 1000 }, function() called = true end)
      error("mine", 0)
    end)
    assert.is_false(ok)
    assert.equal("mine", err)
    assert.is_nil(called)
    fails("cancelled", r.get, r)
  end)

  it("may be ended within its block", function()
    for _, step in ipairs { "close", "terminate" } do
      local pool <close> = mp.Pool(1)
      pool:apply(identity)
      pool[step](pool)
      if step == "close" then pool:join() end
    end
  end)

  it("lives beside others", function()
    local a <close> = mp.Pool(2)
    local b <close> = mp.Pool(1)
    local first, second = {}, {}
    for i = 1, 20 do
      first[i] = a:apply_async(identity, { i })
      second[i] = b:apply_async(identity, { -i })
    end
    for i = 20, 1, -1 do
      assert.equal(-i, second[i]:get())
      assert.equal(i, first[i]:get())
    end
    a:terminate()
    assert.equal(3, b:apply(identity, { 3 }))
  end)

  it("uses another pool within callbacks and inputs", function()
    local a <close> = mp.Pool(1)
    local b <close> = mp.Pool(1)
    local got
    a:apply_async(identity, { 1 }, function(v) got = b:apply(identity, { v + 1 }) end)
    a:wait()
    assert.equal(2, got)
  end)
end)
