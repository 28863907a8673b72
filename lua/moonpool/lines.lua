-- What `moonpool map` does in its workers: the lines of a block, through an expression.
--
-- Invariants: of a line that fails nothing is written, and the lines before it are; a line is
-- evaluated once. What takes longer than a block is meant to is given back where others may take it
-- up.

local core, require = ...

local kinds = require "moonpool.kinds"

local lines = {}

local PARAMETERS <const> = "line, n, f, file"
local MOST_TOLD <const>, WIDTH <const> = 5, 200 -- failures in the text of a block's, and bytes of each
-- Seconds in which lines of a block are begun: many times what one is to take, since a worker may have
-- to wait for a processor, too.
local SLICE <const> = 0.05

-- ---- the expression ----

-- What a function of the parameters that consists of this code is, or why it is none.
local function read_code(code)
  local chunk, why = load(("local %s = ... %s"):format(PARAMETERS, code), "=EXPR", "t")
  if not chunk then
    return nil, why
  end
  local faster = load(("return function(%s) %s\nend"):format(PARAMETERS, code), "=EXPR", "t")
  return faster and faster() or chunk
end

--- The function that an expression, or a chunk with `return`, is; nil and why it is neither.
function lines.compile(text)
  local f, why = read_code("return " .. text)
  if f then
    return f
  end
  local chunk, why_no_chunk = read_code(text)
  return chunk, text:find "%f[%w_]return%f[^%w_]" and why_no_chunk or why
end

-- ---- fields ----

local ESCAPES <const> = { t = "\t", n = "\n", ["\\"] = "\\" }

local function split_by_pattern(line, pattern)
  local fields, from, at = {}, 1, 1
  while at <= #line do
    local first, last = line:find(pattern, at)
    if not first then
      break
    elseif last < first then
      at = first + 1 -- nothing separates nothing
    else
      fields[#fields + 1] = line:sub(from, first - 1)
      from, at = last + 1, last + 1
    end
  end
  if line ~= "" then
    fields[#fields + 1] = line:sub(from)
  end
  return fields
end

--- How many fields of a line the expression can look at: as many as its highest place where it has
--- nothing but places (f[3]), none where there is no f in it; else all.
function lines.fields_of(expression)
  local all, most, places = select(2, expression:gsub("%f[%w_]f%f[^%w_]", "")), 0, 0
  for place in expression:gmatch "%f[%w_]f%[(%d+)%]" do
    places, most = places + 1, math.max(most, math.tointeger(tonumber(place)) or math.maxinteger)
  end
  return places == all and most or math.maxinteger
end

-- What core.cursor_go takes: nil for runs of blanks, a character, or a function. `separator` is nil, a
-- character, or a pattern.
local function read_separator(separator)
  local escaped = separator and separator:match "^\\([tn\\])$"
  separator = escaped and ESCAPES[escaped] or separator
  if separator == nil or #separator == 1 then
    return separator
  end
  return function(line)
    return split_by_pattern(line, separator)
  end
end

-- ---- JSON ----

local function to_json(...)
  local n, texts = select("#", ...), {}
  if n < 2 then
    return (...) ~= nil and core.json_text((...), kinds.of, "value") or nil
  end
  for i = 1, n do
    texts[i] = core.json_text((select(i, ...)), kinds.of, ("value[%d]"):format(i))
  end
  return "[" .. table.concat(texts, ", ") .. "]"
end

local function value_of(line)
  local ok, value, _, column = core.json_value(line, true)
  if not ok then
    error(("not JSON: %s, at column %d"):format(value, column), 0)
  end
  return value
end

-- The same as the expression's function, but from text to text.
local function through_json(eval)
  return function(line, n, _, file)
    if line:find "%S" then
      return to_json(eval(value_of(line), n, nil, file))
    end
  end
end

-- ---- in a worker ----

local eval, separator, fields, keeps_going -- of this worker

local function run_code(code)
  local chunk, why = load(code, "=(command line)")
  if not chunk then
    error(why, 0)
  end
  chunk()
end

local function require_global(word)
  local name, module = word:match "^([^=]*)=(.*)$"
  local ok, value = pcall(_G.require, module or word) -- which would name this line
  if not ok then
    error(value, 0)
  end
  _G[name or word] = value
end

--- Makes a worker fit for `run`: {expression, separator, json,
--- keep_going, before = list of {"-l" or "-e", text}}.
function lines.prepare(given)
  require_global "mp=moonpool"
  for _, step in ipairs(given.before) do
    local do_step = step[1] == "-e" and run_code or require_global
    do_step(step[2])
  end
  eval = lines.compile(given.expression)
  eval = given.json and through_json(eval) or eval
  fields = given.json and 0 or lines.fields_of(given.expression)
  separator = fields > 0 and read_separator(given.separator)
  keeps_going = given.keep_going
end

local function words_of(err)
  if type(err) == "string" or type(err) == "number" then
    return tostring(err)
  end
  local meta = getmetatable(err)
  return type(meta) == "table" and meta.__tostring and tostring(err)
    or ("(error object is a %s value)"):format(type(err))
end

-- What is to be told of a block besides its text: nil where there is nothing.
local function remarks_on(cursor, failures, file)
  local rest, first
  if not failures or keeps_going then
    rest, first = core.cursor_rest(cursor)
  end
  local why, code = core.lines_unwritten()
  if failures or rest or why then
    return { failures = failures, rest = rest, first = first, file = rest and file,
      unwritten = why and { why, code } }
  end
end

local function evaluate(block, n, file, limit)
  local began, failures = core.monotonic(), nil
  local cursor = core.cursor(block, n, limit)
  repeat
    local ok, err = pcall(core.cursor_go, cursor, eval, separator, file, fields)
    if not ok then
      failures = failures or {}
      failures[#failures + 1] = { core.cursor_at(cursor), words_of(err) }
    end
  until ok or not keeps_going
  return core.cursor_text(cursor), core.monotonic() - began, remarks_on(cursor, failures, file)
end

--- The text that the lines of `block` give, the first of which has the number `n`; the seconds that
--- it took; nil, or {failures: a list of {number, message} of the lines that failed, the first one
--- where it ended by it; rest, first, file: the lines that it has not come to within its time, the
--- number of the first of them, and their file; unwritten: why what they print cannot be written, and
--- the error's number}.
function lines.run(block, n, file)
  return evaluate(block, n, file, SLICE)
end

-- What run gives of a block that a journal is not to take for done; its text is for those who read that.
local Partly = {}
lines.Partly = Partly -- by which name it travels

function Partly.__tostring(partly)
  local remarks, texts = partly[3], {}
  for i, failure in ipairs(remarks.failures or {}) do
    if i > MOST_TOLD then
      texts[i] = ("and %d more"):format(#remarks.failures - MOST_TOLD)
      break
    end
    texts[i] = ("line %d: %s"):format(failure[1], core.fit(failure[2], WIDTH))
  end
  if remarks.unwritten then
    texts[#texts + 1] = "cannot write: " .. remarks.unwritten[1]
  end
  return table.concat(texts, "; ")
end

--- The same for a journal, which is to have blocks as they were cut, and is not to take one for done
--- of which lines failed: raises what run gives, as a list.
function lines.run_whole(block, n, file)
  local text, seconds, remarks = evaluate(block, n, file)
  if remarks then
    error(setmetatable({ text, seconds, remarks }, Partly))
  end
  return text, seconds
end

return lines
