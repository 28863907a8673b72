-- timeout: 120
-- What CPython's _TestConnection, _TestPoll and TestWait ask (Lib/test/_test_multiprocessing.py), in
-- Lua's form.
local script = require "spec.support.script"

local TOOLS = [[
  local processes = require "spec.support.processes"
  local start, kind = processes.start, processes.kind
  local function takes(f, ...)
    local before = mp.monotonic()
    local result = f(...)
    return mp.monotonic() - before, result
  end
]]

local function passes(body)
  script.each_program(function(program)
    assert.equal("passed\n", script.output(TOOLS .. body .. " print 'passed'", { program = program }))
  end)
end

describe("a connection", function()
  it("carries values and bytes (test_connection)", function()
    passes [[
      local conn, child = mp.Pipe()
      local p = start(function(c)
        while true do
          local bytes = c:recv_bytes()
          if bytes == "" then break end
          c:send_bytes(bytes)
        end
        while true do
          local v = c:recv()
          if v == "stop" then break end
          c:send(v)
        end
        c:close()
      end, child)
      local msg = "hello world"
      conn:send_bytes(msg)
      assert(conn:recv_bytes() == msg)
      local long = ("0123456789abcdef"):rep(1 << 20)
      conn:send_bytes(long)
      assert(conn:recv_bytes() == long)
      conn:send_bytes("")
      local seq = { 1, 2.25, false, { "deep", { er = {} } }, "a\0b" }
      conn:send(seq)
      local back = conn:recv()
      assert(back[1] == 1 and math.type(back[1]) == "integer" and back[2] == 2.25 and back[3] == false)
      assert(back[4][2].er and back[5] == "a\0b")
      assert(conn:poll() == false and conn:poll(-1) == false)
      local taken, ready = takes(conn.poll, conn, 0.2)
      assert(taken >= 0.19 and taken < 5 and ready == false)
      conn:send(nil)
      assert(conn:poll(10) == true and conn:recv() == nil)
      local f = function(x) return x + #msg end
      conn:send(f)
      assert(conn:recv()(1) == 12)
      conn:send("stop")
      child:close()
      assert(conn.readable and conn.writable)
      assert(kind(conn.recv, conn) == "eof" and kind(conn.recv_bytes, conn) == "eof")
      p:join()
    ]]
  end)

  it("of a pipe that is not duplex goes one way (test_duplex_false)", function()
    passes [[
      local reader, writer = mp.Pipe(false)
      assert(writer:send(1) == nil and reader:recv() == 1)
      assert(reader.readable and not reader.writable and not writer.readable and writer.writable)
      assert(kind(reader.send, reader, 2) == "state")
      assert(kind(writer.recv, writer) == "state" and kind(writer.poll, writer) == "state")
    ]]
  end)

  it("goes on when its other holders have closed it (test_spawn_close)", function()
    passes [[
      local conn, child = mp.Pipe()
      local p = start(function() for _ = 1, 2 do child:send_bytes(child:recv_bytes()) end end)
      child:close()
      assert(child.closed and not conn.closed and kind(child.send, child, 1) == "closed")
      for _ = 1, 2 do
        conn:send_bytes("hello")
        assert(conn:recv_bytes() == "hello")
      end
      conn:close()
      conn:close()
      p:join()
    ]]
  end)

  it("sends parts of a string (test_sendbytes)", function()
    passes [[
      local a, b = mp.Pipe()
      local msg = "abcdefghijklmnopqrstuvwxyz"
      local function crosses(expected, ...)
        a:send_bytes(msg, ...)
        assert(b:recv_bytes() == expected)
      end
      crosses(msg)
      crosses(msg:sub(5), 5)
      crosses(msg:sub(7, 14), 7, 14)
      crosses(msg:sub(-3), -3)
      crosses("", 27)
      crosses("", 5, 4)
      assert(kind(a.send_bytes, a, 3) == "argument" and kind(a.send_bytes, a, msg, "x") == "argument")
      a:send_bytes(msg)
      local k, err = kind(b.recv_bytes, b, 25)
      assert(k == "system" and err.errno == 90)
      assert(b:recv_bytes(26) == msg)
    ]]
  end)

  it("without another end refuses to send, and has come to the end", function()
    passes [[
      local a, b = mp.Pipe()
      b:close()
      local k, err = kind(a.send, a, 1)
      assert(k == "system" and err.errno == 32)
      assert(kind(a.recv, a) == "eof")
    ]]
  end)

  it("sends what crosses and refuses the rest", function()
    passes [[
      local a, b = mp.Pipe()
      assert(kind(a.send, a, coroutine.create(print)) == "encode")
      a:send(7)
      assert(b:recv() == 7)
    ]]
  end)
end)

describe("poll", function()
  it("sees an empty message (test_empty_string)", function()
    passes [[
      local a, b = mp.Pipe()
      assert(a:poll() == false)
      b:send_bytes("")
      assert(a:poll() == true and a:poll() == true)
      assert(a:recv_bytes() == "" and a:poll() == false)
    ]]
  end)

  it("keeps messages apart (test_strings, test_boundaries, test_dont_merge)", function()
    passes [[
      local strings = { "hello", "", "a", "b", "", "bye", "", "lop" }
      local a, b = mp.Pipe()
      local p = start(function()
        for _, s in ipairs(strings) do mp.sleep(0.01) b:send_bytes(s) end
      end)
      for _, s in ipairs(strings) do
        while not a:poll(0.002) do end
        assert(a:recv_bytes() == s)
      end
      p:join()
      p = start(function() for _ = 1, 2 do b:send_bytes("first") b:send_bytes("second") end end)
      p:join()
      for _ = 1, 2 do
        assert(a:poll(1) and a:poll() and a:recv_bytes() == "first")
        assert(a:poll() and a:recv_bytes() == "second")
      end
      assert(a:poll() == false)
    ]]
  end)
end)

describe("wait", function()
  it("gives the readers that have something, until all have ended (test_wait)", function()
    passes [[
      local readers, seen = {}, {}
      for i = 1, 4 do
        local r, w = mp.Pipe(false)
        readers[i] = r
        start(function()
          for k = 1, 10 do
            mp.sleep(math.random() * 0.005)
            w:send({ k, mp.getpid() })
          end
          w:close()
        end)
        w:close()
      end
      while #readers > 0 do
        for _, r in ipairs(mp.wait(readers)) do
          local k, err = kind(function()
            local message = r:recv()
            local pid = message[2]
            seen[pid] = (seen[pid] or 0) + message[1]
          end)
          if k then
            assert(k == "eof", tostring(err))
            for i = #readers, 1, -1 do
              if readers[i] == r then table.remove(readers, i) end
            end
          end
        end
      end
      local n = 0
      for _, sum in pairs(seen) do assert(sum == 55) n = n + 1 end
      assert(n == 4)
    ]]
  end)

  it("ends when its time is over (test_wait_timeout, test_neg_timeout)", function()
    passes [[
      local a, b = mp.Pipe()
      local taken, ready = takes(mp.wait, { a, b }, 0.2)
      assert(#ready == 0 and taken >= 0.19 and taken < 5)
      b:send(nil)
      taken, ready = takes(mp.wait, { a, b }, 20)
      assert(#ready == 1 and ready[1] == a and taken < 5)
      a:recv()
      taken, ready = takes(mp.wait, { a }, -1)
      assert(#ready == 0 and taken < 1)
    ]]
  end)

  it("takes processes among connections (test_wait_integer)", function()
    passes [[
      local a, b = mp.Pipe()
      local p = start(mp.sleep, 0.2)
      assert(#mp.wait({ a, p, b }, 0.05) == 0)
      local ready = mp.wait { a, p, b }
      assert(#ready == 1 and ready[1] == p)
      a:send(1)
      ready = mp.wait { a, p, b }
      assert(#ready == 2 and ready[1] == p and ready[2] == b)
    ]]
  end)
end)
