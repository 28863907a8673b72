-- timeout: 120
local mp = require "moonpool"
local leaks = require "spec.support.leaks"
local script = require "spec.support.script"

-- A pool whose output is noted: lines, and who wrote them for which item.
local function noting(fields, f)
  local before = leaks.snapshot()
  local lines = {}
  fields.output = function(line, index, worker)
    lines[#lines + 1] = { line, index, worker }
  end
  do
    local pool <close> = mp.Pool(fields)
    f(pool, lines)
  end
  assert.equal("", leaks.left(before))
  return lines
end

describe("output", function()
  it("gets each line, without its newline, with item and worker", function()
    local write = io.write
    local lines = noting({ processes = 2 }, function(pool)
      pool:map(function(i)
        print("item", i)
        write("a\n\nb")
        return i
      end, mp.range(50))
    end)
    assert.equal(200, #lines)
    local by_item = {}
    for _, l in ipairs(lines) do
      local list = by_item[l[2]] or {}
      by_item[l[2]] = list
      list[#list + 1] = l[1]
      assert.truthy(l[3]:match("^PoolWorker%-[12]$"))
    end
    for i = 1, 50 do assert.same({ "item\t" .. i, "a", "", "b" }, by_item[i]) end
  end)

  it("comes before the result does", function()
    noting({ processes = 2 }, function(pool, lines)
      for i = 1, 20 do
        pool:apply(function() print(i) end)
        assert.equal(i, #lines)
        assert.equal(tostring(i), lines[i][1])
      end
    end)
  end)

  it("gets lines of megabytes whole, and many of them", function()
    local lines = noting({ processes = 2 }, function(pool)
      local rep = string.rep
      pool:map(function(i) print(rep("x", i * 1000003)) end, mp.range(5), 1)
      pool:map(function() for k = 1, 5000 do print(k) end end, mp.range(4), 1)
    end)
    assert.equal(5 + 20000, #lines)
    local sizes = {}
    for i = 1, 5 do sizes[i] = #lines[i][1] end
    table.sort(sizes)
    for i = 1, 5 do assert.equal(i * 1000003, sizes[i]) end
  end)

  it("loses no line whose print has returned, though the worker is killed behind it", function()
    local lines = noting({ processes = 3 }, function(pool)
      local kill, pid = os.execute, mp.getpid
      local r = pool:map(function(i)
        print("before " .. i)
        kill("kill -9 " .. pid())
      end, mp.range(15), { on_error = "collect" })
      assert.equal(15, r.failed)
    end)
    local seen = {}
    for _, l in ipairs(lines) do seen[l[1]] = true end
    for i = 1, 15 do assert.is_true(seen["before " .. i]) end
    assert.equal(15, #lines)
  end)

  it("gets what is printed while a result is written, for the item whose result it is", function()
    local lines = noting({ processes = 1 }, function(pool)
      local set, list = setmetatable, function(v) return { v } end
      local results = pool:map(function(i)
        return { i, set({ i }, { __reduce = function(t)
          print("encoding " .. i)
          print("")
          return list, t[1]
        end }), -i }
      end, mp.range(20), 20)
      for i = 1, 20 do assert.same({ i, { i }, -i }, results[i]) end
    end)
    assert.equal(40, #lines)
    for i = 1, 20 do
      assert.same({ "encoding " .. i, i, "PoolWorker-1" }, lines[2 * i - 1])
      assert.same({ "", i, "PoolWorker-1" }, lines[2 * i])
    end
  end)

  it("gets what initializers print, for no item, those of replacements too", function()
    local exit, pid = os.exit, mp.getpid
    local lines = noting({ processes = 2, initializer = function() print("ready " .. pid()) end },
      function(pool)
        pool:map(function(i) if i % 5 == 0 then exit(1) end end, mp.range(40),
          { chunksize = 10, on_error = "collect" })
      end)
    local pids = {}
    for _, l in ipairs(lines) do
      assert.is_nil(l[2])
      assert.is_nil(pids[l[1]])
      pids[l[1]] = true
    end
    assert.is_true(#lines >= 8)
  end)

  it("hears workers out that leave", function()
    for _ = 1, 20 do
      local path, open, pid = script.temporary(), io.open, mp.getpid
      local lines = noting({ processes = 4, initializer = function()
        local file = open(path, "a")
        print("ready")
        file:write(pid(), "\n")
        file:close()
      end }, function(pool) pool:map(function() end, mp.range(20)) end)
      local said = 0
      for _ in io.lines(path) do said = said + 1 end
      os.remove(path)
      assert.equal(said, #lines)
    end
  end)

  it("hears those out, too, that a smaller or fresh pool does not want", function()
    local lines = noting({ processes = 4 }, function(pool)
      local i = 0
      pool:map(print, function()
        i = i + 1
        if i % 100 == 0 then pool:resize(1 + i // 100 % 4) end
        if i % 250 == 0 then pool:refresh() end
        return i <= 2000 and i or nil
      end)
    end)
    local seen = {}
    for _, l in ipairs(lines) do
      assert.equal(tostring(l[2]), l[1])
      seen[l[2]] = true
    end
    assert.equal(2000, #lines)
    assert.equal(2000, #seen)
  end)

  it("gets the lines of workers that a callback lets go", function()
    local n = 0
    local pool = mp.Pool { processes = 2, output = function() n = n + 1 end }
    for i = 1, 20 do
      pool:apply_async(print, { i }, function()
        if i == 7 then
          pool:close()
          pool:join()
        end
      end)
    end
    pcall(pool.wait, pool)
    pool:join()
    assert.equal(20, n)
  end)

  it("gets the lines of a pool that is terminated", function()
    local n = 0
    local pool = mp.Pool { processes = 1, output = function() n = n + 1 end }
    local path, open, sleep = script.temporary(), io.open, mp.sleep
    pool:apply_async(function()
      for i = 1, 5 do print(i) end
      open(path, "w"):write("said"):close()
      sleep(100)
    end)
    while script.read(path) == "" do sleep(0.01) end
    os.remove(path)
    pool:terminate()
    pool:join()
    assert.equal(5, n)
  end)

  it("does not get what the workers of a task's own pool print", function()
    assert.equal("inner\n<outer>\n", script.output [[
      local Pool = mp.Pool
      local pool <close> = mp.Pool { processes = 1,
        output = function(line) io.write("<", line, ">\n") end }
      pool:apply(function()
        local inner <close> = Pool(1)
        inner:apply(print, { "inner" })
        print("outer")
      end)
    ]])
  end)

  it("takes an error in it as one of a callback", function()
    local caught, fail = {}, error
    local pool = mp.Pool { processes = 1, output = function() fail("mine", 0) end,
      on_callback_error = function(err) caught[#caught + 1] = err end }
    pool:apply(print, { 1 })
    assert.same({ "mine" }, caught)
    assert.equal("mine", select(2, pcall(pool.wait, pool)))
    pool:close()
    assert.is_true(pool:join())
  end)

  it("prints nothing itself where output is taken", function()
    assert.equal("<1>\n", script.output [[
      local pool <close> = mp.Pool { processes = 1,
        output = function(line) io.write("<", line, ">\n") end }
      pool:apply(print, { 1 })
    ]])
  end)

  it("may use the pool", function()
    local inner
    local pool
    pool = mp.Pool { processes = 1, output = function(line)
      if line == "outer" then inner = pool:apply(function() return 5 end) end
    end }
    pool:apply(print, { "outer" })
    assert.equal(5, inner)
    pool:close()
    pool:join()
  end)
end)

describe("log", function()
  it("gets what tasks log, with item and worker", function()
    local got = {}
    local pool = mp.Pool { processes = 2, log = function(message, index, worker)
      got[#got + 1] = { message, index, worker }
    end }
    local log = mp.log
    pool:map(function(i) log("item", i, nil) end, mp.range(10), 1)
    pool:close()
    pool:join()
    assert.equal(10, #got)
    for _, g in ipairs(got) do
      assert.equal(("item\t%d\tnil"):format(g[2]), g[1])
      assert.truthy(g[3]:match("^PoolWorker%-%d$"))
    end
  end)

  it("goes to standard error where nobody takes it, in whole lines", function()
    local r = script.run [[
      local pool <close> = mp.Pool(2)
      pool:apply(mp.log, { "from a task", 1 })
      mp.log("from the host")
    ]]
    assert.equal(0, r.code)
    assert.equal("PoolWorker-1, item 1: from a task\t1\nfrom the host\n", r.errors)
  end)
end)

describe("log without a taker", function()
  it("names no item in an initializer, and writes all bytes", function()
    local r = script.run [[
      local pool <close> = mp.Pool { processes = 1, initializer = mp.log, initargs = { "first" } }
      pool:apply(mp.log, { "a\0b" })
    ]]
    assert.equal("PoolWorker-1: first\nPoolWorker-1, item 1: a\0b\n", r.errors)
  end)
end)
