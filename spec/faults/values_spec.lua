-- timeout: 120
-- Values that are deep, circular or booby-trapped: they cross, or fail their item or call.
local fault = require "spec.support.fault"

local function says(expected, body)
  fault.says(expected, ("account.pool(2, function(pool) %s end)"):format(body))
end

describe("values", function()
  it("of 100,000 levels cross both ways", function()
    says("100000\t100000\n", [[
      local function nest(n)
        local t = {}
        for _ = 2, n do t = { t } end
        return t
      end
      local function depth(t)
        local n = 0
        while t do t, n = t[1], n + 1 end
        return n
      end
      print(pool:apply(depth, { nest(100000) }), depth(pool:apply(nest, { 100000 })))
      return 0
    ]])
  end)

  it("with cycles and shared parts cross as they are", function()
    says("true\ttrue\ttrue\ttrue\n", [[
      local t = { name = "t" }
      t.self, t.list = t, { t, t }
      t[t] = t
      t.list[3] = t.list
      local got = pool:apply(function(x) return x end, { t })
      print(got.self == got, got.list[1] == got, got[got] == got, got.list[3] == got.list)
      return 0
    ]])
  end)
end)

-- What a throwing metamethod does to an argument and to a result.
local function throws(metamethod, arguments, results)
  it(metamethod .. " that raises", function()
    says(arguments .. "\t" .. results .. "\n50\n", ([[
      local function trap() return setmetatable({ 1, 2, 3 }, { %s = function() error("trap") end }) end
      local function told(f, ...)
        local ok, err = pcall(pool.apply, pool, f, { ... })
        return ok and "crosses" or type(err) == "table" and err.kind or "raises"
      end
      print(told(function(t) return rawlen(t) end, trap()), told(function()
        return setmetatable({ 1, 2, 3 }, { %s = function() error("trap") end })
      end))
      print(pool:map(math.abs, mp.range(50)).n)
      return 0
    ]]):format(metamethod, metamethod))
  end)
end

describe("a value with", function()
  -- Tables cross by their own contents; only __reduce is asked.
  for _, name in ipairs { "__index", "__pairs", "__len", "__newindex", "__eq", "__call", "__tostring", "__name" } do
    throws(name, "crosses", "crosses")
  end
  throws("__reduce", "raises", "task")
  throws("__gc", "crosses", "crosses")
  throws("__close", "crosses", "crosses")

  it("__reduce whose function raises where it arrives", function()
    says("decode\ttrue\n49\tdecode\n", [[
      local function burst() error("no such thing") end
      local function trap() return setmetatable({}, { __reduce = function() return burst end }) end
      local ok, err = pcall(pool.apply, pool, function(x) return x end, { trap() })
      print(err.kind, tostring(err):find("no such thing", 1, true) ~= nil)
      local results = pool:map(function(i)
        if i == 7 then return trap() end
        return i
      end, mp.range(50), { on_error = "collect" })
      print(50 - results.failed, results.errors[7].kind)
      return 0
    ]])
  end)
end)

describe("an error object", function()
  it("whose __tostring raises, or gives no string, is told all the same", function()
    says("task\ttrue\ntask\ttrue\ntask\ttrue\n", [[
      for _, bad in ipairs { function() error("worse") end, function() return {} end, function() return nil end } do
        local ok, err = pcall(pool.apply, pool, function()
          error(setmetatable({ code = 7 }, { __tostring = bad }))
        end)
        print(err.kind, type(tostring(err)) == "string")
      end
      return 0
    ]])
  end)

  it("that cannot be sent is told by its text", function()
    says("task\ttrue\n", [[
      local ok, err = pcall(pool.apply, pool, function()
        error(setmetatable({ file = io.stdout }, { __tostring = function() return "my own" end }))
      end)
      print(err.kind, tostring(err):find("my own", 1, true) ~= nil)
      return 0
    ]])
  end)
end)

describe("what a task closes and collects", function()
  it("may raise: that is the item's error, or a warning", function()
    says("task\ttrue\n7\n", [[
      local ok, err = pcall(pool.apply, pool, function()
        local x <close> = setmetatable({}, { __close = function() error("at the close") end })
        return 1
      end)
      print(err.kind, tostring(err):find("at the close", 1, true) ~= nil)
      pool:apply(function()
        setmetatable({}, { __gc = function() error("at the collection") end })
        collectgarbage()
      end)
      print(pool:apply(math.abs, { -7 }))
      return 0
    ]])
  end)
end)
