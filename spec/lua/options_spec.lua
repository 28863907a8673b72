local mp = require "moonpool"

local function identity(...) return ... end

describe("a mistake in a call", function()
  local pool
  setup(function() pool = mp.Pool(2) end)
  teardown(function()
    pool:close()
    pool:join()
  end)

  -- The call fails with "argument" and a message that says so; the pool goes on.
  local function mistaken(pattern, call, ...)
    local ok, err = pcall(call, ...)
    assert.is_false(ok)
    assert.equal("argument", type(err) == "table" and err.kind or err)
    assert.matches(pattern, err.message)
    assert.same({ 1, n = 1 }, pool:map(identity, { 1 }))
  end

  it("names the nearest known option", function()
    mistaken('did you mean "chunksize"', pool.map, pool, identity, { 1 }, { chunksise = 2 })
    mistaken('did you mean "on_error"', pool.map, pool, identity, { 1 }, { onerror = "raise" })
    mistaken('did you mean "callback"', pool.apply_async, pool, identity, {}, { call_back = print })
  end)

  it("refuses chunk sizes that are none", function()
    for _, chunk in ipairs { 0, -1, 1.5, 2.0, math.huge } do
      mistaken("chunksize must be a positive integer", pool.map, pool, identity, { 1 }, chunk)
      mistaken("chunksize must be a positive integer", pool.imap, pool, identity, { 1 },
        { chunksize = chunk })
    end
    mistaken("chunksize", pool.map, pool, identity, { 1 }, { chunksize = "2" })
    mistaken("third argument", pool.map, pool, identity, { 1 }, "2")
  end)

  it("refuses other options of wrong type", function()
    mistaken('on_error must be "raise" or "collect"', pool.map, pool, identity, { 1 },
      { on_error = "ignore" })
    mistaken("callback must be a function", pool.map_async, pool, identity, { 1 }, 1, 5)
    mistaken("error_callback must be a function", pool.apply_async, pool, identity, {}, nil, "x")
    mistaken("third argument", pool.apply_async, pool, identity, {}, "x")
  end)

  it("refuses what is no function", function()
    for _, name in ipairs { "map", "starmap", "map_async", "imap", "imap_unordered" } do
      mistaken(name .. ": the first argument must be a function, got nil", pool[name], pool, nil, {})
    end
    mistaken("apply: the first argument must be a function, got table", pool.apply, pool, {})
    mistaken("got string \"f\"", pool.apply_async, pool, "f")
  end)

  it("refuses what is no iterable", function()
    mistaken("the iterable must be .*got string", pool.map, pool, identity, "abc")
    mistaken("the iterable must be .*got number 5", pool.map, pool, identity, 5)
    mistaken("the iterable must be .*got nil", pool.imap, pool, identity)
    mistaken("keys but no items", pool.map, pool, identity, { a = 1 })
    mistaken("length", pool.map, pool, identity, { n = -1 })
    mistaken("length", pool.map, pool, identity, { n = "x" })
  end)

  it("refuses args that are no table", function()
    mistaken("apply: args must be a table.*write {5}", pool.apply, pool, identity, 5)
    mistaken('write {"x"}', pool.apply_async, pool, identity, "x")
  end)

  it("says which of dot and colon is right", function()
    mistaken("pool:map", pool.map, identity, { 1 })
    mistaken("pool:apply_async", pool.apply_async, identity)
    mistaken("pool:close", pool.close)
    mistaken("mp.Pool", mp.Pool, mp, 4)
  end)

  it("refuses numbers of workers that are none", function()
    for _, n in ipairs { 0, -1, 1.5, "4", 1 << 20 } do
      mistaken("processes must be", mp.Pool, n)
      mistaken("processes must be", mp.Pool, { processes = n })
    end
    mistaken("unknown field .*procesess", mp.Pool, { procesess = 4 })
  end)

  it("says where the script called", function()
    local ok, err = pcall(function() pool:map(identity, 5) end)
    assert.is_false(ok)
    assert.matches("options_spec.lua:%d+", err.called_from)
    assert.matches("called from .*options_spec.lua:%d+$", tostring(err))
  end)
end)
