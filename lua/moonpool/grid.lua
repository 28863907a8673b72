-- mp.grid: every combination of the values of some parameters.

local _, require = ...

local errors = require "moonpool.errors"
local lazy = require "moonpool.lazy"

local grid = {}

-- The last name's values change from item to item, the first one's least.
local Grid = lazy.class("Grid", function(self, i)
  local params, rest = {}, i - 1
  for k = #self.names, 1, -1 do
    local count = self.counts[k]
    params[self.names[k]] = self.values[k][rest % count + 1]
    rest = rest // count
  end
  return params
end)

function Grid.__tostring(self)
  local parts = {}
  for k, name in ipairs(self.names) do
    parts[k] = ("%s: %d"):format(name, self.counts[k])
  end
  return ("grid of %d (%s)"):format(self.n, table.concat(parts, ", "))
end

local function multiply(n, count)
  if count > 0 and n > math.maxinteger // count then
    errors.raise("argument", "grid: there are more combinations than can be counted")
  end
  return n * count
end

--- grid{lr = {0.1, 0.01}, depth = {2, 4}}: a table of parameters for each combination, the names
--- sorted, the last one's values fastest. Values are a list, an mp.range, an mp.linspace; anything else
--- is the only one. Lazy; `#`, indexing and a generic for work.
function grid.grid(space)
  local self = { names = lazy.names("grid", space), values = {}, counts = {}, n = 1 }
  for k, name in ipairs(self.names) do
    self.values[k], self.counts[k] = lazy.values("grid", name, space[name])
  end
  for _, count in ipairs(self.counts) do
    self.n = count == 0 and 0 or multiply(self.n, count)
  end
  return setmetatable(self, Grid)
end

return grid
