-- timeout: 120
-- CPython's tests of a pool's workers, restated: Lib/test/_test_multiprocessing.py, classes
-- _TestPoolWorkerErrors, _TestPoolWorkerLifetime, TestInitializers (its pool's part),
-- TestPoolNotLeakOnFailure, and test_large_pool.
local mp = require "moonpool"
local leaks = require "spec.support.leaks"
local script = require "spec.support.script"

local function sqr(x, wait)
  if wait then mp.sleep(wait) end
  return x * x
end

local function pids(pool)
  local list = {}
  for _, worker in ipairs(pool:workers()) do list[#list + 1] = worker.pid end
  table.sort(list)
  return list
end

describe("_TestPoolWorkerErrors", function()
  it("test_async_error_callback", function()
    local p = mp.Pool(2)
    local scratch
    local fail = error
    local result = p:apply_async(function() fail({ key = "key" }) end, {}, nil,
      function(err) scratch = err end)
    local ok, err = pcall(result.get, result)
    assert.is_false(ok)
    assert.same({ key = "key" }, scratch.value)
    assert.equal(err, scratch)
    p:close()
    p:join()
  end)

  it("test_unpickleable_result", function()
    local p = mp.Pool(2)
    local create, print_ = coroutine.create, print
    for _ = 1, 20 do
      local scratch
      local result = p:apply_async(function() return { create(print_) } end, {},
        { error_callback = function(err) scratch = err end })
      local ok, err = pcall(result.get, result)
      assert.same({ false, "encode" }, { ok, err.kind })
      assert.equal(err, scratch)
      assert.truthy(err.message:find("thread", 1, true))
    end
    p:close()
    p:join()
  end)
end)

describe("_TestPoolWorkerLifetime", function()
  it("test_pool_worker_lifetime", function()
    local p = mp.Pool { processes = 3, maxtasksperchild = 10 }
    local original = pids(p)
    assert.equal(3, #original)
    local results = {}
    for i = 1, 100 do results[i] = p:apply_async(sqr, { i }) end
    for i = 1, 100 do assert.equal(i * i, results[i]:get()) end
    local final = pids(p)
    assert.equal(3, #final)
    assert.is_not.same(original, final)
    p:close()
    p:join()
  end)

  it("test_pool_worker_lifetime_early_close", function()
    local p = mp.Pool { processes = 3, maxtasksperchild = 1 }
    local results = {}
    for i = 1, 6 do results[i] = p:apply_async(sqr, { i, 0.3 }) end
    p:close()
    p:join()
    for i = 1, 6 do assert.equal(i * i, results[i]:get()) end
  end)

  it("test_pool_maxtasksperchild_invalid", function()
    for _, value in ipairs { 0, -1, 0.5, "12" } do
      local ok, err = pcall(mp.Pool, { processes = 3, maxtasksperchild = value })
      assert.same({ false, "argument" }, { ok, err.kind })
    end
  end)

  it("test_worker_finalization_via_atexit_handler_of_multiprocessing", function()
    for _, program in ipairs { "moonpool", "stock" } do
      local r = script.run([[
        problem = nil
        local function test()
          problem = { pool = mp.Pool(1) }
          problem.pool:map(tostring, mp.range(10))
        end
        test()
      ]], { program = program })
      assert.equal(0, r.code)
      assert.is_true(script.left_nothing(r))
    end
  end)
end)

describe("TestInitializers", function()
  it("test_pool_initializer (departure: it runs when a worker starts)", function()
    local ok, err = pcall(mp.Pool, { initializer = 1 })
    assert.same({ false, "argument" }, { ok, err.kind })
    local path = os.tmpname()
    local open = io.open
    local p = mp.Pool(1, function(where)
      local file <close> = open(where, "a")
      file:write("1")
    end, { path })
    assert.equal(1, #p:workers())
    p:close()
    p:join()
    assert.equal("1", script.read(path))
    os.remove(path)
  end)
end)

describe("TestPoolNotLeakOnFailure", function()
  it("test_release_unused_processes", function()
    local before = leaks.snapshot()
    local r = script.run([[
      local pool = mp.Pool(5)
      local ok, err = pcall(pool.map, pool, print, mp.range(3))
      print(ok, err.kind)
      pool:terminate()
      print(pool:join(10))
    ]], { under = "env MOONPOOL_FAILPOINTS=nursery.start:error@1" })
    assert.equal("false\tsystem\ntrue\n", r.output)
    assert.is_true(script.left_nothing(r))
    assert.equal("", leaks.left(before))
  end)
end)

describe("MiscTestCase", function()
  it("test_large_pool", function()
    assert.equal("332833500\n", script.output [[
      local pool <close> = mp.Pool(200)
      local sum = 0
      for _, v in ipairs(pool:map(function(x) return x * x end, mp.range(0, 999))) do sum = sum + v end
      print(sum)
    ]])
  end)
end)
