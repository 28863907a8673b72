-- timeout: 120
-- What an item knows of itself, what it saves for its next attempt, and how far it says it is.
local script = require "spec.support.script"

local says = script.says [[
  local function kind(f, ...)
    local ok, err = pcall(f, ...)
    return not ok and err.kind or "none", not ok and err or nil
  end
  -- How often an item has begun, by files in a directory.
  local directory = os.tmpname()
  os.remove(directory)
  os.execute("mkdir " .. directory)
  local function begin(i)
    local file <close> = assert(io.open(directory .. "/" .. i, "a+"))
    file:write("x")
    file:flush()
    file:seek("set")
    return #file:read("a")
  end
  local cleaned <close> = setmetatable({}, { __close = function() os.execute("rm -r " .. directory) end })
  local function die() os.execute("kill -9 " .. mp.getpid()) end
]]

describe("task", function()
  it("is there while an item runs, and nowhere else", function()
    says("nil\nnil\tTask\ttrue\tnil\tnil\n", [[
      print(mp.task())
      local pool <close> = mp.Pool { processes = 1, initializer = function() first = tostring(mp.task()) end }
      local called
      local r = pool:apply_async(function()
        local p = mp.Process { target = function() os.exit(mp.task() == nil) end }
        p:start()
        p:join()
        return first, mp.type(mp.task()), p.exitcode == 0
      end, {}, function() called = tostring(mp.task()) end)
      local values = { r:get() }
      print(values[1], values[2], values[3], called, mp.task())
    ]])
  end)

  it("knows the item's index, attempt and seed, in every form of call", function()
    says("true\n", [[
      local pool <close> = mp.Pool(3)
      local function f()
        local t = mp.task()
        return { t.index, t.attempt, t.seed }
      end
      local right = true
      local function check(i, v) right = right and v[1] == i and v[2] == 1 and v[3] == 42 end
      local call = { seed = 42 }
      for _, input in ipairs { mp.range(50), mp.linspace(1, 2, 50), table.move({ ... }, 1, 0, 1,
        { ("x"):rep(50):byte(1, -1) }) } do
        for i, v in ipairs(pool:map(f, input, call)) do check(i, v) end
      end
      for i, v in pool:imap_unordered(f, mp.range(50), call) do check(i, v) end
      for i, v in ipairs(pool:starmap(f, mp.zip(mp.range(9), mp.range(9)), call)) do check(i, v) end
      check(1, pool:apply(f, {}, call))
      local ranks = pool:everywhere(f, {}, call)
      for i = 1, 3 do check(i, ranks[i]) end
      print(right)
    ]])
  end)

  it("is one object while an item runs, which does nothing behind it", function()
    says("true\tstate\tstate\tstate\t2\nthe item of this Task has ended\nencode\n", [[
      local pool <close> = mp.Pool(1)
      pool:apply(function() kept = mp.task(); kept:save("kept"); assert(kept == mp.task()) end)
      local values = table.pack(pool:apply(function()
        mp.task():save(2)
        local _, err = pcall(kept.saved, kept)
        return mp.task() ~= kept, err.kind, select(2, pcall(kept.save, kept, 1)).kind,
          select(2, pcall(kept.progress, kept, 1)).kind, mp.task():saved(), err.message
      end))
      print(table.unpack(values, 1, 5))
      print(values[6])
      print(select(2, kind(pool.apply, pool, function() return mp.task() end)).value.kind)
    ]])
  end)

  it("tells mistakes with the correct form", function()
    says("argument\tsave: called without its task; write task:save(...) with a colon\n" ..
      "argument\ttask: write mp.task(...) with a dot\n" ..
      "argument\tprogress: the argument must be a number from 0 to 1, got number 1.5\n" ..
      "argument\tprogress: the argument must be a number from 0 to 1, got number nan\n" ..
      "argument\tprogress: the argument must be a number from 0 to 1, got number -0.25\n" ..
      "argument\tprogress: the argument must be a number from 0 to 1, got string \"half\"\n" ..
      "argument\tprogress: the argument must be a number from 0 to 1, got nil\n", [[
      local pool <close> = mp.Pool(1)
      local list = pool:apply(function()
        local t, list = mp.task(), {}
        local function try(f, ...)
          local _, err = pcall(f, ...)
          list[#list + 1] = err.kind .. "\t" .. err.message:gsub("%-nan", "nan")
        end
        try(t.save, { 1 })
        try(mp.task, mp)
        for _, wrong in ipairs { 1.5, 0 / 0, -0.25, "half" } do try(t.progress, t, wrong) end
        try(t.progress, t)
        return list
      end)
      for _, line in ipairs(list) do print(line) end
    ]])
  end)
end)

describe("a saved state", function()
  it("is given to the same attempt, as a copy of the last", function()
    says("true\tnil\t2\t2\tfalse\ttrue\t7\n", [[
      local pool <close> = mp.Pool(1)
      print(pool:apply(function()
        local t, state = mp.task(), { n = 1, list = { 1, 2 }, f = function(x) return x + 1 end }
        state.self = state
        local none = t:saved() == nil
        t:save(nil)
        local empty = t:saved()
        t:save(state)
        state.n = 2
        t:save(state)
        state.n = 3
        local got, again = t:saved(), t:saved()
        return none, empty, got.n, #got.list, got == again, got.self == got, got.f(6)
      end))
    ]])
  end)

  for how, stop in pairs {
    raised = "error('no')", exited = "os.exit(5)", killed = "die()",
    ["run too long"] = "while true do end", ["not been able to return"] = "do return coroutine.create(print) end",
  } do
    it("is given to the attempt behind one that has " .. how, function()
      local source = [[
        local pool <close> = mp.Pool(2)
        local right = true
        local r = pool:map(function(i)
          local t = mp.task()
          local s = t:saved()
          if t.attempt ~= (s and s.attempt or 0) + 1 then return "wrong" end
          if i % 3 ~= 0 then return i end
          for n = 1, 3 do t:save { attempt = t.attempt, index = i, n = n, text = ("x"):rep(n * 1000) } end
          if t.attempt < 4 then STOP end
          return s.index == i and s.n == 3 and #s.text == 3000 and t.attempt or "wrong"
        end, { 10, 11, 12, 14 }, { retries = 3, timeout = 0.2, chunksize = 2 })
        for i, v in ipairs { 10, 11, 4, 14 } do right = right and r[i] == v end
        print(right, r[3])
      ]]
      says("true\t4\n", (source:gsub("STOP", stop)))
    end)
  end

  it("has the random numbers go on as if nothing had happened", function()
    says("true\ttrue\ttrue\n", [[
      local function draw(fails)
        return function(x)
          local task, random = mp.task(), math.random
          local state = task:saved() or { n = 0, sum = 0.0 }
          while state.n < 10 do
            state.n, state.sum = state.n + 1, state.sum + random()
            task:save(state)
            task:saved() -- which is this attempt's own
            if fails and state.n == 3 * task.attempt then error("again") end
          end
          return state.sum
        end
      end
      local pool <close> = mp.Pool(2)
      local broken = pool:map(draw(true), { 1, 2, 3 }, { seed = 9, retries = 3 })
      local whole = pool:map(draw(false), { 1, 2, 3 }, { seed = 9 })
      print(broken[1] == whole[1], broken[2] == whole[2], broken[3] == whole[3])
    ]])
  end)

  it("is the last one saved, whichever attempt that was", function()
    says("a b b d\n", [[
      local pool <close> = mp.Pool(2)
      print((pool:apply(function()
        local t = mp.task()
        local seen = t:saved() or {}
        if t.attempt == 1 then t:save { "a" } error "" end
        if t.attempt == 2 then seen[2] = "b" t:save(seen) error "" end
        if t.attempt == 3 then seen[3] = seen[2] error "" end
        if t.attempt == 4 then seen[3], seen[4] = "b", "d" t:save(seen) error "" end
        return table.concat(seen, " ")
      end, {}, { retries = 4 })))
    ]])
  end)

  it("belongs to its item, several to a granule, with bytes or made", function()
    says("true\ttrue\ttrue\n", [[
      local pool <close> = mp.Pool(3)
      local function f(i)
        local t = mp.task()
        local s = t:saved()
        if (s == nil) ~= (t.attempt == 1) or (s and s ~= i * t.index + t.attempt - 1) then return "wrong" end
        t:save(i * t.index + t.attempt)
        if t.attempt <= t.index % 4 then
          if t.index % 3 == 0 then die() end
          error("again")
        end
        return i
      end
      local function check(results)
        for i = 1, 120 do if results[i] ~= i then return false, results[i] end end
        return true
      end
      local call = { retries = 4, chunksize = 10 }
      local list = {}
      for i = 1, 120 do list[i] = i end
      local streamed = {}
      for i, v in pool:imap_unordered(f, list, { retries = 4 }) do streamed[i] = v end
      print(check(pool:map(f, list, call)), check(pool:map(f, mp.range(120), call)), (check(streamed)))
    ]])
  end)

  it("is gone with an item that is done, and with one that has failed for good", function()
    says("nil\ttask\tnil\n", [[
      local pool <close> = mp.Pool(1)
      local function f(fail)
        local t = mp.task()
        local s = t:saved()
        t:save("left")
        if fail then error "no" end
        return tostring(s)
      end
      pool:apply(f, {})
      print(pool:apply(f, {}), kind(pool.apply, pool, f, { true }), pool:apply(f, {}))
    ]])
  end)

  it("that cannot be encoded is an error, and costs nothing that was saved before", function()
    says("encode\tstate.deep.file\tcannot send a userdata (FILE*)\tbefore\nbefore\n", [[
      local pool <close> = mp.Pool(1)
      local saved
      local list = pool:apply(function()
        local t = mp.task()
        if t.attempt == 2 then return { t:saved() } end
        t:save("before")
        local ok, err = pcall(t.save, t, { deep = { file = io.tmpfile() } })
        local file <close> = io.open(directory .. "/said", "w")
        file:write(err.kind, "\t", err.path, "\t", err.message:match("cannot.*"), "\t", t:saved(), "\n")
        error "again"
      end, {}, { retries = 1 })
      io.write(io.open(directory .. "/said"):read("a"))
      print(list[1])
    ]])
  end)

  it("may be saved while the result is encoded, and what is saved meanwhile", function()
    says("true\ttrue\ttrue\n5\ttrue\n20\n", [[
      local logged = 0
      local pool <close> = mp.Pool { processes = 1, log = function() logged = logged + 1 end }
      local meta = { __reduce = function(self)
        mp.task():save { self.name, ("s"):rep(100000) }
        mp.log("")
        return function(name) return { name = name } end, self.name
      end }
      local function f(before)
        local t = mp.task()
        if t.attempt == 2 then return t:saved()[1], #t:saved()[2] == 100000 end
        local head, list = ("h"):rep(before), {}
        for i = 1, 5 do list[i] = setmetatable({ name = i }, meta) end
        if before == 77 then list[6] = io.tmpfile() end
        return head, list, ("t"):rep(before)
      end
      local said = {}
      for i, size in ipairs { 10, 3000, 3000000 } do
        local head, list, tail = pool:apply(f, { size })
        said[i] = head == ("h"):rep(size) and tail == ("t"):rep(size) and #list == 5 and list[5].name == 5
      end
      print(table.unpack(said))
      print(pool:apply(f, { 77 }, { retries = 1 }))
      pool:wait()
      print(logged)
    ]])
  end)

  it("may be as large as ten megabytes, many times", function()
    says("true\t10485760\n", [[
      local pool <close> = mp.Pool(2)
      local r = pool:map(function(i)
        local t = mp.task()
        local s = t:saved()
        if s then return #s == 10 << 20 and s:byte(1) == i and s:byte(-1) == i and #s end
        for n = 1, 5 do t:save(string.char(n == 5 and i or 99):rep(10 << 20)) end
        die()
      end, { 7, 8, 9 }, { retries = 1 })
      print(r[1] == r[2] and r[2] == r[3], r[1])
    ]])
  end)

  it("waits for room while the host is busy elsewhere, and is not lost", function()
    says("true\t150\n", [[
      local pool <close> = mp.Pool(1)
      local r = pool:apply_async(function()
        local t = mp.task()
        local s = t:saved()
        if s then return s.n, #s.text end
        for n = 1, 150 do t:save { n = n, text = ("%d "):format(n):rep(300000) } end
        die()
      end, {}, { retries = 1 })
      os.execute("sleep 0.7")
      local n, size = r:get()
      print(size == 300000 * 4, n)
    ]])
  end)

  it("leaves the host no larger", function()
    if (os.getenv("MOONPOOL_SANITIZE") or "") ~= "" then return end -- which keeps what was freed
    says("true\t300\n", [[
      local function resident() return tonumber(io.open("/proc/self/status"):read("a"):match("RssAnon:%s*(%d+)")) end
      local pool <close> = mp.Pool(2)
      local function f(n)
        local t = mp.task()
        for i = 1, n do t:save { i, ("x"):rep(1 << 20) } end
        return t:saved()[1]
      end
      pool:map(f, { 3, 3 })
      local before = resident()
      local r = pool:map(f, { 300, 300 })
      print(resident() - before < 32768, r[1])
    ]])
  end)

  it("goes with the item where it runs twice", function()
    says("true\n", [[
      local pool <close> = mp.Pool(3)
      local r = pool:map(function(i)
        local t = mp.task()
        local s = t:saved()
        if t.attempt == 1 then t:save(i) error "again" end
        if s ~= i then return "wrong" end
        if begin(i) == 1 and i == 4 then mp.sleep(1000) end
        return i
      end, mp.range(4), { retries = 1, duplicate = true })
      print(r[1] == 1 and r[2] == 2 and r[3] == 3 and r[4] == 4)
    ]])
  end)
end)

describe("progress of a task", function()
  it("is what workers() tells of the item that runs", function()
    says("true\ttrue\tnil\n", [[
      local pool <close> = mp.Pool(2)
      local gate = mp.Semaphore(0)
      local shown = mp.Semaphore(0)
      local core
      for i = 1, 20 do
        local name, value = debug.getupvalue(pool.workers, i)
        if name == "core" then core = value end
      end
      local r = pool:map_async(function(x)
        mp.task():progress(0)
        mp.task():progress(x)
        shown:release()
        gate:acquire()
        return x
      end, { 0.25, 0.625, 1, 0.1 })
      shown:acquire()
      shown:acquire()
      local seen = {}
      for _, w in ipairs(pool:workers()) do seen[w.item] = w.progress end
      local sum = core.fractions(r.call)
      for _ = 1, 4 do gate:release() end
      r:get()
      local idle = pool:workers()[1]
      print(seen[1] == 0.25 and seen[2] == 0.625, sum == 0.875, idle.progress)
      assert(core.fractions(r.call) == 0)
    ]])
  end)

  it("waits for nobody, and goes with the item", function()
    says("true\tnil\n", [[
      local pool <close> = mp.Pool(1)
      local done = mp.Semaphore(0)
      local many = pool:apply_async(function()
        local t = mp.task()
        for i = 1, 1000000 do t:progress(i / 1000000) end
        done:release()
        return true
      end)
      done:acquire() -- without a call of the pool's
      local came = many:get()
      local gate, there = mp.Semaphore(0), mp.Semaphore(0)
      local r = pool:apply_async(function() there:release() gate:acquire() end)
      there:acquire()
      local told = pool:workers()[1].progress
      gate:release()
      r:get()
      print(came, told)
    ]])
  end)
end)
