local example = require "spec.examples.example"

describe("examples/01_squares", function()
  it("prints the squares in order", function()
    local lines = example.lines("01_squares")
    assert.matches("^four seconds of work took %d+%.%d$", table.remove(lines))
    assert.same({ "1 squared is 1", "2 squared is 4", "3 squared is 9", "4 squared is 16" }, lines)
  end)
end)
