local mp = require "moonpool"
local with_pool = require "spec.support.with_pool"

-- True for the first process that comes with this path.
local function first_at(path)
  local open = io.open
  return function()
    local file <close> = assert(open(path, "a+"))
    file:write("x")
    file:flush()
    file:seek("set")
    return #file:read("a") == 1
  end
end

describe("duplicate", function()
  for _, form in ipairs { "map", "imap", "imap_unordered" } do
    it("does not wait for a straggler: " .. form, function()
      with_pool(3, function(pool)
        local path, sleep = os.tmpname(), mp.sleep
        local first = first_at(path)
        local function f(i)
          if i == 5 and first() then sleep(1000) end
          return i * 2
        end
        local options = { duplicate = true }
        if form == "map" then
          local r = pool:map(f, mp.range(20), options)
          for i = 1, 20 do assert.equal(i * 2, r[i]) end
        else
          local n = 0
          for i, v in pool[form](pool, f, mp.range(20), options) do
            assert.equal(i * 2, v)
            n = n + 1
          end
          assert.equal(20, n)
        end
        local s = pool:stats()
        assert.same({ 20, 20, 0, 0 }, { s.items, s.done, s.failed, s.cancelled })
        os.remove(path)
      end)
    end)
  end

  it("goes on with the other when one loses its worker", function()
    with_pool(2, function(pool)
      local path, sleep, kill, pid = os.tmpname(), mp.sleep, os.execute, mp.getpid
      local first = first_at(path)
      local r = pool:map(function(i)
        if first() then
          sleep(0.2)
          kill("kill -9 " .. pid())
        end
        sleep(0.4)
        return i
      end, { 7 }, { duplicate = true })
      assert.same({ 7, n = 1 }, r)
      os.remove(path)
    end)
  end)

  it("takes the first outcome, be it a failure", function()
    with_pool(2, function(pool)
      local path, sleep, fail = os.tmpname(), mp.sleep, error
      local first = first_at(path)
      local ok, err = pcall(pool.map, pool, function()
        if first() then sleep(1000) end
        fail("second")
      end, { 1 }, { duplicate = true })
      assert.same({ false, "task" }, { ok, err.kind })
      os.remove(path)
    end)
  end)

  it("is true or false", function()
    with_pool(1, function(pool)
      local ok, err = pcall(pool.map, pool, print, {}, { duplicate = 2 })
      assert.same({ false, "argument" }, { ok, err.kind })
    end)
  end)
end)
