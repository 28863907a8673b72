-- timeout: 180
-- What CPython's _TestLock, _TestSemaphore, _TestCondition, _TestEvent and _TestBarrier ask
-- (Lib/test/_test_multiprocessing.py), in Lua's form.
local script = require "spec.support.script"

local TOOLS = [[
  local processes = require "spec.support.processes"
  local function start(n, f, ...)
    local list = {}
    for i = 1, n do list[i] = processes.start(f, ...) end
    return list
  end
  local function join(list)
    for _, p in ipairs(list) do assert(p:join(30) and p.exitcode == 0, p.exitcode) end
  end
  local function refuses(kind, ...) assert(processes.kind(...) == kind) end
  local function takes(seconds, f, ...)
    local before = mp.monotonic()
    local result = f(...)
    local taken = mp.monotonic() - before
    assert(taken >= seconds - 0.01 and taken < seconds + 2, taken)
    return result
  end
  local function reaches(f, expected)
    for _ = 1, 2000 do
      if f() == expected then break end
      mp.sleep(0.005)
    end
    mp.sleep(0.05)
    assert(f() == expected, f())
  end
]]

local function passes(body)
  script.each_program(function(program)
    assert.equal("passed\n", script.output(TOOLS .. body .. " print 'passed'", { program = program }))
  end)
end

describe("a lock", function()
  it("is held once (test_lock)", function()
    passes [[
      local lock = mp.Lock()
      assert(lock:acquire() == true and lock:acquire(false) == false)
      assert(lock:release() == nil)
      refuses("state", lock.release, lock)
    ]]
  end)

  it("is held as often as it is acquired, if it is recursive (test_rlock)", function()
    passes [[
      local lock = mp.RLock()
      for _ = 1, 3 do assert(lock:acquire() == true) end
      for _ = 1, 3 do assert(lock:release() == nil) end
      refuses("state", lock.release, lock)
    ]]
  end)

  it("is held by a block (test_lock_context)", function()
    passes [[
      local lock = mp.Lock()
      do
        local held <close> = lock:hold()
        assert(lock:acquire(false) == false and not held.abandoned)
        assert(tostring(held):find "^Hold %(R?Lock %d+%)$")
      end
      assert(lock:acquire(false) == true)
      lock:release()
      local held = lock:hold()
      held:release()
      held:release()
      assert(lock:acquire(false) == true)
    ]]
  end)
end)

describe("a semaphore", function()
  local BODY = [[
    assert(sem:get_value() == 2)
    assert(sem:acquire() == true and sem:get_value() == 1)
    assert(sem:acquire() == true and sem:get_value() == 0)
    assert(sem:acquire(false) == false and sem:get_value() == 0)
    assert(sem:release() == nil and sem:get_value() == 1)
    assert(sem:release() == nil and sem:get_value() == 2)
  ]]

  it("counts (test_semaphore)", function()
    passes("local sem = mp.Semaphore(2)" .. BODY
      .. "sem:release() assert(sem:get_value() == 3) sem:release() assert(sem:get_value() == 4)")
  end)

  it("counts up to its bound (test_bounded_semaphore)", function()
    passes("local sem = mp.BoundedSemaphore(2)" .. BODY .. "refuses('state', sem.release, sem)")
  end)

  it("is waited for as long as told (test_timeout)", function()
    passes [[
      local sem = mp.Semaphore(0)
      assert(takes(0, sem.acquire, sem, false) == false)
      assert(takes(0, sem.acquire, sem, false, nil) == false)
      assert(takes(0, sem.acquire, sem, false, 1) == false)
      assert(takes(0, sem.acquire, sem, true, 0) == false)
      assert(takes(0.2, sem.acquire, sem, true, 0.2) == false)
      assert(takes(0.3, sem.acquire, sem, nil, 0.3) == false)
    ]]
  end)
end)

describe("a condition", function()
  -- Processes that say when they sleep and when they were woken.
  local SLEEPERS = [[
    local cond, sleeping, woken = mp.Condition(), mp.Semaphore(0), mp.Semaphore(0)
    local function sleeper(timeout)
      cond:acquire()
      sleeping:release()
      cond:wait(timeout)
      woken:release()
      cond:release()
    end
    local function woken_now() return woken:get_value() end
    local function wait_for_sleepers(n) for _ = 1, n do sleeping:acquire() end end
  ]]

  it("wakes one and one (test_notify)", function()
    passes(SLEEPERS .. [[
      local list = start(2, sleeper)
      wait_for_sleepers(2)
      mp.sleep(0.05)
      assert(woken_now() == 0)
      cond:acquire() cond:notify() cond:release()
      reaches(woken_now, 1)
      cond:acquire() cond:notify() cond:release()
      reaches(woken_now, 2)
      join(list)
    ]])
  end)

  it("wakes all, those that have gone by themselves not (test_notify_all)", function()
    passes(SLEEPERS .. [[
      local list = start(3, sleeper, 0.1)
      wait_for_sleepers(3)
      for _ = 1, 3 do woken:acquire() end
      reaches(woken_now, 0)
      join(list)
      list = start(6, sleeper)
      wait_for_sleepers(6)
      mp.sleep(0.05)
      assert(woken_now() == 0)
      cond:acquire() cond:notify_all() cond:release()
      reaches(woken_now, 6)
      join(list)
    ]])
  end)

  it("wakes as many as told (test_notify_n)", function()
    passes(SLEEPERS .. [[
      local list = start(6, sleeper)
      wait_for_sleepers(6)
      mp.sleep(0.05)
      assert(woken_now() == 0)
      cond:acquire() cond:notify(1) cond:release()
      reaches(woken_now, 1)
      cond:acquire() cond:notify(4) cond:release()
      reaches(woken_now, 5)
      cond:acquire() cond:notify(3) cond:release()
      reaches(woken_now, 6)
      cond:acquire() cond:notify(3) cond:release()
      assert(woken_now() == 6)
      join(list)
    ]])
  end)

  it("is waited for as long as told (test_timeout)", function()
    passes [[
      local cond = mp.Condition()
      cond:acquire()
      assert(takes(0.2, cond.wait, cond, 0.2) == false)
      cond:release()
    ]]
  end)

  it("is waited for by a predicate (test_waitfor)", function()
    passes [[
      local cond, steps = mp.Condition(), mp.Semaphore(0)
      local list = start(1, function()
        cond:acquire()
        assert(cond:wait_for(function() return steps:get_value() == 0 end))
        steps:release()
        cond:notify()
        assert(cond:wait_for(function() return steps:get_value() == 4 end))
        cond:release()
      end)
      cond:acquire()
      assert(cond:wait_for(function() return steps:get_value() == 1 end))
      cond:release()
      for _ = 1, 3 do
        mp.sleep(0.01)
        cond:acquire()
        steps:release()
        cond:notify()
        cond:release()
      end
      join(list)
    ]]
  end)

  it("is waited for by a predicate, as long as told (test_waitfor_timeout)", function()
    passes [[
      local cond, steps = mp.Condition(), mp.Semaphore(0)
      local list = start(1, function()
        cond:acquire()
        local before = mp.monotonic()
        local result = cond:wait_for(function() return steps:get_value() == 4 end, 0.3)
        local taken = mp.monotonic() - before
        assert(not result and taken > 0.29 and taken < 5)
        cond:release()
      end)
      for _ = 1, 3 do
        mp.sleep(0.01)
        cond:acquire()
        steps:release()
        cond:notify()
        cond:release()
      end
      join(list)
    ]]
  end)

  it("tells whether it was notified (test_wait_result)", function()
    passes [[
      local cond, ready = mp.Condition(mp.Lock()), mp.Semaphore(0)
      cond:acquire()
      assert(cond:wait(0) == false and cond:wait(0.1) == false)
      local list = start(1, function() cond:acquire() cond:notify() cond:release() end)
      assert(cond:wait(60) == true)
      cond:release()
      join(list)
    ]]
  end)

  it("wants its lock to be held", function()
    passes [[
      local cond = mp.Condition()
      refuses("state", cond.wait, cond)
      refuses("state", cond.notify, cond)
      refuses("state", cond.notify_all, cond)
      cond:acquire()
      cond:acquire()
      cond:wait(0.01)
      cond:release()
      cond:release()
      refuses("state", cond.release, cond)
    ]]
  end)
end)

describe("an event", function()
  it("is set and cleared (test_event)", function()
    passes [[
      local event = mp.Event()
      assert(event:is_set() == false)
      assert(takes(0, event.wait, event, 0) == false)
      assert(takes(0.2, event.wait, event, 0.2) == false)
      event:set()
      assert(event:is_set() == true)
      assert(takes(0, event.wait, event) == true)
      assert(takes(0, event.wait, event, 0.2) == true)
      event:clear()
      assert(event:is_set() == false)
      local list = start(1, function() mp.sleep(0.1) event:set() end)
      assert(event:wait() == true)
      join(list)
    ]]
  end)
end)

describe("a barrier", function()
  -- What several processes do is counted by semaphores.
  local N = [[
    local N = 5
    local barrier = mp.Barrier(N, nil, 10)
    local function all(f, ...)
      local list = start(N - 1, f, ...)
      f(...)
      join(list)
    end
  ]]

  for _, passages in ipairs { 1, 10, 300 } do
    it(("lets all pass together, %d times (test_barrier, test_barrier_10, test_thousand)"):format(passages), function()
      passes(N .. ("local PASSAGES = %d"):format(passages) .. [[
        local counts = {}
        for i = 1, math.min(PASSAGES, 10) do counts[i] = { mp.Semaphore(0), mp.Semaphore(0) } end
        all(function()
          assert(barrier.parties == N and not barrier.broken)
          for i = 1, PASSAGES do
            local count = counts[i]
            if count then count[1]:release() end
            barrier:wait()
            if count then assert(count[1]:get_value() == N) count[2]:release() end
            barrier:wait()
            if count then assert(count[2]:get_value() == N) end
          end
        end)
        assert(barrier.n_waiting == 0 and not barrier.broken)
      ]])
    end)
  end

  it("numbers those that wait (test_wait_return)", function()
    passes(N .. [[
      local zero, all_of_them = mp.Semaphore(0), mp.Semaphore(0)
      all(function()
        local i = barrier:wait()
        assert(i >= 0 and i < N)
        if i == 0 then zero:release() end
        for _ = 1, 10 ^ i do if i < 4 then all_of_them:release() end end
      end)
      assert(zero:get_value() == 1 and all_of_them:get_value() == 1111)
    ]])
  end)

  it("has its action done once (test_action)", function()
    passes(N .. [[
      local done = mp.Semaphore(0)
      barrier = mp.Barrier(N, function() done:release() end)
      all(function()
        barrier:wait()
        assert(done:get_value() == 1)
      end)
    ]])
  end)

  it("is aborted (test_abort)", function()
    passes(N .. [[
      local passed, failed = mp.Semaphore(0), mp.Semaphore(0)
      all(function()
        local ok, err = pcall(function()
          local i = barrier:wait()
          if i == N // 2 then error "aborts" end
          barrier:wait()
          passed:release()
        end)
        if not ok then
          if type(err) == "table" then
            assert(err.kind == "broken_barrier")
            failed:release()
          else
            barrier:abort()
          end
        end
      end)
      assert(passed:get_value() == 0 and failed:get_value() == N - 1 and barrier.broken)
    ]])
  end)

  it("is reset (test_reset)", function()
    passes(N .. [[
      local first, failed, last = mp.Semaphore(0), mp.Semaphore(0), mp.Semaphore(0)
      all(function()
        local i = barrier:wait()
        if i == N // 2 then
          while barrier.n_waiting < N - 1 do mp.sleep(0.001) end
          barrier:reset()
        else
          local ok, err = pcall(barrier.wait, barrier)
          if ok then first:release() else assert(err.kind == "broken_barrier") failed:release() end
        end
        barrier:wait()
        last:release()
      end)
      assert(first:get_value() == 0 and failed:get_value() == N - 1 and last:get_value() == N)
    ]])
  end)

  it("is used again after an abort and a reset (test_abort_and_reset)", function()
    passes(N .. [[
      local again = mp.Barrier(N)
      local failed, last = mp.Semaphore(0), mp.Semaphore(0)
      all(function()
        local i = barrier:wait()
        if i == N // 2 then
          barrier:abort()
        else
          local ok, err = pcall(barrier.wait, barrier)
          assert(not ok and err.kind == "broken_barrier")
          failed:release()
        end
        if again:wait() == N // 2 then barrier:reset() end
        again:wait()
        barrier:wait()
        last:release()
      end)
      assert(failed:get_value() == N - 1 and last:get_value() == N)
    ]])
  end)

  it("is waited for as long as told (test_timeout, test_default_timeout)", function()
    passes(N .. [[
      all(function()
        local i = barrier:wait()
        if i == N // 2 then mp.sleep(0.5) end
        refuses("broken_barrier", barrier.wait, barrier, 0.2)
      end)
      barrier = mp.Barrier(N, nil, 0.3)
      all(function()
        local i = barrier:wait(10)
        if i == N // 2 then mp.sleep(0.7) end
        refuses("broken_barrier", barrier.wait, barrier)
      end)
    ]])
  end)

  it("of one lets that one pass (test_single_thread)", function()
    passes [[
      local barrier = mp.Barrier(1)
      assert(barrier:wait() == 0 and barrier:wait() == 0)
    ]]
  end)
end)
