-- What a newcomer reads who has made one of the usual mistakes: the message names the call,
-- says what came, and shows the right form.
local mp = require "moonpool"

local function f(x) return x end

local function message(call)
  local ok, err = pcall(call)
  assert.is_false(ok)
  assert.equal("argument", err.kind)
  assert.truthy(tostring(err):find("called from [^\n]*mistakes_spec.lua:%d+"))
  return err.message
end

local function check(call, ...)
  local text = message(call)
  for _, part in ipairs { ... } do
    assert.is_truthy(text:find(part, 1, true), ("%q lacks %q"):format(text, part))
  end
end

describe("a mistake is told with the right form:", function()
  local pool

  setup(function() pool = mp.Pool(1) end)
  teardown(function()
    pool:close()
    pool:join()
  end)

  it("an unknown option, with the nearest known one", function()
    check(function() pool:map(f, {}, { chunk_size = 3 }) end, "map", '"chunk_size"', '"chunksize"')
    check(function() pool:map(f, {}, { time_out = 3 }) end, '"time_out"', '"timeout"')
    check(function() pool:apply(f, {}, { retry = 3 }) end, "apply", '"retry"', '"retries"')
    check(function() pool:imap(f, {}, { on_eror = "collect" }) end, '"on_error"')
    check(function() pool:map(f, {}, { 5 }) end, "number 1")
  end)

  it("an unknown field of a pool", function()
    check(function() mp.Pool { workers = 3 } end, "Pool", '"workers"', '"processes"')
    check(function() mp.Pool { initialiser = f } end, '"initializer"')
    check(function() mp.Pool { maxtaskperchild = 1 } end, '"maxtasksperchild"')
  end)

  it("a method called with a dot", function()
    check(function() pool.map(f, { 1 }) end, "pool:map(...)", "colon")
    check(function() pool.close() end, "pool:close(...)", "colon")
    local result = pool:apply_async(f, { 1 })
    check(function() result.get() end, "result:get(...)", "colon")
    check(function() result.wait(1) end, "result:wait(...)", "colon")
    check(function() result.cancel() end, "result:cancel(...)", "colon")
    local loop <close> = pool:imap(f, { 1 })
    check(function() loop.next() end, "iterator:next(...)", "colon")
  end)

  it("a function of the library called with a colon", function()
    check(function() mp:Pool(4) end, "mp.Pool(...)", "dot")
    check(function() mp:range(4) end, "mp.range(...)", "dot")
    check(function() mp:sleep(1) end, "mp.sleep(...)", "dot")
  end)

  it("a number or a string as the items", function()
    check(function() pool:map(f, 10) end, "number 10", "mp.range(10)")
    check(function() pool:imap(f, "abc") end, 'string "abc"', '{"abc"}', "io.lines")
    check(function() pool:map(f) end, "iterable", "nil")
  end)

  it("arguments that are no table", function()
    check(function() pool:apply(f, 5) end, "args", "number 5", "{5}")
    check(function() pool:apply_async(f, "x") end, 'string "x"', '{"x"}')
    check(function() pool:apply(f, 1, 2, 3) end, "{1}")
  end)

  it("a table that has keys but no items", function()
    check(function() pool:map(f, { a = 1, b = 2 }) end, "keys but no items", "mp.each(pairs(t))")
  end)

  it("the triple of a generic for, passed bare", function()
    local t = { a = 1 }
    for _, form in ipairs { "map", "map_async", "starmap", "imap", "istarmap_unordered" } do
      check(function() pool[form](pool, f, pairs(t)) end, form, "mp.each(pairs(t))")
    end
    check(function() pool:map(f, ipairs { 5 }) end, "mp.each(ipairs(t))")
    assert.same({ "a", n = 1 }, pool:map(f, mp.each(pairs(t))))
    check(function() mp.each(t) end, "mp.each(pairs(t))")
  end)

  it("no function where one belongs", function()
    check(function() pool:map({ 1, 2 }, f) end, "a function", "got table", "the function comes first")
    check(function() pool:map(f(3), { 1 }) end, "number 3", "not what a call of it returns")
    check(function() pool:apply_async(f, {}, "later") end, 'string "later"', "callback")
    check(function() mp.Pool { initializer = 5 } end, "initializer", "a function", "number 5")
  end)

  it("what is no chunk size, number of tasks or of workers", function()
    for _, bad in ipairs { 0, -1, 1.5 } do
      check(function() pool:map(f, {}, bad) end, "chunksize", "a positive integer", tostring(bad))
      check(function() mp.Pool { maxtasksperchild = bad } end, "maxtasksperchild", tostring(bad))
      check(function() mp.Pool(bad) end, "processes", tostring(bad))
    end
    check(function() pool:map(f, {}, "3") end, 'string "3"', "chunksize")
  end)

  it("what is no time", function()
    check(function() pool:map(f, {}, { timeout = -1 }) end, "timeout", "number -1")
    check(function() pool:apply_async(f):get("1") end, "seconds", 'string "1"')
    check(function() pool:wait({}) end, "seconds", "table")
    check(function() mp.sleep("1") end, "sleep", 'string "1"')
  end)

  it("a number that is an integer, as Lua takes one, is one", function()
    local own <close> = mp.Pool(4 / 2)
    assert.equal("Pool of 2 (open)", tostring(own))
    own:resize(1.0)
    assert.same({ 4, n = 1 }, own:map(f, { 4 }, { retries = 1.0, total = 1.0 }))
    assert.equal(0.25, mp.linspace(0, 1, 5.0)[2])
    assert.equal(2, mp.Semaphore(2.0):get_value())
    local array = mp.Array("i4", 1e1)
    array[2.0] = 7
    assert.same({ 7, 7, 10 }, { array[2], array[(1 + 3) / 2], #array })
    assert.is_nil(array[1.5])
    check(function() mp.Pool(1.5) end, "processes", "number 1.5")
  end)

  it("a word that is no on_error, a seed that is no integer", function()
    check(function() pool:map(f, {}, { on_error = "colect" }) end, '"raise" or "collect"', '"colect"')
    check(function() pool:map(f, {}, { seed = 1.5 }) end, "seed", "an integer", "number 1.5")
  end)
end)
