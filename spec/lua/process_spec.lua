-- timeout: 60
-- mp.Process: its fields, its mistakes, what it inherits. What Python's tests ask of it stands in
-- cpython/process_spec.lua, its deaths in kill/process_spec.lua.
local script = require "spec.support.script"

local function said(source)
  return script.output(source)
end

describe("Process", function()
  for what, text in pairs {
    ["mp.Process(print)"] = "the argument must be a table { target =, args =, name =, daemon = }, got function",
    ["mp.Process{ target = 3 }"] = "target must be a function, got number 3",
    ["mp.Process{ args = 3 }"] = "args must be a table, got number 3",
    ["mp.Process{ name = '' }"] = "name must be a string, got string \"\"",
    ["mp.Process{ daemon = 1 }"] = "daemon must be a boolean, got number 1",
    ["mp.Process{ target = print, arg = {} }"] = "arg",
    ["mp.Process{}.join(3)"] = "join: called without its process; write process:join(...) with a colon",
    ["mp.Process{}:join 'x'"] = "the timeout must be a number of seconds, got string \"x\"",
  } do
    it("names the mistake in " .. what, function()
      local output = said(("local ok, err = pcall(function() return %s end) print(ok, err.kind, err.message)")
        :format(what))
      assert.matches("^false\targument\t", output)
      assert.is_truthy(output:find(text, 1, true), output)
    end)
  end

  it("is started once, by its maker, and joined when it was started", function()
    assert.equal("false\tstate\tjoin: Process-1 was not started yet\n"
      .. "false\tstate\tterminate: Process-1 was not started yet\n"
      .. "false\tstate\tstart: Process-1 was started before\n0\n", said [[
      local p = mp.Process{ target = function() end }
      local function try(f, ...)
        local ok, err = pcall(f, ...)
        print(ok, err.kind, err.message)
      end
      try(p.join, p)
      try(p.terminate, p)
      p:start()
      try(p.start, p)
      p:join()
      print(p.exitcode)
    ]])
  end)

  it("is its parent's alone #fork", function()
    assert.equal("join: only the parent of Process-1, process PID, can do that\n"
      .. "start: process PID, which made Process-2, can start it\n", (said [[
      local brother = mp.Process{ target = mp.sleep, args = { 0.2 } }
      brother:start()
      local unborn = mp.Process{}
      local p = mp.Process{ target = function()
        for _, try in ipairs { function() brother:join() end, function() unborn:start() end } do
          print(select(2, pcall(try)).message)
        end
      end }
      p:start()
      p:join()
    ]]:gsub("process %d+", "process PID")))
  end)

  it("cannot be sent", function()
    assert.equal("false\tencode\tcannot send Process-1: a Process is its maker's\n", said [[
      local pool <close> = mp.Pool(1)
      pool:map(math.abs, { 1 })
      local ok, err = pcall(pool.apply, pool, tostring, { mp.Process{} })
      print(ok, err.kind, err.message)
    ]])
  end)

  it("has fields that are read, and some that are set", function()
    assert.equal("Process-1\tfalse\tnil\tnil\nbee\ttrue\n"
      .. "argument\tProcess: pid cannot be set\nstate\tdaemon: bee was started already\nbuzz\tmine\n", said [[
      local p = mp.Process{ target = function() end }
      print(p.name, p.daemon, p.pid, p.exitcode)
      p.name, p.daemon = "bee", true
      print(p.name, p.daemon)
      local function try(key, value)
        local ok, err = pcall(function() p[key] = value end)
        print(err.kind, err.message)
      end
      try("pid", 3)
      p:start()
      try("daemon", false)
      p:join()
      p.name, p.own = "buzz", "mine"
      print(p.name, p.own)
    ]])
  end)

  it("prints what it is", function()
    assert.equal("Process a (not started)\nProcess a (pid N)\nProcess a (pid N, exit code 0)\nProcess a (closed)\n"
      .. "Process MainProcess (pid N)\n", (said [[
      local p = mp.Process{ name = "a", target = mp.sleep, args = { 0.5 } }
      print(p)
      p:start()
      print(p)
      p:join()
      print(p)
      p:close()
      print(p)
      print(mp.current_process())
    ]]:gsub("pid %d+", "pid N")))
  end)

  it("has all that its parent has when it is started", function()
    assert.equal("seen\t7\n", said [[
      local word = "not yet"
      local p = mp.Process{ target = function(n) print(word, n) end, args = { 7 } }
      word = "seen"
      p:start()
      p:join()
    ]])
  end)

  it("has random numbers of its own, the same in each run with the same seed", function()
    local source = [[
      math.randomseed(5)
      local all = { math.random(0) }
      print(all[1])
      for _ = 1, 3 do
        local p = mp.Process{ target = function() print(math.random(0)) end }
        p:start()
        p:join()
      end
    ]]
    local first = said(source)
    assert.equal(first, said(source))
    local seen, n = {}, 0
    for number in first:gmatch "[^\n]+" do
      assert.is_nil(seen[number])
      seen[number] = true
      n = n + 1
    end
    assert.equal(4, n)
  end)

  it("writes whole lines, and nothing of its parent's twice", function()
    local lines, n = {}, 0
    for line in said([[
      io.stdout:setvbuf("full")
      io.write("before\n")
      local all = {}
      for i = 1, 4 do
        all[i] = mp.Process{ target = function() for k = 1, 100 do print(("x"):rep(100) .. i .. " " .. k) end end }
        all[i]:start()
      end
      for i = 1, 4 do all[i]:join() end
      io.write("behind\n")
    ]]):gmatch "[^\n]+" do
      assert.is_nil(lines[line], line)
      lines[line] = true
      n = n + 1
    end
    assert.equal(402, n)
    for i = 1, 4 do
      for k = 1, 100 do assert.is_true(lines[("x"):rep(100) .. i .. " " .. k]) end
    end
  end)

  it("ends with what os.exit says, with its files written", function()
    local path = script.temporary()
    assert.equal("3\n", said(([[
      local p = mp.Process{ target = function()
        file = io.open(%q, "w")
        file:write("kept")
        os.exit(3)
      end }
      p:start()
      p:join()
      print(p.exitcode)
    ]]):format(path)))
    assert.equal("kept", script.read(path))
    os.remove(path)
  end)

  it("makes pools and processes, as a pool's worker does", function()
    assert.equal("14\tPoolWorker-1\tProcess-1:1\ttrue\n", said [[
      local path = os.tmpname()
      local function write(...)
        local file <close> = io.open(path, "a")
        file:write(table.concat({ ... }, "\t"), "\n")
      end
      local function work()
        local pool <close> = mp.Pool(2)
        local sum = 0
        for _, square in ipairs(pool:map(function(x) return x * x end, mp.range(3))) do sum = sum + square end
        return sum
      end
      local p = mp.Process{ target = function() write(work()) end }
      p:start()
      p:join()
      local pool <close> = mp.Pool(1)
      local name, child, parents = pool:apply(function()
        local child = mp.Process{ target = function()
          write(mp.current_process().name, mp.parent_process().name)
        end }
        child:start()
        child:join()
        return mp.current_process().name, child.name, mp.parent_process().pid == mp.getppid()
      end)
      local lines = {}
      for line in io.lines(path) do lines[#lines + 1] = line end
      os.remove(path)
      assert(lines[2] == "Process-1:1\tPoolWorker-1", lines[2])
      print(lines[1], name, child, parents)
    ]])
  end)

  it("leaves its parent's pools alone #fork", function()
    assert.equal("closed\n55\n", said [[
      local pool <close> = mp.Pool(2)
      pool:map(math.abs, { 1 })
      local p = mp.Process{ target = function()
        local ok, err = pcall(pool.map, pool, math.abs, { 1 })
        print(err.kind)
      end }
      p:start()
      p:join()
      local sum = 0
      for _, i in ipairs(pool:map(math.abs, mp.range(10))) do sum = sum + i end
      print(sum)
    ]])
  end)
end)
