local mp = require "moonpool"

-- Functions sent to workers may not name globals of this file.
local function set_mark(value) mp.everywhere_mark = value return value end
local function get_mark() return mp.everywhere_mark end

describe("everywhere", function()
  it("runs once in every worker and gives a table of results", function()
    local pool <close> = mp.Pool(3)
    local pid, seen = mp.getpid, {}
    local results = pool:everywhere(function(a, b) return pid() + a + b end, { 1, 2 })
    assert.equal(3, results.n)
    for i = 1, 3 do seen[results[i] - 3] = true end
    for _, w in ipairs(pool:workers()) do assert.is_true(seen[w.pid]) end
    assert.is_nil(results.errors)
  end)

  it("comes before any task submitted after it, and not before those in front", function()
    local pool <close> = mp.Pool(2)
    local sleep = mp.sleep
    local before = pool:map_async(function() sleep(0.02) return get_mark() end, mp.range(6), 1)
    pool:everywhere(set_mark, { "set" })
    local after = pool:map(get_mark, mp.range(10), 1)
    for i = 1, 10 do assert.equal("set", after[i]) end
    assert.equal(6, before:get().n)
  end)

  it("warns where it fails in a worker that came later", function()
    local r = require "spec.support.script".run [[
      local first = mp.Value "i8"
      local pool <close> = mp.Pool(1)
      pool:everywhere(function() if first:add(1) > 1 then error "cannot set up" end end)
      pool:resize(2)
      pool:map(function() mp.sleep(0.1) end, { 1, 2 }, 1)
    ]]
    assert.matches("everywhere has failed in PoolWorker%-2, which came later: .*cannot set up", r.errors)
    assert.equal(0, r.code)
  end)

  it("that has raised is not done again in workers that come later", function()
    local r = require "spec.support.script".run [[
      local times = mp.Value "i8"
      local pool <close> = mp.Pool(2)
      pool:apply(math.abs, { 1 })
      print(select(2, pcall(pool.everywhere, pool, function() os.exit(3) end)).kind)
      print(pool:map(math.abs, { -1, -2, -3 }).n)
      print(select(2, pcall(pool.everywhere, pool, function() times:add(1) error "no luck" end)).kind)
      pool:refresh()
      print(pool:map(math.abs, { -1, -2, -3 }).n, times.value <= 2)
    ]]
    assert.same({ "worker_lost\n3\ntask\n3\ttrue\n", "", 0 }, { r.output, r.errors, r.code })
  end)

  it("counts for replacements, and for workers that come by resize and refresh", function()
    local pool <close> = mp.Pool { processes = 2, maxtasksperchild = 2 }
    pool:everywhere(set_mark, { 1 })
    pool:everywhere(function(more) return set_mark(get_mark() + more) end, { 10 })
    for _, v in ipairs(pool:map(get_mark, mp.range(20), 1)) do assert.equal(11, v) end
    pool:resize(4)
    pool:start()
    for _, v in ipairs(pool:map(get_mark, mp.range(40), 1)) do assert.equal(11, v) end
    pool:refresh()
    for _, v in ipairs(pool:map(get_mark, mp.range(20), 1)) do assert.equal(11, v) end
  end)

  it("comes behind the initializer", function()
    local set, get = set_mark, get_mark
    local pool <close> = mp.Pool { processes = 2, initializer = set, initargs = { 5 },
      maxtasksperchild = 1 }
    pool:everywhere(function() return set(get() * 2) end)
    for _, v in ipairs(pool:map(get, mp.range(10), 1)) do assert.equal(10, v) end
  end)

  it("raises the first failure, or collects them", function()
    local pool <close> = mp.Pool(2)
    local fail = error
    local ok, err = pcall(pool.everywhere, pool, function() fail("no luck", 0) end)
    assert.same({ false, "task", 1 }, { ok, err.kind, err.index })
    assert.matches("no luck", err.message, 1, true)
    local results = pool:everywhere(function() fail("no luck", 0) end, nil,
      { on_error = "collect" })
    assert.same({ 2, 2 }, { results.n, results.failed })
    assert.equal("task", results.errors[2].kind)
    assert.equal(1, pool:apply(function() return 1 end))
  end)

  it("is stopped by its timeout", function()
    local pool <close> = mp.Pool(1)
    local ok, err = pcall(pool.everywhere, pool, function() while true do end end, {},
      { timeout = 0.05 })
    assert.same({ false, "timeout" }, { ok, err.kind })
  end)

  it("keeps nil in its place, and packs", function()
    local pool <close> = mp.Pool(2)
    assert.same({ n = 2 }, pool:everywhere(function() return nil end))
    local packed = pool:everywhere(function() return 1, nil, 3 end, nil, { pack = true })
    assert.same({ 1, nil, 3, n = 3 }, packed[2])
  end)

  it("is in no statistics", function()
    local pool <close> = mp.Pool(2)
    pool:everywhere(mp.getpid)
    pool:map(function(i) return i end, mp.range(10))
    local s = pool:stats()
    assert.same({ 10, 10, 0, 0 }, { s.items, s.done, s.failed, s.cancelled })
  end)

  it("is not retried, whatever the pool says", function()
    local pool <close> = mp.Pool { processes = 1, retries = 3 }
    local fail, n = error, 0
    local ok, err = pcall(pool.everywhere, pool, function() n = n + 1 fail(n, 0) end)
    assert.same({ false, 1 }, { ok, err.value })
  end)

  it("tells mistakes", function()
    local pool <close> = mp.Pool(1)
    for _, args in ipairs { { 3 }, { mp.getpid, 3 }, { mp.getpid, {}, 3 },
      { mp.getpid, {}, { retries = 2 } } } do
      local ok, err = pcall(pool.everywhere, pool, table.unpack(args))
      assert.same({ false, "argument" }, { ok, err.kind })
    end
  end)

  it("ends with the pool", function()
    local pool = mp.Pool(2)
    local sleep = mp.sleep
    pool:apply_async(function() sleep(0.3) end, {}, function() pool:terminate() end)
    local function busy()
      local w = pool:workers()
      return w[1].state == "busy" or w[2].state == "busy"
    end
    while not busy() do pool:poll(0.01) end
    local ok, err = pcall(pool.everywhere, pool, function() sleep(100) end)
    assert.same({ false, "cancelled" }, { ok, err.kind })
    pool:join()
  end)
end)
