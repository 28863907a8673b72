local example = require "spec.examples.example"

describe("examples/05_async_results", function()
  it("reads results in the order of submission, from named workers", function()
    local lines = example.lines("05_async_results")
    local factorial = 1
    for n, line in ipairs(lines) do
      factorial = factorial * n
      local value = line:match("^ ?" .. n .. "! = +(%d+), said PoolWorker%-[1234]$")
      assert.equal(factorial, tonumber(value), line)
    end
    assert.equal(10, #lines)
  end)
end)
