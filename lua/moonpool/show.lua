-- Values as a reader wants to see them.

local DEEPEST, MOST, WIDEST = 4, 50, 200
local WIDTH, INDENT = 80, 2

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

local show = {}

local function is_opaque(value)
  local meta = getmetatable(value)
  return type(value) ~= "table" or type(meta) == "table" and meta.__tostring ~= nil
end

local function show_scalar(value)
  if type(value) ~= "string" then
    return tostring(value)
  end
  local cut = #value > WIDEST and value:sub(1, WIDEST) .. "..." or value
  return (("%q"):format(cut):gsub("\\\n", "\\n"))
end

-- What is in a table: pairs of an entry's head and its value, the list part in its order, then the
-- other keys, sorted; and how many more there are.
local function entries_of(t)
  local entries, keys, n = {}, {}, rawlen(t)
  for i = 1, math.min(n, MOST) do
    entries[i] = { "", t[i] }
  end
  for key in next, t do
    if not (math.type(key) == "integer" and key >= 1 and key <= n) then
      keys[#keys + 1] = key
    end
  end
  table.sort(keys, before)
  for i = 1, math.min(#keys, MOST - #entries) do
    local key = keys[i]
    local head = is_name(key) and key or ("[%s]"):format(show.line(key))
    entries[#entries + 1] = { head .. " = ", t[key] }
  end
  return entries, n + #keys - #entries
end

local write

-- On one line, or where that is too long, and there is a width to keep to, an entry a line.
local function write_table(t, width, indent, depth, above)
  local parts = {}
  local entries, more = entries_of(t)
  for i, entry in ipairs(entries) do
    parts[i] = entry[1] .. write(entry[2], nil, 0, depth + 1, above)
  end
  parts[#parts + 1] = more > 0 and ("... %d more"):format(more) or nil
  local line = ("{%s}"):format(table.concat(parts, ", "))
  if not width or #line + indent <= width then
    return line
  end
  local margin = (" "):rep(indent + INDENT)
  for i, entry in ipairs(entries) do
    parts[i] = entry[1] .. write(entry[2], width, indent + INDENT, depth + 1, above)
  end
  return ("{\n%s%s\n%s}"):format(margin, table.concat(parts, ",\n" .. margin), (" "):rep(indent))
end

function write(value, width, indent, depth, above)
  if is_opaque(value) then
    return show_scalar(value)
  elseif above[value] then
    return "{cycle}"
  elseif depth >= DEEPEST then
    return "{...}"
  end
  above[value] = true
  local text = write_table(value, width, indent, depth, above)
  above[value] = nil
  return text
end

--- The text of a value on one line: tables with what is in them, cut where they are deep or long.
function show.line(value)
  return write(value, nil, 0, 0, {})
end

--- The same, on several lines, indented, where one would be long.
function show.text(value)
  return write(value, WIDTH, 0, 0, {})
end

return show
