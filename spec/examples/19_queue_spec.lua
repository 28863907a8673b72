local example = require "spec.examples.example"

describe("examples/19_queue", function()
  it("finds the primes, and all end", function()
    assert.same({ "producer ended with 0", "consumer 1 ended with 0", "consumer 2 ended with 0",
      "consumer 3 ended with 0", "2 3 5 7 11 13 17 19 23 29 31 37 41 43 47 53 59" },
      example.lines("19_queue"))
  end)
end)
