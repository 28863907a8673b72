local example = require "spec.examples.example"

describe("examples/23_experiment", function()
  it("finds the same best setting each time", function()
    local lines = example.lines("23_experiment")
    assert.equal("120 throws of 30 kinds", lines[1])
    assert.equal("best: 53 degrees at 15.6 m/s, over in 100 % of 4, cost 2.44", lines[2])
    assert.same(lines, example.lines("23_experiment"))
  end)
end)
