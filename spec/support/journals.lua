-- Reading the journals that scripts under test have written, with the codec alone.
local mp = require "moonpool"
local script = require "spec.support.script"

local journals = {}

--- The bodies of the records of a file that is whole, in their order.
function journals.read(path)
  local bytes, bodies, at = script.read(path), {}, 1
  while at <= #bytes do
    local ok, record, behind = pcall(mp.loads, bytes, { position = at })
    if not ok then
      break -- cut off
    end
    bodies[#bodies + 1], at = record[3], behind
  end
  return bodies
end

--- Which items have a result there, by index.
function journals.done(path)
  local done = {}
  for _, body in ipairs(journals.read(path)) do
    if body.item and body.result then
      done[body.item] = true
    end
  end
  return done
end

--- How often each number stands in a file of one a line.
function journals.counts(path)
  local counts = {}
  for line in script.read(path):gmatch("%d+") do
    local i = tonumber(line)
    counts[i] = (counts[i] or 0) + 1
  end
  return counts
end

return journals
