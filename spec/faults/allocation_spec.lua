-- timeout: 240
-- label: plain
-- The first, second, third ... allocation fails, until all goes well: Lua's and C's, in host and
-- worker. What fails says so, nothing hangs, nothing is left, no result is lost.
local fault = require "spec.support.fault"

local LIBRARY = os.getenv("MOONPOOL_BUILD") .. "/spec/failnext.so"

-- `count` allocations fail from the n-th on.
local COUNTS = { 1, 2, 3, 1000000 }

local function says(expected, source)
  for _, count in ipairs(COUNTS) do
    fault.says(expected, source, { args = { count }, under = "env LD_PRELOAD=" .. LIBRARY })
  end
end

describe("an allocation that fails in the host", function()
  it("is an error of that call, whichever it is", function()
    says("done\n", [[
      local failnext, leaks = require "spec.failnext", require "spec.support.leaks"
      local count, pool = tonumber(arg[1])
      local function work()
        pool = mp.Pool(2)
        local got = pool:map(function(i) return { i, "value " .. i } end, mp.range(20), 5)
        assert(got.n == 20 and got[20][2] == "value 20")
        assert(pool:apply(math.abs, { -7 }) == 7)
        assert(pool:map_async(function(i) return i end, mp.range(10)):get().n == 10)
        for i, value in pool:imap_unordered(function(i) return i end, mp.range(10)) do
          assert(i == value)
        end
        pool:close()
        pool:join()
      end
      local function is_refusal(err)
        return err == "not enough memory" or type(err) == "table" and err.kind == "system" or
          tostring(err):find("not enough memory", 1, true)
      end
      local before, n, failed = leaks.snapshot(), 0
      repeat
        n = n + 1
        failnext.arm(n, count)
        local ok, err = pcall(work)
        failed = select(2, failnext.disarm())
        assert(ok or failed and is_refusal(err), err)
        if pool then
          if pool.state == "open" then assert(pool:apply(math.abs, { -3 }) == 3) end
          pool:terminate()
          pool:join()
          pool = nil
        end
        collectgarbage() -- the pool, then what it held
        collectgarbage()
        local left = account.left(before)
        assert(left == "", left)
      until not failed
      print("done")
    ]])
  end)

  it("costs no result that has come", function()
    says("done\n", [[
      local failnext, count = require "spec.failnext", tonumber(arg[1])
      account.pool(2, function(pool)
        local n, failed = 0
        repeat
          n = n + 1
          local called = 0
          local pending = pool:map_async(function(i) return ("value " .. i):rep(20) end, mp.range(30),
            { callback = function() called = called + 1 end })
          local single = pool:apply_async(string.rep, { "x", 100 })
          mp.sleep(0.02)
          failnext.arm(n, count)
          pcall(pending.get, pending)
          pcall(single.get, single)
          failed = select(2, failnext.disarm())
          local results = pending:get()
          for i = 1, 30 do assert(results[i] == ("value " .. i):rep(20)) end
          assert(results.n == 30 and single:get() == ("x"):rep(100))
          pool:apply(math.abs, { 1 })
          assert(called == 1, called)
        until not failed
      end)
      print("done")
    ]])
  end)
end)

describe("an allocation that fails in a worker", function()
  it("costs the item, or the worker with its item, and nothing else", function()
    says("done\n", [[
      local count, kinds = tonumber(arg[1]), { task = true, system = true, worker_lost = true }
      account.pool(2, function(pool)
        local results = pool:map(function(n)
          local failnext = require "spec.failnext"
          if n % 4 == 1 then failnext.arm(n // 4 + 1, count) end
          local t = {}
          for i = 1, 20 do t[i] = { n, "value " .. i } end
          return t
        end, mp.range(800), { on_error = "collect", chunksize = 4 })
        local done = 0
        for i = 1, 800 do
          local err = results.errors[i]
          if err then
            assert(kinds[err.kind], err)
          else
            assert(results[i][20][1] == i and results[i][20][2] == "value 20")
            done = done + 1
          end
        end
        -- A worker that has no memory for the next item, either, is replaced.
        assert(done >= 590, results.errors[2])
        assert(pool:map(math.abs, mp.range(10)).n == 10)
      end)
      print("done")
    ]])
  end)
end)
