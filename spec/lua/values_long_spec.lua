-- timeout: 600
-- label: long
-- What is too large for every run.
local script = require "spec.support.script"

describe("a very large value", function()
  it("of 1 GiB comes back, and its memory is given back", function()
    assert.equal("1073741824\ttrue\ntrue\n2\n", script.output([[
      local pool <close> = mp.Pool(1)
      local text = pool:apply(function() return ("0123456789abcdef"):rep(1 << 26) end)
      print(#text, text:sub(1, 16) == "0123456789abcdef" and text:sub(-16) == "0123456789abcdef")
      text = nil
      collectgarbage()
      print(pool:apply(function() return true end))
      print(pool:apply(function(s) return #s / (1 << 28) end, { ("x"):rep(1 << 29) }) // 1 | 0)
    ]]))
  end)

  it("is nested 1,000,000 deep", function()
    assert.equal("1000000\n", script.output([[
      local deep = {}
      for i = 1, 1000000 do deep = { deep } end
      local pool <close> = mp.Pool(1)
      pool:apply(math.abs, { 1 })
      local came, depth = pool:apply(function(x) return x end, { deep }), 0
      while came[1] do came, depth = came[1], depth + 1 end
      print(depth)
    ]]))
  end)

  it("is a map of 3,000,000 results", function()
    assert.equal("true\n", script.output([[
      local pool <close> = mp.Pool(2)
      local results, right = pool:map(function(x) return x + 0.5 end, mp.range(3000000)), true
      for i = 1, 3000000 do right = right and results[i] == i + 0.5 end
      print(right)
    ]]))
  end)
end)
