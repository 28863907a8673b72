-- timeout: 120
-- mp.share: encoded once, decoded once per process, gone with the last handle.
local script = require "spec.support.script"

local ARENA = [[
  local function arena() -- KiB of shared memory, this process's part
    local sum, counts = 0, false
    for line in io.lines "/proc/self/smaps" do
      if line:match "^%x+%-%x+ " then counts = line:match "moonpool%-arena" ~= nil end
      if counts then sum = sum + (tonumber(line:match "^Pss:%s+(%d+)") or 0) end
    end
    return sum
  end
]]

local says = script.says(ARENA)

describe("a shared value", function()
  it("is the same in each process, and the same one each time", function()
    says("3\ttrue\n3\t3\ttrue\n", [[
      local h = mp.share { 1, 2, 3, name = "n" }
      print(#h:get(), h:get() == h:get())
      local pool <close> = mp.Pool(2)
      local function ask(x) return #x:get(), #h:get(), x:get() == h:get() end
      print(pool:apply(ask, { h }))
    ]])
  end)

  it("is encoded once, and decoded once in each worker", function()
    says("1\t2\n", [[
      local encoded, decoded = mp.Value "i4", mp.Value "i4"
      local h = mp.share(setmetatable({}, { __reduce = function()
        encoded:add(1)
        return function() decoded:add(1) return 7 end
      end }))
      local pool <close> = mp.Pool(2)
      for _ = 1, 3 do
        local sum = 0
        for _, v in pool:imap(function(i) mp.sleep(0.01) return h:get() end, mp.range(1, 20)) do
          sum = sum + v
        end
        assert(sum == 140)
        pool:map(function(x) return x:get() end, { h, h, h, h }, 1)
      end
      print(encoded.value, decoded.value)
    ]])
  end)

  it("goes to pools made before it, and to processes", function()
    says("5\n5\n", [[
      local pool <close> = mp.Pool(2)
      pool:map(print, {})
      pool:apply(function() end)
      local h = mp.share { 5 }
      print(pool:apply(function(x) return x:get()[1] end, { h }))
      local q = mp.Queue()
      local p = mp.Process{ target = function() q:put(h:get()[1]) end }
      p:start()
      print(q:get(true, 10))
      p:join()
    ]])
  end)

  it("is freed when no handle is left, whatever workers have seen of it", function()
    says("true\ttrue\n", [[
      local numbers = {}
      for i = 1, 1 << 20 do numbers[i] = i end
      local pool <close> = mp.Pool(2)
      local h = mp.share(numbers)
      local before = arena()
      for _ = 1, 3 do pool:map(function(x) return #x:get() end, { h, h, h, h }) end
      pool:map(function() return #h:get() end, { 1, 2 })
      h, numbers = nil, nil
      pool:map(function(x) return x end, { 1, 2 })
      collectgarbage()
      collectgarbage()
      print(before >= 8000, arena() < 100)
    ]])
  end)

  it("lives as long as its task, though its maker has let go of it", function()
    says("9\n", [[
      local pool <close> = mp.Pool(1)
      pool:apply(function() end)
      local result = pool:apply_async(function(x)
        mp.sleep(0.2)
        return x:get()[1]
      end, { mp.share { 9 } })
      collectgarbage()
      collectgarbage()
      print(result:get())
    ]])
  end)

  it("that is gone is an error #fork", function()
    says("task\ttrue\n", [[
      local pool <close> = mp.Pool(1)
      pool:apply(function(x) kept = x end, { mp.share { 9 } })
      collectgarbage()
      collectgarbage()
      local _, err = pcall(pool.apply, pool, function() return kept:get() end)
      print(err.kind, err.message:find("what was shared is gone", 1, true) ~= nil)
    ]])
  end)

  it("cannot be what cannot be sent", function()
    says("encode\n", [[
      local _, err = pcall(mp.share, coroutine.create(print))
      print(err.kind)
    ]])
  end)
end)

describe("a shared function", function()
  it("is taken wherever a function is", function()
    says("2,4,6\t30\t8\t12\n4\t10\t2\nprogress\nran\n", [[
      local twice = mp.share(function(x) return 2 * x end)
      local add = mp.share(function(a, b) return a + b end)
      local called = mp.Value "i4"
      local pool <close> = mp.Pool{ processes = 2,
        initializer = mp.share(function(n) global = n end), initargs = { 10 } }
      local async = pool:apply_async(twice, { 4 }, mp.share(function(v) called.value = v end))
      print(table.concat(pool:map(twice, { 1, 2, 3 }), ","), pool:reduce(twice, add, mp.range(1, 5)),
        async:get(), pool:starmap(add, { { 5, 7 } })[1])
      print(select(2, pool:imap(twice, { 2 })()), pool:apply(function() return global end), twice(1))
      assert(called.value == 8)
      pool:map(twice, { 1 }, { progress = mp.share(function() io.write "progress\n" io.flush() end) })
      local p = mp.Process{ target = mp.share(function() io.write "ran\n" end) }
      p:start()
      p:join()
    ]])
  end)

  it("takes its upvalues and globals along once, as they are then", function()
    says("10\t11\n", [[
      local pool <close> = mp.Pool(2)
      pool:apply(function() end)
      local n, big = 10, ("x"):rep(1 << 20)
      function helper(x) return x + n end
      local f = mp.share(function(x) return helper(x) + #big - (1 << 20) end)
      n = 20
      function helper() error "another one" end
      print(table.unpack(pool:map(f, { 0, 1 })))
    ]])
  end)

  it("raises what the function raises, with its place", function()
    says("true\n", [[
      local pool <close> = mp.Pool(1)
      local f = mp.share(function(x) error("bad " .. x) end)
      local _, err = pcall(pool.map, pool, f, { "apple" })
      print(err.message:find "bad apple" ~= nil and err.index == 1)
    ]])
  end)
end)

describe("who is killed while it decodes", function()
  it("takes nothing with it: the item is done again", function()
    says("6\t6\t6\t6\n", [[
      local deaths = mp.Value "i4"
      local h = mp.share(setmetatable({}, { __reduce = function()
        return function()
          if deaths:add(1) <= 2 then os.execute("kill -9 " .. mp.getpid()) end
          return 6
        end
      end }))
      local pool <close> = mp.Pool(2)
      print(table.unpack(pool:map(function(x) return x:get() end, { h, h, h, h },
        { retries = 5, chunksize = 1 })))
    ]])
  end)
end)
