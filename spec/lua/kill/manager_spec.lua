-- timeout: 240
-- Managers, when their clients are killed, and when they are.
local script = require "spec.support.script"

local TOOLS = [[
  local processes = require "spec.support.processes"
  local start, kill, at_some_instant = processes.start, processes.kill, processes.kill_at_some_instant
]]

local says = script.says(TOOLS)

describe("a client that is killed in a call", function()
  it("has done it or not, and the others are served", function()
    says("done\n", [[
      local m <close> = mp.Manager()
      local d, l, lock = m:dict { n = 0, m = 0 }, m:list(), m:Lock()
      local function work(filling)
        while true do
          mp.update(d, "n", function(old) return old + 1 end)
          mp.update(d, "m", function(old) return old + 1 end)
          l:append(filling)
          while #l > 20 do pcall(l.pop, l) end
          lock:acquire()
          lock:release()
        end
      end
      local clients = { start(work, "x"), start(work, ("y"):rep(50000)) }
      for i = 1, 200 do
        local k = i % 2 + 1
        at_some_instant(clients[k], i)
        clients[k] = start(work, k == 1 and "x" or ("y"):rep(50000))
        local before = d.n
        assert(#l <= 400, #l)
        assert(lock:acquire(true, 10))
        lock:release()
        assert(d.n >= before)
      end
      kill(clients[1])
      kill(clients[2])
      mp.sleep(0.01)
      assert(d.n >= d.m and d.n <= d.m + 202, d.n - d.m)
      for _, v in ipairs(l) do assert(v == "x" or v == ("y"):rep(50000)) end
      print "done"
    ]])
  end)
end)

describe("a client that is killed while its function runs in the server", function()
  it("does not hold the others up", function()
    says("1\n", [[
      local m <close> = mp.Manager()
      local d = m:dict { a = 1 }
      local p = start(function() mp.update(d, "a", function() while true do end end) end)
      mp.sleep(0.2)
      kill(p)
      print(d.a)
    ]])
  end)
end)

describe("a server that is killed", function()
  it("is a clear error for all who call then, at any instant", function()
    says("done\n", [[
      for i = 1, 50 do
        local m = mp.Manager()
        local d = m:dict { n = 0 }
        local server = mp.active_children()[1]
        local client = start(function()
          local ok, err
          repeat ok, err = pcall(function() d.n = d.n + 1 end) until not ok
          os.exit(err.kind == "closed" and 7 or 1)
        end)
        at_some_instant(server, i)
        local kind = processes.kind(function() return d.n end)
        assert(kind == "closed", kind)
        assert(client:join(20) and client.exitcode == 7, client.exitcode)
      end
      print "done"
    ]])
  end)

  it("ends with its maker, however that ends", function()
    local r = script.run(TOOLS .. [[
      local m = mp.Manager()
      local d = m:dict()
      d.x = 1
      os.execute("kill -9 " .. mp.getpid())
    ]])
    assert.equal(9, r.signal)
    assert.is_true(script.left_nothing(r))
  end)
end)
