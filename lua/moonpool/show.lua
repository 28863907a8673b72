-- Values as a reader wants to see them.

local DEEPEST, MOST, WIDEST = 4, 50, 200
local WIDTH, INDENT = 80, 2
local ALL, ON_A_LINE = 2000, 200 -- entries of all tables in one another
local LONGEST = 4000             -- of a string that is all there is

local COLOURS = { string = "\27[32m", number = "\27[36m", boolean = "\27[35m", ["nil"] = "\27[35m" }
local PLAIN = "\27[0m"

local KEYWORDS = {}
for word in ("and break do else elseif end false for function goto if in local nil not or repeat return then "
  .. "true until while"):gmatch "%a+" do
  KEYWORDS[word] = true
end

-- Whether { key = ... } can be written so.
local function is_name(key)
  return type(key) == "string" and key:match "^[%a_][%w_]*$" ~= nil and not KEYWORDS[key]
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

local show = {
  KEYWORDS = KEYWORDS, -- Lua's: a set
}

local function is_opaque(value)
  local meta = getmetatable(value)
  return type(value) ~= "table" or type(meta) == "table" and meta.__tostring ~= nil
end

-- Its first bytes, without the part of a character.
local function cut_off(text, widest)
  local last = widest
  while last > widest - 4 and (text:byte(last + 1) or 0) & 0xC0 == 0x80 do
    last = last - 1
  end
  return text:sub(1, last) .. "..."
end

local function escaped(text, widest)
  local cut = #text > widest and cut_off(text, widest) or text
  local quoted = (("%q"):format(cut):gsub("\\\n", "\\n"))
  if utf8 and not utf8.len(cut) then
    quoted = quoted:gsub("[\128-\255]", function(c) return ("\\%d"):format(c:byte()) end)
  end
  return quoted
end

-- Of a text of several lines that stands within a table the first one.
local function show_scalar(value, state, depth)
  local text = type(value) == "string" and escaped(value, state.widest or WIDEST) or tostring(value)
  if depth > 0 then
    text = text:gsub("\n.*", " ...")
  end
  local colour = state.coloured and COLOURS[type(value)]
  return colour and colour .. text .. PLAIN or text
end

local function width_of(text, state)
  return state.coloured and #text:gsub("\27%[%d+m", "") or #text
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

local function write_entries(entries, width, indent, depth, state)
  local parts = {}
  for i, entry in ipairs(entries) do
    state.left = state.left - 1
    if state.left < 0 then
      parts[i] = "..."
      break
    end
    parts[i] = entry[1] .. write(entry[2], width, indent, depth + 1, state)
  end
  return parts
end

-- On one line; nil where that is too long, if there is a width to keep to.
local function write_line(entries, more, room, depth, state)
  local left = state.left
  if room then
    state.left = math.min(left, ON_A_LINE)
  end
  local given = state.left
  local parts = write_entries(entries, nil, 0, depth, state)
  parts[#parts + 1] = more > 0 and ("... %d more"):format(more) or nil
  local line = ("{%s}"):format(table.concat(parts, ", "))
  if not room then
    return line
  end
  local fits = state.left >= 0 and width_of(line, state) <= room
  state.left = fits and left - given + state.left or left
  return fits and line or nil
end

-- The lines of a table: what is short in its list stands side by side.
local function fill(entries, parts, room, state)
  local lines, beside = {}, false
  for i, part in ipairs(parts) do
    local entry = entries[i]
    local is_short = entry ~= nil and entry[1] == "" and is_opaque(entry[2])
    local line = is_short and beside and lines[#lines] .. ", " .. part
    if line and width_of(line, state) < room then
      lines[#lines] = line
    else
      lines[#lines + 1] = part
    end
    beside = is_short
  end
  return lines
end

-- On one line, or where that is too long an entry a line.
local function write_table(t, width, indent, depth, state)
  local entries, more = entries_of(t)
  local line = write_line(entries, more, width and width - indent, depth, state)
  if line then
    return line
  end
  local margin = (" "):rep(indent + INDENT)
  local parts = write_entries(entries, width, indent + INDENT, depth, state)
  parts[#parts + 1] = more > 0 and ("... %d more"):format(more) or nil
  local lines = fill(entries, parts, width and width - indent - INDENT or 0, state)
  return ("{\n%s%s\n%s}"):format(margin, table.concat(lines, ",\n" .. margin), (" "):rep(indent))
end

function write(value, width, indent, depth, state)
  if is_opaque(value) then
    return show_scalar(value, state, depth)
  elseif state[value] then
    return "{cycle}"
  elseif depth >= DEEPEST then
    return "{...}"
  end
  state[value] = true
  local text = write_table(value, width, indent, depth, state)
  state[value] = nil
  return text
end

--- The text of a value on one line: tables with what is in them, cut where they are deep or long.
function show.line(value)
  return write(value, nil, 0, 0, { left = ALL })
end

--- The same, on several lines, indented, where one would be long.
function show.text(value)
  return write(value, WIDTH, 0, 0, { left = ALL })
end

--- The same for a prompt, which shows more of a string, and colours where they are wanted.
function show.value(value, coloured)
  return write(value, WIDTH, 0, 0, { left = ALL, coloured = coloured,
    widest = type(value) == "string" and LONGEST or WIDEST })
end

return show
