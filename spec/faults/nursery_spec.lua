-- timeout: 180
-- The nursery, parent of the workers, is killed or stopped: the begun items are lost at most, all
-- others run under a new one.
local fault = require "spec.support.fault"

describe("SIGKILL of the nursery", function()
  it("while it is idle fails nothing", function()
    fault.says("50\ttrue\n", [[
      account.pool(3, function(pool)
        local pids = account.workers(pool)
        account.kill(account.parent(pids[1]))
        print(pool:map(math.abs, mp.range(50)).n, account.workers(pool)[1] ~= pids[1])
      end)
    ]])
  end)

  it("while its workers work loses what they had begun, and runs the rest", function()
    fault.says("true\ttrue\n", [[
      account.pool(3, function(pool)
        local sleep, nursery = mp.sleep, account.parent(account.workers(pool)[1])
        local pending = pool:map_async(function(i)
          sleep(0.02)
          return i
        end, mp.range(60), { on_error = "collect", chunksize = 5 })
        mp.sleep(0.15)
        account.signal("KILL", nursery)
        local results = pending:get()
        local _, lost = account.lost(results, function(i) return i end):gsub("%d+", "")
        print(lost <= 3, results.n == 60)
      end)
    ]])
  end)

  it("while its workers never end their items is noticed by who waits", function()
    fault.says("worker_lost\t9\n7\n", [[
      account.pool(1, function(pool)
        local pid = account.workers(pool)[1]
        local pending = pool:apply_async(function() while true do end end)
        mp.sleep(0.1)
        account.signal("KILL", account.parent(pid))
        local ok, err = pcall(pending.get, pending)
        print(err.kind, err.signal)
        print(pool:apply(math.abs, { -7 }))
      end)
    ]])
  end)

  it("again and again, with nobody lost beyond what had begun", function()
    fault.says("true\ttrue\n", [[
      account.pool(2, function(pool)
        local sleep = mp.sleep
        local pending = pool:map_async(function(i)
          sleep(0.005)
          return i
        end, mp.range(400), { on_error = "collect" })
        for _ = 1, 8 do
          mp.sleep(0.08)
          for _, w in ipairs(pool:workers()) do
            local nursery = w.pid and account.parent(w.pid)
            if nursery then
              if nursery ~= mp.getpid() and nursery > 1 then os.execute("kill -9 " .. nursery .. " 2>/dev/null") end
              break
            end
          end
        end
        local results = pending:get()
        local _, lost = account.lost(results, function(i) return i end):gsub("%d+", "")
        print(lost <= 16, results.n == 400)
      end)
    ]])
  end)

  for title, place in pairs {
    ["before it forks"] = "nursery.fork.before",
    ["as it has forked"] = "nursery.fork.after",
    ["as it buries a worker"] = "nursery.bury",
    ["while it writes the death log"] = "nursery.log",
    ["behind its entry in the death log"] = "nursery.logged",
  } do
    it(title .. " costs what was begun", function()
      for _, n in ipairs { 1, 2 } do
        local r = fault.says("true\ttrue\n100\n", [[
          account.pool(3, function(pool)
            local results = pool:map(function(i)
              if i % 50 == 0 then os.exit(1) end
              return i
            end, mp.range(400), { on_error = "collect", chunksize = 4 })
            local _, lost = account.lost(results, function(i) return i end):gsub("%d+", "")
            print(lost >= 8, lost <= 8 + 3 * 2)
            print(pool:map(math.abs, mp.range(100)).n)
          end)
        ]], { failpoints = ("%s/2:kill@%d"):format(place, n) })
        assert.is_true(r.passed > 0, "the place was not passed")
      end
    end)
  end
end)

describe("SIGSTOP of the nursery", function()
  local STOP = [[
    account.pool(2, function(pool)
      local pids = account.workers(pool)
      local nursery = account.parent(pids[1])
      account.signal("STOP", nursery)
  ]]

  it("does not stop its workers", function()
    fault.says("500\ttrue\n", STOP .. [[
      local start = mp.monotonic()
      print(pool:map(math.abs, mp.range(500)).n, mp.monotonic() - start < 5)
      account.signal("CONT", nursery)
      return 0
    end) ]])
  end)

  it("does not keep the pool from its end", function()
    fault.says("true\ttrue\n", STOP .. [[
      local start = mp.monotonic()
      pool:apply_async(function() while true do end end)
      pool:terminate()
      print(pool:join(), mp.monotonic() - start < 10)
    end) ]])
    fault.says("true\ttrue\n", STOP .. [[
      local start = mp.monotonic()
      pool:close()
      print(pool:join(), mp.monotonic() - start < 10)
    end) ]])
  end)

  it("does not keep a death of a worker from who waits", function()
    fault.says("worker_lost\n3\n", STOP .. [[
      local ok, err = pcall(pool.apply, pool, os.exit, { 3 })
      print(err.kind)
      account.signal("CONT", nursery)
      print(pool:apply(math.abs, { -3 }))
      return 1
    end) ]])
  end)
end)
