local example = require "spec.examples.example"

describe("examples/14_processes", function()
  it("deals with each process as it ends", function()
    local lines = example.lines("14_processes")
    assert.equal(5, #lines)
    assert.matches("^easy: found one after %d+ rounds$", lines[1])
    local ends = { lines[2], lines[3] }
    table.sort(ends)
    assert.same({ "easy: exit code 0", "hopeless: exit code 2" }, ends)
    assert.equal("still there: endless", lines[4])
    assert.equal("endless: exit code -15, by the signal that ended it", lines[5])
  end)
end)
