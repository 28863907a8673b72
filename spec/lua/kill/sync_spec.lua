-- timeout: 240
-- Locks and their kin, when those that hold them and those that wait for them are killed.
local script = require "spec.support.script"

local TOOLS = [[
  local processes = require "spec.support.processes"
  local start, kill, at_some_instant = processes.start, processes.kill, processes.kill_at_some_instant
]]

local says = script.says(TOOLS)

describe("who holds it dies:", function()
  for _, kind in ipairs { "Lock", "RLock" } do
    it("the next one gets the " .. kind .. " and is told", function()
      says("true\tabandoned\ntrue\tabandoned\ntrue\tnil\n", ([[
        local lock, taken = mp.%s(), mp.Event()
        for _ = 1, 2 do
          local p = start(function() lock:acquire() taken:set() mp.sleep(1000) end)
          taken:wait()
          taken:clear()
          kill(p)
          print(lock:acquire())
          lock:release()
        end
        local got, how = lock:acquire(false)
        print(got, how)
      ]]):format(kind))
    end)
  end

  it("who waits is woken within milliseconds", function()
    says("true\tabandoned\ttrue\n", [[
      local lock, taken = mp.Lock(), mp.Event()
      local p = start(function() lock:acquire() taken:set() mp.sleep(1000) end)
      taken:wait()
      local pid = p.pid
      start(function() mp.sleep(0.2) os.execute("kill -9 " .. pid) end)
      local before = mp.monotonic()
      local got, how = lock:acquire()
      print(got, how, mp.monotonic() - before < 2)
    ]])
  end)

  it("a zombie counts as dead, one that is stopped lives", function()
    says("false\ntrue\tabandoned\n", [[
      local lock, taken = mp.Lock(), mp.Event()
      local p = start(function() lock:acquire() taken:set() mp.sleep(1000) end)
      taken:wait()
      os.execute("kill -STOP " .. p.pid)
      print(lock:acquire(true, 0.1))
      os.execute("kill -9 " .. p.pid)
      print(lock:acquire(true, 5))
    ]])
  end)

  it("a hold goes to the next, of a semaphore, too", function()
    says("true\ntrue\nfalse\n", [[
      local lock, semaphore, taken = mp.Lock(), mp.Semaphore(2), mp.Event()
      local p = start(function()
        local a <close> = lock:hold()
        local b <close> = semaphore:hold()
        taken:set()
        mp.sleep(1000)
      end)
      taken:wait()
      local mine = semaphore:hold()
      kill(p)
      print(lock:hold().abandoned)
      local its = semaphore:hold()
      print(its.abandoned)
      mine:release()
      its:release()
      print(semaphore:hold().abandoned)
    ]])
  end)

  it("a worker of a pool that holds it", function()
    says("worker_lost\ntrue\tabandoned\n", [[
      local lock = mp.Lock()
      local pool <close> = mp.Pool(2)
      local ok, err = pcall(pool.apply, pool, function() lock:acquire() os.exit(3) end)
      print(err.kind)
      print(pool:apply(function() return lock:acquire() end))
    ]])
  end)
end)

describe("killed at any instant", function()
  it("in acquire and release: nobody hangs, and only one is ever inside", function()
    says("done\n", [[
      local lock, inside, wrong = mp.Lock(), mp.Semaphore(1), mp.Semaphore(0)
      local function work()
        while true do
          local _, how = lock:acquire()
          if how == "abandoned" and inside:get_value() == 0 then inside:release() end
          if not inside:acquire(false) then wrong:release() end
          inside:release()
          lock:release()
        end
      end
      local workers = { start(work), start(work), start(work) }
      for i = 1, 200 do
        local k = i % 3 + 1
        at_some_instant(workers[k], i)
        workers[k] = start(work)
      end
      for k = 1, 3 do kill(workers[k]) end
      assert(lock:acquire(true, 10))
      assert(wrong:get_value() == 0, wrong:get_value())
      print "done"
    ]])
  end)

  for _, kind in ipairs { "Semaphore", "BoundedSemaphore" } do
    it("in a hold of a " .. kind .. ": nothing of it is lost, nor doubled", function()
      says("done\n", ([[
        local s = mp.%s(2)
        local function work() while true do local held <close> = s:hold() end end
        local all = { start(work), start(work), start(work) }
        for i = 1, 200 do
          local k = i %% 3 + 1
          at_some_instant(all[k], i)
          all[k] = start(work)
        end
        for k = 1, 3 do kill(all[k]) end
        assert(s:acquire(true, 10) and s:acquire(true, 10) and not s:acquire(false))
        print "done"
      ]]):format(kind))
    end)
  end

  it("in wait: the others are still notified", function()
    says("done\n", [[
      local cond, woken, ready = mp.Condition(), mp.Semaphore(0), mp.Semaphore(0)
      local function wait()
        cond:acquire()
        ready:release()
        cond:wait()
        woken:release()
        cond:release()
      end
      for i = 1, 200 do
        local survivor, victim = start(wait), start(wait)
        at_some_instant(victim, i)
        assert(ready:acquire(true, 10))
        while woken:get_value() == 0 do
          assert(cond:acquire(true, 10))
          cond:notify()
          cond:release()
          mp.sleep(0.0005)
        end
        assert(survivor:join(10))
        while woken:acquire(false) do end
        while ready:acquire(false) do end
      end
      print "done"
    ]])
  end)

  it("in notify: the condition stays usable", function()
    says("done\n", [[
      local cond = mp.Condition()
      local function notify()
        while true do
          cond:acquire()
          cond:notify_all()
          cond:release()
        end
      end
      for i = 1, 200 do
        local victim = start(notify)
        at_some_instant(victim, i)
        assert(cond:acquire(true, 10))
        cond:wait(0)
        cond:release()
      end
      local p = start(notify)
      cond:acquire()
      assert(cond:wait(10))
      cond:release()
      kill(p)
      print "done"
    ]])
  end)

  it("at an event and a semaphore", function()
    says("done\n", [[
      local event, semaphore = mp.Event(), mp.Semaphore(0)
      local function work()
        while true do
          event:set()
          event:clear()
          semaphore:release()
          semaphore:acquire()
        end
      end
      for i = 1, 200 do at_some_instant(start(work), i) end
      local p = start(function() mp.sleep(0.05) event:set() semaphore:release() end)
      assert(event:wait(10) and semaphore:acquire(true, 10))
      p:join()
      print "done"
    ]])
  end)
end)

describe("a barrier", function()
  it("breaks when one that waits there dies", function()
    says("broken_barrier\nbroken_barrier\ttrue\n0\t1\n", [[
      local barrier, told = mp.Barrier(3), mp.Semaphore(0)
      local waiting = start(function()
        local ok, err = pcall(barrier.wait, barrier)
        print(err.kind)
        told:release()
      end)
      local victim = start(function() barrier:wait() end)
      while barrier.n_waiting < 2 do mp.sleep(0.001) end
      kill(victim)
      told:acquire()
      local ok, err = pcall(barrier.wait, barrier)
      print(err.kind, barrier.broken)
      waiting:join()
      barrier:reset()
      barrier = mp.Barrier(2)
      local p = start(function() barrier:wait() end)
      local first = barrier:wait()
      p:join()
      print(first * 0, 1)
    ]])
  end)

  it("breaks when one dies that had it and did not come", function()
    for _, how in ipairs { "os.execute('kill -9 ' .. mp.getpid())", "os.exit(3)" } do
      says("broken_barrier\n", ([[
        local barrier = mp.Barrier(2)
        local p = start(function() mp.sleep(0.1) %s end)
        start(function() mp.sleep(1000) end)
        local ok, err = pcall(barrier.wait, barrier)
        print(err.kind)
      ]]):format(how))
    end
  end)

  it("breaks when all that have it wait and are too few", function()
    says("broken_barrier\n", [[
      local barrier = mp.Barrier(2)
      local p = start(function() mp.sleep(0.1) end)
      local ok, err = pcall(barrier.wait, barrier)
      print(err.kind)
    ]])
  end)

  it("minds nobody who has passed and gone, and no pool that is closed", function()
    says("done\n", [[
      local barrier = mp.Barrier(2)
      for _ = 1, 20 do
        local pool <close> = mp.Pool(2)
        pool:map(math.abs, { 1, 2 })
      end
      for _ = 1, 100 do
        local p = start(function() barrier:wait() end)
        barrier:wait()
        p:join()
      end
      assert(not barrier.broken)
      print "done"
    ]])
  end)
end)

describe("who waits", function()
  for name, wait in pairs {
    Lock = "local x = mp.Lock() x:acquire() x:acquire()",
    Semaphore = "mp.Semaphore(0):acquire()",
    Event = "mp.Event():wait()",
    Condition = "local x = mp.Condition() x:acquire() x:wait()",
    Barrier = "local x = mp.Barrier(1) x = mp.Barrier(2) keep = mp.Process{ target = mp.sleep, args = { 9 }, "
      .. "daemon = true } keep:start() x:wait()",
  } do
    -- What nobody else has is hopeless, unless a fork has inherited it.
    local mark = name == "Barrier" and " #fork" or ""

    it(("for a %s is stopped by Ctrl-C%s"):format(name, mark), function()
      local r = script.run(([[
        os.execute(("(sleep 0.2; kill -INT %%d) &"):format(mp.getpid()))
        %s
      ]]):format(wait))
      assert.is_not.equal(0, r.code)
      assert.matches("interrupted!", r.errors)
      assert.is_true(script.left_nothing(r))
    end)

    it(("for a %s in a task ends with its time%s"):format(name, mark), function()
      says("timeout\n", ([[
        local pool <close> = mp.Pool(1)
        local ok, err = pcall(pool.apply, pool, function() %s end, {}, { timeout = 0.2 })
        print(err.kind)
      ]]):format(wait))
    end)
  end
end)

describe("what is shared", function()
  it("goes when its last user goes, and memory stays flat", function()
    says("true\n", [[
      local account = require "spec.support.account"
      local function round()
        for _ = 1, 1000 do
          local lock, condition = mp.Lock(), mp.Condition()
          lock:acquire()
        end
        local lock = mp.Lock()
        local p = start(function() lock:acquire() mp.Lock():acquire() end)
        p:join()
        collectgarbage()
        collectgarbage()
      end
      for _ = 1, 3 do round() end
      local before = account.held()
      for _ = 1, 30 do round() end
      print(account.held() <= before)
    ]])
  end)

  it("outlives its maker while somebody uses it", function()
    says("true\tabandoned\n", [[
      local pool <close> = mp.Pool(1)
      pool:apply(math.abs, { 1 })
      local lock = mp.Lock()
      pool:apply(function(l) kept = l kept:acquire() end, { lock })
      local name = tostring(lock)
      local other = pool:apply(function() return kept end)
      assert(other == lock and tostring(other) == name)
      pool:terminate()
      pool:join()
      print(lock:acquire(true, 10))
    ]])
  end)
end)
