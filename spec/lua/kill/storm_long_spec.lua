-- timeout: 3600
-- label: long
local storm = require "spec.lua.kill.storm"

describe("a long storm of kills", function()
  for round = 1, 20 do
    it("costs at most an item a kill, round " .. round, function()
      storm.check(20000, 10, 0)
    end)

    it("is weathered while the host is busy elsewhere, round " .. round, function()
      storm.check(20000, 10, 5)
    end)
  end
end)
