-- Four squares, each of which takes a second to compute, on four workers: about a second in all.
--
-- `pool:map` hands the items of a table, or of a range, to worker processes and returns the results
-- in the order of the items, whoever finished first.

local mp = require "moonpool"

local function slow_square(x)
  mp.sleep(1)
  return x * x
end

local start = mp.monotonic()
local pool <close> = mp.Pool(4)
for i, square in ipairs(pool:map(slow_square, mp.range(4))) do
  print(i .. " squared is " .. square)
end
print(("four seconds of work took %.1f"):format(mp.monotonic() - start))
