-- timeout: 120
local example = require "spec.examples.example"
local journals = require "spec.support.journals"
local script = require "spec.support.script"

describe("examples/09_grid_search", function()
  local output = example.output("09_grid_search", "--quick")

  it("names the best combination of each topic", function()
    local best = {}
    for topic, share in output:gmatch("\n(%a[%w_]+) +[%d.]+ +[%d.]+ +%d +%a+ +([%d.]+) %%") do
      best[topic] = tonumber(share)
    end
    assert.same({
      alcohol = 55.8, malic_acid = 23.1, ash = 41.1, alcalinity = 51.5, phenols = 74.8,
      flavanoids = 77.2, color = 42.7, proline = 59.1,
    }, best)
  end)

  it("finds the same in serial and in parallel", function()
    assert.matches("\nserial +[%d.]+ s\nparallel +[%d.]+ s with %d+ workers?", output)
    assert.matches("\nboth results are equal\n$", output)
  end)

  it("takes every thirteenth of 1,782 combinations when in a hurry", function()
    assert.matches("^8 topics, 138 of 1782 combinations each, 5%-fold", output)
  end)

  it("goes on where it was when all of it was killed, and finds the same", function()
    local journal, page = os.tmpname(), os.tmpname()
    os.remove(journal)
    local words = ("--quick --journal %s --timeline %s.html"):format(journal, page)
    local whole = output:match("^(.-)\nserial")
    for round = 1, 2 do
      local r = script.run(("arg = { [0] = %q, %q, %q, %q } dofile(arg[0])"):format(
        example.path("09_grid_search"), "--quick", "--journal", journal), { under = "timeout -s KILL 0.1" })
      assert.is_true(r.code == nil or round > 1)
      assert.is_true(script.left_nothing(r))
    end
    assert.equal(whole, example.output("09_grid_search", words))
    assert.equal(whole, example.output("09_grid_search", words))
    local done = 0
    for _ in pairs(journals.done(journal)) do done = done + 1 end
    assert.equal(138 * 8, done)
    assert.truthy(script.read(page .. ".html"):find("<html", 1, true))
    os.remove(journal)
    os.remove(page)
    os.remove(page .. ".html")
  end)
end)
