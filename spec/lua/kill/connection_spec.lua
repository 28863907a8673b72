-- timeout: 120
-- Connections whose other end is killed.
local script = require "spec.support.script"

local TOOLS = [[
  local processes = require "spec.support.processes"
  local start, kill, at_some_instant = processes.start, processes.kill, processes.kill_at_some_instant
]]

local says = script.says(TOOLS)

describe("a process killed at any instant", function()
  it("in send leaves whole messages, and an end", function()
    says("done\n", [[
      for i = 1, 200 do
        local r, w = mp.Pipe(false)
        local bytes = ("0123456789"):rep(i * 500)
        local p = start(function() while true do w:send({ bytes, bytes }) end end)
        at_some_instant(p, i)
        while true do
          local ok, message = pcall(r.recv, r)
          if not ok then
            assert(message.kind == "eof" or message.errno == 104, tostring(message))
            break
          end
          assert(message[1] == bytes and message[2] == bytes)
        end
      end
      print "done"
    ]])
  end)

  it("in recv is told to who sends", function()
    says("done\n", [[
      for i = 1, 200 do
        local r, w = mp.Pipe(false)
        local bytes = ("0123456789"):rep(500)
        local p = start(function() while true do r:recv() end end)
        start(function() mp.sleep(0) end):join()
        local told
        for _ = 1, i % 20 do w:send(bytes) end
        kill(p)
        repeat
          local ok, err = pcall(w.send, w, bytes)
          told = not ok and err
        until told
        assert(told.kind == "system" and told.errno == 32, tostring(told))
      end
      print "done"
    ]])
  end)
end)

describe("who receives", function()
  it("never waits for a process that is gone, though it has the other end itself", function()
    says("eof\neof\n", [[
      local a, b = mp.Pipe()
      local p = start(function() b:recv() end)
      local pid = p.pid
      start(function() mp.sleep(0.1) os.execute("kill -9 " .. pid) end)
      local ok, err = pcall(a.recv, a)
      print(err.kind)
      ok, err = pcall(b.recv, b)
      print(err.kind)
    ]])
  end)

  it("is stopped by Ctrl-C and by a time limit, and has lost nothing", function()
    local r = script.run [[
      local a, b = mp.Pipe()
      keep = mp.Process{ target = function() b:poll(1000) end, daemon = true }
      keep:start()
      os.execute(("(sleep 0.2; kill -INT %d) &"):format(mp.getpid()))
      a:recv()
    ]]
    assert.is_not.equal(0, r.code)
    assert.matches("interrupted!", r.errors)
    assert.is_true(script.left_nothing(r))
    says("timeout\n7\n", [[
      local a, b = mp.Pipe()
      local pool <close> = mp.Pool(1)
      local ok, err = pcall(pool.apply, pool, function() return a:recv() end, {}, { timeout = 0.2 })
      print(err.kind)
      b:send(7)
      print(a:recv())
    ]])
  end)
end)
