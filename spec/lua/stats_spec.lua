local mp = require "moonpool"

local function check(s)
  assert.equal(s.items, s.done + s.failed + s.cancelled)
  return s
end

describe("stats", function()
  it("counts items by what became of them", function()
    local pool = mp.Pool(2)
    local fail, exit = error, os.exit
    pool:map(function(i) return i end, mp.range(100))
    pool:map(function(i)
      if i == 3 then fail("three") elseif i == 4 then exit(1) end
    end, mp.range(10), { on_error = "collect", chunksize = 1 })
    local s = check(pool:stats())
    assert.same({ 110, 108, 2, 0, 1, 0 },
      { s.items, s.done, s.failed, s.cancelled, s.lost_workers, s.retried })
    pcall(pool.apply, pool, fail, { "x" }, { retries = 3 })
    s = check(pool:stats())
    assert.same({ 111, 3, 3 }, { s.items, s.failed, s.retried })
    pool:close()
    pool:join()
    assert.equal(111, check(pool:stats()).items)
  end)

  it("counts what was cancelled", function()
    local pool = mp.Pool(1)
    local sleep = mp.sleep
    local results = {}
    for i = 1, 5 do results[i] = pool:apply_async(sleep, { 100 }) end
    assert.equal(5, pool:stats().items)
    for i = 1, 5 do results[i]:cancel() end
    assert.equal(5, check(pool:stats()).cancelled)
    for i in pool:imap(function(i) return i end, mp.range(1000)) do
      if i == 10 then break end
    end
    check(pool:stats())
    pool:terminate()
    pool:join()
    check(pool:stats())
  end)

  it("counts tasks, bytes and time", function()
    local pool = mp.Pool(1)
    pool:map(function(i) return i end, mp.range(100), { chunksize = 50 })
    local s = pool:stats()
    assert.is_true(s.tasks >= 1 and s.tasks <= 2)
    local before = s.bytes_out
    pool:apply(function(text) return text end, { ("x"):rep(1000000) })
    s = pool:stats()
    assert.is_true(s.bytes_out >= before + 1000000)
    assert.is_true(s.bytes_in >= 1000000)
    local r = pool:apply_async(mp.sleep, { 0.3 })
    while pool:stats().busy_seconds < 0.1 do mp.sleep(0.01) end
    r:get()
    assert.is_true(pool:stats().busy_seconds >= 0.3)
    pool:close()
    pool:join()
  end)

  it("counts the time of workers that died", function()
    local pool = mp.Pool(1)
    local sleep, exit = mp.sleep, os.exit
    pcall(pool.apply, pool, function()
      sleep(0.2)
      exit(1)
    end)
    pool:apply(function() end)
    local busy = pool:stats().busy_seconds
    assert.is_true(busy >= 0.2)
    pool:close()
    pool:join()
    assert.is_true(pool:stats().busy_seconds >= busy)
  end)

  it("leaves out what is done everywhere, and keeps what retired workers did", function()
    local pool = mp.Pool(3)
    pool:everywhere(function() end)
    pool:map(function(i) return i end, mp.range(300))
    local before = check(pool:stats())
    pool:resize(1)
    pool:refresh()
    pool:map(function(i) return i end, mp.range(300))
    local s = check(pool:stats())
    assert.same({ 300, 600, 600, 0 }, { before.items, s.items, s.done, s.lost_workers })
    assert.is_true(s.tasks > before.tasks and s.busy_seconds > before.busy_seconds)
    pool:close()
    pool:join()
  end)

  it("stands still once the pool is terminated", function()
    local pool = mp.Pool(1)
    local sleep = mp.sleep
    for _ = 1, 5 do pool:apply_async(sleep, { 100 }) end
    while pool:stats().busy_seconds < 0.05 do sleep(0.01) end
    pool:terminate()
    local s = check(pool:stats())
    local busy = s.busy_seconds
    assert.same({ 5, 5 }, { s.items, s.cancelled })
    sleep(0.05)
    assert.equal(busy, pool:stats().busy_seconds)
    pool:join()
    assert.equal(busy, pool:stats().busy_seconds)
  end)

  it("counts errors of callbacks", function()
    local pool = mp.Pool { processes = 1, on_callback_error = function() end }
    local fail = error
    pool:apply_async(function() end, {}, function() fail("mine") end)
    pcall(pool.wait, pool)
    assert.equal(1, pool:stats().callback_errors)
    pool:terminate()
    pool:join()
  end)

  it("adds up under a storm of kills", function()
    local pool = mp.Pool(3)
    local kill, pid = os.execute, mp.getpid
    local r = pool:map(function(i)
      if i % 100 == 7 then kill("kill -9 " .. pid()) end
      return i
    end, mp.range(1000), { on_error = "collect" })
    local s = check(pool:stats())
    assert.same({ 10, 1000, 990, 10, 10 },
      { r.failed, s.items, s.done, s.failed, s.lost_workers })
    pool:close()
    pool:join()
  end)
end)
