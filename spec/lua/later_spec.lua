-- What is loaded when it is first used, in processes that have not used it so far.
local script = require "spec.support.script"
local says = script.says ""

describe("what is loaded late", function()
  for _, method in ipairs { "fork", "spawn", "forkserver" } do
    it("comes back from a task as what it is, by " .. method, function()
      says("Grid\tSample\t4\n2\t4\n", ([[
        local pool <close> = mp.Pool { processes = 1, start_method = %q }
        local grid = pool:apply(function() return mp.grid { a = { 1, 2 } } end)
        local sample = pool:apply(function() return mp.sample({ a = { 1, 2 } }, 4, 1) end)
        print(mp.type(grid), mp.type(sample), #sample)
        print(pool:map(function(p) return p.a end, grid).n, pool:map(function(p) return p.a end, sample).n)
      ]]):format(method))
    end)
  end

  it("reaches workers that have not used it", function()
    says("2\t3\n", [[
      local grid, sample = mp.grid { a = { 1, 2 } }, mp.sample({ a = { 1, 2 } }, 3, 1)
      local pool <close> = mp.Pool { processes = 1, start_method = "spawn" }
      print(pool:apply(function(g, s) return #g, #s end, { grid, sample }))
    ]])
  end)
end)
