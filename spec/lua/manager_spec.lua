-- timeout: 120
-- Managers: proxies that feel like tables, changes in one step, concurrent clients, and the end.
local script = require "spec.support.script"

local TOOLS = [[
  local processes = require "spec.support.processes"
  local function why(f, ...)
    local _, err = processes.kind(f, ...)
    print(err.kind .. ": " .. err.message)
  end
]]

local says = script.says(TOOLS)

describe("a proxy", function()
  it("is taken by the table library", function()
    says("0 1 2 3 4\n4\t0 1 2 3\n3\t2\t1\t0\n0 1 2 3\n1 2 3\n0\tnil\n", [[
      local m <close> = mp.Manager()
      local l = m:list { 1, 2, 3 }
      table.insert(l, 4)
      table.insert(l, 1, 0)
      print(table.concat(l, " "))
      print(table.remove(l), table.concat(l, " "))
      table.sort(l, function(a, b) return a > b end)
      print(table.unpack(l, 1, #l))
      table.sort(l)
      print(table.concat(l, " "))
      table.remove(l, 1)
      print(table.concat(l, " "))
      for _ = 1, 5 do table.remove(l) end
      print(#l, table.remove(l))
    ]])
  end)

  it("prints what it holds", function()
    says('{1, "two", {3}}\n{a = 1, list = {1, "two", {3}}}\n{x = "a\\nb"}\n', [[
      local m <close> = mp.Manager()
      local l = m:list { 1, "two", { 3 } }
      print(l)
      print(m:dict { list = l, a = 1 })
      print(m:Namespace { x = "a\nb" })
    ]])
  end)

  it("is the same one wherever it comes from", function()
    says("true\ttrue\ttrue\n", [[
      local m <close> = mp.Manager()
      local inner = m:list()
      local outer = m:dict { inner = inner }
      local pool <close> = mp.Pool(1)
      print(outer.inner == inner, pool:apply(function(x) return x end, { inner }) == inner,
        pool:apply(function() return outer.inner == inner end))
    ]])
  end)

  it("is sent to pools made before it, and used there", function()
    says("55\t{1, 4, 9, 16, 25, 36, 49, 64, 81, 100}\n", [[
      local pool <close> = mp.Pool(2)
      pool:apply(function() end)
      local m <close> = mp.Manager()
      local squares, sums = m:list(), m:dict { sum = 0 }
      pool:map(function(i)
        squares:append(i * i)
        mp.update(sums, "sum", function(old) return old + i end)
      end, mp.range(1, 10))
      squares:sort()
      print(sums.sum, squares)
    ]])
  end)

  it("takes anything to iterate over for a list, and refuses what it would lose", function()
    says("{1, 2, 3, 1, 2, 3, 4}\n{1, 2, 3}\nargument\targument\targument\n7\n", [[
      local m <close> = mp.Manager()
      local l = m:list(mp.range(3))
      l:extend(l)
      l:extend { 4 }
      print(l)
      print(m:list(mp.each(ipairs { 1, 2, 3 })))
      print((processes.kind(l.extend, l, 5)), (processes.kind(l.extend, l, { 1, nil, 3 })),
        (processes.kind(m.list, m, "abc")))
      print(#l)
    ]])
  end)

  it("of a manager that is gone says so, wherever it comes from", function()
    says("closed\tnext\n", [[
      local q = mp.Queue()
      processes.start(function()
        local m = mp.Manager()
        q:put(m:dict { x = 1 })
        q:put "next"
      end):join()
      local proxy = q:get(true, 5)
      print((processes.kind(function() return proxy.x end)), q:get(true, 5))
    ]])
  end)

  it("says what is wrong", function()
    says("argument: list: element 5 of 3\n"
      .. "argument: list: element 1 of 3 cannot be nil; pop it\n"
      .. "argument: list: the place must be an integer, got string \"x\"\n"
      .. "argument: insert: place 9 in a list of 3\n"
      .. "argument: append: a list holds no nil\n"
      .. "argument: dict: the key must be a value but nil and nan, got nil\n"
      .. "argument: update: the first argument must be a manager's proxy, got table\n"
      .. "argument: append: called without its list; write list:append(...) with a colon\n"
      .. "encode: value: cannot send a thread\n3\n", [[
      local m <close> = mp.Manager()
      local l, d = m:list { 1, 2, 3 }, m:dict()
      why(function() l[5] = 1 end)
      why(function() l[1] = nil end)
      why(function() l.x = 1 end)
      why(l.insert, l, 9, 1)
      why(l.append, l, nil)
      why(function() d[nil] = 1 end)
      why(mp.update, {}, "a", print)
      why(l.append, 5)
      why(l.append, l, coroutine.create(print))
      print(#l)
    ]])
  end)
end)

describe("update", function()
  it("is one step, whoever else changes the same", function()
    says("2000\n", [[
      local m <close> = mp.Manager()
      local d, all = m:dict { n = 0 }, {}
      for i = 1, 4 do
        all[i] = processes.start(function()
          for _ = 1, 500 do mp.update(d, "n", function(old) return old + 1 end) end
        end)
      end
      for i = 1, 4 do all[i]:join() end
      print(d.n)
    ]])
  end)

  it("gives what it has set, changes lists, removes by nil, and leaves all where f raises", function()
    says("7\t7\n{1, 20, 3}\nnil\tnil\nfalse\ttrue\t5\n", [[
      local m <close> = mp.Manager()
      local d, l = m:dict { a = 6, b = 5 }, m:list { 1, 2, 3 }
      print(mp.update(d, "a", function(old) return old + 1 end), d.a)
      mp.update(l, 2, function(old) return old * 10 end)
      print(l)
      print(mp.update(d, "a", function() return nil end), d.a)
      local ok, err = pcall(mp.update, d, "b", function() error "no" end)
      print(ok, err:find "no" ~= nil, d.b)
    ]])
  end)

  it("stores nothing that cannot be sent, and nothing of what a failing one did", function()
    says("encode\tfalse\nfalse\t1\nargument\targument\n", [[
      local m <close> = mp.Manager()
      local d = m:dict { t = { 1 } }
      print(processes.kind(mp.update, d, "q", function() return coroutine.create(print) end), d.q or false)
      print((pcall(mp.update, d, "t", function(t) t[1] = 2 error "no" end)), d.t[1])
      print((processes.kind(mp.update, d, nil, print)), (processes.kind(mp.update, d, 0 / 0, print)))
    ]])
  end)

  it("may use proxies of its own manager", function()
    says("3\t{1, 2, 3}\n", [[
      local m <close> = mp.Manager()
      local l = m:list { 1, 2 }
      local d = m:dict { l = l }
      print(mp.update(d, "n", function()
        d.l:append(3)
        return #l
      end), l)
    ]])
  end)
end)

describe("the server", function()
  it("ends by shutdown, by its block and with its maker, and says that it is gone", function()
    says("closed: the manager's server is gone\ndict (its manager is gone)\nclosed: the manager's server is gone\n"
      .. "closed: the manager's server is gone\n0\n", [[
      local m = mp.Manager()
      local d = m:dict()
      m:shutdown()
      m:shutdown()
      why(function() return d.a end)
      print(d)
      do
        local block <close> = mp.Manager()
        d = block:dict()
      end
      why(function() d.a = 1 end)
      why(m.list, m)
      print(#mp.active_children())
      mp.Manager()
    ]])
  end)

  it("is not ended by who did not make it", function()
    says("state: shutdown: only the process that made the manager can end it\n1\n", [[
      local m <close> = mp.Manager()
      local d = m:dict { a = 1 }
      processes.start(function() why(m.shutdown, m) io.stdout:flush() end):join()
      print(d.a)
    ]])
  end)

  it("outlives a Ctrl-C that its maker handles", function()
    local r = script.run [[
      local m <close> = mp.Manager()
      local d = m:dict { a = 1 }
      os.execute(("(sleep 0.3; kill -INT -%d) &"):format(mp.getpid()))
      print(pcall(mp.sleep, 10))
      print(d.a)
    ]]
    assert.matches("^false\t.*interrupted!\n1\n$", r.output)
    assert.is_true(script.left_nothing(r))
  end)

  it("says what it cannot decode, and goes on", function()
    says("decode\t4\n", [[
      local m <close> = mp.Manager()
      local d = m:dict()
      local broken = setmetatable({}, { __reduce = function()
        return function() error "cannot be built" end
      end })
      local kind = processes.kind(function() d.x = broken end)
      d.x = 4
      print(kind, d.x)
    ]])
  end)

  it("serves many at once, and forgets those that have gone", function()
    says("200\n", [[
      local m <close> = mp.Manager()
      local l = m:list()
      for round = 1, 10 do
        local all = {}
        for i = 1, 20 do all[i] = processes.start(function() l:append(i) end) end
        for i = 1, 20 do all[i]:join() end
      end
      print(#l)
    ]])
  end)
end)
