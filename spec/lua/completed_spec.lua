local mp = require "moonpool"

local function nap(seconds)
  mp.sleep(seconds)
  return seconds
end

local function values(iterator)
  local found = {}
  for result in iterator do found[#found + 1] = result:get() end
  return found
end

describe("as_completed", function()
  it("gives results as they finish, each once", function()
    local pool <close> = mp.Pool(3)
    pool:map(nap, { 0, 0, 0 }, 1)
    local results = {}
    for i, seconds in ipairs { 0.9, 0.5, 0.1 } do
      results[i] = pool:apply_async(nap, { seconds })
    end
    assert.same({ 0.1, 0.5, 0.9 }, values(mp.as_completed(results)))
  end)

  it("gives at once what is done already, in the order of the list", function()
    local pool <close> = mp.Pool(1)
    local results = { pool:apply_async(nap, { 0 }), pool:apply_async(nap, { 0.01 }) }
    pool:wait()
    assert.same({ 0, 0.01 }, values(mp.as_completed(results)))
  end)

  it("takes results of several pools", function()
    local a <close> = mp.Pool(1)
    local b <close> = mp.Pool(1)
    local results = { a:apply_async(nap, { 0.05 }), b:apply_async(nap, { 0 }) }
    local found = values(mp.as_completed(results))
    table.sort(found)
    assert.same({ 0, 0.05 }, found)
  end)

  it("ends for an empty list", function()
    assert.same({}, values(mp.as_completed {}))
  end)

  it("gives failed ones too", function()
    local pool <close> = mp.Pool(1)
    for result in mp.as_completed { pool:apply_async(error, { "no" }) } do
      assert.is_false(result:successful())
    end
  end)

  it("raises when the time is over, and goes on behind it", function()
    local pool <close> = mp.Pool(1)
    local results = { pool:apply_async(nap, { 0.3 }) }
    local ok, err = pcall(mp.as_completed(results, 0))
    assert.is_false(ok)
    assert.equal("timeout", err.kind)
    assert.same({ 0.3 }, values(mp.as_completed(results)))
  end)

  it("refuses what is no result", function()
    local ok, err = pcall(mp.as_completed, { 1 })
    assert.is_false(ok)
    assert.equal("argument", err.kind)
  end)
end)
