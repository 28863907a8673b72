local example = require "spec.examples.example"

describe("examples/12_retries", function()
  it("gets all pages but the one that is not there", function()
    local lines = example.lines("12_retries")
    assert.equal(11, #lines)
    for i = 1, 10 do
      local expected = i == 9 and "9\ttask after 4 attempts:  no such page" or ("%d\tpage %d"):format(i, i)
      assert.equal(expected, lines[i])
    end
    assert.equal("10 items: 9 done, 1 failed, 9 times tried again, 1 workers lost", lines[11])
  end)
end)
