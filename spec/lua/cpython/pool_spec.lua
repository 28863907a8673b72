-- CPython's own tests of multiprocessing.Pool, restated: Lib/test/_test_multiprocessing.py,
-- class _TestPool. Named after them; where Moonpool departs from Python on purpose the case
-- says so and tests what holds here.
local mp = require "moonpool"
local leaks = require "spec.support.leaks"
local script = require "spec.support.script"

local function sqr(x, wait)
  if wait then mp.sleep(wait) end
  return x * x
end

local function mul(x, y) return x * y end

local function naturals(n)
  local t = {}
  for i = 1, n do t[i] = i - 1 end
  return t
end

local function squares(n)
  local t = { n = n }
  for i = 1, n do t[i] = (i - 1) ^ 2 // 1 | 0 end
  return t
end

local function tuples(n)
  local t, products = {}, { n = n }
  for i = 0, n - 1 do
    t[i + 1] = { i, n - 1 - i }
    products[i + 1] = i * (n - 1 - i)
  end
  return t, products
end

local SAY_WHEN = setmetatable({}, { __tostring = function() return "say when" end })

-- Gives 0, 1, ... and raises in the place of `at` (from 0); at once for -1.
local function throwing(total, at)
  local i = -1
  return function()
    if at == -1 then error(SAY_WHEN) end
    i = i + 1
    if i == at then error(SAY_WHEN) end
    return i < total and i or nil
  end
end

local function raises(value, call, ...)
  local ok, err = pcall(call, ...)
  assert.is_false(ok)
  assert.equal(value, err)
end

describe("_TestPool", function()
  local pool, before

  setup(function()
    before = leaks.snapshot()
    pool = mp.Pool(4)
  end)

  teardown(function()
    pool:terminate()
    pool:join()
    assert.equal("", leaks.left(before))
  end)

  it("test_apply", function()
    assert.equal(25, pool:apply(sqr, { 5 }))
    assert.equal(9, pool:apply(function(kwds) return sqr(kwds.x) end, { { x = 3 } }))
  end)

  it("test_map", function()
    assert.same(squares(10), pool:map(sqr, naturals(10)))
    assert.same(squares(100), pool:map(sqr, naturals(100), 20))
  end)

  it("test_starmap", function()
    local t, products = tuples(10)
    assert.same(products, pool:starmap(mul, t))
    t, products = tuples(100)
    assert.same(products, pool:starmap(mul, t, 20))
  end)

  it("test_starmap_async", function()
    local t, products = tuples(100)
    assert.same(products, pool:starmap_async(mul, t):get())
  end)

  it("test_map_async", function()
    assert.same(squares(10), pool:map_async(sqr, naturals(10)):get())
  end)

  it("test_map_async_callbacks", function()
    local calls = {}
    local function note(x) calls[#calls + 1] = x end
    local int, fail = math.tointeger, error
    local function convert(s) return int(s) or fail("no integer: " .. s) end
    pool:map_async(convert, { "1" }, { callback = note, error_callback = note }):wait()
    assert.same({ { 1, n = 1 } }, calls)
    pool:map_async(convert, { "a" }, { callback = note, error_callback = note }):wait()
    assert.equal(2, #calls)
    assert.equal("task", calls[2].kind)
  end)

  it("test_map_unplicklable", function()
    local object = setmetatable({}, { __reduce = function() error("cannot pickle", 0) end })
    local items = {}
    for i = 1, 10 do items[i] = object end
    raises("cannot pickle", pool.map, pool, sqr, items)
  end)

  it("test_map_chunksize", function()
    assert.equal(0, pool:map_async(sqr, {}, 1):get(60).n)
  end)

  it("test_map_handle_iterable_exception", function()
    raises(SAY_WHEN, pool.map, pool, sqr, throwing(1, -1), 1)
    raises(SAY_WHEN, pool.map, pool, sqr, throwing(1, -1), 1)
    raises(SAY_WHEN, pool.map, pool, sqr, throwing(10, 3), 1)
    local special = setmetatable({}, {
      __len = function() return 1 end,
      __index = function() error(SAY_WHEN) end,
    })
    raises(SAY_WHEN, pool.map, pool, sqr, special, 1)
    raises(SAY_WHEN, pool.map, pool, sqr, special, 1)
  end)

  it("test_async", function()
    local start = mp.monotonic()
    local result = pool:apply_async(sqr, { 7, 0.3 })
    assert.equal(49, result:get())
    assert.is_true(mp.monotonic() - start >= 0.3)
  end)

  it("test_async_timeout", function()
    local p = mp.Pool(3)
    local result = p:apply_async(sqr, { 6, 1000 })
    local start = mp.monotonic()
    local ok, err = pcall(result.get, result, 0.2)
    assert.same({ false, "timeout" }, { ok, err.kind })
    assert.is_true(mp.monotonic() - start >= 0.2)
    p:terminate()
    p:join()
  end)

  it("test_imap (departure: the loop gives indexes, too)", function()
    local values = { n = 10 }
    for i, v in pool:imap(sqr, naturals(10)) do values[i] = v end
    assert.same(squares(10), values)
    local it = pool:imap(sqr, naturals(10))
    for i = 1, 10 do assert.same({ i, (i - 1) ^ 2 // 1 | 0 }, { it:next() }) end
    assert.is_nil(it:next())
    it = pool:imap(sqr, naturals(1000), 100)
    for i = 1, 1000 do assert.equal((i - 1) * (i - 1), select(2, it:next())) end
    assert.is_nil(it:next())
  end)

  it("test_imap_handle_iterable_exception", function()
    for _ = 1, 2 do
      local it = pool:imap(sqr, throwing(1, -1), 1)
      raises(SAY_WHEN, it.next, it)
    end
    local it = pool:imap(sqr, throwing(10, 3), 1)
    for i = 0, 2 do assert.equal(i * i, select(2, it:next())) end
    raises(SAY_WHEN, it.next, it)
    -- Departure: what stands before the error in its chunk is not lost with it.
    for _, chunk in ipairs { 2, 4 } do
      it = pool:imap(sqr, throwing(20, 7), chunk)
      for i = 0, 6 do assert.equal(i * i, select(2, it:next())) end
      raises(SAY_WHEN, it.next, it)
    end
  end)

  it("test_imap_unordered", function()
    for _, case in ipairs { { 10 }, { 1000, 100 } } do
      local values = { n = case[1] }
      for i, v in pool:imap_unordered(sqr, naturals(case[1]), case[2]) do values[i] = v end
      assert.same(squares(case[1]), values)
    end
  end)

  it("test_imap_unordered_handle_iterable_exception", function()
    for _ = 1, 2 do
      local it = pool:imap_unordered(sqr, throwing(1, -1), 1)
      raises(SAY_WHEN, it.next, it)
    end
    for _, case in ipairs { { 10, 3, 1 }, { 20, 7, 2 } } do
      local it, seen = pool:imap_unordered(sqr, throwing(case[1], case[2]), case[3]), {}
      raises(SAY_WHEN, function()
        for _ = 1, case[1] do
          local i, v = it:next()
          assert.equal((i - 1) * (i - 1), v)
          assert.is_nil(seen[i])
          seen[i] = true
        end
      end)
    end
  end)

  it("test_make_pool (departure: workers start with the first work, or by start)", function()
    for _, n in ipairs { -1, 0 } do
      local ok, err = pcall(mp.Pool, n)
      assert.same({ false, "argument" }, { ok, err.kind })
    end
    local p = mp.Pool(3)
    assert.equal(3, #p:workers())
    p:close()
    p:join()
  end)

  it("test_terminate", function()
    local p = mp.Pool(3)
    local args = {}
    for i = 1, 10000 do args[i] = 1000 end
    local result = p:map_async(mp.sleep, args, 1)
    mp.sleep(0.2)
    p:terminate()
    assert.is_true(p:join(30))
    -- Departure: the result does not stay pending for ever.
    local ok, err = pcall(result.get, result)
    assert.same({ false, "cancelled" }, { ok, err.kind })
  end)

  it("test_empty_iterable", function()
    local p = mp.Pool(1)
    assert.same({ n = 0 }, p:map(sqr, {}))
    for _, form in ipairs { "imap", "imap_unordered" } do
      for _ in p[form](p, sqr, {}) do error("an item of nothing") end
    end
    assert.same({ n = 0 }, p:map_async(sqr, {}):get())
    p:close()
    p:join()
  end)

  it("test_context", function()
    local outer
    do
      local p <close> = mp.Pool(2)
      outer = p
      assert.same(squares(10), p:map_async(sqr, naturals(10)):get())
    end
    assert.is_true(outer:join())
    local ok, err = pcall(outer.map_async, outer, sqr, { 1 })
    assert.same({ false, "closed" }, { ok, err.kind })
  end)

  it("test_traceback", function()
    local p <close> = mp.Pool(1)
    local fail = error
    local ok, err = pcall(p.apply, p, function()
      fail({ 123 }) -- some comment
    end)
    assert.is_false(ok)
    assert.same({ 123 }, err.value)
    assert.truthy(err.traceback:find("pool_spec.lua:%d+: in"))
    assert.truthy(tostring(err):find(err.traceback, 1, true))
    -- An error of the input is raised as it is.
    raises(SAY_WHEN, p.map, p, sqr, throwing(1, -1), 1)
  end)

  it("test_wrapped_exception", function()
    local p <close> = mp.Pool(1)
    local fail = error
    local ok, err = pcall(p.apply, p, function() fail("foo", 0) end)
    assert.same({ false, "foo" }, { ok, err.value })
  end)

  it("test_map_no_failfast (departure: what is above the failure is stopped)", function()
    local fail, rep, sleep = error, string.rep, mp.sleep
    local function raise_large(wait)
      sleep(wait)
      fail(rep("x", 1024 * 1024))
    end
    local p = mp.Pool(2)
    local ok, err = pcall(p.map, p, raise_large, { 0, 1 })
    assert.is_false(ok)
    assert.equal(1, err.index)
    assert.is_true(#err.value > 1024 * 1024)
    p:close()
    assert.is_true(p:join(30))
  end)

  it("test_release_task_refs", function()
    local refs = setmetatable({}, { __mode = "k" })
    do
      local objects = {}
      for i = 1, 10 do
        objects[i] = { i }
        refs[objects[i]] = true
      end
      local back = pool:map(function(x) return x end, objects)
      for i = 1, 10 do refs[back[i]] = true end
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(refs))
  end)

  it("test_enter", function()
    local p = mp.Pool(1)
    do
      local held <close> = p
      assert.equal(p, held)
    end
    local ok, err = pcall(p.apply, p, sqr, { 1 })
    assert.same({ false, "closed" }, { ok, err.kind })
    assert.is_true(p:join())
  end)

  it("test_resource_warning", function()
    local r = script.run [[
      local pool = mp.Pool(1)
      pool:terminate()
      pool = nil
      collectgarbage()
      pool = mp.Pool(1)
      pool:apply(print, { "work" })
      pool = nil
      collectgarbage()
    ]]
    assert.equal(0, r.code)
    local _, warnings = r.errors:gsub("Lua warning", "")
    assert.equal(1, warnings)
  end)
end)
