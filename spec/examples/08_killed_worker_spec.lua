local example = require "spec.examples.example"

describe("examples/08_killed_worker", function()
  it("loses the item of the killed worker and no other", function()
    assert.same({
      "1\t10", "2\t20", "3\tworker_lost, signal 9", "4\t40", "5\t50", "6\t60",
      "1 of 6 failed",
    }, example.lines("08_killed_worker"))
  end)
end)
