-- Functions by value. Each script makes its workers first, so that what is tested goes as
-- bytes and not by the fork.
local script = require "spec.support.script"

local POOL = "local pool <close> = mp.Pool(1); pool:apply(math.abs, { 1 }); "

local function check(expected, body)
  assert.equal(expected, script.output(POOL .. body))
end

describe("a function", function()
  it("takes its upvalues along, as they are at the call", function()
    check("1\n2\n7\n", [[
      local n = 1
      local function get() return n end
      print(pool:apply(get))
      n = 2
      print(pool:apply(get))
      local t = { v = 5 }
      local function read() return t.v end
      t.v = 7
      print(pool:apply(read))
    ]])
  end)

  it("changes nothing in the host", function()
    check("2\t1\t0\n", [[
      local n, t = 1, {}
      local function step() n = n + 1 t[1] = n return n end
      print(pool:apply(step), n, #t)
    ]])
  end)

  it("shares upvalues with the functions of its message", function()
    check("3\n", [[
      local n = 0
      local function step() n = n + 1 end
      print(pool:apply(function()
        step()
        step()
        n = n + 1
        return n
      end))
    ]])
    check("2\t2\n", [[
      local n = 0
      local counter = { step = function() n = n + 1 end, get = function() return n end }
      print(pool:apply(function(a, b)
        a.step()
        b()
        return counter.get and a.get(), a.get()
      end, { counter, counter.step }))
    ]])
  end)

  it("may be recursive, and mutually so", function()
    check("120\ttrue\n", [[
      local function factorial(n) return n <= 1 and 1 or n * factorial(n - 1) end
      local even, odd
      function even(n) return n == 0 or odd(n - 1) end
      function odd(n) return n ~= 0 and even(n - 1) end
      print(pool:apply(factorial, { 5 }), pool:apply(even, { 10 }))
    ]])
  end)

  it("takes the globals that it names, and those that they name", function()
    check("36\n", [[
      base = 5
      function inner(x) return x + base end
      function outer(x) return inner(x) * 2 end
      rate = 3
      print(pool:apply(function(x) return outer(x) * rate end, { 1 }))
    ]])
  end)

  it("reads what the host's globals are now", function()
    check("1\n2\nnil\n", [[
      setting = 1
      local function get() return setting end
      print(pool:apply(get))
      setting = 2
      print(pool:apply(get))
      unset = nil
      print(pool:apply(function() return unset end))
    ]])
  end)

  it("does not overwrite a global that the worker has set", function()
    check("host\nworker\nworker\n", [[
      mark = "host"
      local function get() return mark end
      print(pool:apply(get))
      pool:apply(function() mark = "worker" end)
      print(pool:apply(get))
      mark = "host again"
      print(pool:apply(get))
    ]])
  end)

  it("gives and takes functions as values", function()
    check("6\n15\n", [[
      print(pool:apply(function(f, x) return f(x) end, { function(x) return x * 2 end, 3 }))
      local add = pool:apply(function(n) return function(x) return x + n end end, { 10 })
      print(add(5))
    ]])
  end)

  it("has varargs, many constants and many upvalues", function()
    local constants, locals, uses = {}, {}, {}
    for i = 1, 300 do constants[i] = ("k%d = 'c%d'"):format(i, i) end
    for i = 1, 150 do
      locals[i] = ("local u%d = %d"):format(i, i)
      uses[i] = "u" .. i
    end
    check("300\t11325\t3\n", table.concat(locals, "\n") .. [[

      local function f(...)
        local t = { ]] .. table.concat(constants, ", ") .. [[ }
        local n = 0
        for k, v in pairs(t) do
          if v == "c" .. k:sub(2) then n = n + 1 end
        end
        return n, ]] .. table.concat(uses, " + ") .. [[, select("#", ...)
      end
      print(pool:apply(f, { 1, 2, 3 }))
    ]])
  end)

  it("keeps file and line in errors and tracebacks", function()
    local r = script.run(POOL .. [[

      local function inner()
        error("here")
      end
      local err = select(2, pcall(pool.apply, pool, function()
        inner()
      end))
      print(err.value)
      print(err.traceback)
    ]])
    assert.is_truthy(r.output:find(r.path .. ":3: here\n", 1, true), r.output)
    assert.is_truthy(r.output:find(r.path .. ":3: in upvalue 'inner'", 1, true), r.output)
    assert.is_truthy(r.output:find(r.path .. ":6: in function <" .. r.path .. ":5>", 1, true),
      r.output)
  end)

  it("made by load goes, with its environment", function()
    check("5\n12\n", [[
      print(pool:apply(load("return 5")))
      print(pool:apply(load("return x + y", "chunk", "t", { x = 5, y = 7 })))
    ]])
  end)

  it("with an environment of its own keeps it", function()
    check("3\tnil\n", [[
      local function make()
        local _ENV = { a = 3 }
        return function() return a end
      end
      print(pool:apply(make()), a)
    ]])
  end)

  it("that is a library's goes by name, and modules with it", function()
    check("ok\n3\ntrue\n", [[
      print(pool:apply(string.lower, { "OK" }))
      local str, tab = string, table
      print(pool:apply(function(t) return str.len(tab.concat(t)) end, { { "a", "bc" } }))
      print(pool:apply(function(f, lib) return f == math.floor and lib == math end,
        { math.floor, math }))
    ]])
  end)

  it("of a Lua module is that module's in the worker", function()
    local path = script.temporary()
    local file = io.open(path .. ".lua", "w")
    file:write([[
      local M = { count = 0 }
      function M.step() M.count = M.count + 1 return M.count end
      return M
    ]])
    file:close()
    local directory, name = path:match("^(.*)/([^/]+)$")
    assert.equal("1\n2\ttrue\n", script.output(([[
      package.path = "%s/?.lua;" .. package.path
      ]] .. POOL .. [[
      local module = require "%s"
      print(pool:apply(module.step))
      print(pool:apply(function() return module.step(), require "%s" == module end))
    ]]):format(directory, name, name)))
    os.remove(path)
    os.remove(path .. ".lua")
  end)

  it("fails with decode where the worker lacks the module", function()
    local said = script.output(POOL .. [[
      package.preload.homemade = function() return { f = function() return 1 end } end
      local homemade = require "homemade"
      package.preload.homemade = nil
      local ok, err = pcall(pool.apply, pool, function() return homemade.f() end)
      print(ok, err.kind)
      print(err.message)
    ]])
    assert.matches("^false\tdecode\n", said)
    assert.matches("homemade", said)
    assert.is_truthy(said:find("?.lua", 1, true), said)
  end)

  it("may be one of 100,000 that are made anew for each call", function()
    check("5000050000\n", [[
      local results, sum = {}, 0
      for wave = 1, 10 do
        for i = 1, 10000 do
          local n = (wave - 1) * 10000 + i
          results[i] = pool:apply_async(function() return n end)
        end
        for i = 1, 10000 do sum = sum + results[i]:get() end
      end
      print(sum)
    ]])
  end)

  it("may be a callable object", function()
    check("12\n", [[
      local scale = setmetatable({ by = 4 }, { __call = function(self, x) return self.by * x end })
      print(pool:map(scale, { 3 })[1])
    ]])
  end)

  it("in hand at the first call is inherited with what cannot be sent #fork", function()
    assert.equal("true\n", script.output([[
      local thread = coroutine.create(function() end)
      local pool <close> = mp.Pool(2)
      print(pool:map(function() return type(thread) == "thread" end, { 1, 2, 3 })[3])
    ]]))
  end)

  it("in hand is what it was at that call, also after a loss", function()
    assert.equal("1\n1\n2\n", script.output([[
      local n = 1
      local function get(x)
        if x then os.exit(1) end
        return n
      end
      local pool <close> = mp.Pool(1)
      local first = pool:map_async(get, { n = 3, false, true, false }, { on_error = "collect" })
      n = 2
      local results = first:get()
      print(results[1])
      print(results[3])
      print(pool:apply(get))
    ]]))
  end)
end)
