-- CSV (RFC 4180) as lists of records, whose keys are the head line.
--
-- Invariants: what is saved is loaded as the same: what is quoted is a string, what is not is a
-- number, a boolean, nil where it is empty, or else a string. The same records give the same bytes
-- in every process. (Readers of libraries do not tell which fields were quoted.)

local core, require = ...

local errors = require "moonpool.errors"

local csv = {}

local BOM = "\xEF\xBB\xBF"
local QUOTE = ('"'):byte()

-- ---- fields ----

local WORDS = { ["true"] = true, ["false"] = false, nan = -(0 / 0), inf = math.huge, ["-inf"] = -math.huge }

local function is_number(text)
  return text:find "^[+-]?%d+$" or text:find "^[+-]?%d+%.?%d*[eE]?[+-]?%d*$"
    or text:find "^[+-]?%.%d+[eE]?[+-]?%d*$"
end

-- What a field that is not quoted stands for.
local function read_plain(text)
  if text == "" then
    return nil
  end
  local word = WORDS[text]
  if word ~= nil then
    return word
  end
  return is_number(text) and tonumber(text) or text
end

local function quote(text)
  return '"' .. text:gsub('"', '""') .. '"'
end

local function write_string(text)
  if text:find '[",\r\n]' or read_plain(text) ~= text then
    return quote(text)
  end
  return text
end

-- ---- saving ----

local function place(index, key)
  if type(key) == "string" and key:find "^[%a_][%w_]*$" then
    return ("value[%d].%s"):format(index, key)
  end
  return ("value[%d][%s]"):format(index, type(key) == "string" and ("%q"):format(key) or tostring(key))
end

local function refuse(path, what)
  errors.raise("encode", path .. ": " .. what, { path = path })
end

local function write_field(value, index, key)
  local kind = type(value)
  if kind == "string" then
    return write_string(value)
  elseif kind == "number" then
    return core.number_text(value)
  elseif kind == "boolean" then
    return tostring(value)
  end
  refuse(place(index, key), ("cannot write a %s into a field of CSV"):format(kind))
end

local function note_keys(record, index, seen, names)
  if type(record) ~= "table" then
    refuse(("value[%d]"):format(index), ("a record is a table, not a %s"):format(type(record)))
  end
  for key in next, record do
    if type(key) ~= "string" then
      refuse(place(index, key), "a record's keys are names, in CSV")
    elseif not seen[key] then
      seen[key] = true
      names[#names + 1] = key
    end
  end
end

local function write_record(record, index, names)
  local fields = {}
  for i, name in ipairs(names) do
    local value = rawget(record, name)
    fields[i] = value == nil and "" or write_field(value, index, name)
  end
  return table.concat(fields, ",")
end

local function write_head(names)
  local fields = {}
  for i, name in ipairs(names) do
    fields[i] = (name == "" or name:find '[",\r\n]') and quote(name) or name
  end
  if #names > 0 and fields[1]:sub(1, #BOM) == BOM then
    fields[1] = quote(names[1])
  end
  return table.concat(fields, ",")
end

--- The text of a list of records: a head line with the keys of all, sorted, then a line for each.
--- Strings that would be taken for something else are quoted, nil is an empty field.
function csv.write(records)
  local seen, names = {}, {}
  for i, record in ipairs(records) do
    note_keys(record, i, seen, names)
  end
  if #records == 0 then
    return ""
  end
  names = core.sort_strings(names)
  local lines = { write_head(names) }
  for i, record in ipairs(records) do
    lines[i + 1] = write_record(record, i, names)
  end
  lines[#lines + 1] = ""
  return table.concat(lines, "\n")
end

-- ---- loading ----

local function count_lines(text)
  return select(2, text:gsub("\n", ""))
end

-- Goes through a text: `at` is the place of the next field, `line` its line.
local function new_reader(text, fail)
  return { text = text, at = 1, line = 1, fail = fail }
end

-- Where the quotes end that begin at `at`; those that are doubled stand for one.
local function find_end(reader)
  local text, at = reader.text, reader.at + 1
  while true do
    local found = text:find('"', at, true)
    if not found then
      reader.fail(reader.line, "the quotes that begin here have no end")
    elseif text:byte(found + 1) ~= QUOTE then
      return found
    end
    at = found + 2
  end
end

local function read_quoted(reader)
  local stop = find_end(reader)
  local field = reader.text:sub(reader.at + 1, stop - 1)
  local last, behind = reader.text:match("^()\r?()[,\n]", stop + 1)
  if not last and stop == #reader.text then
    last, behind = stop + 1, stop + 1
  end
  if not last or behind > last and reader.text:sub(behind, behind) == "," then
    reader.fail(reader.line, "there is something behind the quotes of a field")
  end
  reader.line = reader.line + count_lines(field)
  reader.at = behind
  return (field:gsub('""', '"'))
end

-- The text of a field that is not quoted.
local function read_bare(reader)
  local text, at = reader.text, reader.at
  local stop = text:find("[,\n]", at) or #text + 1
  reader.at = stop
  local last = text:sub(stop, stop) == "\n" and text:sub(stop - 1, stop - 1) == "\r" and stop > at
    and stop - 2 or stop - 1
  return text:sub(at, last)
end

-- Calls take(i, text, is_quoted) for each field of the next record; how many there are.
local function read_record(reader, take)
  local n = 0
  repeat
    n = n + 1
    if reader.text:byte(reader.at) == QUOTE then
      take(n, read_quoted(reader), true)
    else
      take(n, read_bare(reader), false)
    end
    local separator = reader.text:sub(reader.at, reader.at)
    reader.at = reader.at + 1
  until separator ~= ","
  return n
end

-- The keys; none where the line is empty.
local function read_head(reader)
  local names, seen, is_empty = {}, {}, true
  local n = read_record(reader, function(i, text, is_quoted)
    if seen[text] then
      reader.fail(reader.line, ("the head line has %q twice"):format(text))
    end
    names[i], seen[text] = text, true
    is_empty = is_empty and text == "" and not is_quoted
  end)
  reader.line = reader.line + 1
  return n == 1 and is_empty and {} or names
end

-- An empty line is a record where there is one column at most, and else none.
local function is_blank(reader, names)
  return #names > 1 and reader.text:find("^\r?\n", reader.at)
end

local function read_row(reader, names)
  local record, line, is_empty = {}, reader.line, true
  local n = read_record(reader, function(i, text, is_quoted)
    is_empty = is_empty and text == "" and not is_quoted
    if not is_quoted then
      text = read_plain(text)
    end
    if names[i] then
      record[names[i]] = text
    end
  end)
  if n > math.max(#names, 1) or #names == 0 and not is_empty then
    reader.fail(line, ("%d fields, and %d in the head line"):format(n, #names))
  end
  return record
end

--- The records in a text. fail(line, what) raises what is wrong with it.
function csv.read(text, fail)
  local reader, records = new_reader(text, fail), {}
  if text:sub(1, #BOM) == BOM then
    reader.at = #BOM + 1
  end
  if reader.at > #text then
    return records
  end
  local names = read_head(reader)
  while reader.at <= #text do
    if is_blank(reader, names) then
      reader.at = text:find("\n", reader.at, true) + 1
    else
      records[#records + 1] = read_row(reader, names)
    end
    reader.line = reader.line + 1
  end
  return records
end

return csv
