-- timeout: 60
-- mp.wait: what is ready of several.
local script = require "spec.support.script"

describe("wait", function()
  it("gives what is ready, in the order given, and nothing when the time is over", function()
    assert.equal("0\n1\ttrue\n2\ttrue\ttrue\n", script.output [[
      local long = mp.Process{ target = mp.sleep, args = { 1.5 } }
      local short = mp.Process{ target = mp.sleep, args = { 0.5 } }
      long:start()
      short:start()
      print(#mp.wait({ long, short }, 0.01))
      local ready = mp.wait { long, short }
      print(#ready, ready[1] == short)
      long:join()
      ready = mp.wait { long, short }
      print(#ready, ready[1] == long, ready[2] == short)
    ]])
  end)

  it("takes results of pools, and lets the pool go on", function()
    assert.equal("true\t49\ntrue\n", script.output [[
      local pool <close> = mp.Pool(2)
      local slow = pool:apply_async(function() mp.sleep(0.3) end)
      local quick = pool:apply_async(function(x) return x * x end, { 7 })
      local p = mp.Process{ target = mp.sleep, args = { 10 }, daemon = true }
      p:start()
      local ready = mp.wait { p, slow, quick }
      print(ready[1] == quick, quick:get())
      while #ready < 2 do ready = mp.wait({ p, slow, quick }, 0.05) end
      print(ready[1] == slow)
      p:kill()
      p:join()
    ]])
  end)

  it("takes a connection for ready that nobody is left to speak to", function()
    assert.equal("1\nfalse\teof\n0\n1\nfalse\teof\n", script.output [[
      local function eof(c)
        local ok, err = pcall(c.recv, c)
        print(ok, err.kind)
      end
      local pool <close> = mp.Pool(1)
      pool:start()
      local r, w = mp.Pipe(false)
      pool:apply_async(function(c) c:send(1) c:close() end, { w })
      w:close()
      r:recv()
      print(#mp.wait({ r }, 60))
      eof(r)
      local a, b = mp.Pipe()
      print(#mp.wait({ a, b }, 0))
      local p = mp.Process { target = function() b:poll(1000) end }
      p:start()
      p:kill()
      p:join()
      b:close()
      print(#mp.wait({ a }, 60))
      eof(a)
    ]])
  end)

  it("has nothing to wait for in an empty list", function()
    assert.equal("0\n0\ttrue\n", script.output [[
      print(#mp.wait {})
      local start = mp.monotonic()
      print(#mp.wait({}, 0.1), mp.monotonic() - start >= 0.1)
    ]])
  end)

  it("names what it cannot wait for", function()
    assert.equal("argument\twait: each object must be a Process, an AsyncResult, a Connection or a Queue, "
      .. "got number 3\n"
      .. "argument\twait: the first argument must be a list, got nil\n"
      .. "state\twait: Process-1 was not started yet\n", script.output [[
      for _, objects in pairs { { 3 }, false, { mp.Process{} } } do
        local ok, err = pcall(mp.wait, objects or nil)
        print(err.kind, err.message)
      end
    ]])
  end)
end)
