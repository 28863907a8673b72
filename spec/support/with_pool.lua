-- with_pool(fields, f): calls f with a pool in a block of its own, and fails if anything of it
-- is left behind that.
local leaks = require "spec.support.leaks"

return function(fields, f)
  local mp = require "moonpool"
  local before = leaks.snapshot()
  do
    local pool <close> = mp.Pool(fields)
    f(pool)
  end
  local left = leaks.left(before)
  if left ~= "" then
    error("left behind: " .. left, 2)
  end
end
