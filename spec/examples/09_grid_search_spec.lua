-- timeout: 120
local example = require "spec.examples.example"

describe("examples/09_grid_search", function()
  local output = example.output("09_grid_search", "--quick")

  it("names the best combination of each topic", function()
    local best = {}
    for topic, share in output:gmatch("\n(%a[%w_]+) +[%d.]+ +[%d.]+ +%d +%a+ +([%d.]+) %%") do
      best[topic] = tonumber(share)
    end
    assert.same({
      alcohol = 54.8, malic_acid = 20.8, ash = 39.5, alcalinity = 50.1, phenols = 73.7,
      flavanoids = 76.6, color = 43.4, proline = 59.3,
    }, best)
  end)

  it("finds the same in serial and in parallel", function()
    assert.matches("\nserial +[%d.]+ s\nparallel +[%d.]+ s with %d+ workers?", output)
    assert.matches("\nboth results are equal\n$", output)
  end)

  it("takes every thirteenth of 1,782 combinations when in a hurry", function()
    assert.matches("^8 topics, 138 of 1782 combinations each, 5%-fold", output)
  end)
end)
