-- timeout: 180
-- A worker dies, at each step of an item's way: that item fails as lost, or none where none had
-- begun; the worker is replaced, everything else completes.
local fault = require "spec.support.fault"

describe("SIGKILL of an idle worker", function()
  it("fails nothing, and it is replaced", function()
    fault.says("20\ttrue\n", [[
      account.pool(3, function(pool)
        local pids = account.workers(pool)
        for _, pid in ipairs(pids) do account.signal("KILL", pid) end
        local n = pool:map(math.abs, mp.range(20)).n
        local fresh = account.workers(pool)
        local replaced = true
        for i = 1, 3 do replaced = replaced and fresh[i] ~= pids[i] end
        print(n, replaced)
        return 3
      end)
    ]])
  end)

  it("is noticed while the host does something else", function()
    fault.says("3\n", [[
      account.pool(3, function(pool)
        account.signal("KILL", account.workers(pool)[2])
        local stop, n = mp.monotonic() + 20
        repeat
          mp.sleep(0.01)
          n = 0
          for _, w in ipairs(pool:workers()) do
            if w.pid and account.lives(w.pid) then n = n + 1 end
          end
        until n == 3 or mp.monotonic() > stop
        print(#account.workers(pool))
      end)
    ]])
  end)
end)

-- One worker of `workers` dies at its n-th passage of a place, while it handles 1,000 items one by
-- one, in chunks of `chunk`.
local function one_dies(place, n, items, chunk)
  return fault.says(items .. "\n", ([[
    account.pool(2, function(pool)
      local results = pool:map(function(i) return i * 2 end, mp.range(1000),
        { on_error = "collect", chunksize = %d })
      print(select(2, account.lost(results, function(i) return i * 2 end):gsub("%%d+", "")))
      assert(pool:map(math.abs, mp.range(100)).n == 100)
      return 1
    end)
  ]]):format(chunk), { failpoints = ("%s/1:kill@%d"):format(place, n) })
end

describe("SIGKILL of a worker", function()
  -- Items take long enough that each is claimed alone.
  it("just before its claim costs nothing: the item runs elsewhere", function()
    for _, n in ipairs { 1, 2, 20 } do
      fault.says("\n", [[
        account.pool(2, function(pool)
          local sleep = mp.sleep
          local results = pool:map(function(i)
            sleep(0.003)
            return i
          end, mp.range(60), { on_error = "collect", chunksize = 1 })
          print(account.lost(results, function(i) return i end))
          return 1
        end)
      ]], { failpoints = ("claim.before/1:kill@%d"):format(n) })
    end
  end)

  for title, place in pairs {
    ["just after its claim costs the first item of what it claimed"] = "claim.after",
    ["as it has entered its claim costs its first item"] = "claim.noted",
    ["while it decodes costs that item"] = "item.decode",
    ["half-way through writing a result costs that item"] = "result.write",
  } do
    it(title, function()
      for _, n in ipairs { 1, 2, 40 } do
        one_dies(place, n, 1, 1)
        if n < 20 then one_dies(place, n, 1, 25) end
      end
    end)
  end

  it("in the task costs that item", function()
    fault.says("17 33\n9\tnil\ttrue\n", [[
      account.pool(2, function(pool)
        local getpid = mp.getpid
        local results = pool:map(function(i)
          if i == 17 or i == 33 then os.execute("kill -9 " .. getpid()) end
          return i * 2
        end, mp.range(50), { on_error = "collect", chunksize = 1 })
        print(account.lost(results, function(i) return i * 2 end))
        local err = results.errors[17]
        print(err.signal, err.exitcode, tostring(err):find("SIGKILL") ~= nil)
        return 2
      end)
    ]])
  end)

  -- Each item has two frames, the second is its result.
  it("as its result is published costs nothing: it is delivered once", function()
    for _, n in ipairs { 2, 4, 20 } do
      fault.says("60\ttrue\n", [[
        account.pool(2, function(pool)
          local times, sleep = {}, mp.sleep
          for i, value in pool:imap_unordered(function(i)
            sleep(0.003)
            return i * 2
          end, mp.range(60), 1) do
            times[i] = (times[i] or 0) + 1
            assert(value == i * 2)
          end
          local once = true
          for i = 1, 60 do once = once and times[i] == 1 end
          print(#times, once)
          return 1
        end)
      ]], { failpoints = ("result.published/1:kill@%d"):format(n) })
    end
  end)

  it("that was woken for a task leaves the task to the others", function()
    for _, workers in ipairs { 1, 2, 3 } do
      fault.says("7\n1\n", ([[
        account.pool(%d, function(pool)
          account.workers(pool)
          mp.sleep(0.2) -- all are asleep
          print(pool:apply(math.abs, { -7 }))
          print(pool:apply(math.abs, { -1 }))
          return 1
        end)
      ]]):format(workers), { failpoints = "worker.woken/1:kill@2" })
    end
  end)

  it("at the 50th item of a chunk of 100 costs that one, and 50 run elsewhere", function()
    fault.says("49\t1\t50\n1\n", [[
      account.pool(2, function(pool)
        local getpid, sleep = mp.getpid, mp.sleep
        local results = pool:map(function(i)
          if i == 50 then os.exit(1) end
          return getpid()
        end, mp.range(100), { on_error = "collect", chunksize = 100 })
        local first, here, elsewhere = results[1], 0, 0
        for i = 1, 100 do
          if results[i] == first and i < 50 then here = here + 1 end
          if results[i] and results[i] ~= first and i > 50 then elsewhere = elsewhere + 1 end
        end
        print(here, results.failed, elsewhere)
        print(results.errors[50].exitcode)
        return 1
      end)
    ]])
  end)
end)

describe("an item that kills every worker that takes it", function()
  it("stops after its retries; the others complete", function()
    fault.says("4\t3\n3\tworker_lost\t3\n", [[
      account.pool(2, function(pool)
        local results = pool:map(function(i)
          if i == 3 then os.exit(3) end
          return i
        end, mp.range(50), { on_error = "collect", retries = 3, chunksize = 1 })
        local err = results.errors[3]
        print(err.attempt, err.exitcode)
        print(account.lost(results, function(i) return i end), err.kind, pool:stats().retried)
        return 4
      end)
    ]])
  end)

  it("without retries is run once", function()
    fault.says("1\t1\n", [[
      account.pool(2, function(pool)
        local path = os.tmpname()
        pcall(pool.map, pool, function()
          local file <close> = io.open(path, "a")
          file:write("x")
          file:flush()
          os.exit(0)
        end, { 1 })
        local file <close> = io.open(path)
        print(#file:read("a"), pool:stats().lost_workers)
        os.remove(path)
        return 1
      end)
    ]])
  end)
end)
