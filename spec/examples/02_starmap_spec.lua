local example = require "spec.examples.example"

describe("examples/02_starmap", function()
  it("calls the function with what zip pairs", function()
    assert.same({
      "radius 1, height 10: 31.4",
      "radius 2, height 20: 251.3",
      "radius 3, height 30: 848.2",
      "radius 4, height 40: 2010.6",
    }, example.lines("02_starmap"))
  end)
end)
