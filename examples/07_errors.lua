-- An error in a worker is raised where its result is waited for, and tells of both places.
--
-- The error is a table: `kind` says what happened, `index` and `args` to which item, `value` is what
-- the function raised. Printed, it shows where in the worker it was raised and where in this
-- script the call was made. Uncaught, it would end the script with the same text.

local mp = require "moonpool"

local function check(age)
  if age < 0 then
    error("an age cannot be negative")
  end
  return age
end

local pool <close> = mp.Pool(2)
local ok, err = pcall(function()
  local ages = pool:map(check, { 31, 7, -4, 60 })
  print(#ages .. " ages checked")
end)
print("ok:    " .. tostring(ok))
print("kind:  " .. err.kind)
print("item:  " .. err.index)
print("value: " .. err.value)
print("in full:")
print(err)

print("the pool goes on: " .. pool:apply(check, { 42 }))
