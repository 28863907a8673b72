local mp = require "moonpool"
local with_pool = require "spec.support.with_pool"

-- What a loop over the range gives.
local function values(range)
  local all = {}
  for v in range do all[#all + 1] = v end
  return all
end

describe("a map over a range", function()
  it("gives each item the number that a loop would, of the same type", function()
    local kind = math.type
    with_pool(2, function(pool)
      for _, make in ipairs {
        function() return mp.range(1000) end,
        function() return mp.range(10, -10, -3) end,
        function() return mp.range(0.5, 20, 0.25) end,
        function() return mp.range(1, 3, 0.1) end,
        function() return mp.range(math.maxinteger - 5, math.maxinteger) end,
        function() return mp.range(math.mininteger, math.mininteger + 3) end,
        function() return mp.linspace(-1, 1, 77) end,
        function() return mp.range(0) end,
      } do
        local expected = values(make())
        local got = pool:map(function(x) return { x, kind(x) } end, make())
        assert.equal(#expected, got.n)
        for i, v in ipairs(expected) do
          assert.same({ v, kind(v) }, got[i])
        end
        local star = pool:starmap(function(x) return x end, make(), { chunksize = 3 })
        assert.same(expected, table.move(star, 1, star.n, 1, {}))
        local count = 0
        for i, v in pool:imap(function(x) return x end, make()) do
          count = count + 1
          assert.equal(expected[i], v)
        end
        assert.equal(#expected, count)
      end
    end)
  end)

  it("says which number an item was that failed, was late or was lost", function()
    with_pool(2, function(pool)
      local fail, exit = error, os.exit
      local function f(x)
        if x == 20 then fail("no") end
        if x == 30 then exit(3) end
        while x == 40 do end
        return x
      end
      local r = pool:map(f, mp.range(10, 100, 5), { on_error = "collect", timeout = 0.3 })
      assert.equal(3, r.failed)
      assert.same({ "task", 20 }, { r.errors[3].kind, r.errors[3].args[1] })
      assert.same({ "worker_lost", 30 }, { r.errors[5].kind, r.errors[5].args[1] })
      assert.same({ "timeout", 40 }, { r.errors[7].kind, r.errors[7].args[1] })
      for i = 1, 19 do
        if not r.errors[i] then assert.equal(5 + 5 * i, r[i]) end
      end
    end)
  end)

  it("makes tasks of as many items as asked for", function()
    with_pool(2, function(pool)
      local before = pool:stats().items
      local runs = pool:map(function(x) return x end, mp.range(1000), { chunksize = 100000 })
      assert.equal(1000, #runs)
      assert.equal(before + 1000, pool:stats().items)
    end)
  end)

  it("mixes results of all kinds in one table", function()
    with_pool(2, function(pool)
      local function f(i)
        if i % 7 == 0 then return nil end
        if i % 5 == 0 then return "s" .. i end
        if i % 11 == 0 then return { i } end
        if i % 13 == 0 then return i % 2 == 0 end
        return i % 3 == 0 and i / 2 or i
      end
      local r = pool:map(f, mp.range(20000))
      for i = 1, 20000 do assert.same(f(i), r[i]) end
      assert.equal(20000, r.n)
    end)
  end)
end)
