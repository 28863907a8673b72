-- Inputs, metamethods and finalizers that call the pool, or end it, while it works for them.
local script = require "spec.support.script"

local POOL = "local pool = mp.Pool(2); pool:apply(math.abs, { 1 }); "
  .. "local function identity(x) return x end "
  .. "local function kind(ok, err) return ok or type(err) == 'table' and err.kind or err end "

local function check(expected, body)
  assert.equal(expected, script.output(POOL .. body .. " pool:terminate() pool:join()"))
end

describe("an input", function()
  it("may wait for the pool that reads it", function()
    check("5\n", [[
      local i = 0
      print(pool:map(identity, function()
        i = i + 1
        pool:wait()
        pool:poll()
        return i <= 5 and i or nil
      end).n)
    ]])
  end)

  it("may end the pool that reads it", function()
    for _, how in ipairs { "pool:terminate()", "pool:terminate() pool:poll()",
      "pool:terminate() pool:join()" } do
      local said = script.output(POOL .. [[
        local i = 0
        local function input()
          i = i + 1
          if i == 300 then ]] .. how .. [[ end
          return i
        end
        print(kind(pcall(pool.map, pool, identity, input)))
        pool:terminate()
        pool:join()
      ]])
      assert.is_true(said == "cancelled\n" or said == "closed\n", said)
    end
  end)

  it("may end the pool that pulls it through imap", function()
    for _, at in ipairs { 1, 10, 100, 1000, 10000, 50000 } do
      for _, form in ipairs { "imap", "imap_unordered" } do
        check("cancelled\n", ([[
          local i = 0
          local it = pool:%s(identity, function()
            i = i + 1
            if i == %d then pool:terminate() end
            return i
          end)
          local ok, err
          repeat ok, err = pcall(it.next, it) until not ok or err == nil
          print(kind(ok, err))
        ]]):format(form, at))
      end
    end
  end)

  it("may close the pool, which then finishes", function()
    check("3\n", [[
      local i = 0
      print(pool:map(identity, function()
        i = i + 1
        if i == 2 then pool:close() end
        return i <= 3 and i or nil
      end).n)
    ]])
  end)

  it("that is left half-way in a coroutine is not waited for", function()
    check("true\n2\n", [[
      local function leave(close)
        local co = coroutine.create(function()
          pool:map(identity, function()
            coroutine.yield()
            return 1
          end)
        end)
        coroutine.resume(co)
        coroutine.resume(co)
        if close then coroutine.close(co) end
      end
      leave(true)
      leave(false)
      collectgarbage()
      print(pool:wait())
      print(#pool:map(identity, { 1, 2 }))
    ]])
  end)

  it("that comes back after the pool's end is told so", function()
    check("true\nclosed\n", [[
      local co = coroutine.create(function()
        pool:map(identity, function()
          coroutine.yield()
          return 1
        end)
      end)
      coroutine.resume(co)
      coroutine.resume(co)
      pool:close()
      print(pool:join())
      print(kind(coroutine.resume(co)))
    ]])
  end)
end)

describe("a metamethod of what is sent", function()
  it("that uses the pool fails its call, with a word", function()
    check("state\ttrue\n7\nstate\n2\n", [[
      local T = { __reduce = function(o) return identity, pool:apply(identity, { o.n }) end }
      local object = setmetatable({ n = 4 }, T)
      local ok, err = pcall(pool.apply, pool, identity, { object })
      print(kind(ok, err), err.message:find("while item 1 of another call is encoded") ~= nil)
      print(pool:apply(identity, { 7 }))
      print(kind(pcall(pool:imap(identity, { object }).next, pool:imap(identity, { object }))))
      print(#pool:map(identity, { 1, 2 }))
    ]])
  end)

  it("that catches the refusal is sent", function()
    check("5\n6\n5\n", [[
      local it = pool:imap(identity, mp.range(100))
      it:next()
      local T = { __reduce = function()
        for _, use in ipairs { "apply", "map", "apply_async" } do
          assert(not pcall(pool[use], pool, identity, { 1 }))
        end
        pcall(it.next, it)
        pool:poll()
        return identity, 5
      end }
      print(pool:apply(identity, { setmetatable({}, T) }))
      print(pool:apply(identity, { 6 }))
      for _, v in pool:imap(identity, { setmetatable({}, T) }) do print(v) end
    ]])
  end)

  it("that ends the pool fails its call", function()
    for _, how in ipairs { "pool:terminate()", "pool:terminate() pool:join()" } do
      local said = script.output(POOL .. [[
        local T = { __reduce = function(o) ]] .. how .. [[ return identity, o.n end }
        print(kind(pcall(pool.apply, pool, identity, { setmetatable({ n = 4 }, T) })))
        print(kind(pcall(pool.apply, pool, identity, { 1 })))
        local other = mp.Pool(1)
        print(other:apply(math.abs, { -3 }))
        other:close()
        other:join()
      ]])
      assert.matches("^cancelled\nclosed\n3\n$", said)
    end
  end)

  it("of an upvalue may use the pool", function()
    check("8\n3\n", [[
      local T = { __reduce = function(o) return identity, pool:apply(identity, { o.n }) * 2 end }
      local object = setmetatable({ n = 4 }, T)
      print(pool:apply(function() return object end))
      print(pool:apply(identity, { 3 }))
    ]])
  end)

  it("that raises raises from the call", function()
    check("mine\n7\nmine\n7\n", [[
      local T = { __reduce = function() error("mine", 0) end }
      local object = setmetatable({}, T)
      for _, f in ipairs { identity, function() return object end } do
        print(kind(pcall(pool.apply, pool, f, { object })))
        print(pool:apply(identity, { 7 }))
      end
    ]])
  end)

  it("of a table that is read may use the pool", function()
    check("3,6,9,12,15\n", [[
      local proxy = setmetatable({}, {
        __len = function() return 5 end,
        __index = function(_, i)
          return i ~= "n" and pool:apply(function(x) return x * 3 end, { i }) or nil
        end,
      })
      print(table.concat(pool:map(identity, proxy), ","))
    ]])
  end)
end)

describe("a finalizer", function()
  it("may submit, and wait, at any moment", function()
    check("true\n1000\t1000\n", [[
      local asked, got = 0, 0
      local function litter(i)
        setmetatable({}, { __gc = function()
          asked = asked + 1
          pool:apply_async(math.abs, { -i }, function() got = got + 1 end)
        end })
        return { i, tostring(i), { i } }
      end
      local i = 0
      local results = pool:map(function(t) return t[1] end, function()
        i = i + 1
        return i <= 1000 and litter(i) or nil
      end)
      local right = true
      for k = 1, 1000 do right = right and results[k] == k end
      print(right)
      collectgarbage()
      collectgarbage()
      pool:wait()
      print(asked, got)
    ]])
  end)
end)
