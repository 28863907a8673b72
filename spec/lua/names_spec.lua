-- Scripts may call their own things as Lua calls its own.
local script = require "spec.support.script"

local says = script.says ""

describe("the library", function()
  it("says which of Lua's functions it lacks, and needs no globals for libraries", function()
    local function load(body)
      local pipe <close> = io.popen(("env -u LUA_INIT %s -e %q 2>&1"):format(script.PROGRAMS.stock,
        ("local require, print, pcall = require, print, pcall %s print(pcall(require, 'moonpool'))"):format(body)))
      return pipe:read "a"
    end
    assert.matches("^true\ttable", load "table, string, math, io, debug = 1, 2, 3, 4, 5")
    assert.matches("moonpool needs Lua's function 'next', and the global of that name is a string", load "next = 'x'")
  end)

  it("bears that a script has other things of the names of Lua's", function()
    says("10\t20\n5050\n1\nkind\tresults\n", [[
      local print, ipairs, pcall = print, ipairs, pcall
      for _, name in ipairs { "pcall", "select", "type", "table", "string", "next", "pairs", "ipairs", "error",
        "math", "tostring", "setmetatable", "getmetatable", "io", "os", "debug" } do
        _G[name] = 7
      end
      local pool <close> = mp.Pool(2)
      local r = pool:map(function(x) return x * 2 end, mp.range(10), { on_error = "collect" })
      print(r.n, r[10])
      print(pool:reduce(function(x) return x end, function(a, b) return a + b end, mp.range(100)))
      print(pool:apply(function() table = 3 string = 4 type = nil return 1 end))
      local ok, err = pcall(pool.map, pool, function(x) return x .. {} end, { 1 })
      print(err.kind == "task" and "kind", err.results and "results")
    ]])
  end)
end)
