local example = require "spec.examples.example"

local function is_prime(n)
  for divisor = 2, math.floor(math.sqrt(n)) do
    if n % divisor == 0 then return false end
  end
  return true
end

describe("examples/06_endless", function()
  it("finds five primes, ends, and goes on with other work", function()
    local lines = example.lines("06_endless")
    local seen = 0
    for n in lines[1]:match("^five primes: (.*)$"):gmatch("%d+") do
      seen = seen + 1
      assert.is_true(tonumber(n) > 1000000000 and is_prime(tonumber(n)), n)
    end
    assert.equal(5, seen)
    assert.same({ "and 97 is one too" }, { table.unpack(lines, 2) })
  end)
end)
