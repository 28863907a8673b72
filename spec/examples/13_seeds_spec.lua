local example = require "spec.examples.example"

describe("examples/13_seeds", function()
  it("finds the same numbers with any number of workers and any chunks", function()
    local lines = example.lines("13_seeds")
    assert.equal(7, #lines)
    local hits = lines[1]:match(": (%d+) hits")
    for i = 1, 6 do assert.equal(hits, lines[i]:match(": (%d+) hits")) end
    local here, there = lines[7]:match("(%d+)\t(%d+)$")
    assert.equal(here, there)
  end)
end)
