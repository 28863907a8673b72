local example = require "spec.examples.example"

describe("examples/18_pipes", function()
  it("reads all of both, and both ends", function()
    assert.same({ "eof", "eof", "Process-1: the moon pool is open", "Process-2: divers go down and come back" },
      example.lines("18_pipes"))
  end)
end)
