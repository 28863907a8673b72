local example = require "spec.examples.example"

describe("examples/16_histogram", function()
  it("counts all draws, most of them in the middle", function()
    local lines = example.lines("16_histogram")
    assert.equal(11, #lines)
    assert.equal(" 5 " .. ("#"):rep(50), lines[5])
    assert.equal("400000\tdraws", lines[11])
  end)
end)
