-- Names of files within a string that is being typed: as they stand there, for Lua expands nothing, and
-- written so that the string is right.

local core, require = ...

local chunk = require "moonpool.repl_chunk"

local files = {}

-- Whether the text, which begins with that quote, ends it.
local function is_closed(text, quote)
  local at = 2
  while at <= #text do
    local byte = text:sub(at, at)
    if byte == quote then
      return true
    end
    at = at + (byte == "\\" and 2 or 1)
  end
  return false
end

-- The string that the text ends in and that is not ended: where its contents begin, and its quote, or nil
-- and what would end it.
local function open_string(text)
  local words = chunk.words(text)
  local last = words[#words]
  if not last or last.kind ~= "string" or last.last < #text then
    return nil
  end
  local level = last.text:match "^%[(=*)%["
  if level then
    local closing = "]" .. level .. "]"
    local closed = last.text:find(closing, #closing + 1, true)
    return not closed and last.first + #closing or nil, nil, closing
  end
  local quote = last.text:sub(1, 1)
  return not is_closed(last.text, quote) and last.first + 1 or nil, quote
end

-- What those contents are; nil where they are wrong.
local function read(contents, quote)
  if not quote then
    return contents
  end
  local _, slashes = contents:find "\\*$"
  local whole = #contents:match "\\*$" % 2 == 0 and contents or contents:sub(1, slashes - 1)
  local f = load(("return %s%s%s"):format(quote, whole, quote), "=string", "t")
  return f and f()
end

-- A name as it stands within the string; nil where it cannot.
local function written(name, quote, closing)
  if not quote then
    return not name:find "%c" and not name:find(closing, 1, true) and name or nil
  end
  return (name:gsub("[%c\\" .. quote .. "]", function(c)
    return c:find "%c" and ("\\%03d"):format(c:byte()) or "\\" .. c
  end))
end

-- The names that begin so, and which of them are folders.
local function look(beginning)
  local pattern = beginning:gsub("[*?%[%]{},~\\]", "\\%0") .. "*"
  local names, folders = {}, {}
  for _, path in ipairs(core.glob(pattern .. "/")) do
    folders[path:match "([^/]*)/*$"] = true
  end
  for _, path in ipairs(core.glob(pattern)) do
    local name = path:match "[^/]*$"
    if name ~= "." and name ~= ".." then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names, folders
end

--- Where `text` ends within a string: a list of what may stand from `start` on, a single folder with
--- a slash behind it, and "quoted" or "long". Otherwise nil.
function files.words(text, start)
  local first, quote, closing = open_string(text)
  if not first or start < first then
    return nil
  end
  local contents = text:sub(first)
  local folder = contents:match "^.*/" or ""
  local beginning, before = read(contents, quote), contents:sub(1, start - first)
  local list, is_folder = {}, nil
  local names, folders = look(beginning or "")
  for _, name in ipairs(beginning and names or {}) do
    local word = written(name, quote, closing)
    word = word and folder .. word
    if word and word:sub(1, #before) == before then
      list[#list + 1] = word:sub(#before + 1)
      is_folder = folders[name]
    end
  end
  if #list == 1 and is_folder then
    list[1] = list[1] .. "/"
  end
  return list, quote and "quoted" or "long"
end

return files
