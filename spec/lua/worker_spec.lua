local mp = require "moonpool"
local script = require "spec.support.script"

describe("a worker", function()
  it("has a name of its own and knows its parent", function()
    local said = script.output([[
      print(mp.current_process().name, mp.current_process().pid == mp.getpid(), mp.parent_process())
      local host = mp.getpid()
      local pool <close> = mp.Pool(3)
      local names = pool:map(function()
        mp.sleep(0.05)
        local own, parent = mp.current_process(), mp.parent_process()
        assert(own.pid == mp.getpid() and parent.pid == host and mp.getppid() == host)
        return own.name
      end, mp.range(6), 1)
      table.sort(names)
      print(table.concat(names, " "))
    ]])
    assert.matches("^MainProcess\ttrue\tnil\n", said)
    for name in said:match("\n(.*)\n"):gmatch("%S+") do assert.matches("^PoolWorker%-[123]$", name) end
  end)

  it("is shown by that name, below a nursery", function()
    local said = script.output([[
      local pool <close> = mp.Pool(1)
      print(pool:apply(function()
        local own = io.open("/proc/self/comm"):read("l")
        local parent = io.open("/proc/self/stat"):read("a"):match("%) %a (%d+)")
        return own .. " " .. io.open("/proc/" .. parent .. "/comm"):read("l")
      end))
    ]])
    assert.equal("PoolWorker-1 mp-nursery\n", said)
  end)

  it("keeps the number of a lost one's seat", function()
    local said = script.output([[
      local pool <close> = mp.Pool(1)
      for _ = 1, 3 do pcall(pool.apply, pool, os.exit, { 1 }) end
      print(pool:apply(function() return mp.current_process().name end))
    ]])
    assert.equal("PoolWorker-1\n", said)
  end)

  it("has nothing on standard input", function()
    local path = script.temporary()
    local file = io.open(path, "w")
    file:write("mine\nalso mine\n")
    file:close()
    local said = script.output([[
      local pool <close> = mp.Pool(1)
      print(pool:apply(function() return io.read("a") == "", io.read("l"), io.stdin:read(0) end))
      print(io.read("l"))
      print(pool:apply(function() return os.execute("read line") end))
      print(io.read("l"))
    ]], { input = path })
    os.remove(path)
    assert.equal("true\tnil\tnil\nmine\nnil\texit\t1\nalso mine\n", said)
  end)

  it("keeps what tasks leave behind", function()
    local said = script.output([[
      local pool <close> = mp.Pool(1)
      pool:apply(function() counter = 5 end)
      print(pool:apply(function() counter = counter + 1 return counter end), counter)
    ]])
    assert.equal("6\tnil\n", said)
  end)

  it("has what the host had loaded", function()
    local said = script.output([[
      local lfs = require "lfs"
      local big = {}
      for i = 1, 1000 do big[i] = i end
      function helper(x) return x + #big end
      local pool <close> = mp.Pool(1)
      print(pool:apply(function(x) return helper(x), lfs ~= nil end, { 1 }))
    ]])
    assert.equal("1001\ttrue\n", said)
  end)

  it("draws random numbers of its own", function()
    local said = script.output([[
      local pool <close> = mp.Pool(2)
      local drawn = pool:map(function() mp.sleep(0.02) return { mp.getpid(), math.random(1 << 40) } end,
        mp.range(20), 1)
      local seen, twice = {}, false
      for _, row in ipairs(drawn) do
        twice = twice or seen[row[2] ] ~= nil
        seen[row[2] ] = row[1]
      end
      print(twice)
    ]])
    assert.equal("false\n", said)
  end)

  it("has no hook of the host, and none that a task left", function()
    local said = script.output([[
      local pool <close> = mp.Pool(1)
      debug.sethook(function() end, "", 1000000)
      print(pool:apply(function() return debug.gethook() end))
      pool:apply(function() debug.sethook(function() error("hook") end, "l") end)
      print(pool:apply(function() return debug.gethook() end))
    ]])
    assert.equal("nil\nnil\n", (said:gsub("\t[^\n]*", "")))
  end)

  it("leaves the host's unwritten output alone", function()
    local path = script.temporary()
    local said = script.output([[
      io.stdout:setvbuf("full")
      io.write("before ")
      local file = io.open(arg[1], "w")
      file:setvbuf("full")
      file:write("once")
      local pool <close> = mp.Pool(2)
      pool:map(function() return 1 end, mp.range(10), 1)
      pcall(pool.apply, pool, os.exit, { 0, true })
      print("after")
    ]], { args = { path } })
    assert.equal("before after\n", said)
    assert.equal("once", script.read(path))
    os.remove(path)
  end)
end)

describe("what tasks print", function()
  it("comes in whole lines, from all of them", function()
    local said = script.output([[
      local pool <close> = mp.Pool(4)
      pool:map(function(i)
        print(i, ("x"):rep(i * 10))
        io.write(i, " in ")
        io.write("pieces\n")
      end, mp.range(400), 1)
    ]])
    local seen, pieces = {}, 0
    for line in said:gmatch("[^\n]*\n") do
      local i, xs = line:match("^(%d+)\t(x*)\n$")
      if i then
        assert.equal(tonumber(i) * 10, #xs)
        seen[tonumber(i)] = true
      else
        assert.matches("^%d+ in pieces\n$", line)
        pieces = pieces + 1
      end
    end
    assert.equal(400, #seen)
    assert.equal(400, pieces)
  end)

  it("is whole above what a pipe takes at once", function()
    local r = script.run([[
      local pool <close> = mp.Pool(3)
      pool:map(function(i) print((tostring(i % 10)):rep(50000)) end, mp.range(60), 1)
    ]])
    local n = 0
    for line in r.output:gmatch("[^\n]+") do
      n = n + 1
      assert.equal(line:sub(1, 1):rep(50000), line)
    end
    assert.equal(60, n)
  end)

  it("is there once print has returned, though the worker dies", function()
    local said = script.output([[
      local pool <close> = mp.Pool(2)
      for i = 1, 20 do
        pcall(pool.apply, pool, function(n)
          print("said " .. n)
          os.execute("kill -9 " .. mp.getpid())
        end, { i })
      end
    ]])
    assert.equal(20, select(2, said:gsub("said %d+\n", "")))
  end)

  it("keeps a line without an end, and one at os.exit", function()
    local said = script.output([[
      local pool <close> = mp.Pool(1)
      pool:apply(function() io.write("no end") end)
      pcall(pool.apply, pool, function() io.write(" at exit") os.exit(0) end)
    ]])
    assert.matches("no end", said)
    assert.matches("at exit", said)
  end)

  it("to standard error comes, too", function()
    local r = script.run([[
      local pool <close> = mp.Pool(2)
      pool:map(function(i) io.stderr:write("to err ", i, "\n") end, mp.range(50), 1)
    ]])
    assert.equal(50, select(2, r.errors:gsub("to err %d+\n", "")))
  end)

  it("stands behind what the host printed before", function()
    local said = script.output([[
      print("first")
      local pool <close> = mp.Pool(1)
      pool:apply(print, { "second" })
      print("third")
      pool:apply(print, { "fourth" })
    ]])
    assert.equal("first\nsecond\nthird\nfourth\n", said)
  end)
end)

describe("time", function()
  it("passes in sleep, and not by mistake", function()
    local before = mp.monotonic()
    mp.sleep(0.05)
    assert.is_true(mp.monotonic() - before >= 0.05)
    mp.sleep(0)
    mp.sleep(-1)
    assert.has_error(function() mp.sleep("1") end)
    assert.has_error(function() mp.sleep(0 / 0) end)
  end)

  it("is told since 1970, and the process by its pid", function()
    assert.is_true(math.abs(mp.time() - os.time()) < 10)
    assert.equal(tonumber(io.open("/proc/self/stat"):read("n")), mp.getpid())
    assert.is_true(mp.getppid() > 0)
    assert.is_true(mp.cpu_count() >= 1)
  end)
end)
