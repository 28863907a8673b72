local example = require "spec.examples.example"

local function place(text)
  return "07_errors.lua:" .. example.line_of("07_errors", text)
end

describe("examples/07_errors", function()
  local output = example.output("07_errors")

  it("says what failed, and goes on", function()
    assert.matches("ok:    false\nkind:  task\nitem:  3\nvalue: [^\n]*negative\n", output)
    assert.matches("the pool goes on: 42\n$", output)
  end)

  it("shows where in the worker and where in the script", function()
    local full = output:match("in full:\n(.*)the pool goes on")
    assert.is_truthy(full:find(place('error("an age'), 1, true), full)
    assert.is_truthy(full:find(place("pool:map(check"), 1, true), full)
  end)
end)
