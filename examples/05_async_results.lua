-- Many calls under way, their results read in the order in which they were submitted.
--
-- Each `pool:apply_async` returns an AsyncResult; its `get` waits until that one is done. Workers
-- are named PoolWorker-1, PoolWorker-2 ...

local mp = require "moonpool"

local function factorial(n)
  local product = 1
  for i = 2, n do product = product * i end
  return product, mp.current_process().name
end

local pool <close> = mp.Pool(4)
local results = {}
for n = 1, 10 do
  results[n] = pool:apply_async(factorial, { n })
end
for n, result in ipairs(results) do
  local value, name = result:get()
  print(("%2d! = %7d, said %s"):format(n, value, name))
end
