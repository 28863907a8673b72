-- timeout: 120
-- Queues: what crosses, between whom, how much, and what is left of it.
local script = require "spec.support.script"

local says = script.says('local processes = require "spec.support.processes" ')

describe("what is put", function()
  it("may be anything that crosses, nil and functions too", function()
    says("nil\t2\tabc\t9\n", [[
      local q, n = mp.Queue(), 3
      q:put(nil)
      q:put { a = 2 }
      q:put "abc"
      q:put(function(x) return x * n end)
      print(q:get(), q:get().a, q:get(), q:get()(3))
    ]])
  end)

  it("may be large, and many", function()
    says("true\ttrue\n5000050000\n", [[
      local q = mp.Queue()
      local large = ("0123456789abcdef"):rep(1 << 20)
      processes.start(function() q:put(large) q:put(large:reverse()) end)
      print(q:get() == large, q:get() == large:reverse())
      processes.start(function() for i = 1, 100000 do q:put(i) end end)
      mp.sleep(0.2)
      local sum = 0
      for _ = 1, 100000 do sum = sum + q:get() end
      print(sum)
    ]])
  end)

  it("comes in the order in which each has put it, each value once", function()
    says("true\t20000\n", [[
      local q, out, PUTTERS, EACH = mp.Queue(50), mp.Queue(), 4, 5000
      for k = 1, PUTTERS do
        processes.start(function()
          for i = 1, EACH do q:put { k, i, ("x"):rep(i % 300) } end
          q:put(nil)
        end)
      end
      local ended, sorted, n, last = 0, true, 0, { 0, 0, 0, 0 }
      while ended < PUTTERS do
        local v = q:get()
        if v == nil then
          ended = ended + 1
        else
          local k, i = v[1], v[2]
          sorted = sorted and last[k] == i - 1
          last[k], n = i, n + 1
        end
      end
      print(sorted, n)
    ]])
  end)

  it("goes to several takers, each value to one", function()
    says("50005000\t10000\n", [[
      local q, out, TAKERS = mp.Queue(), mp.Queue(), 4
      for _ = 1, TAKERS do
        processes.start(function()
          local sum, n = 0, 0
          for v in function() return q:get() end do sum, n = sum + v, n + 1 end
          out:put { sum, n }
        end)
      end
      for i = 1, 10000 do q:put(i) end
      for _ = 1, TAKERS do q:put(nil) end
      local sum, n = 0, 0
      for _ = 1, TAKERS do
        local part = out:get()
        sum, n = sum + part[1], n + part[2]
      end
      print(sum, n)
    ]])
  end)

  it("outlives who has put it", function()
    says("last words\n", [[
      local q = mp.Queue()
      local p = processes.start(function() q:put "last words" end)
      p:join()
      print(q:get(false))
    ]])
  end)
end)

describe("a queue", function()
  it("is sent to pools made before it, as an argument, an upvalue, a result, through itself",
    function()
      says("1\t4\t9\ntrue\nthrough\n", [[
        local pool <close> = mp.Pool(2)
        pool:map(function() end, mp.range(1, 4))
        local q = mp.Queue()
        pool:apply(function(into) into:put(1) end, { q })
        pool:apply(function() q:put(4) end)
        local made = pool:apply(function()
          local its = mp.Queue()
          its:put(9)
          return its
        end)
        print(q:get(), q:get(), made:get(true, 5))
        q:put(q)
        local same = q:get()
        print(same == q)
        local other = mp.Queue()
        q:put(other)
        processes.start(function() q:get():put "through" end)
        print(other:get(true, 10))
      ]])
    end)

  it("needs not be drained before its putter is joined", function()
    says("true\t2000000\n", [[
      local q = mp.Queue()
      local p = processes.start(function() q:put(("x"):rep(2000000)) end)
      print(p:join(20), #q:get())
    ]])
  end)

  it("gives the memory back that it has held", function()
    says("true\n", [[
      local function shared()
        local sum = 0
        for line in io.lines "/proc/self/smaps" do
          local at = line:match "^%x+%-%x+ .*memfd:(moonpool%-arena)"
          if at then counts = true elseif line:match "^%x+%-%x+ " then counts = false end
          if counts then sum = sum + (tonumber(line:match "^Pss:%s+(%d+)") or 0) end
        end
        return sum
      end
      local q = mp.Queue()
      for _ = 1, 50 do q:put(("x"):rep(1 << 20)) end
      local before = shared()
      for _ = 1, 50 do q:get() end
      q = nil
      collectgarbage()
      collectgarbage()
      local after = shared()
      print(before > 50000 and after < 5000 or before .. " " .. after)
    ]])
  end)

  it("refuses bad arguments by name", function()
    says("argument: Queue: the argument must be an integer from -2147483647 on, got string \"x\"\n"
      .. "argument: put: block must be a boolean, got number 1\n", [[
      local function why(f, ...)
        local _, err = processes.kind(f, ...)
        print(err.kind .. ": " .. err.message)
      end
      why(mp.Queue, "x")
      why(mp.Queue().put, mp.Queue(), 1, 1)
    ]])
  end)
end)

describe("who waits", function()
  it("is woken by the put, and by the get of a full one", function()
    says("1\ttrue\ntrue\n", [[
      local q = mp.Queue(1)
      local p = processes.start(function() mp.sleep(0.2) q:put(1) q:put(2) end)
      local before = mp.monotonic()
      print(q:get(), mp.monotonic() - before < 2)
      print(p:join(5))
    ]])
  end)

  it("waits for several by mp.wait, with other things among them", function()
    says("queue\t5\nprocess\nqueue\t6\n0\n", [[
      local a, b = mp.Queue(), mp.Queue()
      local r, w = mp.Pipe(false)
      local p = processes.start(function() mp.sleep(0.2) b:put(5) mp.sleep(0.2) end)
      local ready = mp.wait { a, b, p, r }
      print(ready[1] == b and "queue", b:get())
      ready = mp.wait { a, b, p, r }
      print(ready[1] == p and "process")
      a:put(6)
      print(mp.wait { a, b }[1] == a and "queue", a:get())
      print(#mp.wait({ a, b }, 0.05))
    ]])
  end)

  it("is closed with the variable that holds it", function()
    says("closed\tclosed\tclosed\n", [[
      local kinds = {}
      for i, make in ipairs { mp.Queue, mp.SimpleQueue, mp.JoinableQueue } do
        local kept
        do
          local q <close> = make()
          q:put(1)
          kept = q
        end
        kinds[i] = processes.kind(kept.get, kept)
      end
      print(table.unpack(kinds))
    ]])
  end)

  it("is stopped by Ctrl-C, and nothing is lost", function()
    local r = script.run [[
      local q = mp.Queue()
      os.execute(("(sleep 0.3; kill -INT %d) &"):format(mp.getpid()))
      q:get()
    ]]
    assert.is_not.equal(0, r.code)
    assert.matches("interrupted!", r.errors)
    assert.is_true(script.left_nothing(r))
  end)

  it("is stopped by an item's time limit", function()
    says("timeout\n8\n", [[
      local q = mp.Queue()
      local pool <close> = mp.Pool(1)
      local kind = processes.kind(pool.apply, pool, function() return q:get() end, {},
        { timeout = 0.2 })
      print(kind)
      q:put(8)
      print(q:get())
    ]])
  end)
end)
