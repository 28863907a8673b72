local example = require "spec.examples.example"

describe("examples/21_queue_in_tasks", function()
  it("finds every room once", function()
    assert.same({ "8 rooms: attic, cellar, garden, hall, kitchen, moon pool, stairs, tunnel" },
      example.lines("21_queue_in_tasks"))
  end)
end)
