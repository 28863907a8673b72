local example = require "spec.examples.example"

describe("examples/17_stencil", function()
  it("computes what one process computes", function()
    local lines = example.lines("17_stencil")
    assert.equal(7, #lines)
    assert.equal("as computed by one process", lines[7])
  end)
end)
