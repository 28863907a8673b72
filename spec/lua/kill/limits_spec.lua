-- timeout: 120
-- Scripts in poor circumstances, and hosts that do not look after their pools.
local script = require "spec.support.script"

local WORK = [[
  local pool = mp.Pool(4)
  local results = pool:map(function(x) return x * 2 end, mp.range(1000))
  local right = results.n == 1000
  for i = 1, 1000 do right = right and results[i] == i * 2 end
  local lossy = pool:map(function(x)
    if x == 3 then os.exit(2) end
    return x
  end, mp.range(5), { on_error = "collect" })
  local text = pool:apply(string.rep, { "x", 100000 })
  pool:close()
  pool:join()
  local file = io.open(arg[1], "w")
  file:write(tostring(right), " ", lossy.failed, " ", lossy.errors[3].kind, " ", #text)
  file:close()
]]

-- The work gets done below `sh -c COMMAND`, in which "$@" is the script.
local function works(command, program)
  local path = script.temporary()
  local r = script.run(WORK, { program = program, args = { path },
    under = "sh -c '" .. command .. "' sh" })
  local said = script.read(path)
  os.remove(path)
  assert.equal("true 1 worker_lost 100000", said, r.errors)
  assert.equal(0, r.code)
  assert.is_true(script.left_nothing(r))
end

script.each_program(function(program)
  describe("a pool of " .. program .. " works", function()
    it("with standard files closed", function()
      works('exec "$@" <&-', program)
      works('exec "$@" <&- >&- 2>&-', program)
      works('exec "$@" >&-', program)
    end)

    it("with few descriptors", function() works('ulimit -n 24; exec "$@"', program) end)

    it("with little address space", function()
      if (os.getenv("MOONPOOL_SANITIZE") or "") ~= "" then return end
      works('ulimit -v 4000000; exec "$@"', program)
      works('ulimit -v 500000; exec "$@"', program)
    end)

    it("with short files", function() works('ulimit -f 1000; exec "$@"', program) end)

    it("with signals ignored", function()
      works([[trap "" CHLD; exec "$@"]], program)
      works([[trap "" INT PIPE TERM; exec "$@"]], program)
    end)
  end)
end)

describe("too few descriptors", function()
  it("are told with the call that failed", function()
    local r = script.run("mp.Pool(64):map(math.abs, { 1 })",
      { under = [[sh -c 'ulimit -n 20; exec "$@"' sh]] })
    assert.equal(1, r.code)
    assert.matches("Too many open files", r.errors)
    assert.is_true(script.left_nothing(r))
  end)
end)

describe("results that nobody takes", function()
  local HOARD = [[
    local pool = mp.Pool(2)
    local pending = pool:map_async(function() return ("x"):rep(1 << 18) end, mp.range(1000), 1)
    mp.sleep(0.3)
  ]]

  it("are there when they are asked for", function()
    assert.equal("1000\t262144\n", script.output(HOARD .. [[
      pool:close()
      pool:join()
      local results = pending:get()
      print(results.n, #results[1000])
    ]]))
  end)

  it("do not keep the pool from its end", function()
    assert.equal("true\tcancelled\n", script.output(HOARD .. [[
      pool:terminate()
      print(pool:join(), select(2, pcall(pending.get, pending)).kind)
    ]]))
  end)

  it("do not keep workers from theirs", function()
    local r = script.run(HOARD .. "os.execute('kill -9 ' .. mp.getpid())")
    assert.equal(9, r.signal)
    assert.is_true(script.left_nothing(r))
  end)

  it("do not stop an apply of the same pool", function()
    assert.equal("7\t1000\n", script.output(HOARD .. [[
      print(pool:apply(math.abs, { -7 }), pending:get().n)
      pool:close()
      pool:join()
    ]]))
  end)
end)

describe("a stopped worker", function()
  local STOP = [[
    local pool = mp.Pool(2)
    local pids = pool:map(function()
      mp.sleep(0.1)
      return mp.getpid()
    end, { 1, 2 }, 1)
    os.execute("kill -STOP " .. pids[1])
    local pending = pool:map_async(function(x)
      mp.sleep(0.005)
      return x
    end, mp.range(50), 1)
  ]]

  it("leaves the work to the others, but for what it had claimed", function()
    assert.equal("50\n", script.output(STOP .. [[
      pending:wait(0.5)
      os.execute("kill -CONT " .. pids[1])
      print(pending:get().n)
      pool:close()
      pool:join()
    ]]))
  end)

  it("does not keep the pool from its end", function()
    assert.equal("true\n", script.output(STOP .. "pool:terminate() print(pool:join())"))
  end)

  it("may be killed", function()
    local said = script.output(STOP .. [[
      os.execute("kill -KILL " .. pids[1])
      local ok, err = pcall(pending.get, pending)
      print(ok or err.kind == "worker_lost" and err.pid == pids[1])
      print(pool:apply(math.abs, { -1 }))
      pool:close()
      pool:join()
    ]])
    assert.equal("true\n1\n", said)
  end)
end)

describe("many results at once", function()
  it("are all there", function()
    assert.equal("20000100000\n", script.output([[
      local pool <close> = mp.Pool(2)
      local results, sum = {}, 0
      for i = 1, 200000 do results[i] = pool:apply_async(math.abs, { -i }) end
      for i = 1, 200000 do sum = sum + results[i]:get() end
      print(sum)
    ]]))
  end)
end)
