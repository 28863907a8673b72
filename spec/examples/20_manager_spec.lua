local example = require "spec.examples.example"

describe("examples/20_manager", function()
  it("counts what three processes have read", function()
    assert.same({ "line 1: 31 letters", "line 2: 54 letters", "line 3: 28 letters",
      "the: 6, moon: 2, opening: 2, ship: nil" },
      example.lines("20_manager"))
  end)
end)
