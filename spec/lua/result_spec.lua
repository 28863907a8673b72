local mp = require "moonpool"

-- What travels names no globals in here: busted's blocks have environments of their own.
local error = error

local function add(a, b) return a + b end

local function slow(x)
  mp.sleep(0.05)
  return x
end

describe("apply", function()
  local pool
  setup(function() pool = mp.Pool(2) end)
  teardown(function()
    pool:close()
    pool:join()
  end)

  it("returns all values", function()
    assert.same({ 7, "x", nil, 5, n = 4 },
      table.pack(pool:apply(function(a, b) return a + b, "x", nil, 5 end, { 3, 4 })))
    assert.equal(0, select("#", pool:apply(function() end)))
    assert.same({ nil, n = 1 }, table.pack(pool:apply(function() return nil end)))
  end)

  it("unpacks args up to n", function()
    local n, last = pool:apply(function(...) return mp.getpid() and { ... }, (...) end, { n = 3, 1 })
    assert.same({ 1 }, n)
    assert.equal(1, last)
  end)

  it("runs in another process", function()
    assert.not_equal(mp.getpid(), pool:apply(mp.getpid))
  end)

  it("runs a C function", function()
    assert.equal(1, pool:apply(math.floor, { 1.5 }))
    assert.equal("ab", pool:apply(string.rep, { "ab", 1 }))
  end)

  it("takes callbacks as options", function()
    local got
    assert.equal(3, pool:apply(add, { 1, 2 }, { callback = function(v) got = v end }))
    pool:wait()
    assert.equal(3, got)
  end)
end)

describe("AsyncResult", function()
  local pool
  setup(function() pool = mp.Pool(2) end)
  teardown(function()
    pool:close()
    pool:join()
  end)

  it("gets all values, as often as asked", function()
    local r = pool:apply_async(function() return 1, nil, 3 end)
    assert.same({ 1, nil, 3, n = 3 }, table.pack(r:get()))
    assert.same({ 1, nil, 3, n = 3 }, table.pack(r:get()))
  end)

  it("becomes ready while it is asked", function()
    local r = pool:apply_async(slow, { 1 })
    while not r:ready() do end
    assert.is_true(r:successful())
    assert.equal(1, r:get())
  end)

  it("says whether it was successful, once it is ready", function()
    local good, bad = pool:apply_async(slow, { 1 }), pool:apply_async(error, { "x" })
    local ok, err = pcall(good.successful, good)
    assert.is_false(ok)
    assert.equal("state", err.kind)
    good:wait()
    bad:wait()
    assert.is_true(good:successful())
    assert.is_false(bad:successful())
  end)

  it("waits up to a time", function()
    local r = pool:apply_async(mp.sleep, { 0.2 })
    assert.is_false(r:wait(0))
    assert.is_false(r:wait(-1))
    assert.is_false(r:wait(0.01))
    assert.is_true(r:wait())
    assert.is_true(r:wait(0))
  end)

  it("raises a timeout from get, and is got later", function()
    local r = pool:apply_async(slow, { 5 })
    local ok, err = pcall(r.get, r, 0)
    assert.is_false(ok)
    assert.equal("timeout", err.kind)
    assert.equal(5, r:get(60))
  end)

  it("raises the same error from each get", function()
    local r = pool:apply_async(error, { "boom", 0 })
    local function get() return (r:get()) end
    local line = debug.getinfo(get, "S").linedefined
    local _, first = pcall(get)
    assert.equal("task", first.kind)
    assert.matches(("result_spec.lua:%d$"):format(line), first.called_from)
    local _, second = pcall(function() return (r:get()) end)
    assert.is_true(rawequal(first, second))
    assert.matches(("result_spec.lua:%d$"):format(line + 5), first.called_from)
  end)

  it("is done in any order", function()
    local results = {}
    for i = 1, 200 do results[i] = pool:apply_async(add, { i, 1 }) end
    for i = 200, 1, -1 do assert.equal(i + 1, results[i]:get()) end
  end)

  it("has a number of its own and shows its state", function()
    local r, s = pool:apply_async(slow, { 1 }), pool:apply_async(error, { "x" })
    assert.not_equal(r.id, s.id)
    assert.matches("AsyncResult %d+ %(pending%)", tostring(r))
    r:wait()
    s:wait()
    assert.matches("%(done%)", tostring(r))
    assert.matches("%(failed%)", tostring(s))
  end)

  it("keeps what it has got, and not its pool", function()
    local pools, results, called = setmetatable({}, { __mode = "k" }), {}, 0
    do
      local other = mp.Pool(1)
      pools[other] = true
      results[1] = other:apply_async(add, { 2, 3 })
      results[2] = other:map_async(add, { 1 }, { on_error = "collect" })
      results[3] = other:apply_async(add, { 2, 3 }, function() called = called + 1 end)
      results[4] = other:apply_async(error, { "oh", 0 }, nil, function() called = called + 1 end)
      results[5] = other:apply_async(mp.sleep, { 1000 })
      for i = 1, 4 do results[i]:wait() end
      other:wait(0)
      other:terminate()
      other:join()
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(pools))
    assert.equal(2, called)
    assert.equal(5, results[1]:get())
    assert.equal(1, results[2]:get().failed)
    assert.equal("oh", select(2, pcall(results[4].get, results[4])).message)
    assert.equal("cancelled", select(2, pcall(results[5].get, results[5])).kind)
    for i, r in ipairs(results) do
      assert.is_true(r:wait() and r:ready())
      assert.equal(i <= 3, r:successful())
      assert.is_false(r:cancel())
    end
    assert.same(results, mp.wait(results))
  end)

  it("may be dropped", function()
    for _ = 1, 100 do pool:apply_async(add, { 1, 2 }) end
    collectgarbage()
    assert.is_true(pool:wait())
    assert.equal(3, pool:apply(add, { 1, 2 }))
  end)
end)

describe("wait and poll", function()
  local pool
  setup(function() pool = mp.Pool(2) end)
  teardown(function()
    pool:close()
    pool:join()
  end)

  it("wait takes in all that is outstanding", function()
    local a, b = pool:apply_async(slow, { 1 }), pool:map_async(slow, { 2, 3 })
    assert.is_false(pool:wait(0))
    assert.is_true(pool:wait())
    assert.is_true(a:ready())
    assert.is_true(b:ready())
    assert.is_true(pool:wait(0))
  end)

  it("wait does not count imaps", function()
    local it = pool:imap(function() mp.sleep(0.05) end, { 1, 2 })
    it:next()
    assert.is_true(pool:wait(0))
    it:close()
  end)

  it("poll says whether anything happened", function()
    pool:wait()
    while pool:poll() do end
    assert.is_false(pool:poll())
    local r = pool:apply_async(slow, { 1 })
    while not r.done do pool:poll(10) end
    assert.equal(1, r:get())
    assert.is_false(pool:poll(0.01))
  end)

  it("poll runs callbacks", function()
    local got
    pool:apply_async(add, { 1, 2 }, function(v) got = v end)
    while not got do pool:poll(10) end
    assert.equal(3, got)
  end)

  it("fileno is readable when poll has something to do, and not when it has not", function()
    local said = require "spec.support.script".output([[
      local readable = require "spec.readable"
      local pool <close> = mp.Pool(2)
      local fd = pool:fileno()
      print(readable(fd, 0))
      local r = pool:apply_async(function() mp.sleep(0.3) end)
      while pool:poll() do end
      print(readable(fd, 0))
      print(readable(fd, 60000), pool:poll(0), r.done)
      while pool:poll(0) do end
      print(readable(fd, 0))
      local lost = pool:apply_async(os.exit, { 3 })
      print(readable(fd, 60000))
      while not lost.done do pool:poll(10) end
    ]])
    assert.equal("false\nfalse\ntrue\ttrue\ttrue\nfalse\ntrue\n", said)
  end)
end)
