-- timeout: 180
local storm = require "spec.lua.kill.storm"

describe("a storm of kills", function()
  it("costs at most an item a kill", function()
    storm.check(4000, 2, 0)
  end)

  it("costs no more in stock lua5.4", function()
    storm.check(2000, 1, 0, "stock")
  end)

  it("is weathered while the host is busy elsewhere", function()
    storm.check(3000, 2, 1.5)
  end)
end)
