-- The rows of an experiment as records for a file: the parameters, the repeat, the result or its
-- fields, and the error's text stand side by side.
--
-- Invariants: every row and each value comes into the file, whatever it is: what its format cannot say
-- is there as text; no two columns have one name.

local core, require = ...

local kinds = require "moonpool.kinds"
local show = require "moonpool.show"

local flat = {}

-- ---- columns ----

local function is_record(result)
  if type(result) ~= "table" or next(result) == nil or kinds.of(result) then
    return false
  end
  for name in next, result do
    if type(name) ~= "string" then
      return false
    end
  end
  return true
end

-- The names that are in use in the tables that get(row) gives, sorted.
local function names_of(rows, get)
  local names, seen = {}, {}
  for _, row in ipairs(rows) do
    for name in next, get(row) or {} do
      if type(name) == "string" and not seen[name] then
        seen[name] = true
        names[#names + 1] = name
      end
    end
  end
  return core.sort_strings(names)
end

-- A column for each name: the name itself, where no other column has it.
local function columns_of(names, prefix, taken)
  local columns = {}
  for _, name in ipairs(names) do
    local column = name
    while taken[column] do
      column = prefix .. column
    end
    taken[column] = true
    columns[name] = column
  end
  return columns
end

-- ---- values ----

local function json_of(value)
  local ok, text = pcall(core.json_text, value, kinds.of, "value")
  return ok and text or nil
end

local function escaped(text)
  return (text:gsub("[\128-\255]", function(byte) return ("\\x%02X"):format(byte:byte()) end))
end

-- By the file's ending: what a value is written as.
local writable = {}

function writable.csv(value)
  if type(value) == "table" then
    return json_of(value) or show.line(value)
  end
  local scalar = type(value) == "number" or type(value) == "boolean"
  return scalar and value or tostring(value)
end

function writable.json(value)
  if json_of(value) then
    return value
  elseif type(value) == "number" then
    return core.number_text(value)
  end
  return escaped(type(value) == "string" and value or show.line(value))
end

writable.jsonl = writable.json

function writable.cbor(value)
  return pcall(core.dumps, value, false) and value or show.line(value)
end

-- ---- rows ----

local function put(record, columns, from, write)
  for name, value in next, from do
    if columns[name] then
      record[columns[name]] = write(value)
    end
  end
end

--- A list of records for a file of that ending. Parameters and fields of results keep their names but
--- where another column has it: then "params." or "result." is put in front. A result that is no table
--- with names is in the column `result`, an error's message in `error`.
function flat.rows(rows, ending)
  local write = writable[ending]
  local taken = { ["repeat"] = true, result = true, error = true }
  local params = columns_of(names_of(rows, function(row) return row.params end), "params.", taken)
  local fields = columns_of(names_of(rows, function(row) return is_record(row.result) and row.result end),
    "result.", taken)
  local records = {}
  for i, row in ipairs(rows) do
    local record = { ["repeat"] = row["repeat"] }
    put(record, params, row.params, write)
    if is_record(row.result) then
      put(record, fields, row.result, write)
    elseif row.result ~= nil then
      record.result = write(row.result)
    end
    record.error = row.error and write(row.error.message)
    records[i] = record
  end
  return records
end

return flat
