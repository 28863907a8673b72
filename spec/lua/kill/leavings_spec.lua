-- timeout: 180
-- What is left behind when a script ends, however it ends, and while it goes on.
local script = require "spec.support.script"

local BUSY = [[
  local pool = mp.Pool(2)
  local other = mp.Pool(1)
  for _ = 1, 4 do pool:apply_async(function() while true do end end) end
  other:map(math.abs, { 1, 2, 3 })
  mp.sleep(0.02)
]]

script.each_program(function(program)
  describe("a script of " .. program .. " that leaves its pools open", function()
    local function ends(how, code, pattern)
      local r = script.run(BUSY .. how, { program = program })
      assert.equal(code, r.code, r.errors)
      if pattern then assert.matches(pattern, r.errors) end
      assert.is_true(script.left_nothing(r))
    end

    it("ends by its end", function() ends("", 0) end)
    it("ends by return", function() ends("return 1", 0) end)
    it("ends by error", function() ends("error('mine')", 1, "mine") end)
    it("ends by os.exit", function()
      ends("os.exit(0)", 0)
      ends("os.exit(3)", 3)
    end)
    it("ends by os.exit that closes the state", function() ends("os.exit(4, true)", 4) end)
    it("ends by a signal", function()
      local r = script.run(BUSY .. "os.execute('kill -TERM ' .. mp.getpid()) while true do end",
        { program = program })
      assert.equal(15, r.signal)
      assert.is_true(script.left_nothing(r))
    end)
    it("ends by an error within its block", function()
      local r = script.run([[
        local pool <close> = mp.Pool(2)
        pool:apply_async(function() while true do end end)
        error("within")
      ]], { program = program })
      assert.equal(1, r.code)
      assert.matches("within", r.errors)
      assert.is_true(script.left_nothing(r))
    end)
    it("ends by os.exit in a callback", function()
      ends("other:apply_async(math.abs, {1}, function() os.exit(5) end) other:wait()", 5)
    end)
  end)
end)

describe("a pool that is collected", function()
  it("is terminated with a warning", function()
    local r = script.run([[
      mp.Pool(2):apply_async(function() while true do end end)
      collectgarbage()
      collectgarbage()
      local left = io.open(("/proc/%d/task/%d/children"):format(mp.getpid(), mp.getpid())):read("a")
      print(left == "")
    ]])
    assert.equal("true\n", r.output)
    assert.matches("pool was collected", r.errors)
  end)

  it("is not spoken of when it was closed", function()
    assert.equal("", script.output([[
      do
        local pool = mp.Pool(2)
        pool:map(math.abs, { 1 })
        pool:close()
        pool:join()
      end
      collectgarbage()
    ]]))
  end)
end)

describe("pools made and ended in one process", function()
  it("leave neither descriptors nor children", function()
    local said = script.output([[
      local leaks = require "spec.support.leaks"
      local function square(x) return x * x end
      local function use(pool, i)
        if i % 4 == 0 then pool:map(square, mp.range(10)) end
        if i % 4 == 1 then pool:apply_async(square, { i }) end
        if i % 4 == 2 then for _ in pool:imap(square, mp.range(10)) do break end end
        pool:fileno()
      end
      local function cycle(i)
        local pool = mp.Pool(1 + i % 3)
        use(pool, i)
        if i % 5 == 0 then pool:terminate() else pool:close() end
        pool:join()
      end
      local function block(i)
        local pool <close> = mp.Pool(2)
        use(pool, i)
      end
      cycle(0)
      collectgarbage()
      local before = leaks.snapshot()
      for i = 1, 100 do cycle(i) block(i) end
      collectgarbage()
      collectgarbage()
      print(leaks.left(before))
    ]])
    assert.equal("\n", said)
  end)

  it("leave nothing in /dev/shm", function()
    local leaks = require "spec.support.leaks"
    local before = leaks.shm()
    script.run(BUSY .. "os.execute('kill -9 ' .. mp.getpid())")
    assert.same(before, leaks.shm())
  end)

  it("give their memory back", function()
    local said = script.output([[
      local function pages() return io.open("/proc/self/statm"):read("n") end
      local function cycle()
        local pool <close> = mp.Pool(2)
        pool:map(string.len, { "x" }, 1)
      end
      for _ = 1, 20 do cycle() end
      collectgarbage()
      local before = pages()
      for _ = 1, 60 do cycle() end
      collectgarbage()
      print(pages() - before < 1000)
    ]])
    assert.equal("true\n", said)
  end)
end)

describe("pools within workers", function()
  it("work, and end with them", function()
    local said = script.output([[
      local pool <close> = mp.Pool(2)
      local sums = pool:map(function(n)
        local own <close> = mp.Pool(2)
        local sum = 0
        for _, v in ipairs(own:map(function(x) return x * n end, mp.range(10))) do sum = sum + v end
        return sum
      end, { 1, 2, 3 }, 1)
      print(table.concat(sums, " "))
      print(pool:apply(function()
        local own = mp.Pool(1)
        own:apply_async(function() while true do end end)
        return "left open"
      end))
    ]])
    assert.equal("55 110 165\nleft open\n", said)
  end)

  it("do not see their parent's pools #fork", function()
    local said = script.output([[
      local pool <close> = mp.Pool(1)
      local results = pool:map(function(name)
        local ok, err = pcall(pool[name], pool, math.abs, { 1 })
        return ok and "used" or err.kind .. ": " .. err.message
      end, { "map", "apply", "apply_async", "imap", "join" })
      for i = 1, results.n do print(results[i]) end
      print(pool:apply(math.abs, { -1 }))
    ]])
    for _, name in ipairs { "map", "apply", "apply_async", "imap" } do
      assert.matches(name .. ": this pool belongs to the process that made it; make one of your own",
        said)
    end
    assert.equal(5, select(2, said:gsub("closed: ", "")), said)
    assert.matches("\n1\n$", said)
  end)

  it("cannot be sent", function()
    local said = script.output([[
      local pool <close> = mp.Pool(1)
      pool:apply(math.abs, { 1 })
      local other <close> = mp.Pool(1)
      local ok, err = pcall(pool.apply, pool, function() return other end)
      print(ok, err.kind, err.path)
    ]])
    assert.matches("^false\tencode\tupvalue other", said)
  end)

  it("leave the parent's pools alone when a worker ends", function()
    assert.equal("2\n", script.output([[
      pool = mp.Pool(1)
      pcall(pool.apply, pool, function() pool = nil collectgarbage() os.exit(0) end)
      print(pool:apply(math.abs, { -2 }))
      pool:close()
      pool:join()
    ]]))
  end)
end)
