-- timeout: 300
-- All workers at once, again and again; workers that never become ready; results of a gibibyte.
local fault = require "spec.support.fault"

describe("SIGKILL of all workers at once", function()
  it("costs an item each, and the pool recovers", function()
    fault.says("4\t4\n4\n", [[
      account.pool(4, function(pool)
        local pids = account.workers(pool)
        local sleep = mp.sleep
        local pending = pool:map_async(function(i)
          sleep(0.05)
          return i
        end, mp.range(40), { on_error = "collect", chunksize = 1 })
        mp.sleep(0.12)
        account.signal("KILL", table.concat(pids, " "))
        local results = pending:get()
        local _, lost = account.lost(results, function(i) return i end):gsub("%d+", "")
        print(lost, pool:stats().lost_workers)
        print(#account.workers(pool))
        return 4
      end)
    ]])
  end)

  it("ten times in a row loses forty at most", function()
    fault.says("true\ttrue\n100\n", [[
      account.pool(4, function(pool)
        local sleep = mp.sleep
        local pending = pool:map_async(function(i)
          sleep(0.01)
          return i
        end, mp.range(1000), { on_error = "collect", chunksize = 7 })
        for _ = 1, 10 do
          mp.sleep(0.1)
          local pids = {}
          for _, w in ipairs(pool:workers()) do pids[#pids + 1] = w.pid end
          os.execute("kill -9 " .. table.concat(pids, " ") .. " 2>/dev/null")
        end
        local results = pending:get()
        local _, lost = account.lost(results, function(i) return i end):gsub("%d+", "")
        print(lost <= 40, lost <= pool:stats().lost_workers)
        print(pool:map(math.abs, mp.range(100)).n)
      end)
    ]])
  end)
end)

describe("an initializer", function()
  for how, ending in pairs { ["SIGKILL"] = 'os.execute("kill -9 " .. mp.getpid())', ["an exit"] = "os.exit(5)" } do
    it("in which every worker ends by " .. how .. " is given up after a bounded number of tries", function()
      fault.says("initializer\ttrue\ninitializer\ntrue\n", ([[
        local path = os.tmpname()
        account.pool({ processes = 2, initializer = function()
          local file <close> = io.open(path, "a")
          file:write("x")
          file:flush()
          %s
        end }, function(pool)
          local ok, err = pcall(pool.map, pool, math.abs, mp.range(10))
          print(err.kind, tostring(err):find("10 workers in a row", 1, true) ~= nil)
          print(select(2, pcall(pool.apply, pool, math.abs, { 1 })).kind)
        end)
        mp.sleep(0.3)
        local file <close> = io.open(path)
        local tries = #file:read("a")
        print(tries >= 10 and tries <= 12) -- two are born at a time
        os.remove(path)
      ]]):format(ending))
    end)
  end

  it("that raises fails every call, and nobody is born again and again", function()
    fault.says("initializer\tmine\ninitializer\ntrue\n", [[
      local path = os.tmpname()
      account.pool({ processes = 2, initializer = function()
        local file <close> = io.open(path, "a")
        file:write("x")
        file:flush()
        error("mine", 0)
      end }, function(pool)
        local ok, err = pcall(pool.map, pool, math.abs, mp.range(10))
        print(err.kind, err.value)
        print(select(2, pcall(pool.apply, pool, math.abs, { 1 })).kind)
      end)
      local file <close> = io.open(path)
      print(#file:read("a") <= 2)
      os.remove(path)
    ]])
  end)

  it("that kills one worker only costs nothing", function()
    fault.says("50\n", [[
      local path = os.tmpname()
      account.pool({ processes = 2, initializer = function()
        if os.remove(path) then os.execute("kill -9 " .. mp.getpid()) end
      end }, function(pool) print(pool:map(math.abs, mp.range(50)).n) end)
    ]])
  end)
end)

describe("workers that never become ready", function()
  it("are not forked without end: the pool says so", function()
    fault.says("worker_lost\ttrue\nworker_lost\ttrue\n", [[
      account.pool(2, function(pool)
        local start = mp.monotonic()
        local ok, err = pcall(pool.map, pool, math.abs, mp.range(10))
        print(err.kind, tostring(err):find("10 workers in a row died", 1, true) ~= nil)
        print(select(2, pcall(pool.apply, pool, math.abs, { 1 })).kind, mp.monotonic() - start < 30)
      end)
    ]], { failpoints = "worker.start:kill@1" })
  end)
end)

describe("SIGKILL of a worker that writes a result of a gibibyte", function()
  it("loses it, and its room is given back", function()
    fault.says("worker_lost\t9\ttrue\ntrue\n1073741824\n", [[
      account.pool(1, function(pool)
        local rep = string.rep
        local function make() return { rep("x", 1 << 29), rep("y", 1 << 29) } end
        local ok, err = pcall(pool.apply, pool, make)
        print(err.kind, err.signal, account.held() > 1 << 29)
        local deadline = mp.monotonic() + 20
        repeat
          pool:apply(math.abs, { 1 })
          mp.sleep(0.02)
        until account.held() < 1 << 26 or mp.monotonic() > deadline
        print(account.held() < 1 << 26)
        local both = pool:apply(make)
        print(#both[1] + #both[2])
        return 1
      end)
    ]], { failpoints = "spill.write/1:kill@2" })
  end)
end)
