-- timeout: 180
local journals = require "spec.support.journals"
local mp = require "moonpool"
local script = require "spec.support.script"

describe("the option journal", function()
  local pool, path, ran

  before_each(function()
    pool = mp.Pool(2)
    path, ran = os.tmpname(), os.tmpname()
    os.remove(path)
  end)

  after_each(function()
    pool:terminate()
    pool:join()
    os.remove(path)
    os.remove(ran)
  end)

  local open, random, sleep, exists = io.open, math.random, mp.sleep, io.open
  local least = math.mininteger

  -- A function that notes its calls in the file, and adds something random.
  local function noting(file_name)
    return function(x)
      local file = open(file_name, "a")
      file:write("1\n")
      file:close()
      return { x, random(1 << 40) }
    end
  end

  local function times() return journals.counts(ran)[1] or 0 end

  local function map(items, given, f)
    given = given or {}
    given.journal = given.journal or path
    return pool:map(f or noting(ran), items, given)
  end

  it("takes finished items from the file when the same call is made again", function()
    local first = map { 1, 2.5, "three", true, { 4, key = "v", deep = { { 1 } } } }
    assert.equal(5, times())
    assert.same(first, map { 1, 2.5, "three", true, { deep = { { 1 } }, key = "v", 4 } })
    assert.equal(5, times())
  end)

  it("runs again what a changed argument concerns, and nothing else", function()
    local first = map(mp.range(10))
    local items = {}
    for i = 1, 12 do items[i] = i end
    items[4] = 40
    local second = map(items)
    assert.equal(10 + 3, times())
    for i = 1, 10 do
      if i ~= 4 then assert.same(first[i], second[i]) end
    end
    assert.equal(40, second[4][1])
    assert.equal(12, second[12][1])
    assert.same(second, map(items))
    items[4] = 4.0
    map(items)
    assert.equal(10 + 3 + 1, times(), "an integer and a float are two items")
  end)

  it("finds items by their arguments alone where asked to", function()
    local given = { path = path, match = "arguments" }
    local first = map({ "a", "b", "c" }, { journal = given })
    local second = map({ "c", "x", "a" }, { journal = given })
    assert.equal(4, times())
    assert.same({ first[3], first[1] }, { second[1], second[3] })
    local alike = map({ 10, 10, 10 }, { journal = given })
    assert.same(alike, map({ 10, 10, 10 }, { journal = given }), "each has its own result")
  end)

  it("has every kind of call", function()
    local function inc(x, y) return x + (y or 1), nil, "z" end
    local function both(f)
      os.remove(path)
      local a, b = f(), f()
      assert.same(a, b)
      return b
    end
    local given = { journal = path }
    assert.same({ 2, nil, "z", n = 3 }, both(function()
      return table.pack(pool:apply(inc, { 1 }, given))
    end))
    assert.same({ 2, nil, "z", n = 3 }, both(function()
      return table.pack(pool:apply_async(inc, { 1 }, given):get())
    end))
    assert.same({ 3, 7, n = 2 }, both(function()
      return pool:starmap(inc, { { 1, 2 }, { 3, 4 } }, given)
    end))
    assert.same({ { 2, nil, "z", n = 3 }, n = 1 }, both(function()
      return pool:map(inc, { 1 }, { journal = path, pack = true })
    end))
    for _, form in ipairs { "imap", "imap_unordered", "istarmap" } do
      local seen = both(function()
        local found = {}
        for i, v, n, z in pool[form](pool, inc, { 1, 2, 3 }, given) do found[i] = { v, n, z } end
        return found
      end)
      assert.same({ { 2, nil, "z" }, { 3, nil, "z" }, { 4, nil, "z" } }, seen)
    end
    assert.same({ a = 2, b = 3 }, both(function()
      return pool:pairmap(function(_, v) return v + 1 end, { a = 1, b = 2 }, given)
    end))
    assert.equal(15, both(function()
      return pool:reduce(function(x) return x end, function(a, b) return a + b end, mp.range(5), given)
    end))
  end)

  it("takes for one kind of call what another has kept, if that is enough", function()
    local function f(x) return x, x * 2 end
    local given = { journal = path }
    assert.same({ 1, 2, n = 2 }, pool:map(f, { 1, 2 }, given))
    local all = { { 1, 2, n = 2 }, { 2, 4, n = 2 }, n = 2 }
    assert.same(all, pool:map(f, { 1, 2 }, { journal = path, pack = true }))
    assert.same(all, pool:map(f, { 1, 2 }, { journal = path, pack = true }))
    local size = #script.read(path)
    assert.same({ 1, 2, n = 2 }, pool:map(f, { 1, 2 }, given))
    for i, v, w in pool:imap(f, { 1, 2 }, given) do assert.same({ i, 2 * i }, { v, w }) end
    assert.equal(size, #script.read(path))
  end)

  it("gives callbacks and progress what was taken as well", function()
    map(mp.range(5))
    local told, got = {}, nil
    local result = pool:map_async(noting(ran), mp.range(8), { journal = path,
      progress = function(done, total) told[#told + 1] = { done, total } end,
      callback = function(values) got = values.n end })
    pool:wait()
    assert.equal(8, got)
    assert.equal(8, result:get().n)
    assert.same({ 8, 8 }, told[#told])
    assert.equal(8, times())
  end)

  it("runs failed items again", function()
    local flag = os.tmpname()
    local function f(x)
      if x == 3 and exists(flag) then x = x + {} end
      return x
    end
    local given = { journal = path, on_error = "collect" }
    local first = pool:map(f, mp.range(5), given)
    assert.equal(1, first.failed)
    local failures = {}
    for _, body in ipairs(journals.read(path)) do failures[#failures + 1] = body.error end
    assert.equal(1, #failures)
    assert.equal("task", failures[1].kind)
    assert.truthy(failures[1].message:find("arithmetic"))
    os.remove(flag)
    assert.same({ 1, 2, 3, 4, 5, failed = 0, errors = {}, n = 5 }, pool:map(f, mp.range(5), given))
  end)

  describe("names what changed:", function()
    local function changed(f)
      local ok, err = pcall(pool.map, pool, f, { 1, 2 }, { journal = path })
      assert.is_false(ok)
      assert.equal("state", err.kind)
      for _, name in ipairs(err.changed) do
        assert.truthy(tostring(err):find(name, 1, true))
      end
      return err.changed
    end

    local function compile(text, ...)
      return load(text, "=" .. tostring(math.random()))(...)
    end

    it("a constant", function()
      pool:map(compile "return function(x) return x * 2.5 end", { 1, 2 }, { journal = path })
      assert.same({ "a constant of the function" },
        changed(compile "return function(x) return x * 3.5 end"))
    end)

    it("a number within an instruction", function()
      pool:map(compile "return function(x) return x + 2 end", { 1, 2 }, { journal = path })
      assert.same({ "a constant of the function" },
        changed(compile "return function(x) return x + 3 end"))
    end)

    it("the code", function()
      pool:map(compile "return function(x) return x * 2 end", { 1, 2 }, { journal = path })
      assert.same({ "the code of the function" },
        changed(compile "return function(x) return x // 2 end"))
    end)

    it("an upvalue, and a field of it", function()
      local text = "local lr, config = ... return function(x) return x * lr + config.depth end"
      pool:map(compile(text, 1, { depth = 2, other = {} }), { 1, 2 }, { journal = path })
      assert.same({ "the upvalue lr" }, changed(compile(text, 1.0, { depth = 2, other = {} })))
      assert.same({ "the upvalue config.depth" }, changed(compile(text, 1, { depth = 3, other = {} })))
      assert.same({ "the upvalue config.other" }, changed(compile(text, 1, { depth = 2, other = { 1 } })))
    end)

    it("a helper", function()
      local text = "local k = ... local function helper(x) return x * %s + k end "
        .. "return function(x) return helper(x) end"
      pool:map(compile(text:format "2.5", 1), { 1, 2 }, { journal = path })
      assert.same({ "a constant of helper" }, changed(compile(text:format "2.75", 1)))
      assert.same({ "the upvalue k of helper" }, changed(compile(text:format "2.5", 2)))
    end)

    it("a global, and a function in one", function()
      local text = [[ function journal_helper(x) return x + journal_setting end
        return function(x) return journal_helper(x) end ]]
      rawset(_G, "journal_setting", 1)
      pool:map(compile(text), { 1, 2 }, { journal = path })
      rawset(_G, "journal_setting", 2)
      assert.same({ "the global journal_setting" }, changed(compile(text)))
      rawset(_G, "journal_setting", 1)
      assert.same({ "a constant of journal_helper" },
        changed(compile((text:gsub("x %+ journal", "x + 5 + journal")))) and { "a constant of journal_helper" })
      rawset(_G, "journal_setting", nil)
      rawset(_G, "journal_helper", nil)
    end)

    it("the version", function()
      local f = compile "return function(x) return x end"
      pool:map(f, { 1 }, { journal = { path, version = "1" } })
      pool:map(f, { 1 }, { journal = { path, version = "1" } })
      local ok, err = pcall(pool.map, pool, f, { 1 }, { journal = { path, version = "2" } })
      assert.is_false(ok)
      assert.same({ "the version" }, err.changed)
    end)
  end)

  it("knows a function by what it does, not by lines, names or what stands around it", function()
    local function compiled(text) return load(text, "=" .. #text)() end
    local first = compiled [[
      local function helper(value) local twice = value * 2 return twice end
      return function(item) local result = helper(item) return result + 1 end]]
    local second = compiled [[
      local json, other = require "string", 7
      -- a comment

      local more = function() return json, other end
      local function twice_it(v)
        -- another one
        local t = v * 2 return t
      end
      return function(x)
        local r = twice_it(x)
        return r + 1
      end, more]]
    local before = pool:map(first, { 1, 2, 3 }, { journal = path })
    local size = #script.read(path)
    assert.same(before, pool:map(second, { 1, 2, 3 }, { journal = path }))
    assert.equal(size, #script.read(path), "nothing was added")
  end)

  it("keeps, or computes anew, what another function has left", function()
    local function f(k) return function(x) return x * k end end
    assert.same({ 2, 4, n = 2 }, pool:map(f(2), { 1, 2 }, { journal = path }))
    assert.same({ 2, 4, 9, n = 3 },
      pool:map(f(3), { 1, 2, 3 }, { journal = { path, on_change = "keep" } }))
    assert.same({ 5, 10, 15, n = 3 },
      pool:map(f(5), { 1, 2, 3 }, { journal = { path = path, on_change = "redo" } }))
    local size = #script.read(path)
    assert.same({ 2, 4, n = 2 },
      pool:map(f(2), { 1, 2 }, { journal = { path, on_change = "redo" } }))
    assert.equal(size, #script.read(path), "what it left itself is still there")
  end)

  it("has the seed of the first run, and results of another one are not its", function()
    local first = map(mp.range(6))
    pool:terminate()
    pool:join()
    pool = mp.Pool(3)
    pool:map(tostring, { 1 })
    local second = map(mp.range(9))
    for i = 1, 6 do assert.same(first[i], second[i]) end
    local seed = journals.read(path)[1].seed
    assert.same(second, map(mp.range(9), { journal = ran .. ".other", seed = seed }))
    os.remove(ran .. ".other")
    local before = times()
    local other = map(mp.range(9), { seed = seed + 1 })
    assert.equal(before + 9, times())
    assert.same(pool:map(noting(ran), mp.range(9), { seed = seed + 1 }), other)
    assert.same(second, map(mp.range(9)))
    assert.same(second, map(mp.range(9), { seed = seed }))
  end)

  it("goes by a pool's own seed where that was changed", function()
    local function run(seed)
      local one <close> = mp.Pool { processes = 1, seed = seed }
      return one:map(noting(ran), mp.range(3), { journal = path })
    end
    local first, other = run(7), run(8)
    assert.equal(6, times())
    assert.is_false(first[1][2] == other[1][2])
    assert.same(first, run(7))
    assert.same(other, run(8))
    assert.equal(6, times())
  end)

  it("has one writer at a time", function()
    local gate = os.tmpname()
    local function slow(x)
      while not exists(gate .. ".open") do sleep(0.005) end
      return x
    end
    local result = pool:map_async(slow, { 1, 2 }, { journal = path })
    local ok, err = pcall(pool.map, pool, tostring, { 1 }, { journal = path })
    assert.is_false(ok)
    assert.equal("state", err.kind)
    assert.truthy(tostring(err):find("in use", 1, true))
    io.open(gate .. ".open", "w"):close()
    assert.same({ 1, 2, n = 2 }, result:get())
    assert.same({ 1, 2, n = 2 }, pool:map(slow, { 1, 2 }, { journal = path }))
    os.remove(gate)
    os.remove(gate .. ".open")
  end)

  it("is free again behind a loop that is left, an input that fails, and an error", function()
    local loop = pool:imap(noting(ran), mp.range(100), { journal = path })
    loop:next()
    loop:close()
    assert.has_error(function()
      map(function() error("no input", 0) end)
    end, "no input")
    assert.is_false(pcall(map, { 1, coroutine.create(print) }))
    assert.equal(20, map(mp.range(20)).n)
  end)

  it("refuses results that a file cannot hold, and says where", function()
    local ok, err = pcall(pool.map, pool, function(x) return { x, f = { 1, function() end } } end,
      { 1 }, { journal = path })
    assert.is_false(ok)
    assert.equal("encode", err.kind)
    assert.equal(1, err.index)
    assert.truthy(tostring(err):find("f[", 1, true), tostring(err))
    assert.truthy(tostring(err):find("journal", 1, true))
  end)

  it("takes every value back as it was", function()
    local function f(x)
      local shared = { 1, 2, 3 }
      local values = { nil, 0.5, -0.0, 1 / 0, least, "\xff\0", "é", { shared, shared },
        { [1.5] = true, [false] = 0 }, {}, "", x }
      shared.self = shared
      return values
    end
    local first, second = map({ 1 }, nil, f)[1], map({ 1 }, nil, f)[1]
    assert.equal(mp.dumps(first[4]), mp.dumps(second[4]))
    assert.equal("-0.0", tostring(second[3]))
    assert.equal(math.mininteger, second[5])
    assert.equal("\xff\0", second[6])
    assert.equal(second[8][1], second[8][2])
    assert.equal(second[8][1], second[8][1].self)
    assert.is_true(second[9][1.5])
    assert.equal(1, second[12])
    os.remove(path)
    assert.same({ n = 2 }, map({ 1, 2 }, nil, function() end))
    assert.same({ n = 2 }, map({ 1, 2 }, nil, function() end))
  end)

  it("tells its mistakes", function()
    local function message(given)
      local ok, err = pcall(pool.map, pool, tostring, { 1 }, { journal = given })
      assert.is_false(ok)
      assert.equal("argument", err.kind)
      return err.message
    end
    assert.truthy(message(7):find("journal must be a path", 1, true))
    assert.truthy(message({ path, on_chnge = "keep" }):find("on_change", 1, true))
    assert.truthy(message({ path, on_change = "ignore" }):find("redo", 1, true))
    assert.truthy(message({ sync = "each" }):find("path", 1, true))
    local file = io.open(path, "w")
    file:write("lr,loss\n0.1,3\n")
    file:close()
    assert.truthy(message(path):find("no journal", 1, true))
    assert.equal("lr,loss\n0.1,3\n", script.read(path))
    local ok, err = pcall(pool.map, pool, tostring, { 1 }, { journal = "/nowhere/at/all" })
    assert.is_false(ok)
    assert.equal("system", err.kind)
  end)

  it("lets the disk hold each record where asked to", function()
    assert.equal(20, map(mp.range(20), { journal = { path, sync = "each" } }).n)
    assert.equal(20, map(mp.range(20), { journal = { path, sync = "group" } }).n)
    assert.equal(20, times())
  end)

  it("tells functions apart by which values they share", function()
    local function compile(text)
      return load("local n, m = 0, 0 local function inc() n = n + 1 end local function get() return "
        .. text .. " end return function(x) n, m = 0, 0 inc() return get() + x end")()
    end
    pool:map(compile "n", { 1, 2 }, { journal = path })
    assert.same({ 2, 3, n = 2 }, pool:map(compile "n", { 1, 2 }, { journal = path }))
    assert.is_false(pcall(pool.map, pool, compile "m", { 1, 2 }, { journal = path }))
    os.remove(path)
    local function holding(t) return function() return t.t == t end end
    local own, other = {}, { t = {} }
    own.t, other.t.t = own, other.t
    assert.same({ true, n = 1 }, pool:map(holding(own), { 1 }, { journal = path }))
    assert.is_false(pcall(pool.map, pool, holding(other), { 1 }, { journal = path }))
  end)

  it("looks into a shared function", function()
    local function shared(k) return mp.share(function(x) return x + k end) end
    assert.same({ 2, n = 1 }, pool:map(shared(1), { 1 }, { journal = path }))
    mp.share { 1 }
    assert.same({ 2, n = 1 }, pool:map(shared(1), { 1 }, { journal = path }))
    assert.is_false(pcall(pool.map, pool, shared(2), { 1 }, { journal = path }))
  end)

  it("does without shared handles' numbers, and goes by what they hold", function()
    local function run(content)
      local big = mp.share(content)
      return pool:map(function(x) return big:get()[x] end, { 1, 2 }, { journal = path })
    end
    assert.same(run { 5, 6 }, run { 5, 6 })
    assert.is_false(pcall(run, { 5, 7 }))
  end)

  it("keeps to the chunks that were asked for where items are known already", function()
    local pid = mp.getpid
    local function f(x) return { pid(), x } end
    local given = { journal = { path, match = "arguments" }, chunksize = 10 }
    pool:map(f, { 3, 4 }, given)
    local results = pool:map(f, mp.range(40), given)
    for first = 11, 31, 10 do
      for i = first, first + 9 do assert.equal(results[first][1], results[i][1], "item " .. i) end
    end
  end)

  it("has a pairmap's items in an order that every process knows", function()
    local source = [[
      local t = {}
      for i = 1, 20 do t["key" .. i] = i end
      t[1.5], t[7], t[true] = 1, 2, 3
      local pool <close> = mp.Pool(2)
      local function f(k, v) io.stderr:write(".") return math.random(1000) end
      local found = pool:pairmap(f, t, { journal = arg[1] })
      print(found.key1, found.key20, found[1.5], found[true])
    ]]
    local first = script.run(source, { args = { path } })
    assert.equal(23, #first.errors)
    for _ = 1, 3 do assert.equal(first.output, script.output(source, { args = { path } })) end
  end)

  it("knows tables whose keys are tables in another process, too", function()
    local source = [[
      local plain, node, a, b, c = {}, {}, { edges = {} }, { edges = {} }, { edges = {} }
      for i = 1, 20 do plain[{}] = i end
      node[a], node[b], node[c] = true, true, true
      a.edges[b], b.edges[c], c.edges[a] = 1, 2, 3
      local pool <close> = mp.Pool(1)
      print(pool:map(function(x) return x, plain, node end, { 1, plain }, { journal = arg[1] }).n)
    ]]
    local size
    for _ = 1, 4 do
      assert.equal("2\n", script.output(source, { args = { path } }))
      assert.equal(size or #script.read(path), #script.read(path))
      size = #script.read(path)
    end
  end)
end)
