local mp = require "moonpool"
local script = require "spec.support.script"
local with_pool = require "spec.support.with_pool"

local function identity(x) return x end
local function add(a, b) return a + b end
local function join(a, b) return a .. "," .. b end

local function listed(n)
  local t = {}
  for i = 1, n do t[i] = tostring(i) end
  return table.concat(t, ",")
end

describe("reduce", function()
  it("tells an error of what combines in one way, whoever combines", function()
    with_pool(2, function(pool)
      local fail = error
      for _, given in ipairs { { chunksize = 1 }, { chunksize = 10 }, { on_error = "collect" } } do
        local ok, err = pcall(pool.reduce, pool, identity, function(_, b) if b == 2 then fail("two", 0) end end,
          mp.range(10), given)
        assert.same({ false, "task", "two", "two", 2 }, { ok, err.kind, err.message, err.value, err.index })
        assert.matches("reduce_spec", err.traceback, 1, true)
        assert.equal("number", type(err.pid))
      end
    end)
  end)

  it("combines in the order of the items, whatever the workers and chunks", function()
    for _, processes in ipairs { 1, 3 } do
      with_pool(processes, function(pool)
        local text = tostring
        for _, chunk in ipairs { false, 1, 7, 1000 } do
          assert.equal(listed(200), pool:reduce(text, join, mp.range(200),
            { chunksize = chunk or nil }))
        end
      end)
    end
  end)

  it("takes every kind of input", function()
    with_pool(2, function(pool)
      assert.equal(500500, pool:reduce(identity, add, mp.range(1000)))
      assert.equal(6, pool:reduce(identity, add, { 1, 2, 3 }))
      local i = 0
      assert.equal(50005000, pool:reduce(identity, add, function()
        i = i + 1
        return i <= 10000 and i or nil
      end))
      assert.is_nil(pool:reduce(identity, add, {}))
      assert.equal(7, pool:reduce(identity, add, { 7 }))
    end)
  end)

  it("combines within workers", function()
    with_pool(2, function(pool)
      local pid = mp.getpid
      local here, elsewhere = mp.getpid(), 0
      local seen = pool:reduce(function() return {} end, function(a, b)
        a[pid()] = (a[pid()] or 0) + 1
        for k, n in pairs(b) do a[k] = (a[k] or 0) + n end
        return a
      end, mp.range(1000))
      for process, n in pairs(seen) do
        elsewhere = elsewhere + (process ~= here and n or 0)
      end
      assert.is_true(elsewhere > 900)
    end)
  end)

  it("combines packed values where asked", function()
    with_pool(2, function(pool)
      local function both(a, b) return { a[1] + b[1], (a[2] or 0) + (b[2] or 0), n = 2 } end
      for _, on_error in ipairs { "raise", "collect" } do
        assert.same({ 5050, 100, n = 2 }, pool:reduce(function(i) return i, 1 end, both,
          mp.range(100), { pack = true, on_error = on_error }))
      end
      assert.same({ 1, nil, n = 2 },
        pool:reduce(function(i) return i, nil end, both, { 1 }, { pack = true }))
    end)
  end)

  it("is not disturbed by workers that leave", function()
    local pool = mp.Pool { processes = 3, maxtasksperchild = 7 }
    local i = 0
    assert.equal(listed(3000), pool:reduce(tostring, join, function()
      i = i + 1
      if i % 500 == 0 then pool:resize(1 + i // 500 % 4) end
      if i % 700 == 0 then pool:refresh() end
      return i <= 3000 and i or nil
    end))
    assert.equal(listed(1000), pool:reduce(tostring, join, mp.range(1000), 50))
    pool:close()
    pool:join()
  end)

  it("keeps nil as a value like any other", function()
    with_pool(2, function(pool)
      local count = pool:reduce(function() return nil end, function(a, b)
        return (a or 1) + (b or 1)
      end, mp.range(10), 1)
      assert.equal(10, count)
    end)
  end)

  it("raises the failure of the item with its index", function()
    with_pool(2, function(pool)
      local fail = error
      local ok, err = pcall(pool.reduce, pool, function(i)
        if i >= 55 then fail("bad") end
        return i
      end, add, mp.range(100))
      assert.is_false(ok)
      assert.same({ "task", 55, 55 }, { err.kind, err.index, err.args[1] })
      assert.is_nil(err.results)
      assert.equal(3, pool:reduce(identity, add, { 1, 2 }))
    end)
  end)

  it("leaves out what failed under collect, and tells it", function()
    with_pool(2, function(pool)
      local fail = error
      local sum, errors = pool:reduce(function(i)
        if i % 10 == 1 then fail("bad") end
        return i
      end, add, mp.range(20), { on_error = "collect" })
      assert.equal(210 - 12, sum)
      assert.same({ "task", "task" }, { errors[1].kind, errors[11].kind })
    end)
  end)

  it("runs items again with retries and counts each once", function()
    with_pool(3, function(pool)
      local kill, pid, open, remove = os.execute, mp.getpid, io.open, os.remove
      local path = os.tmpname()
      local sum = pool:reduce(function(i)
        local file = i == 50 and open(path)
        if file then
          file:close()
          remove(path)
          kill("kill -9 " .. pid())
        end
        return i
      end, add, mp.range(100), { retries = 2 })
      assert.equal(5050, sum)
    end)
  end)

  it("gives no sum when a worker dies between two items of a run", function()
    local out = script.output [[
      local pool = mp.Pool(1)
      local kill, pid = os.execute, mp.getpid
      local ok, err = pcall(pool.reduce, pool, function(i)
        if i == 5 then kill("(sleep 0.2; kill -9 " .. pid() .. ") &") mp.sleep(0.1) end
        if i == 6 then mp.sleep(5) end
        return i
      end, function(a, b) return a + b end, mp.range(10), 10)
      print(ok, err.kind, err.index)
      pool:close() pool:join()
    ]]
    assert.equal("false\tworker_lost\t6\n", out)
  end)

  it("names what is no function", function()
    with_pool(1, function(pool)
      local ok, err = pcall(pool.reduce, pool, identity, mp.range(3))
      assert.is_false(ok)
      assert.equal("argument", err.kind)
      assert.truthy(err.message:find("a function of two values", 1, true))
    end)
  end)
end)

describe("pairmap", function()
  it("gives f(k, v) under the keys of the table", function()
    with_pool(2, function(pool)
      local key = {}
      local t = { a = 1, b = 2, [3] = "x", [2.5] = false, [true] = 4 }
      local r = pool:pairmap(function(k, v) return { k, v } end, t)
      for k, v in pairs(t) do assert.same({ k, v }, r[k]) end
      for k in pairs(r) do assert.is_not_nil(t[k]) end
      assert.same({}, pool:pairmap(identity, {}))
      assert.equal(1, pool:pairmap(function(_, v) return v end, { [key] = 1 })[key])
    end)
  end)

  it("honours __pairs", function()
    with_pool(1, function(pool)
      local t = setmetatable({}, { __pairs = function() return next, { q = 9 } end })
      assert.same({ q = 9 }, pool:pairmap(function(_, v) return v end, t))
    end)
  end)

  it("tells failures by key", function()
    with_pool(2, function(pool)
      local fail = error
      local function f(k, v)
        if k == "b" then fail("b") end
        return v
      end
      local r = pool:pairmap(f, { a = 1, b = 2, c = 3 }, { on_error = "collect" })
      assert.same({ a = 1, c = 3 }, r)
      assert.equal(1, r.failed)
      assert.equal("task", r.errors.b.kind)
      local ok, err = pcall(pool.pairmap, pool, f, { a = 1, b = 2 })
      assert.same({ false, "b", "task" }, { ok, err.key, err.kind })
      assert.equal("table", type(err.results))
    end)
  end)

  it("names what is no table", function()
    with_pool(1, function(pool)
      local ok, err = pcall(pool.pairmap, pool, identity, 5)
      assert.same({ false, "argument" }, { ok, err.kind })
    end)
  end)
end)
