local mp = require "moonpool"

-- What travels names no globals in here: busted gives each block an environment of
-- its own, which would travel along.
local rawget, rawset, select, tostring, type = rawget, rawset, select, tostring, type
local table, globals = table, _G

local function square(x) return x * x end

-- How many neighbours did not run in the same process.
local function changes(pids)
  local n = 0
  for i = 2, pids.n do
    if pids[i] ~= pids[i - 1] then n = n + 1 end
  end
  return n
end

describe("map", function()
  local pool
  setup(function() pool = mp.Pool(3) end)
  teardown(function()
    pool:close()
    pool:join()
  end)

  it("gives results in input order, and their number", function()
    local results = pool:map(square, { 3, 1, 2 })
    assert.same({ 9, 1, 4, n = 3 }, results)
  end)

  it("keeps the order of many items, however they are handed out", function()
    local results = pool:map(square, mp.range(20000))
    assert.equal(20000, results.n)
    for i = 1, 20000 do assert.equal(i * i, results[i]) end
  end)

  it("keeps order where early items take longest", function()
    local results = pool:map(function(x)
      mp.sleep((5 - x) * 0.01)
      return x
    end, mp.range(5), 1)
    assert.same({ 1, 2, 3, 4, 5, n = 5 }, results)
  end)

  it("keeps a nil in its place", function()
    local results = pool:map(function(x) if x % 2 == 0 then return x end end, mp.range(5))
    assert.same({ nil, 2, nil, 4, nil, n = 5 }, results)
    results = pool:map(function() end, mp.range(4))
    assert.same({ n = 4 }, results)
  end)

  it("passes nil and false items within n", function()
    local results = pool:map(function(x) return tostring(x) end, { n = 4, nil, false, 7 })
    assert.same({ "nil", "false", "7", "nil", n = 4 }, results)
  end)

  it("keeps the first value that the function returns", function()
    local results = pool:map(function(x) return x, "more" end, { 1, 2 })
    assert.same({ 1, 2, n = 2 }, results)
  end)

  it("keeps subtypes and odd numbers", function()
    local results = pool:map(function(x) return x end,
      { 1, 1.0, -0.0, math.huge, math.mininteger, "1" })
    assert.equal("integer", math.type(results[1]))
    assert.equal("float", math.type(results[2]))
    assert.equal(-math.huge, 1 / results[3])
    assert.equal(math.huge, results[4])
    assert.equal(math.mininteger, results[5])
    assert.equal("1", results[6])
    local nan = pool:map(function(x) return x end, { 0 / 0 })[1]
    assert.is_true(nan ~= nan)
  end)

  it("takes nothing and gives nothing", function()
    assert.same({ n = 0 }, pool:map(square, {}))
    assert.same({ n = 0 }, pool:map(square, mp.range(0)))
    assert.same({ n = 0 }, pool:map(square, function() end))
    assert.same({ n = 0 }, pool:starmap(square, {}))
    assert.same({ n = 0 }, pool:map_async(square, {}):get())
  end)

  it("honours metamethods of its input", function()
    local proxy = setmetatable({}, {
      __index = function(_, i) return i ~= "n" and i * 10 or nil end,
      __len = function() return 3 end,
    })
    assert.same({ 100, 400, 900, n = 3 }, pool:map(square, proxy))
  end)

  it("reads an iterator function until nil, first values only", function()
    local function countdown(n)
      return function()
        n = n - 1
        if n >= 0 then return n, "ignored" end
      end
    end
    local results = pool:map(function(...) return select("#", ...) * 100 + (...) end, countdown(3))
    assert.same({ 102, 101, 100, n = 3 }, results)
  end)

  it("reads a coroutine", function()
    local results = pool:map(square, coroutine.wrap(function()
      for i = 1, 3 do coroutine.yield(i) end
    end))
    assert.same({ 1, 4, 9, n = 3 }, results)
  end)

  it("reads a callable object", function()
    local left = 3
    local counter = setmetatable({}, { __call = function()
      left = left - 1
      return left >= 0 and left or nil
    end })
    assert.same({ 4, 1, 0, n = 3 }, pool:map(square, counter))
  end)

  it("runs inside a coroutine, and its input may yield", function()
    local steps = 0
    local co = coroutine.wrap(function()
      local i = 0
      return pool:map(square, function()
        i = i + 1
        if i > 3 then return nil end
        coroutine.yield("asked")
        return i
      end)
    end)
    local results = co()
    while results == "asked" do
      steps = steps + 1
      results = co()
    end
    assert.equal(3, steps)
    assert.same({ 1, 4, 9, n = 3 }, results)
  end)

  it("raises an error of the input as it is, and goes on", function()
    local problem = { "mine" }
    local i = 0
    local ok, err = pcall(pool.map, pool, square, function()
      i = i + 1
      if i == 3 then error(problem) end
      return i
    end)
    assert.is_false(ok)
    assert.equal(problem, err)
    assert.same({ 1, n = 1 }, pool:map(square, { 1 }))
  end)

  it("lets the input call the pool itself", function()
    local i = 0
    local results = pool:map(square, function()
      i = i + 1
      if i <= 3 then return pool:apply(square, { i }) end
    end)
    assert.same({ 1, 16, 81, n = 3 }, results)
  end)
end)

describe("starmap", function()
  local pool
  setup(function() pool = mp.Pool(2) end)
  teardown(function()
    pool:close()
    pool:join()
  end)

  local function describe_call(...)
    local words = {}
    for i = 1, select("#", ...) do words[i] = tostring((select(i, ...))) end
    return table.concat(words, " ")
  end

  it("unpacks tables", function()
    local results = pool:starmap(function(a, b) return a - b end, { { 5, 3 }, { 1, 2 } })
    assert.same({ 2, -1, n = 2 }, results)
  end)

  it("unpacks up to a table's n, nils too", function()
    local results = pool:starmap(describe_call, { { n = 3, 1, nil, nil }, {}, { nil, 2, n = 2 } })
    assert.same({ "1 nil nil", "", "nil 2", n = 3 }, results)
  end)

  it("passes all values of an iterator function", function()
    local i = 0
    local results = pool:starmap(describe_call, function()
      i = i + 1
      if i <= 2 then return i, i * 2, nil end
    end)
    assert.same({ "1 2 nil", "2 4 nil", n = 2 }, results)
  end)

  it("unpacks an iterator's single table, and passes a table among others", function()
    local items = { { { 1, 2 } }, { { 3, 4 }, 5 } }
    local i = 0
    local results = pool:starmap(function(a, b)
      return (type(a) == "table" and "table" or tostring(a)) .. " " .. tostring(b)
    end, function()
      i = i + 1
      if items[i] then return table.unpack(items[i]) end
    end)
    assert.same({ "1 2", "table 5", n = 2 }, results)
  end)

  it("takes zip and range", function()
    assert.same({ 11, 22, 33, n = 3 },
      pool:starmap(function(a, b) return a + b end, mp.zip({ 10, 20, 30 }, mp.range(1, 9))))
  end)

  it("passes an item that is no table as it is", function()
    assert.same({ "1", "x", n = 2 }, pool:starmap(describe_call, { 1, "x" }))
  end)
end)

describe("chunksize", function()
  local function pids_of(n, chunk, processes)
    local pool <close> = mp.Pool(processes or 2)
    return pool:map(function()
      mp.sleep(0.001)
      return mp.getpid()
    end, mp.range(n), chunk)
  end

  it("keeps the items of a chunk in one process, in order", function()
    local pool <close> = mp.Pool(3)
    local marks = pool:map(function(i)
      -- A global counts what this process has run.
      rawset(globals, "ran", (rawget(globals, "ran") or 0) + 1)
      mp.sleep(0.002)
      return { i, mp.getpid(), rawget(globals, "ran") }
    end, mp.range(20), { chunksize = 4 })
    for first = 1, 20, 4 do
      for i = first + 1, first + 3 do
        assert.equal(marks[first][2], marks[i][2])
        assert.equal(marks[i - 1][3] + 1, marks[i][3])
      end
    end
  end)

  it("makes the last chunk shorter", function()
    local pids = pids_of(7, 3, 7)
    for i = 2, 7 do
      if i % 3 ~= 1 then assert.equal(pids[i - 1], pids[i]) end
    end
    assert.equal(7, pids.n)
  end)

  it("may be larger than the input", function()
    assert.equal(0, changes(pids_of(10, 100)))
  end)

  it("spreads chunks over the workers", function()
    local pool <close> = mp.Pool(2)
    local pids = pool:map(function()
      mp.sleep(0.05)
      return mp.getpid()
    end, mp.range(4), 2)
    assert.equal(1, changes(pids))
  end)

  it("is kept by an iterator and by imap, too", function()
    local pool <close> = mp.Pool(2)
    local i = 0
    local function input()
      i = i + 1
      return i <= 9 and i or nil
    end
    local pids = pool:map(function()
      mp.sleep(0.005)
      return mp.getpid()
    end, input, 3)
    for first = 1, 9, 3 do
      assert.equal(pids[first], pids[first + 1])
      assert.equal(pids[first], pids[first + 2])
    end
    pids = {}
    for k, pid in pool:imap(function() return mp.getpid() end, mp.range(50), 5) do pids[k] = pid end
    for k = 1, 50 do assert.equal(pids[(k - 1) // 5 * 5 + 1], pids[k]) end
  end)
end)

describe("map_async and starmap_async", function()
  local pool
  setup(function() pool = mp.Pool(2) end)
  teardown(function()
    pool:close()
    pool:join()
  end)

  it("return before the work is done", function()
    local results = pool:map_async(function(x)
      mp.sleep(0.1)
      return x
    end, { 1, 2 })
    assert.is_false(results:ready())
    assert.same({ 1, 2, n = 2 }, results:get())
    assert.is_true(results:ready())
  end)

  it("take Python's positions: chunksize, callback, error_callback", function()
    local got, failed
    local results = pool:starmap_async(function(a, b) return a * b end, { { 2, 3 }, { 4, 5 } }, 2,
      function(values) got = values end, function(err) failed = err end)
    results:wait()
    assert.same({ 6, 20, n = 2 }, got)
    assert.is_nil(failed)
  end)

  it("call back with an empty result", function()
    local got
    pool:map_async(square, {}, { callback = function(values) got = values end })
    assert.is_nil(got)
    assert.is_true(pool:wait())
    assert.same({ n = 0 }, got)
  end)
end)
