-- mp.save and mp.load: values in files, in the format that the file's ending names.
--
-- Invariant: a file is written whole or not at all (src/lua/whole_file.c); a value that cannot be
-- written is told before anything is touched.

local core, require = ...

local csv = require "moonpool.csv"
local errors = require "moonpool.errors"
local iterable = require "moonpool.iterable"
local kinds = require "moonpool.kinds"

local files = {}

local BOM = "\xEF\xBB\xBF"

local function damaged(path, line, column, what)
  errors.raise("decode", ("%s:%d:%s %s"):format(path, line, column and column .. ":" or "", what),
    { file = path, line = line, column = column })
end

-- ---- the formats ----

-- By ending: write(value) and read(text, path).
local formats = {}

formats.cbor = {
  write = function(value)
    return core.dumps(value, false)
  end,
}

local function read_cbor(text)
  local value, behind = core.loads(text, 1, false)
  if behind <= #text then
    errors.raise("decode", ("%d bytes behind the value, from byte %d on"):format(#text - behind + 1,
      behind))
  end
  return value
end

function formats.cbor.read(text, path)
  local ok, value = pcall(read_cbor, text)
  if ok then
    return value
  elseif errors.is(value) and value.kind == "decode" then
    errors.raise("decode", path .. ": " .. value.message, { file = path, path = value.path })
  end
  error(value, 0)
end

local function read_json(text, path, first_line)
  local ok, value, line, column = core.json_value(text)
  if not ok then
    damaged(path, first_line + line - 1, column, value)
  end
  return value
end

local function without_bom(text)
  return text:sub(1, #BOM) == BOM and text:sub(#BOM + 1) or text
end

formats.json = {
  write = function(value)
    return core.json_text(value, kinds.of, "value") .. "\n"
  end,
  read = function(text, path)
    return read_json(without_bom(text), path, 1)
  end,
}

formats.jsonl = {
  write = function(values)
    local lines = {}
    for i, value in iterable.items("save", values) do
      lines[i] = core.json_text(value, kinds.of, ("value[%d]"):format(i))
    end
    lines[#lines + 1] = ""
    return table.concat(lines, "\n")
  end,
  read = function(text, path)
    local values, n, line, nils = {}, 0, 0, false
    for one in without_bom(text):gmatch "[^\n]*" do
      line = line + 1
      if one:find "%S" then
        n = n + 1
        values[n] = read_json(one, path, line)
        nils = nils or values[n] == nil
      end
    end
    values.n = nils and n or nil
    return values
  end,
}

formats.csv = {
  write = function(records)
    local list = {}
    for i, record in iterable.items("save", records) do
      list[i] = record == nil and {} or record
    end
    return csv.write(list)
  end,
  read = function(text, path)
    return csv.read(text, function(line, what)
      damaged(path, line, nil, what)
    end)
  end,
}

-- ---- paths ----

--- The format of what has this path. Raises "argument" for what is no path, or has no such ending;
--- `which` argument of the call it is.
function files.format(call_name, which, path)
  if type(path) ~= "string" then
    errors.argument(call_name, which, "a path", path)
  elseif path:find("\0", 1, true) then
    errors.raise("argument", ("%s: %s must be without zero bytes"):format(call_name, which))
  end
  local ending = path:match "%.([^./]*)$"
  return formats[(ending or ""):lower()]
    or errors.argument(call_name, which, "a path that ends in .cbor, .json, .jsonl or .csv", path)
end

-- What io functions give where they fail.
local function refused(call_name, path, message, code)
  message = message:gsub("^.*: ", "")
  errors.raise("system", ("%s %s: %s"):format(call_name, path, message), { errno = code })
end

local function read_all(path)
  local file, message, code = io.open(path, "rb")
  if not file then
    refused("open", path, message, code)
  end
  local held <close> = file
  local text
  text, message, code = held:read "a"
  return text or refused("read", path, message, code)
end

--- Writes a value to a file, whole or not at all. .cbor takes what mp.dumps takes; .json lists and
--- tables with names; .jsonl any iterable, a value a line; .csv any iterable of records. "encode"
--- where the value is none of that, "system" where the file cannot be written: it is then as it was.
function files.save(path, value)
  local format = files.format("save", "the first argument", path)
  core.write_whole(path, format.write(value))
end

--- The value in a file that save, or anybody else, has written. "decode" where it is damaged.
function files.load(path)
  local format = files.format("load", "the first argument", path)
  return format.read(read_all(path), path)
end

return files
