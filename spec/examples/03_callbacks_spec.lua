local example = require "spec.examples.example"

describe("examples/03_callbacks", function()
  it("appends results in the order in which they were ready", function()
    assert.same({
      "submitted 0.9 0.1 0.5, finished so far: 0",
      "finished in the order 0.1 0.5 0.9",
    }, example.lines("03_callbacks"))
  end)
end)
