-- A worker that is killed costs one item.
--
-- Item 3 kills the process that it runs in, as the kernel does when memory runs out. With
-- on_error = "collect" the others go on, in a new worker where one is missing, and `results.errors`
-- says what became of the third.

local mp = require "moonpool"

local function fragile(x)
  if x == 3 then
    os.execute("kill -9 " .. mp.getpid())
  end
  return x * 10
end

local pool <close> = mp.Pool(2)
local results = pool:map(fragile, mp.range(6), { on_error = "collect" })
for i = 1, results.n do
  local err = results.errors[i]
  print(i, err and err.kind .. ", signal " .. err.signal or results[i])
end
print(results.failed .. " of " .. results.n .. " failed")
