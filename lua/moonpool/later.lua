-- Modules of the library that few programs use, loaded when something of them is first asked for, so
-- that all others start sooner.

local _, require = ...

--- In the place of require(name): a table that has what the module has. Not for what changes there.
return function(name)
  return setmetatable({}, { __index = function(self, key)
    local value = require(name)[key]
    rawset(self, key, value)
    return value
  end })
end
