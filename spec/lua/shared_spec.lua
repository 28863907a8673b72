-- timeout: 90
-- Value and Array; with what CPython's _TestValue and _TestArray ask (Lib/test/_test_multiprocessing.py).
local script = require "spec.support.script"

local function says(expected, source)
  script.each_program(function(program)
    assert.equal(expected, script.output(source, { program = program }))
  end)
end

describe("a Value", function()
  it("is seen by all processes (test_value)", function()
    says("7\t0.5\t-3\ttrue\n100\t6.25\t-128\n", [[
      local codes = { { "i", 7, 100 }, { "d", 0.5, 6.25 }, { "b", -3, -128 } }
      local values = {}
      for k, c in ipairs(codes) do values[k] = mp.Value(c[1], c[2]) end
      print(values[1].value, values[2].value, values[3].value, mp.Value("i4").value == 0)
      local p = mp.Process{ target = function()
        for k, c in ipairs(codes) do values[k].value = c[3] end
      end }
      p:start()
      p:join()
      print(values[1].value, values[2].value, values[3].value)
    ]])
  end)

  it("has a lock (test_getobj_getlock)", function()
    says("RLock\ttrue\nfalse\n", [[
      local v = mp.Value("i4", 5)
      local lock = v:get_lock()
      print(tostring(lock):match "%a+", lock == v:get_lock())
      lock:acquire()
      local p = mp.Process{ target = function() print(v:get_lock():acquire(false)) end }
      p:start()
      p:join()
    ]])
  end)

  it("is added to in one step, by many at once", function()
    says("40000\t10000.0\n", [[
      local v, f = mp.Value("I2"), mp.Value("d")
      local all = {}
      for k = 1, 4 do
        all[k] = mp.Process{ target = function()
          for _ = 1, 10000 do v:add(1) f:add(0.25) end
        end }
        all[k]:start()
      end
      for k = 1, 4 do all[k]:join() end
      print(v.value, f.value)
    ]])
  end)

  it("keeps to its type's range, and is as it was where something does not fit", function()
    local TYPES = {
      b = { "-128", "127" }, B = { "0", "255" }, i2 = { "-32768", "32767" }, I2 = { "0", "65535" },
      i4 = { "-2147483648", "2147483647" }, I4 = { "0", "4294967295" },
    }
    for name, range in pairs(TYPES) do
      says(("%s\t%s\targument\targument\targument\targument\t%s\n"):format(range[1], range[2], range[2]), ([[
        local low, high = %s, %s
        local v = mp.Value(%q, low)
        local function refused(f, ...)
          local ok, err = pcall(f, ...)
          return not ok and err.kind
        end
        local function set(n) v.value = n end
        local first = v.value
        local below, under = refused(set, low - 1), refused(v.add, v, -1)
        v.value = high
        print(first, v.value, below, under, refused(set, high + 1), refused(v.add, v, 1), v.value)
      ]]):format(range[1], range[2], name))
    end
    says("9223372036854775807\targument\t-9223372036854775808\targument\n-1\targument\n", [[
      local v = mp.Value("i8", math.maxinteger)
      local function kind(f, ...) return select(2, pcall(f, ...)).kind end
      local a, b = v.value, kind(v.add, v, 1)
      v.value = math.mininteger
      print(a, b, v.value, kind(v.add, v, -1))
      v = mp.Value("I8", -1)
      print(v.value, kind(v.add, v, 1))
      v.value = 0
      assert(kind(v.add, v, -1) == "argument" and v:add(5) == 5 and v:add(-5) == 0)
    ]])
    says("inf\targument\t0.5\nnan\n", [[
      local v = mp.Value("f", math.huge)
      local inf = v.value
      local kind = select(2, pcall(function() v.value = 1e300 end)).kind
      v.value = 0.5
      print(inf, kind, v.value)
      v.value = 0 / 0
      print((tostring(v.value):gsub("-", "")))
    ]])
  end)

  for what, text in pairs {
    ["mp.Value('x')"] = "Value: the type must be one of b h i l j f d n, i1 i2 i4 i8 and their upper case, got x",
    ["mp.Value()"] = "Value: the type must be one of",
    ["mp.Value('i4', 'a')"] = "the value must be a signed integer of 4 bytes, got a",
    ["mp.Value('i4', 1.5)"] = "the value must be a signed integer of 4 bytes, got 1.5",
    ["mp.Value('d'):add(nil)"] = "add: the value must be a float of 8 bytes, got nil",
    ["mp.Array('i4')"] = "Array: the second argument must be a number of elements or a table, got nil",
    ["mp.Array('i4', -1)"] = "got number -1",
    ["mp.Array('i4', { 1, 'a' })"] = "set: the value must be a signed integer of 4 bytes, got a",
    ["mp.Array('i4', 3):set(2, { 1, 2, 3 })"] = "set: 3 elements from 2 on, of 3",
    ["mp.Array('i4', 3):set(math.maxinteger, { 1, 2 })"] = "set: 2 elements from 9223372036854775807 on, of 3",
    ["mp.Array('i4', 3):set('x', {})"] = "set: the first argument must be an integer, got string \"x\"",
    ["mp.Array('i4', 3):fill(2 ^ 40)"] = "fill: the value must be a signed integer of 4 bytes",
    ["mp.Array('i4', 3):slice('a')"] = "slice: the first argument must be an integer, got string \"a\"",
  } do
    it("names the mistake in " .. what, function()
      local output = script.output(("local ok, err = pcall(function() return %s end) print(ok, err.kind, err.message)")
        :format(what))
      assert.matches("^false\targument\t", output)
      assert.is_truthy(output:find(text, 1, true), output)
    end)
  end
end)

describe("an Array", function()
  it("is worked on by another process (test_array)", function()
    says("680 626 934 821 150 233 548 982 714 831\n680 1306 2240 3061 3211 3444 3992 4974 5688 6519\n", [[
      local function f(seq)
        for i = 2, #seq do seq[i] = seq[i] + seq[i - 1] end
      end
      local arr = mp.Array("i", { 680, 626, 934, 821, 150, 233, 548, 982, 714, 831 })
      print(table.concat(arr:totable(), " "))
      local p = mp.Process{ target = f, args = { arr } }
      p:start()
      p:join()
      print(table.concat(arr:totable(), " "))
    ]])
  end)

  it("is zeroes where only its size is said (test_array_from_size)", function()
    says("10\t0 0 0 0 0 0 0 0 0 0\n0 1 2 3 4 5 6 7 8 9\n10\t0 0 0 0 0 0 0 0 0 0\n0\n", [[
      for _ = 1, 2 do
        local arr = mp.Array("i", 10)
        print(#arr, table.concat(arr:totable(), " "))
        if _ == 1 then
          arr:set(1, { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 })
          print(table.concat(arr:totable(), " "))
        end
        arr = nil
        collectgarbage()
        collectgarbage()
      end
      print(#mp.Array("d", 0))
    ]])
  end)

  it("is read and written within its bounds", function()
    says("nil\tnil\tnil\t3\nargument\targument\targument\n2 3\t3\t1 2 3\t\n", [[
      local a = mp.Array("i8", { 1, 2, 3 })
      print(a[0], a[4], a[-1], a[3])
      local function write(i) return select(2, pcall(function() a[i] = 1 end)).kind end
      print(write(0), write(4), write("x"))
      local function cut(...) return table.concat(a:slice(...), " ") end
      print(cut(2), cut(-1), cut(-9, 9), cut(3, 2))
    ]])
  end)

  it("is set from a table, whole or not at all, from another Array, and filled", function()
    says("argument\t1 2 3 4\n1 9 8 4\n1 2 7 4\n5 5 5 5\n", [[
      local a = mp.Array("i8", { 1, 2, 3, 4 })
      local _, err = pcall(a.set, a, 2, { 7, "x" })
      print(err.kind, table.concat(a:totable(), " "))
      a:set(2, { 9, 8 })
      print(table.concat(a:totable(), " "))
      a:set(2, mp.Array("d", { 2, 7 }))
      print(table.concat(a:totable(), " "))
      a:fill(5)
      print(table.concat(a:totable(), " "))
    ]])
  end)

  it("of any type holds what string.pack would", function()
    says("true\n", [[
      local types = "b B h H i I l L j J T f d n i1 I1 i2 I2 i4 I4 i8 I8"
      for t in types:gmatch "%S+" do
        local a = mp.Array(t, { 1, 0, 100 })
        assert(a[1] == 1 and a[2] == 0 and a[3] == 100, t)
        assert(math.type(a[1]) == (("fdn"):find(t, 1, true) and "float" or "integer"), t)
      end
      print(true)
    ]])
  end)

  it("crosses to pools made before it, and outlives its maker", function()
    says("10 2 3\t10\n6\n", [[
      local pool <close> = mp.Pool(1)
      pool:map(math.abs, { 1, 2 })
      local a = mp.Array("i4", { 1, 2, 3 })
      print(table.concat(pool:apply(function(x) x[1] = 10 return x:totable() end, { a }), " "), a[1])
      local made = pool:apply(function() return mp.Array("i4", { 1, 2, 3 }) end)
      local sum = 0
      for i = 1, #made do sum = sum + made[i] end
      print(sum)
    ]])
  end)

  it("gives its memory back", function()
    says("true\ttrue\n", [[
      local account = require "spec.support.account"
      local before = account.held()
      local big = mp.Array("d", 1 << 20)
      big:fill(1)
      local with = account.held()
      big = nil
      collectgarbage()
      collectgarbage()
      print(with - before >= 8 << 20, account.held() - before < 1 << 20)
    ]])
  end)

  it("of a process that was killed goes with it", function()
    says("true\n", [[
      local account = require "spec.support.account"
      local function lose()
        local p = mp.Process{ target = function()
          kept = mp.Array("d", 1 << 17)
          os.execute("kill -9 " .. mp.getpid())
        end }
        p:start()
        p:join()
        return mp.Array("d", 10)
      end
      for _ = 1, 3 do lose() end
      local before = account.held()
      for _ = 1, 50 do lose() end
      collectgarbage()
      collectgarbage()
      print(account.held() - before < 4 << 20)
    ]])
  end)

  it("that does not fit into memory is an error of the system", function()
    says("system\n", [[
      local _, err = pcall(mp.Array, "d", 1 << 40)
      print(err.kind)
    ]])
  end)
end)

describe("a Value and an Array under SIGKILL", function()
  it("hold whole numbers, and their lock is set free", function()
    says("done\n", [[
      local v, a = mp.Value("i8"), mp.Array("i8", 2)
      local function work()
        while true do
          local held <close> = a:get_lock():hold()
          v:add(1)
          a[1] = v.value << 32 | v.value
          a[2] = a[1]
        end
      end
      for i = 1, 200 do
        local p = mp.Process{ target = work, daemon = true }
        p:start()
        local from = mp.monotonic()
        while mp.monotonic() - from < (i % 50) * 4e-5 do end
        p:kill()
        p:join()
        assert(a:get_lock():acquire(true, 10))
        for k = 1, 2 do assert(a[k] >> 32 == a[k] & 0xffffffff) end
        a:get_lock():release()
      end
      print "done"
    ]])
  end)
end)

describe("what was sent and has arrived", function()
  it("goes, though its sender lives: with tasks, in queues, to managers, in shared values", function()
    assert.equal("true\n", script.output [[
      local function cells()
        local at = mp.Lock()
        return tonumber(tostring(at):match "%d+") -- the first free one
      end
      local pool <close> = mp.Pool(1)
      local q, m <close> = mp.Queue(), mp.Manager()
      local d = m:dict()
      local function round()
        pool:apply(function(a) a:acquire() end, { mp.Lock() })
        q:put { mp.Lock(), mp.Event() }
        q:get()
        d.lock = mp.Lock()
        local lock = d.lock
        d.lock = nil
        local h = mp.share { mp.Lock() }
        pool:apply(function(x) return x:get()[1]:acquire() end, { h })
        pool:apply(function() collectgarbage() end)
        mp.update(d, "n", function() collectgarbage() end)
        lock, h = nil, nil
        collectgarbage()
        collectgarbage()
      end
      for _ = 1, 5 do round() end
      local most = 0
      for _ = 1, 30 do
        round()
        most = math.max(most, cells())
      end
      print(most < 64 or most)
    ]])
  end)
end)
