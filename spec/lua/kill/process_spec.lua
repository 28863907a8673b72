-- timeout: 180
-- Processes of the script's own, killed, and those whose parent is killed.
local script = require "spec.support.script"

-- `busy(what)` is what a process does, once it has noted that it runs.
local FRAME = [[
  local notes = arg[1]
  local function note()
    local file = io.open(notes, "a")
    file:write(mp.getpid(), "\n")
    file:close()
  end
  local function lines()
    local n = 0
    local file = io.open(notes)
    for _ in file:lines() do n = n + 1 end
    file:close()
    return n
  end
  local function until_noted(n)
    while lines() < n do mp.sleep(0.005) end
  end
  local what = {
    loop = function() while true do end end,
    sleep = function() mp.sleep(1000) end,
    command = function() os.execute("sleep 1000") end,
    wait = function()
      local p = mp.Process{ daemon = true, target = function() note() mp.sleep(1000) end }
      p:start()
      p:join()
    end,
    pool = function()
      mp.Pool(2):map(function() note() mp.sleep(1000) end, mp.range(2))
    end,
  }
  local function start(name)
    local p = mp.Process{ daemon = true, target = function() note() what[name]() end }
    p:start()
    return p
  end
  local function die() os.execute("kill -9 " .. mp.getpid()) end
]]

local function run(body, options)
  options = options or {}
  options.args = { script.temporary() }
  local r = script.run((FRAME .. body):gsub("\n", " "), options)
  r.pids = {}
  for line in io.lines(options.args[1]) do r.pids[#r.pids + 1] = tonumber(line) end
  os.remove(options.args[1])
  return r
end

local function ends_empty(body, expected, options)
  local r = run(body, options)
  assert.equal(expected, r.output, r.errors)
  assert.equal("", r.errors)
  assert.is_true(script.gone(r.pids, 10))
  assert.is_true(script.left_nothing(r))
  return r
end

describe("SIGKILL of the parent ends its daemons", function()
  for name, processes in pairs { loop = 1, sleep = 1, wait = 2, pool = 3 } do
    script.each_program(function(program)
      it(("that %s, under %s"):format(name, program), function()
        local r = run(("start %q until_noted(%d) die()"):format(name, processes), { program = program })
        assert.equal(9, r.signal, r.errors)
        assert.equal(processes, #r.pids)
        assert.is_true(script.gone(r.pids, 10))
        assert.is_true(script.left_nothing(r))
      end)
    end)
  end

  it("that are stopped", function()
    local r = run [[
      local p = start "loop"
      until_noted(1)
      os.execute("kill -STOP " .. p.pid)
      die()
    ]]
    assert.equal(9, r.signal)
    assert.is_true(script.gone(r.pids, 10))
  end)

  it("that run a program, which goes on", function()
    local r = run [[ start "command" until_noted(1) mp.sleep(0.05) die() ]]
    assert.equal(9, r.signal)
    assert.is_true(script.gone(r.pids, 10))
    os.execute(("pkill -9 -s %d"):format(r.pid))
    assert.is_true(script.left_nothing(r))
  end)

  it("that were forked in a worker", function()
    local r = run [[
      local pool = mp.Pool(1)
      pool:apply_async(function() note() what.wait() end)
      until_noted(2)
      die()
    ]]
    assert.equal(9, r.signal)
    assert.equal(2, #r.pids)
    assert.is_true(script.gone(r.pids, 10))
    assert.is_true(script.left_nothing(r))
  end)
end)

describe("a process that is no daemon", function()
  it("outlives a parent that is killed, which it is told", function()
    local path = script.temporary()
    local r = run(([[
      mp.Process{ target = function()
        local parent = mp.parent_process()
        note()
        local before, joined = parent:is_alive(), parent:join(10)
        local file = io.open(%q, "w")
        file:write(tostring(before), " ", tostring(joined), " ", tostring(parent:is_alive()))
        file:close()
      end }:start()
      until_noted(1)
      die()
    ]]):format(path))
    assert.equal(9, r.signal)
    assert.is_true(script.left_nothing(r))
    assert.equal("true true false", script.read(path))
    os.remove(path)
  end)

  it("is neither waited for nor ended by os.exit", function()
    local path = script.temporary()
    local r = run(([[
      mp.Process{ target = function()
        note()
        mp.sleep(0.3)
        local file = io.open(%q, "w")
        file:write("done")
        file:close()
      end }:start()
      until_noted(1)
      os.exit(5)
    ]]):format(path))
    assert.equal(5, r.code)
    assert.equal("", script.read(path))
    assert.is_true(script.left_nothing(r))
    assert.equal("done", script.read(path))
    os.remove(path)
  end)

  it("is waited for by os.exit that closes the state", function()
    local r = run [[
      mp.Process{ target = function() mp.sleep(0.2) print "child" end }:start()
      os.exit(5, true)
    ]]
    assert.equal(5, r.code)
    assert.equal("child\n", r.output)
  end)
end)

describe("SIGKILL of a process", function()
  it("at any instant is an exit code of -9, and no zombie", function()
    ends_empty([[
      local leaks = require "spec.support.leaks"
      local before = leaks.snapshot()
      local codes = {}
      for i = 1, 200 do
        local p = mp.Process{ target = function() local t = {} for k = 1, 1e9 do t[k % 100] = { k } end end }
        p:start()
        local start = mp.monotonic()
        while mp.monotonic() - start < i * 2e-5 do end
        p:kill()
        p:join()
        codes[p.exitcode] = (codes[p.exitcode] or 0) + 1
      end
      collectgarbage()
      collectgarbage()
      print(codes[-9], leaks.left(before))
    ]], "200\t\n")
  end)

  it("ends what it has forked and its pool", function()
    ends_empty([[
      local middle, owner = start "wait", start "pool"
      until_noted(5)
      middle:kill()
      owner:kill()
      middle:join()
      owner:join()
      print(middle.exitcode, owner.exitcode)
    ]], "-9\t-9\n")
  end)

  it("that somebody else has waited for is an unknown end", function()
    local r = run [[
      local p = start "sleep"
      until_noted(1)
      require "spec.signals".ignore_children()
      p:kill()
      p:join()
      print(p.exitcode, #mp.active_children())
    ]]
    assert.equal("255\t0\n", r.output, r.errors)
  end)
end)

describe("the end of a script", function()
  it("waits for its processes", function()
    ends_empty([[
      local p = mp.Process{ target = function() mp.sleep(0.3) print "child" end }
      p:start()
      print "parent"
    ]], "parent\nchild\n")
  end)

  it("ends its daemons, those too that will not hear", function()
    ends_empty([[
      local deaf = mp.Process{ daemon = true, target = function()
        require "spec.signals".block()
        note()
        mp.sleep(1000)
      end }
      deaf:start()
      local daemon = mp.Process{ daemon = true, target = function() note() mp.sleep(1000) end }
      daemon:start()
      until_noted(2)
      print "parent"
    ]], "parent\n")
  end)

  it("by an error waits, too", function()
    local r = run [[
      mp.Process{ target = function() mp.sleep(0.2) print "child" end }:start()
      error "parent"
    ]]
    assert.equal(1, r.code)
    assert.equal("child\n", r.output)
    assert.is_true(script.left_nothing(r))
  end)

  it("in a process ends its pools and waits for its processes", function()
    ends_empty([[
      local p = mp.Process{ target = function()
        local pool = mp.Pool(2)
        pool:map_async(function() note() mp.sleep(1000) end, mp.range(2))
        mp.Process{ target = function() mp.sleep(0.2) print "grandchild" end }:start()
        until_noted(2)
      end }
      p:start()
      p:join()
      print(p.exitcode)
    ]], "grandchild\n0\n")
  end)
end)

describe("Ctrl-C", function()
  it("ends a script that waits for a process, and the process", function()
    local r = run [[
      local p = start "sleep"
      until_noted(1)
      os.execute(("(sleep 0.1; kill -INT -%d) &"):format(mp.getpid()))
      p:join()
    ]]
    assert.is_not.equal(0, r.code)
    assert.matches("interrupted!", r.errors)
    assert.is_true(script.gone(r.pids, 10))
  end)

  it("of the script alone does not wait for a process at its end", function()
    local r = run [[
      local p = start "sleep"
      until_noted(1)
      os.execute(("(sleep 0.1; kill -INT %d; sleep 0.2; kill -INT %d) &"):format(mp.getpid(), mp.getpid()))
      p:join()
    ]]
    assert.is_not.equal(0, r.code)
    assert.matches("interrupted!", r.errors)
    assert.is_true(script.gone(r.pids, 10))
  end)
end)

describe("a process that cannot be forked", function()
  it("is an error of the system, and may be started later #fork", function()
    local r = run([[
      local leaks = require "spec.support.leaks"
      local before = leaks.snapshot()
      local p = mp.Process{ target = note }
      local ok, err = pcall(p.start, p)
      print(ok, err.kind, err.errno, p:is_alive(), #mp.active_children(), leaks.left(before))
      p:start()
      p:join()
      print(p.exitcode, lines())
    ]], { under = "env MOONPOOL_FAILPOINTS=process.start:error" })
    assert.equal("false\tsystem\t11\tfalse\t0\t\n0\t1\n", r.output, r.errors)
  end)

  it("is told so where there are threads, and where a fork is asked for", function()
    local r = run [[
      assert(require "spec.thread"())
      local p = mp.Process{ target = note, start_method = "fork" }
      local ok, err = pcall(p.start, p)
      print(ok, err.kind, err.message)
      os.exit(0) -- the thread's code must stay
    ]]
    assert.matches("^false\tstate\tstart method \"fork\" needs a process with one thread, this one has 2: start the "
      .. "process before other threads are started", r.output, 1, false)
  end)
end)

describe("a process object that is collected", function()
  it("goes on running, and its end is seen by the next one", function()
    ends_empty([[
      mp.Process{ target = function() mp.sleep(0.2) note() end }:start()
      collectgarbage()
      collectgarbage()
      print(#mp.active_children())
      until_noted(1)
      mp.sleep(0.05)
      print(#mp.active_children())
    ]], "1\n0\n")
  end)
end)
