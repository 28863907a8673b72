local example = require "spec.examples.example"

describe("examples/15_lock", function()
  it("keeps each line whole, and gets a lock whose holder is killed", function()
    local lines = example.lines("15_lock")
    assert.equal(10, #lines)
    local seen = {}
    for i = 1, 9 do seen[lines[i]] = true end
    for verse = 1, 3 do
      for line = 1, 3 do assert.is_true(seen[("verse %d, line %d"):format(verse, line)]) end
    end
    assert.equal("acquired:\ttrue\tabandoned", lines[10])
  end)
end)
