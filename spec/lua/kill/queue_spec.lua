-- timeout: 300
-- Queues, when those that put and get are killed: each value is there whole or not at all, the
-- others go on, and nothing is left.
local script = require "spec.support.script"

local TOOLS = [[
  local processes = require "spec.support.processes"
  local start, kill, at_some_instant = processes.start, processes.kill, processes.kill_at_some_instant
]]

local says = script.says(TOOLS)

describe("killed at any instant", function()
  for what, size in pairs { ["small values"] = 10, ["large ones"] = 60000 } do
    it("in put of " .. what .. ": what is there is whole, in order, and others go on", function()
      says("done\n", ([[
        local q = mp.Queue()
        local filling = ("0123456789"):rep(%d)
        local function put(name)
          local i = 0
          while true do
            i = i + 1
            q:put { name, i, filling, i }
            if q:qsize() > 50 then mp.sleep(0.0002) end
          end
        end
        local writers, last = { start(put, "w1"), start(put, "w2") }, {}
        local function take(v)
          local name, i = v[1], v[2]
          assert(v[3] == filling and v[4] == i)
          assert(i == (last[name] or 0) + 1, name .. " " .. i .. " " .. (last[name] or 0))
          last[name] = i
        end
        for i = 1, 200 do
          local k = i %% 2 + 1
          at_some_instant(writers[k], i)
          writers[k] = start(put, "v" .. i)
          for _ = 1, 5 do take(q:get(true, 10)) end
        end
        for k = 1, 2 do kill(writers[k]) end
        while not q:empty() do take(q:get(true, 10)) end
        q:put "still here"
        assert(q:get(true, 10) == "still here" and q:qsize() == 0)
        print "done"
      ]]):format(size // 10))
    end)
  end

  it("in get: each value goes to one at most, and what nobody has got stays", function()
    says("done\n", [[
      local q, got = mp.Queue(), mp.Queue()
      local function get()
        while true do
          local v = q:get()
          got:put(v)
        end
      end
      local readers, seen, n, lost, put = { start(get), start(get) }, {}, 0, 0, 0
      local filling = ("0123456789"):rep(5000)
      local function note(v)
        assert(not seen[v], v)
        seen[v], n = true, n + 1
      end
      for i = 1, 200 do
        for _ = 1, 10 do
          put = put + 1
          q:put(put)
          q:put(filling .. put)
        end
        local k = i % 2 + 1
        at_some_instant(readers[k], i)
        readers[k] = start(get)
        while not got:empty() do note(got:get()) end
      end
      while n < 2 * put - 200 or not q:empty() do
        local ok, v = pcall(got.get, got, true, 2)
        if not ok then break end
        note(v)
      end
      for k = 1, 2 do kill(readers[k]) end
      while not q:empty() do note(q:get()) end
      while not got:empty() do note(got:get()) end
      lost = 2 * put - n
      assert(lost <= 200, lost) -- one for each that was killed between get and put
      print "done"
    ]])
  end)

  it("in a full queue's put and an empty one's get: the others are not held up", function()
    says("done\n", [[
      local q, sum = mp.Queue(2), mp.Value("i8")
      local function put() while true do q:put(1) end end
      local function get() while true do sum:add(q:get()) end end
      local all = { start(put), start(put), start(get), start(get) }
      for i = 1, 200 do
        local k = i % 4 + 1
        at_some_instant(all[k], i)
        all[k] = start(k <= 2 and put or get)
        if i % 10 == 0 then
          local before = sum.value
          local deadline = mp.monotonic() + 10
          while sum.value < before + 10 do assert(mp.monotonic() < deadline, "nothing goes on") end
        end
      end
      for k = 1, 4 do kill(all[k]) end
      while not q:empty() do q:get(true, 5) end
      q:put(1)
      q:put(2)
      assert(q:full() and q:get(true, 5) == 1 and q:get(true, 5) == 2)
      print "done"
    ]])
  end)

  it("in mp.wait over queues: who puts goes on, and the next one that waits is called", function()
    says("done\n", [[
      local a, b = mp.Queue(), mp.Queue()
      local function wait() while true do mp.wait({ a, b }, 0.001) end end
      for i = 1, 200 do
        local p = start(wait)
        local putter = start(function() a:put(i) end)
        at_some_instant(p, i)
        assert(mp.wait({ a, b }, 10)[1] == a)
        assert(a:get(true, 5) == i)
        assert(putter:join(10))
      end
      print "done"
    ]])
  end)

  it("in task_done and join: nobody hangs", function()
    says("done\n", [[
      local q = mp.JoinableQueue()
      local function work() while true do q:get() q:task_done() end end
      for i = 1, 200 do
        local p, joiner = start(work), start(function() q:join() end)
        q:put(i)
        at_some_instant(i % 2 == 0 and p or joiner, i)
        if p:is_alive() then
          assert(q:join(10))
          kill(p)
        elseif not q:join(0) then -- it was killed between get and task_done, or before get
          if not q:empty() then q:get() end
          q:task_done()
          assert(q:join(10))
        end
        kill(joiner)
      end
      print "done"
    ]])
  end)
end)

describe("a process that is stopped within put or get", function()
  it("does not keep others from putting, in order, nor loses anything", function()
    says("done\n", [[
      local q = mp.Queue()
      local large = ("x"):rep(50000)
      local p = start(function()
        while true do
          q:put(0)
          if q:qsize() > 2000 then mp.sleep(0.001) end
        end
      end)
      local put, seen = 0, 0
      for _ = 1, 100 do
        mp.run { "kill", "-STOP", tostring(p.pid) }
        for _ = 1, 3 do
          put = put + 1
          q:put_nowait(put % 3 == 0 and { put, large } or { put })
        end
        mp.run { "kill", "-CONT", tostring(p.pid) }
      end
      kill(p)
      while not q:empty() do
        local v = q:get(true, 10)
        if v ~= 0 then
          assert(v[1] == seen + 1)
          seen = v[1]
        end
      end
      assert(seen == put)
      print "done"
    ]])
  end)
end)

describe("who is gone", function()
  it("has left what it took half-way to the others", function()
    says("again\n", [[
      local q, back = mp.Queue(), mp.Queue()
      -- a value that kills who rebuilds it, the first time
      local killed = mp.Value("i4")
      q:put(setmetatable({}, { __reduce = function()
        return function()
          if killed:add(1) == 1 then os.execute("kill -9 " .. mp.getpid()) end
          return "again"
        end
      end }))
      start(function() q:get() end):join()
      print(q:get(true, 5))
    ]])
  end)

  it("has left what its values refer to, however it ended", function()
    says("done\n", [[
      local q = mp.Queue()
      local made = {
        Lock = {}, RLock = {}, Semaphore = {}, Event = {}, Condition = {}, Barrier = { 2 },
        Value = { "i4", 7 }, Array = { "i4", 3 }, Queue = {}, share = { { 1 } },
      }
      for _, how in ipairs { "returns", "exits", "is killed" } do
        for name, args in pairs(made) do
          local p = start(function()
            q:put(mp[name](table.unpack(args)))
            if how == "exits" then os.exit(0) elseif how == "is killed" then mp.sleep(100) end
          end)
          if how == "is killed" then
            while q:empty() do mp.sleep(0.001) end
            p:kill()
          end
          p:join()
          collectgarbage()
          mp.Lock()
          local thing = q:get(true, 5)
          if name == "Condition" then thing:acquire() thing:release() end
          if name == "Value" then thing:get_lock():acquire() end
          assert(tostring(thing), name)
        end
      end
      print "done"
    ]])
  end)

  it("leaves nothing when all are killed", function()
    local r = script.run(TOOLS .. [[
      local q = mp.Queue()
      local p = start(function() while true do q:put(("x"):rep(100000)) mp.sleep(0.01) end end)
      for _ = 1, 5 do q:get() end
      os.execute("kill -9 -" .. mp.getpid())
    ]])
    assert.equal(9, r.signal)
    assert.is_true(script.left_nothing(r))
  end)
end)
