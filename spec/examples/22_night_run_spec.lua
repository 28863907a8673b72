local example = require "spec.examples.example"

describe("examples/22_night_run", function()
  it("goes on where it was, within an item, too", function()
    assert.same({
      "false\t a missing file",
      "12\titem 12 did steps 16 to 20",
      "the third night adds 0 bytes",
    }, example.lines("22_night_run"))
  end)
end)
