-- timeout: 120
-- Connections that are sent: through connections, queues and tasks; what CPython's
-- _TestPicklingConnections asks; and without the right to fetch descriptors.
local script = require "spec.support.script"

local TOOLS = [[
  local processes = require "spec.support.processes"
  local start, kind = processes.start, processes.kind
  local function descriptors()
    local n = 0
    for _ in io.popen("ls /proc/" .. mp.getpid() .. "/fd"):lines() do n = n + 1 end
    return n
  end
]]

-- Both ways: fetched from the sender, and by the socket that all have.
local WAYS = {
  ["fetched"] = "",
  ["by a socket"] = "env MOONPOOL_FAILPOINTS=passing.needed:error@1+,pidfd.fetch:error@1+",
}

for way, under in pairs(WAYS) do
  local says = script.says(TOOLS, { under = under })

  describe("a connection, " .. way .. ",", function()
    it("is sent through a connection, and speaks there (test_pickling)", function()
      says("hello\tHELLO\neof\n", [[
        local families, theirs = mp.Pipe()
        local p = start(function()
          local conn = theirs:recv()
          conn:send(conn:recv():upper())
          conn:close()
          theirs:recv()
        end)
        local a, b = mp.Pipe()
        families:send(b)
        b:close()
        a:send "hello"
        print("hello", a:recv())
        print((kind(a.recv, a)))
      ]])
    end)

    it("is sent with a task, as an argument, an upvalue and a result", function()
      says("1\t2\tfrom a worker\n", [[
        local pool <close> = mp.Pool(2)
        pool:apply(function() end)
        local r, w = mp.Pipe(false)
        pool:apply(function(c) c:send(1) end, { w })
        pool:apply(function() w:send(2) end)
        local one, two = r:recv(), r:recv()
        local theirs = pool:apply(function()
          local a, b = mp.Pipe()
          keep = a
          a:send "from a worker"
          return b
        end)
        print(one, two, theirs:recv())
      ]])
    end)

    it("is sent through a queue, and its sender may close it at once (test_access)", function()
      says("17\n", [[
        local q = mp.Queue()
        local p = start(function()
          local conn = q:get()
          conn:send(17)
          conn:close()
        end)
        local r, w = mp.Pipe(false)
        q:put(w)
        w:close()
        print(r:recv())
        p:join()
      ]])
    end)

    it("ends when those that have received it have ended, and not before it has arrived", function()
      says("false\neof\neof\n", [[
        local q = mp.Queue()
        local r, w = mp.Pipe(false)
        q:put(w)
        w:close()
        print(r:poll(0.3))
        local p = start(function()
          local conn = q:get()
          mp.sleep(0.2)
        end)
        print((kind(r.recv, r)))
        r, w = mp.Pipe(false)
        q:put(w)
        local conn = q:get() -- to itself
        w:close()
        conn:close()
        print((kind(r.recv, r)))
      ]])
    end)

    it("leaves no descriptor behind", function()
      says("true\n", [[
        local q = mp.Queue()
        local before = descriptors()
        local p = start(function()
          while true do q:get():close() end
        end)
        for _ = 1, 300 do
          local a, b = mp.Pipe()
          q:put(b)
          b:close()
          assert(kind(a.recv, a) == "eof")
          a:close()
        end
        p:kill()
        p:join()
        p:close()
        collectgarbage()
        print(descriptors() <= before + 1 or descriptors() - before)
      ]])
    end)

    it("leaves none where it is never received, either", function()
      says("true\n", [[
        local q, full = mp.Queue(), mp.Queue(1)
        full:put(1)
        local before = descriptors()
        local function several(f)
          for _ = 1, 20 do
            local a, b = mp.Pipe()
            f(a)
          end
          collectgarbage()
          collectgarbage()
        end
        several(function(c) pcall(q.put, q, { c, coroutine.create(print) }) end)
        several(function(c) pcall(full.put, full, c, false) end)
        several(function(c) mp.share(c) end)
        several(function(c) mp.Queue():put(c) end)
        local pool = mp.Pool(2)
        local list = {}
        several(function(c) list[#list + 1] = c end)
        pool:map_async(function() mp.sleep(0.05) end, list)
        list = nil
        pool:terminate()
        pool:join()
        pool = nil
        collectgarbage()
        collectgarbage()
        local a, b = mp.Pipe()
        q:put(a)
        q:get()
        b:close()
        a:close()
        print(descriptors() <= before + 3 or descriptors() - before)
      ]])
    end)

    it("of a dead sender is an error, and the other end knows", function()
      says("closed\neof\n", [[
        local q, told = mp.Queue(), mp.Queue()
        local r, w = mp.Pipe(false)
        local p = start(function()
          q:put(w)
          told:put(1)
          mp.sleep(1000)
        end)
        told:get()
        w:close()
        processes.kill(p)
        local what = kind(q.get, q)
        print(what == "decode" and "closed" or what)
        print((kind(r.recv, r)))
      ]])
    end)

    it("in the middle of a message cannot be sent", function()
      says("encode\n", [[
        local a, b = mp.Pipe()
        local q = mp.Queue()
        local large = ("x"):rep(10000000)
        debug.sethook(function()
          if b:poll() then
            debug.sethook()
            error "stop"
          end
        end, "", 1)
        pcall(a.send_bytes, a, large)
        print((kind(q.put, q, a)))
      ]])
    end)
  end)
end

it("who sends and who receives may be killed at any instant", function()
  local r = script.run(TOOLS .. [[
    local q = mp.Queue()
    local function receive()
      while true do
        local ok, conn = pcall(q.get, q)
        if ok then pcall(conn.send, conn, "here") conn:close() end
      end
    end
    local function send()
      while true do
        local a, b = mp.Pipe()
        q:put(b)
        b:close()
        if a:poll(0.005) then pcall(a.recv, a) end
        a:close()
      end
    end
    local all = { start(send), start(receive), start(send), start(receive) }
    for i = 1, 200 do
      local k = i % 4 + 1
      processes.kill_at_some_instant(all[k], i)
      all[k] = start(k % 2 == 1 and send or receive)
    end
    for k = 1, 4 do processes.kill(all[k]) end
    while not q:empty() do pcall(q.get, q) end
    local a, b = mp.Pipe()
    q:put(b)
    b:close()
    local p = start(receive)
    assert(a:recv() == "here")
    print "done"
  ]])
  assert.equal("done\n", r.output, r.errors)
  assert.is_true(script.left_nothing(r))
end)
