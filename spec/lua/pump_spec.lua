local mp = require "moonpool"

-- What travels names no globals in here: busted's blocks have environments of their own.
local error = error

local function identity(...) return ... end

-- Moonpool warns of an error in a callback; `say` gets these warnings.
local function quietly(body)
  local script = require "spec.support.script"
  return script.run(body)
end

describe("callbacks", function()
  local pool
  before_each(function() pool = mp.Pool(2) end)
  after_each(function()
    pool:terminate()
    pcall(pool.join, pool)
  end)

  it("get all values, once, in the process that made the pool", function()
    local calls = {}
    local r = pool:apply_async(identity, { 1, nil, 3, n = 3 }, function(...)
      calls[#calls + 1] = table.pack(mp.getpid(), ...)
    end)
    r:wait()
    r:get()
    pool:wait()
    pool:poll()
    assert.same({ { mp.getpid(), 1, nil, 3, n = 4 } }, calls)
  end)

  it("run in no call that does not wait or poll", function()
    local got = 0
    local function note() got = got + 1 end
    local r = pool:apply_async(identity, { 1 }, note)
    local other = pool:apply_async(identity, { 2 })
    mp.sleep(0.1)
    pool:apply_async(identity, { 3 }, note)
    pool:close()
    assert.equal(0, got)
    other:wait()
    r:wait()
    pool:join()
    assert.equal(2, got)
  end)

  it("run in the order in which results are taken in, each once", function()
    local order = {}
    for i = 1, 300 do
      pool:apply_async(identity, { i }, function(v) order[#order + 1] = v end)
    end
    pool:wait()
    table.sort(order)
    for i = 1, 300 do assert.equal(i, order[i]) end
    assert.equal(300, #order)
  end)

  it("come as work completes, not as it was submitted", function()
    local order = {}
    local function note(v) order[#order + 1] = v end
    pool:apply_async(function(x) mp.sleep(0.3) return x end, { "slow" }, note)
    pool:apply_async(identity, { "fast" }, note)
    pool:wait()
    assert.same({ "fast", "slow" }, order)
  end)

  it("get the very error that get raises", function()
    local failed, got
    local r = pool:apply_async(error, { "boom", 0 }, function() got = true end,
      function(err) failed = err end)
    local ok, err = pcall(r.get, r)
    pool:wait()
    assert.is_false(ok)
    assert.equal("task", err.kind)
    assert.equal(err, failed)
    assert.is_nil(got)
  end)

  it("get a map's table, its error, or its collected errors", function()
    local got, failed = {}, {}
    local function add_got(v) got[#got + 1] = v end
    local function add_failed(v) failed[#failed + 1] = v end
    local function picky(x) if x == 2 then error("two", 0) end return x end
    pool:map_async(identity, { 1, 2 }, nil, add_got, add_failed)
    pool:wait()
    local r = pool:map_async(picky, { 1, 2, 3 }, { callback = add_got, error_callback = add_failed })
    pool:wait()
    pool:map_async(picky, { 1, 2, 3 }, { callback = add_got, error_callback = add_failed,
      on_error = "collect" })
    pool:wait()
    assert.same({ 1, 2, n = 2 }, got[1])
    assert.equal(1, got[2].failed)
    assert.equal("two", got[2].errors[2].value)
    assert.equal(2, #got)
    assert.equal(1, #failed)
    assert.equal(2, failed[1].index)
    local _, err = pcall(r.get, r)
    assert.equal(err, failed[1])
  end)

  it("may submit, and what they submit is waited for", function()
    local seen = {}
    local function chain(n)
      seen[#seen + 1] = n
      if n < 5 then pool:apply_async(identity, { n + 1 }, chain) end
    end
    pool:apply_async(identity, { 1 }, chain)
    assert.is_true(pool:wait())
    assert.same({ 1, 2, 3, 4, 5 }, seen)
  end)

  it("may wait for other work, with no callback inside a callback", function()
    local depth, deepest, got = 0, 0, {}
    local function nosy(v)
      depth = depth + 1
      deepest = math.max(deepest, depth)
      got[#got + 1] = { v, pool:apply(identity, { v * 10 }), #pool:map(identity, { 1, 2, 3 }) }
      for _, x in pool:imap(identity, { v }) do assert(x == v) end
      pool:wait(0)
      pool:poll()
      depth = depth - 1
    end
    for i = 1, 20 do pool:apply_async(identity, { i }, nosy) end
    assert.is_true(pool:wait())
    assert.equal(1, deepest)
    assert.equal(20, #got)
    for _, row in ipairs(got) do
      assert.equal(row[1] * 10, row[2])
      assert.equal(3, row[3])
    end
  end)

  it("may get their own result", function()
    local r, got
    r = pool:apply_async(identity, { 5 }, function() got = r:get() end)
    pool:wait()
    assert.equal(5, got)
  end)

  it("may close and join", function()
    local ok
    pool:apply_async(identity, { 1 }, function()
      pool:close()
      ok = true
    end)
    pool:wait()
    assert.is_true(ok)
    assert.is_true(pool:join())
    local closed, err = pcall(pool.apply, pool, identity)
    assert.is_false(closed)
    assert.equal("closed", err.kind)
  end)

  it("may terminate; what is pending is cancelled", function()
    local ends = {}
    local results = {}
    local function note(how) return function() ends[#ends + 1] = how end end
    pool:apply_async(identity, { 1 }, function() pool:terminate() end)
    for i = 1, 4 do
      results[i] = pool:apply_async(mp.sleep, { 100 }, note("done"), note("cancelled"))
    end
    pool:wait()
    assert.is_true(pool:join())
    assert.same({ "cancelled", "cancelled", "cancelled", "cancelled" }, ends)
    for _, r in ipairs(results) do
      local ok, err = pcall(r.get, r)
      assert.is_false(ok)
      assert.equal("cancelled", err.kind)
    end
  end)

  it("may be called inside a coroutine, and yield there", function()
    local asked, got
    local co = coroutine.create(function()
      pool:apply_async(identity, { 1 }, function(v)
        asked = v
        got = coroutine.yield("from the callback")
      end)
      pool:wait()
      return "over"
    end)
    local _, said = coroutine.resume(co)
    assert.equal("from the callback", said)
    assert.equal(1, asked)
    _, said = coroutine.resume(co, "answer")
    assert.equal("over", said)
    assert.equal("answer", got)
  end)
end)

describe("an error in a callback", function()
  it("is warned of, harms nothing, and is raised once by wait", function()
    local r = quietly([[
      local pool <close> = mp.Pool(2)
      local after
      local problem = { "mine" }
      local r = pool:apply_async(function() return 1 end, nil, function() error(problem) end)
      pool:apply_async(function() mp.sleep(0.2) return 2 end, nil, function(v) after = v end)
      print(r:get(), pool:apply(function() return 3 end))
      local ok, err = pcall(pool.wait, pool)
      print(ok, err == problem, after)
      print(pcall(pool.wait, pool))
      pool:close()
      print(pcall(pool.join, pool))
    ]])
    assert.equal("1\t3\nfalse\ttrue\t2\ntrue\ttrue\ntrue\ttrue\n", r.output)
    assert.matches("error in a callback", r.errors)
    assert.equal(0, r.code)
  end)

  it("is the first of several that is raised", function()
    local r = quietly([[
      local pool = mp.Pool(1)
      for i = 1, 3 do
        pool:apply_async(function() return i end, nil, function(v) error("number " .. v, 0) end)
      end
      pool:close()
      print(pcall(pool.join, pool))
      print(pcall(pool.join, pool))
    ]])
    assert.equal("false\tnumber 1\ntrue\ttrue\n", r.output)
  end)

  it("in an error_callback is contained, too", function()
    local r = quietly([[
      local pool <close> = mp.Pool(1)
      local r = pool:apply_async(error, {"task", 0}, nil, function() error("callback", 0) end)
      print(pcall(pool.wait, pool))
      print(select(2, pcall(r.get, r)).value)
    ]])
    assert.equal("false\tcallback\ntask\n", r.output)
  end)

  it("is raised at the end of the pool's block", function()
    local r = quietly([[
      local ok, err = pcall(function()
        local pool <close> = mp.Pool(1)
        pool:apply_async(function() end, nil, function() error("late", 0) end)
      end)
      print(ok, err)
    ]])
    assert.equal("false\tlate\n", r.output)
  end)
end)
