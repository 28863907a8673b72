-- timeout: 180
-- What CPython's _TestContainers and TestSyncManagerTypes ask (Lib/test/_test_multiprocessing.py), in
-- Lua's form.
local script = require "spec.support.script"

local TOOLS = [[
  local processes = require "spec.support.processes"
  local kind = processes.kind
  local function refuses(expected, ...) assert(kind(...) == expected) end
  local function in_child(f, ...)
    local p = processes.start(f, ...)
    assert(p:join(30) and p.exitcode == 0, p.exitcode)
  end
  local function same(list, expected)
    assert(table.concat(list, " ") == expected, table.concat(list, " "))
  end
  local manager <close> = mp.Manager()
]]

local function passes(body)
  script.each_program(function(program)
    assert.equal("passed\n", script.output(TOOLS .. body .. " print 'passed'", { program = program }))
  end)
end

describe("a manager's list", function()
  it("is like a list (test_list)", function()
    passes [[
      local a = manager:list { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 }
      same(a, "0 1 2 3 4 5 6 7 8 9")
      local b = manager:list()
      same(b, "")
      b:extend { 1, 2, 3, 4, 5 }
      same(b, "1 2 3 4 5")
      assert(b[3] == 3 and b[6] == nil)
      same(table.move(b, 3, 5, 1, {}), "3 4 5")
      for i = 1, 5 do b:append(b[i]) end
      same(b, "1 2 3 4 5 1 2 3 4 5")
      same(a, "0 1 2 3 4 5 6 7 8 9")
      local d = { a, b }
      local e = manager:list(d)
      same(e[1], "0 1 2 3 4 5 6 7 8 9")
      same(e[2], "1 2 3 4 5 1 2 3 4 5")
      local f = manager:list { a }
      a:append "hello"
      same(f[1], "0 1 2 3 4 5 6 7 8 9 hello")
    ]]
  end)

  it("is passed over whole (test_list_iter)", function()
    passes [[
      local a, all = manager:list { 0, 1, 2, 3 }, {}
      for _, v in ipairs(a) do all[#all + 1] = v end
      same(all, "0 1 2 3")
      all = {}
      for i, v in pairs(a) do all[#all + 1] = i .. "=" .. v end
      same(all, "1=0 2=1 3=2 4=3")
    ]]
  end)

  it("holds lists that live (test_list_proxy_in_list)", function()
    passes [[
      local rows = {}
      for i = 1, 3 do rows[i] = manager:list { 0, 1, 2 } end
      local a = manager:list(rows)
      for i = 1, 3 do same(a[i], "0 1 2") end
      a[1][3] = 55
      same(a[1], "0 1 55")
      for i = 2, 3 do same(a[i], "0 1 2") end
      assert(a[2]:pop() == 2 and #a[2] == 2)
      for i = 1, 3 do
        same(a[i], ({ "0 1 55", "0 1", "0 1 2" })[i])
      end
      rows = nil
      local b = manager:list()
      b:append(b)
      assert(#b == 1 and b[1] == b and #b[1][1] == 1)
      assert(type(tostring(b)) == "string")
    ]]
  end)

  it("is changed by another process (test_list, of the manager's types)", function()
    passes [[
      local o = manager:list()
      o:append(5)
      in_child(function(obj)
        assert(#obj == 1 and obj[1] == 5 and obj:count(5) == 1 and obj:index(5) == 1)
        obj:sort()
        obj:reverse()
        for _, x in ipairs(obj) do assert(x == 5) end
        assert(obj:pop(1) == 5)
      end, o)
      assert(#o == 0)
      refuses("argument", o.pop, o)
      refuses("argument", o.index, o, 3)
      refuses("argument", o.remove, o, 3)
    ]]
  end)
end)

describe("a manager's dict", function()
  it("is like a table (test_dict)", function()
    passes [[
      local d = manager:dict()
      local indices = {}
      for i = 65, 69 do
        d[i] = string.char(i)
        indices[#indices + 1] = i
      end
      local keys, values = {}, {}
      for k, v in pairs(d) do
        keys[#keys + 1], values[#values + 1] = k, v
      end
      table.sort(keys)
      table.sort(values)
      same(keys, "65 66 67 68 69")
      same(values, "A B C D E")
      assert(d[65] == "A" and d[1] == nil)
      d[65] = nil
      assert(d[65] == nil)
    ]]
  end)

  it("holds dicts that live (test_dict_proxy_nested)", function()
    passes [[
      local pets = manager:dict { ferrets = 2, hamsters = 4 }
      local supplies = manager:dict { water = 10, feed = 3 }
      local d = manager:dict { pets = pets, supplies = supplies }
      assert(supplies.water == 10 and d.supplies.water == 10)
      d.supplies.blankets = 5
      assert(supplies.blankets == 5 and d.supplies.blankets == 5)
      d.supplies.water = 7
      assert(supplies.water == 7 and d.supplies.water == 7)
      pets, supplies = nil, nil
      collectgarbage()
      assert(d.supplies.water == 7 and d.pets.hamsters == 4)
      d.supplies.blankets = nil
      local l = manager:list { d }
      assert(l[1].pets.ferrets == 2)
      l[1].pets.ferrets = 6
      assert(d.pets.ferrets == 6)
    ]]
  end)

  it("is changed by another process (test_dict, of the manager's types)", function()
    passes [[
      local o = manager:dict { foo = 5 }
      in_child(function(obj)
        local n = 0
        for k, v in pairs(obj) do
          assert(k == "foo" and v == 5)
          n = n + 1
        end
        assert(n == 1 and obj.foo == 5 and obj.bar == nil)
        obj.foo = nil
      end, o)
      assert(next((function() local t = {} for k in pairs(o) do t[k] = true end return t end)()) == nil)
    ]]
  end)
end)

describe("a manager's", function()
  it("namespace (test_namespace)", function()
    passes [[
      local n = manager:Namespace()
      n.name = "Bob"
      n.job = "Builder"
      n._hidden = "hidden"
      assert(n.name == "Bob" and n.job == "Builder")
      n.job = nil
      assert(n.name == "Bob" and n.job == nil and n._hidden == "hidden")
      n.x = 0
      in_child(function(obj)
        assert(obj.x == 0)
        obj.x = 1
      end, n)
      assert(n.x == 1)
    ]]
  end)

  it("event (test_event)", function()
    passes [[
      local o = manager:Event()
      in_child(function(obj)
        assert(not obj:is_set())
        obj:set()
        obj:wait(0.001)
      end, o)
      assert(o:is_set())
      o:clear()
      assert(not o:is_set() and o:wait(0.001) == false)
    ]]
  end)

  it("locks and semaphores (test_lock, test_rlock, test_semaphore)", function()
    passes [[
      for _, name in ipairs { "Lock", "RLock", "Semaphore", "BoundedSemaphore" } do
        local o = manager[name](manager)
        in_child(function(obj) obj:acquire() obj:release() end, o)
        assert(o:acquire(false))
      end
      refuses("state", function()
        local bounded = manager:BoundedSemaphore(1)
        bounded:release()
      end)
    ]]
  end)

  it("condition (test_condition)", function()
    passes [[
      local o = manager:Condition()
      in_child(function(obj) obj:acquire() obj:release() end, o)
      o:acquire()
      local p = processes.start(function() o:acquire() o:notify_all() o:release() end)
      assert(o:wait(10))
      o:release()
      assert(p:join(10))
    ]]
  end)

  it("barrier (test_barrier)", function()
    passes [[
      local o = manager:Barrier(5)
      in_child(function(obj) assert(obj.parties == 5) obj:reset() end, o)
    ]]
  end)

  it("queues (test_queue, test_joinable_queue)", function()
    passes [[
      local o = manager:Queue(2)
      in_child(function(obj)
        assert(obj:qsize() == 0 and not obj:full() and obj:empty())
        obj:put(5)
        assert(not obj:full() and not obj:empty())
        assert(obj:get() == 5)
        assert(obj:empty())
      end, o)
      o = manager:JoinableQueue()
      o:put(5)
      in_child(function(obj) assert(obj:get() == 5) obj:task_done() end, o)
      assert(o:join(10))
    ]]
  end)

  it("value and array (test_value, test_array)", function()
    passes [[
      local o = manager:Value("i4", 1)
      in_child(function(obj) assert(obj.value == 1) obj.value = 2 end, o)
      assert(o.value == 2)
      local a = manager:Array("i4", { 0, 1 })
      in_child(function(obj)
        assert(obj[1] == 0 and obj[2] == 1 and #obj == 2)
        local all = obj:totable()
        assert(all[1] == 0 and all[2] == 1)
      end, a)
    ]]
  end)

  it("things in its dicts and lists are what they were", function()
    passes [[
      local d = manager:dict { lock = manager:Lock(), queue = mp.Queue(), f = function(x) return x + 1 end }
      in_child(function()
        d.lock:acquire()
        d.queue:put(d.f(4))
        d.lock:release()
      end)
      assert(d.queue:get(true, 10) == 5 and d.lock:acquire(false))
    ]]
  end)
end)
