-- Values as a reader wants to see them.

local DEEPEST, MOST, WIDEST = 4, 50, 200

local function is_name(key)
  return type(key) == "string" and key:match "^[%a_][%w_]*$" ~= nil
end

local function before(a, b)
  local ta, tb = type(a), type(b)
  if ta ~= tb then
    return ta < tb
  elseif ta == "number" or ta == "string" then
    return a < b
  end
  return tostring(a) < tostring(b)
end

local show

local function show_key(key, depth, above)
  return is_name(key) and key or ("[%s]"):format(show(key, depth + 1, above))
end

-- The list part in its order, then the other keys, sorted.
local function show_table(t, depth, above)
  local parts, keys, n = {}, {}, rawlen(t)
  for i = 1, math.min(n, MOST) do
    parts[i] = show(t[i], depth + 1, above)
  end
  for key in next, t do
    if not (math.type(key) == "integer" and key >= 1 and key <= n) then
      keys[#keys + 1] = key
    end
  end
  table.sort(keys, before)
  for i = 1, math.min(#keys, MOST - #parts) do
    parts[#parts + 1] = ("%s = %s"):format(show_key(keys[i], depth, above),
      show(t[keys[i]], depth + 1, above))
  end
  if n + #keys > #parts then
    parts[#parts + 1] = ("... %d more"):format(n + #keys - #parts)
  end
  return ("{%s}"):format(table.concat(parts, ", "))
end

--- The text of a value: tables with what is in them, cut where they are deep or long.
function show(value, depth, above)
  depth, above = depth or 0, above or {}
  local meta = getmetatable(value)
  if type(value) == "string" then
    local cut = #value > WIDEST and value:sub(1, WIDEST) .. "..." or value
    return (("%q"):format(cut):gsub("\\\n", "\\n"))
  elseif type(value) ~= "table" or type(meta) == "table" and meta.__tostring then
    return tostring(value)
  elseif above[value] then
    return "{cycle}"
  elseif depth >= DEEPEST then
    return "{...}"
  end
  above[value] = true
  local text = show_table(value, depth, above)
  above[value] = nil
  return text
end

return show
