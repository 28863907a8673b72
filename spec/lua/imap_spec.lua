local mp = require "moonpool"

-- What travels names no globals in here: busted's blocks have environments of their own.
local error, os, string, tostring = error, os, string, tostring

local function square(x) return x * x end

local function counter(limit)
  local pulled = { n = 0 }
  return function()
    if pulled.n < limit then
      pulled.n = pulled.n + 1
      return pulled.n
    end
  end, pulled
end

describe("imap", function()
  local pool
  before_each(function() pool = mp.Pool(2) end)
  after_each(function()
    pool:close()
    pool:join()
  end)

  it("gives index and value in input order", function()
    local seen = {}
    for i, v in pool:imap(function(x)
      if x == 1 then mp.sleep(0.1) end
      return x * 10
    end, mp.range(6), 1) do
      seen[#seen + 1] = { i, v }
    end
    assert.same({ { 1, 10 }, { 2, 20 }, { 3, 30 }, { 4, 40 }, { 5, 50 }, { 6, 60 } }, seen)
  end)

  it("unordered gives results as they complete, with their index", function()
    local order = {}
    for i, v in pool:imap_unordered(function(x)
      if x == 1 then mp.sleep(0.3) end
      return x * 10
    end, { 1, 2, 3 }, 1) do
      assert.equal(i * 10, v)
      order[#order + 1] = i
    end
    assert.same({ 2, 3, 1 }, order)
  end)

  it("goes through many", function()
    local n = 0
    for i, v in pool:imap(square, mp.range(30000)) do
      n = n + 1
      assert(i == n and v == n * n)
    end
    assert.equal(30000, n)
    local seen, count = {}, 0
    for i, v in pool:imap_unordered(square, mp.range(30000)) do
      assert(v == i * i and not seen[i])
      seen[i] = true
      count = count + 1
    end
    assert.equal(30000, count)
  end)

  it("is not ended by nil, and gives all values", function()
    local seen = {}
    for i, a, b, c in pool:imap(function(x)
      if x == 2 then return nil elseif x == 3 then return else return x, nil, "c" end
    end, mp.range(4)) do
      seen[i] = table.pack(a, b, c)
    end
    assert.same({ { 1, nil, "c", n = 3 }, { n = 3 }, { n = 3 }, { 4, nil, "c", n = 3 } }, seen)
  end)

  it("gives nothing for nothing, also when asked again", function()
    local it = pool:imap(square, {})
    assert.is_nil(it:next())
    assert.is_nil(it:next())
    for _ in pool:imap_unordered(square, function() end) do error("no item") end
  end)

  it("has starmap forms", function()
    local sums = {}
    for i, v in pool:istarmap(function(a, b) return a + b end, { { 1, 2 }, { 3, 4 } }) do
      sums[i] = v
    end
    assert.same({ 3, 7 }, sums)
    sums = {}
    for i, v in pool:istarmap_unordered(function(a, b) return a + b end,
      mp.zip({ 1, 2, 3 }, mp.range(10, 30, 10))) do
      sums[i] = v
    end
    assert.same({ 11, 22, 33 }, sums)
  end)

  it("pulls an endless input as results are consumed", function()
    local input, pulled = counter(math.huge)
    local taken = 0
    for i, v in pool:imap(square, input) do
      assert(v == i * i)
      taken = taken + 1
      -- 64 KiB a worker in small integers, at most.
      assert(pulled.n - taken <= 2 * 65536)
      if taken == 5000 then break end
    end
    assert.equal(5000, taken)
    assert.same({ 1, 4, n = 2 }, pool:map(square, { 1, 2 }))
  end)

  it("pulls no more than the window ahead of a consumer that does not come", function()
    local input, pulled = counter(math.huge)
    local it = pool:imap(function(s) return #s end, function() return ("x"):rep(4096) .. input() end)
    it:next()
    mp.sleep(0.05)
    local ahead = pulled.n
    -- Items of 4 KiB: 64 a worker.
    assert.is_true(ahead <= 2 * 64 + 1, "pulled " .. ahead)
    it:close()
    assert.equal(ahead, pulled.n)
  end)

  it("waits for a slow first item rather than grow", function()
    local input, pulled = counter(math.huge)
    local it = pool:imap(function(s)
      if string.sub(s, 1, 2) == "1 " then mp.sleep(0.2) end
      return 1
    end, function() return input() .. " " .. ("x"):rep(4096) end)
    assert.equal(1, (it:next()))
    assert.is_true(pulled.n <= 2 * 2 * 64, "pulled " .. pulled.n)
    it:close()
  end)

  it("leaves a usable pool when the loop is left", function()
    for i in pool:imap(function() mp.sleep(0.01) end, mp.range(1000)) do
      if i == 3 then break end
    end
    assert.same({ 9, n = 1 }, pool:map(square, { 3 }))
    pcall(function()
      for i in pool:imap_unordered(square, mp.range(1000)) do assert(i < 0) end
    end)
    assert.same({ 9, n = 1 }, pool:map(square, { 3 }))
    local function first(limit)
      for i, v in pool:imap(square, (counter(math.huge))) do
        if i == limit then return v end
      end
    end
    assert.equal(4, first(2))
    assert.same({ 9, n = 1 }, pool:map(square, { 3 }))
  end)

  it("runs none of what is cancelled when the loop is left #fork", function()
    local path = os.tmpname()
    for i in pool:imap(function(x)
      local file = io.open(path, "a")
      file:write(x, "\n")
      file:close()
      mp.sleep(0.02)
      return x
    end, mp.range(100), 1) do
      if i == 1 then break end
    end
    pool:apply(square, { 1 })
    pool:apply(square, { 2 })
    local ran = 0
    for _ in io.lines(path) do ran = ran + 1 end
    os.remove(path)
    assert.is_true(ran < 50, "ran " .. ran)
  end)

  it("raises an item's error at its place, and goes on behind it", function()
    local it = pool:imap(function(x)
      if x % 2 == 0 then error("even " .. x, 0) end
      return x
    end, mp.range(4))
    assert.same({ 1, 1 }, { it:next() })
    local ok, err = pcall(it.next, it)
    assert.is_false(ok)
    assert.equal("task", err.kind)
    assert.equal("even 2", err.value)
    assert.equal(2, err.index)
    assert.same({ 3, 3 }, { it:next() })
    ok, err = pcall(it.next, it)
    assert.is_false(ok)
    assert.equal(4, err.index)
    assert.is_nil(it:next())
  end)

  it("collects errors in the loop, told from the function's own", function()
    local seen = {}
    for i, v, err in pool:imap(function(x)
      if x == 1 then return nil, "own" elseif x == 2 then error("raised", 0) end
      return x
    end, mp.range(3), { on_error = "collect" }) do
      seen[i] = { v, type(err) == "table" and err.kind or err }
    end
    assert.same({ { nil, "own" }, { nil, "task" }, { 3 } }, seen)
  end)

  it("collects errors unordered, too", function()
    local failed, good = {}, {}
    for i, v, err in pool:imap_unordered(function(x)
      if x % 3 == 0 then error("third", 0) end
      return x
    end, mp.range(30), { on_error = "collect" }) do
      if err then failed[#failed + 1] = err.index == i else good[#good + 1] = v == i end
    end
    assert.equal(10, #failed)
    assert.equal(20, #good)
  end)

  it("loses a killed worker's item at its place", function()
    local kinds = {}
    for i, v, err in pool:imap(function(x)
      if x == 3 then os.exit(9) end
      return x
    end, mp.range(5), { on_error = "collect" }) do
      kinds[i] = err and err.kind or v
    end
    assert.same({ 1, 2, "worker_lost", 4, 5 }, kinds)
  end)

  it("raises the input's error at its place, behind the results before it", function()
    local input = counter(math.huge)
    local problem = { "mine" }
    local it = pool:imap(square, function()
      local x = input()
      if x == 3 then error(problem) end
      return x
    end)
    assert.same({ 1, 1 }, { it:next() })
    assert.same({ 2, 4 }, { it:next() })
    local ok, err = pcall(it.next, it)
    assert.is_false(ok)
    assert.equal(problem, err)
    assert.is_nil(it:next())
    assert.same({ 9, n = 1 }, pool:map(square, { 3 }))
  end)

  it("raises an item that cannot be sent at its place", function()
    local it = pool:imap(square, { 1, coroutine.create(print), 3 })
    assert.same({ 1, 1 }, { it:next() })
    local ok, err = pcall(it.next, it)
    assert.is_false(ok)
    assert.equal("encode", err.kind)
  end)

  it("next waits up to a time, and consumes nothing by that", function()
    local it = pool:imap(function(x)
      mp.sleep(0.2)
      return x
    end, { 1, 2 }, 1)
    local ok, err = pcall(it.next, it, 0)
    assert.is_false(ok)
    assert.equal("timeout", err.kind)
    ok, err = pcall(it.next, it, 0.01)
    assert.is_false(ok)
    assert.equal("timeout", err.kind)
    assert.same({ 1, 1 }, { it:next() })
    assert.same({ 2, 2 }, { it:next(60) })
    assert.is_nil(it:next(0))
  end)

  it("gives nothing after close, any number of times", function()
    local it = pool:imap(square, mp.range(10))
    it:next()
    it:close()
    it:close()
    assert.is_nil(it:next())
    assert.matches("closed", tostring(it))
  end)

  it("runs several at once", function()
    local a, b = pool:imap(square, mp.range(100)), pool:imap_unordered(square, mp.range(200, 300))
    local sum = 0
    for _ = 1, 100 do
      local i, v = a:next()
      assert(v == i * i)
      i, v = b:next()
      assert(v == (199 + i) ^ 2)
      sum = sum + pool:apply(square, { 1 })
    end
    assert.equal(100, sum)
    a:close()
    b:close()
  end)

  it("can be dropped without a word", function()
    for _ = 1, 10 do pool:imap(square, mp.range(100)):next() end
    collectgarbage()
    collectgarbage()
    assert.same({ 9, n = 1 }, pool:map(square, { 3 }))
  end)

  it("made before close goes on until join", function()
    local it = pool:imap(square, mp.range(5000))
    it:next()
    pool:close()
    for i = 2, 1000 do assert.same({ i, i * i }, { it:next() }) end
    assert.is_true(pool:join())
    local ok, err = pcall(it.next, it)
    assert.is_false(ok)
    assert.equal("cancelled", err.kind)
    assert.is_nil(it:next())
  end)

  it("raises cancelled after terminate", function()
    local it = pool:imap(function(x)
      mp.sleep(0.01)
      return x
    end, mp.range(5000))
    it:next()
    pool:terminate()
    local ok, err
    repeat ok, err = pcall(it.next, it) until not ok
    assert.equal("cancelled", err.kind)
  end)

  for _, form in ipairs { "imap", "imap_unordered" } do
    it(form .. " that is dropped is cancelled", function()
      local it = pool[form](pool, function(x) mp.sleep(0.01) return x end, mp.range(100000), 1)
      it:next()
      local before = pool:stats().cancelled
      it = nil -- luacheck: ignore 311
      collectgarbage()
      collectgarbage()
      assert.equal(3, pool:apply(math.abs, { -3 }))
      assert.is_true(pool:stats().cancelled > before)
    end)
  end

  it("says once that its pool ended before all was taken", function()
    local own = mp.Pool(2)
    local all, some, none = own:imap(square, mp.range(5)), own:imap(square, mp.range(5)),
      own:imap_unordered(square, mp.range(5))
    local left = own:imap(square, mp.range(5))
    for i = 1, 5 do assert.equal(i, (all:next())) end
    some:next()
    left:close()
    own:close()
    own:join()
    for _, cut in ipairs { some, none } do
      local ok, err = pcall(cut.next, cut)
      assert.is_false(ok)
      assert.equal("cancelled", err.kind)
      assert.is_nil(cut:next())
    end
    assert.is_nil(all:next())
    assert.is_nil(left:next())
  end)

  it("is used inside coroutines, with inputs that yield", function()
    local co = coroutine.wrap(function()
      local n = 0
      for _, v in pool:imap(square, function()
        n = n + 1
        coroutine.yield("input")
        return n <= 3 and n or nil
      end) do
        coroutine.yield(v)
      end
      return "over"
    end)
    local values, said = {}, co()
    while said ~= "over" do
      if said ~= "input" then values[#values + 1] = said end
      said = co()
    end
    assert.same({ 1, 4, 9 }, values)
  end)

  it("iterates over what tostring names", function()
    assert.matches("^Iterator", tostring(pool:imap(tostring, {})))
  end)
end)
