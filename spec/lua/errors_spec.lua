local mp = require "moonpool"
local script = require "spec.support.script"

-- What travels names no globals in here: busted's blocks have environments of their own.
local error, os, setmetatable, coroutine = error, os, setmetatable, coroutine
local print = print

local function identity(...) return ... end

local function failure(call, ...)
  local ok, err = pcall(call, ...)
  assert.is_false(ok)
  return err
end

describe("a function's error", function()
  local pool
  setup(function() pool = mp.Pool(2) end)
  teardown(function()
    pool:close()
    pool:join()
  end)

  it("is told with what it raised, where, and for what", function()
    local err = failure(pool.starmap, pool, function(a, b)
      if a == 2 then error("no " .. b) end
      return a
    end, { { 1, "x" }, { 2, "y" } })
    assert.equal("task", err.kind)
    assert.matches("errors_spec.lua:%d+: no y$", err.value)
    assert.equal(err.value, err.message)
    assert.equal(2, err.index)
    assert.same({ 2, "y", n = 2 }, err.args)
    assert.equal(1, err.attempt)
    assert.is_number(err.pid)
    assert.not_equal(mp.getpid(), err.pid)
    assert.matches("^PoolWorker%-%d$", err.worker)
    assert.matches("stack traceback:\n", err.traceback)
    assert.matches("errors_spec.lua:%d+: in function <.*errors_spec.lua:%d+>", err.traceback)
    assert.matches("errors_spec.lua:%d+$", err.called_from)
  end)

  it("keeps the value raised, whatever it is", function()
    for _, value in ipairs { { code = 5 }, 42, true, "text" } do
      local err = failure(pool.apply, pool, error, { value, 0 })
      assert.same(value, err.value)
    end
    local err = failure(pool.apply, pool, error, { nil, n = 1 })
    assert.is_nil(err.value)
    assert.equal("nil", err.message)
  end)

  it("keeps a raised object's metatable, and its text as message", function()
    local Problem = { __tostring = function(p) return "problem " .. p.code end }
    local err = failure(pool.apply, pool, function()
      error(setmetatable({ code = 7 }, Problem))
    end)
    assert.equal("problem 7", err.message)
    assert.equal(7, err.value.code)
    assert.equal(Problem, getmetatable(err.value))
  end)

  it("has what is in a bare table as its message", function()
    local err = failure(pool.apply, pool, function() error({ code = 7, at = { 1, 2 } }) end)
    assert.equal("{at = {1, 2}, code = 7}", err.message)
    assert.same({ code = 7, at = { 1, 2 } }, err.value)
  end)

  it("is told where the value raised cannot be sent", function()
    local err = failure(pool.apply, pool, function() error(coroutine.create(print)) end)
    assert.equal("task", err.kind)
    assert.matches("^thread: ", err.message)
    assert.is_nil(err.value)
  end)

  it("reads well, with both places", function()
    local err = failure(pool.map, pool, function(x) error("bad " .. x) end, { "item" })
    local lines = {}
    for line in tostring(err):gmatch("[^\n]+") do lines[#lines + 1] = line end
    assert.matches("errors_spec.lua:%d+: bad item$", lines[1])
    assert.matches('^in item 1 %("item"%), PoolWorker%-%d, pid %d+, attempt 1$', lines[2])
    assert.equal("stack traceback:", lines[3])
    assert.matches("^called from .*errors_spec.lua:%d+$", lines[#lines])
    assert.equal("so: " .. tostring(err), "so: " .. err)
    assert.equal(tostring(err) .. "!", err .. "!")
  end)

  it("cuts long arguments short where it is shown", function()
    local err = failure(pool.apply, pool, function() error("x", 0) end, { ("long"):rep(1000) })
    assert.is_true(#tostring(err) < 1000)
    assert.equal(4000, #err.args[1])
  end)

  it("of a stack overflow is as others", function()
    local function deep(n) return 1 + deep(n + 1) end
    assert.matches("stack overflow", failure(pool.apply, pool, deep, { 1 }).message)
    assert.equal(1, pool:apply(identity, { 1 }))
  end)
end)

describe("on_error", function()
  local pool
  setup(function() pool = mp.Pool(2) end)
  teardown(function()
    pool:close()
    pool:join()
  end)

  it("raise gives the failure with the lowest index, and what was done", function()
    local err = failure(pool.map, pool, function(x)
      if x == 4 then mp.sleep(0.1) end
      if x >= 4 then error("item " .. x, 0) end
      return x
    end, mp.range(6), 1)
    assert.equal(4, err.index)
    assert.equal("item 4", err.value)
    assert.same({ 1, 2, 3 }, { table.unpack(err.results, 1, 3) })
    assert.is_nil(err.results[4])
  end)

  it("raise runs no items behind a failure that nobody has claimed", function()
    local path = os.tmpname()
    failure(pool.map, pool, function(x)
      local file = io.open(path, "a")
      file:write(x, "\n")
      file:close()
      if x == 1 then error("first") end
      mp.sleep(0.01)
    end, mp.range(500), 1)
    pool:wait()
    local ran = 0
    for _ in io.lines(path) do ran = ran + 1 end
    os.remove(path)
    assert.is_true(ran < 250, "ran " .. ran)
  end)

  it("collect runs all, and gives failures beside results", function()
    local results = pool:map(function(x)
      if x % 10 == 0 then error(x, 0) end
      return -x
    end, mp.range(1000), { on_error = "collect" })
    assert.equal(1000, results.n)
    assert.equal(100, results.failed)
    for i = 1, 1000 do
      if i % 10 == 0 then
        assert.is_nil(results[i])
        assert.equal(i, results.errors[i].value)
        assert.equal(i, results.errors[i].index)
        assert.is_nil(results.errors[i].results)
      else
        assert.equal(-i, results[i])
        assert.is_nil(results.errors[i])
      end
    end
  end)

  it("collect of what does not fail has no failures", function()
    local results = pool:map(identity, { 1, 2 }, { on_error = "collect" })
    assert.same({ 1, 2, n = 2, errors = {}, failed = 0 }, results)
    results = pool:map(identity, {}, { on_error = "collect" })
    assert.same({ n = 0, errors = {}, failed = 0 }, results)
  end)
end)

describe("a worker that is lost", function()
  it("is told with its item and how it ended", function()
    local pool <close> = mp.Pool(2)
    local err = failure(pool.map, pool, function(x)
      if x == 3 then os.exit(7) end
      return x
    end, { 1, 2, 3 }, 1)
    assert.equal("worker_lost", err.kind)
    assert.equal(3, err.index)
    assert.same({ 3, n = 1 }, err.args)
    assert.equal(7, err.exitcode)
    assert.is_nil(err.signal)
    assert.is_number(err.pid)
    assert.same({ 1, 2 }, { table.unpack(err.results, 1, 2) })
    err = failure(pool.apply, pool, function() os.execute("kill -11 " .. mp.getpid()) mp.sleep(10) end)
    assert.equal("worker_lost", err.kind)
    assert.equal(11, err.signal)
    assert.matches("SIGSEGV", err.message)
  end)

  it("is lost by any exit, with any code", function()
    local pool <close> = mp.Pool(1)
    for _, code in ipairs { 0, 1, 255, true, false } do
      local err = failure(pool.apply, pool, os.exit, { code })
      assert.equal("worker_lost", err.kind)
      assert.equal(code == true and 0 or code == false and 1 or code, err.exitcode)
    end
    assert.equal("worker_lost", failure(pool.apply, pool, os.exit).kind)
    assert.equal("worker_lost", failure(pool.apply, pool, os.exit, { 3, true }).kind)
    assert.equal(5, pool:apply(identity, { 5 }))
  end)

  it("costs one item of a chunk", function()
    local pool <close> = mp.Pool(2)
    local results = pool:map(function(x)
      if x == 5 or x == 12 then os.exit(1) end
      return x
    end, mp.range(20), { chunksize = 10, on_error = "collect" })
    assert.equal(2, results.failed)
    for i = 1, 20 do
      if i == 5 or i == 12 then
        assert.equal("worker_lost", results.errors[i].kind)
      else
        assert.equal(i, results[i])
      end
    end
  end)

  it("may be lost at every item", function()
    local pool <close> = mp.Pool(3)
    local results = pool:map(function() os.exit(1) end, mp.range(30), { on_error = "collect" })
    assert.equal(30, results.failed)
    assert.equal(1, pool:apply(identity, { 1 }))
  end)
end)

describe("what cannot be sent", function()
  local pool
  setup(function() pool = mp.Pool(1) end)
  teardown(function()
    pool:close()
    pool:join()
  end)

  it("raises in the call that sends it, with the path", function()
    pool:apply(identity)
    local thread = coroutine.create(print)
    local err = failure(pool.apply, pool, identity, { 1, { a = { thread } } })
    assert.equal("encode", err.kind)
    assert.equal("argument 2.a[1]", err.path)
    assert.matches("cannot send a thread", err.message)
    err = failure(pool.map, pool, identity, { 1, thread })
    assert.equal("item 2", err.path)
    err = failure(pool.starmap, pool, identity, { { 1, 2 }, { 3, { x = thread } } })
    assert.equal("item 2, argument 2.x", err.path)
    local config = { log = thread }
    err = failure(pool.apply, pool, function() return config end)
    assert.matches("upvalue config.log of .*errors_spec.lua:%d+", err.path)
    assert.equal(1, pool:apply(identity, { 1 }))
  end)

  it("is its item's failure as a result", function()
    local results = pool:map(function(x)
      return x == 2 and { deep = { coroutine.create(print) } } or x
    end, { 1, 2, 3 }, { on_error = "collect" })
    assert.equal("encode", results.errors[2].kind)
    assert.equal("result.deep[1]", results.errors[2].path)
    assert.equal(2, results.errors[2].index)
    assert.same({ 1, nil, 3 }, { results[1], results[2], results[3] })
  end)

  it("names files", function()
    local file <close> = io.tmpfile()
    local err = failure(pool.apply, pool, identity, { file })
    assert.matches("userdata %(FILE%*%)", err.message)
  end)
end)

describe("an uncaught error", function()
  script.each_program(function(program)
    it("shows both places in " .. program, function()
      local r = script.run([[ local pool = mp.Pool(2)
        local function fail(x)
          error("wrong " .. x)
        end
        pool:map(fail, { 7 })
      ]], { program = program })
      assert.equal(1, r.code)
      assert.matches("^[^\n]*:3: wrong 7\nin item 1 %(7%), PoolWorker%-%d, pid %d+, attempt 1\n", r.errors)
      assert.is_truthy(r.errors:find("called from " .. r.path .. ":5", 1, true), r.errors)
      assert.matches("stack traceback:\n", r.errors)
    end)
  end)
end)
