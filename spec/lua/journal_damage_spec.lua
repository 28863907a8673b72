-- timeout: 180
local mp = require "moonpool"
local script = require "spec.support.script"

describe("a damaged journal", function()
  local ITEMS <const> = 4
  local pool, path, ran, work, whole, results, ends

  local function write(bytes)
    local file = assert(io.open(path, "wb"))
    file:write(bytes)
    file:close()
  end

  local function map() return pool:map(work, mp.range(ITEMS), { journal = path, seed = 5 }) end

  -- How many items ran since the last time.
  local function times()
    local n = #script.read(ran)
    io.open(ran, "w"):close()
    return n
  end

  -- Where each record ends.
  local function measure(bytes)
    local found, at = {}, 1
    while at <= #bytes do
      at = select(2, mp.loads(bytes, { position = at }))
      found[#found + 1] = at - 1
    end
    return found
  end

  before_each(function()
    local open, random = io.open, math.random
    pool = mp.Pool(1)
    path, ran = os.tmpname(), os.tmpname()
    os.remove(path)
    local name = ran
    work = function(x)
      local file = open(name, "a")
      file:write("x")
      file:close()
      return { x, random(1 << 40), "text" }
    end
    results = map()
    whole = script.read(path)
    ends = measure(whole)
    times()
    assert.equal(2 + ITEMS, #ends)
  end)

  after_each(function()
    pool:terminate()
    pool:join()
    os.remove(path)
    os.remove(ran)
  end)

  it("is used as far as its records are whole, wherever it is cut off", function()
    for size = 0, #whole do
      write(whole:sub(1, size))
      assert.same(results, map())
      local there = 0
      for i, last in ipairs(ends) do there = i > 2 and last <= size and there + 1 or there end
      assert.equal(ITEMS - there, times(), "cut at " .. size)
      assert.same(results, map())
      assert.equal(0, times(), "again, cut at " .. size)
      assert.equal(#script.read(path), measure(script.read(path))[#measure(script.read(path))])
    end
  end)

  it("loses what a wrong byte touches, and nothing else", function()
    for i = 1, #whole do
      local byte = whole:byte(i) ~ (1 << i % 8)
      write(whole:sub(1, i - 1) .. string.char(byte) .. whole:sub(i + 1))
      assert.same(results, map())
      assert.equal(i > ends[2] and 1 or 0, times(), "byte " .. i)
      assert.same(results, map())
      assert.equal(0, times(), "again, byte " .. i)
    end
  end)

  it("is none the worse for what stands between and behind its records", function()
    local rubbish = whole:sub(ends[3] + 1, ends[3] + 30)
    write(whole:sub(1, ends[3]) .. rubbish .. whole:sub(ends[3] + 1))
    assert.same(results, map())
    assert.equal(3, times(), "records that have moved are not trusted")
    write(whole .. ("\0"):rep(100000))
    assert.same(results, map())
    assert.equal(0, times())
    write(whole .. whole:sub(ends[4] + 1, ends[5]))
    assert.same(results, map())
    assert.equal(0, times())
  end)

  it("does not take a record within a result for one of its own", function()
    os.remove(path)
    local bytes = whole:sub(ends[2] + 1, ends[3])
    local function f(x) return x .. bytes .. bytes end
    local first = pool:map(f, { "a", "b" }, { journal = path })
    assert.same(first, pool:map(f, { "a", "b" }, { journal = path }))
    local text = script.read(path)
    write(text:sub(1, #text - 4))
    assert.same(first, pool:map(f, { "a", "b" }, { journal = path }))
  end)
end)
