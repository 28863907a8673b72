-- timeout: 180
-- Code of the user's that runs in the midst of ours: callbacks, inputs, and ends of the pool while
-- work is in flight. Contained, without a deadlock, in bounded time.
local fault = require "spec.support.fault"

describe("a callback that", function()
  local function says(expected, body)
    fault.says(expected, ([[
      account.pool(2, function(pool)
        local calls = 0
        local function count() calls = calls + 1 end
        %s
      end)
    ]]):format(body))
  end

  it("raises is contained: the others run, and wait raises the first", function()
    says("20\tfalse\ttrue\n50\n", [[
      for i = 1, 20 do
        pool:apply_async(math.abs, { i }, function()
          count()
          if i % 5 == 0 then error("callback " .. i) end
        end)
      end
      local ok, err = pcall(pool.wait, pool)
      print(calls, ok, tostring(err):find("callback", 1, true) ~= nil)
      print(pool:map(math.abs, mp.range(50)).n)
    ]])
  end)

  it("submits is served, a thousand deep", function()
    says("1000\n", [[
      local function again(n)
        count()
        if n < 1000 then pool:apply_async(math.abs, { n + 1 }, again) end
      end
      pool:apply_async(math.abs, { 1 }, again)
      pool:wait()
      print(calls)
    ]])
  end)

  it("waits for other work gets it", function()
    says("7\t100\t5\n", [[
      local got, n
      pool:apply_async(math.abs, { 1 }, function()
        got = pool:apply_async(math.abs, { -7 }):get()
        n = pool:map(math.abs, mp.range(100)).n
        for i, v in pool:imap(math.abs, mp.range(5)) do calls = i end
      end)
      pool:wait()
      print(got, n, calls)
    ]])
  end)

  it("gets its own result gets it", function()
    says("3\n", [[
      local r
      r = pool:apply_async(math.abs, { -3 }, function() calls = r:get() end)
      pool:wait()
      print(calls)
    ]])
  end)

  it("gets a result whose callback waits for this one, is not deadlocked", function()
    says("12\n", [[
      local a, b
      a = pool:apply_async(math.abs, { 1 }, function() calls = calls + b:get() end)
      b = pool:apply_async(math.abs, { 5 }, function() calls = calls + a:get() + b:get() end)
      pool:wait()
      print(calls + 1)
    ]])
  end)

  for how, ending in pairs {
    ["closes"] = "pool:close()",
    ["closes and joins"] = "pool:close() pool:join()",
    ["terminates"] = "pool:terminate()",
    ["terminates and joins"] = "pool:terminate() pool:join()",
  } do
    it(how .. " the pool is obeyed", function()
      fault.says("true\n", ([[
        account.pool(2, function(pool)
          local results = {}
          for i = 1, 50 do
            results[i] = pool:apply_async(mp.sleep, { 0.001 }, i == 10 and function() %s end or nil)
          end
          local settled = 0
          for i = 1, 50 do
            local ok, err = pcall(results[i].get, results[i])
            settled = settled + ((ok or err.kind == "cancelled") and 1 or 0)
          end
          print(settled == 50)
        end)
      ]]):format(ending))
    end)
  end

  it("ends the script by os.exit leaves nothing", function()
    local r = fault.run([[
      local pool = mp.Pool(2)
      for i = 1, 20 do pool:apply_async(mp.sleep, { 0.01 }, function() os.exit(5, i % 2 == 0) end) end
      pool:wait()
    ]])
    assert.equal(5, r.code)
  end)

  it("yields is gone on with", function()
    says("2\n", [[
      local co = coroutine.wrap(function()
        pool:apply_async(math.abs, { 1 }, function()
          count()
          coroutine.yield()
          count()
        end)
        pool:wait()
        return calls
      end)
      local done
      repeat done = co() until done
      print(done)
    ]])
  end)
end)

describe("an input that raises midway", function()
  local INPUT = [[
    local function input()
      local n = 0
      return function()
        n = n + 1
        if n == 30 then error("the input") end
        return n
      end
    end
  ]]

  it("is raised by imap at its place, behind the results before it", function()
    fault.says("29\tfalse\ttrue\n50\n", INPUT .. [[
      account.pool(2, function(pool)
        local n = 0
        local ok, err = pcall(function()
          for i, v in pool:imap(math.abs, input()) do
            assert(i == v)
            n = i
          end
        end)
        print(n, ok, tostring(err):find("the input", 1, true) ~= nil)
        print(pool:map(math.abs, mp.range(50)).n)
        return 0
      end)
    ]])
  end)

  it("is raised by imap_unordered behind all results before it", function()
    fault.says("29\tfalse\ttrue\n", INPUT .. [[
      account.pool(2, function(pool)
        local n = 0
        local ok, err = pcall(function()
          for i, v in pool:imap_unordered(math.abs, input()) do
            assert(i == v)
            n = n + 1
          end
        end)
        print(n, ok, tostring(err):find("the input", 1, true) ~= nil)
        return 0
      end)
    ]])
  end)

  it("is raised by map, which leaves nothing running", function()
    fault.says("false\ttrue\n50\n", INPUT .. [[
      account.pool(2, function(pool)
        local ok, err = pcall(pool.map, pool, math.abs, input())
        print(ok, tostring(err):find("the input", 1, true) ~= nil)
        print(pool:map(math.abs, mp.range(50)).n)
        return 0
      end)
    ]])
  end)

  it("and yields from a coroutine is gone on with", function()
    fault.says("100\t20\n", [[
      account.pool(2, function(pool)
        local yields = 0
        local co = coroutine.wrap(function()
          local sum = 0
          for _, v in pool:imap(math.abs, function()
            yields = yields + 1
            if yields % 5 == 0 then coroutine.yield() end
            return yields <= 100 and yields or nil
          end) do sum = sum + 1 end
          return sum
        end)
        local n
        repeat n = co() until n
        print(n, yields // 5)
        return 0
      end)
    ]])
  end)
end)

describe("a pool that is ended with work in flight, a hundred times,", function()
  local WORKS = {
    ["that runs for ever"] = "for _ = 1, 4 do pool:apply_async(function() while true do end end) end",
    ["that is short"] = "pool:map_async(math.abs, mp.range(1000))",
    ["whose results nobody takes"] =
      "pool:map_async(function() return ('x'):rep(1 << 18) end, mp.range(100), 1) mp.sleep(0.002)",
    ["of a loop that is left"] = "for i in pool:imap(mp.sleep, function() return 0.001 end) do break end",
    ["that is to run again"] = "pool:map_async(error, mp.range(10), { retries = 100, retry_delay = 1 })",
    ["that sleeps"] = "pool:start() pool:apply_async(mp.sleep, { 100 })",
  }

  for title, work in pairs(WORKS) do
    it("leaves nothing of work " .. title, function()
      fault.says("true\n", ([[
        local before = require "spec.support.leaks".snapshot()
        local start = mp.monotonic()
        for i = 1, 100 do
          local pool = mp.Pool(2)
          %s
          if i %% 3 == 0 then
            pool:terminate()
            pool:join()
          elseif i %% 3 == 1 then
            pool:terminate()
          end
          pool = nil
          if i %% 10 == 0 then collectgarbage() end
        end
        collectgarbage()
        collectgarbage()
        local left = account.left(before)
        print(left == "" and mp.monotonic() - start < 50 or left)
      ]]):format(work))
    end)
  end

  it("leaves nothing where the state is closed with it", function()
    for _ = 1, 10 do
      local r = fault.run([[
        for _ = 1, 3 do
          local pool = mp.Pool(2)
          for _ = 1, 4 do pool:apply_async(function() while true do end end) end
          pool:map_async(function() return ("x"):rep(1 << 18) end, mp.range(100), 1)
        end
        os.exit(6, true)
      ]])
      assert.equal(6, r.code)
    end
  end)
end)
