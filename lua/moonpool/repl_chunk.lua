-- What is typed at a prompt, as functions: names declared `local` by one line are there for the later.
--
-- A line is compiled inside a function whose locals are the names it needs, and they are then joined
-- to where the earlier lines' functions have them (debug.upvaluejoin): so an assignment is seen by
-- all, and functions that use such a name take it along to workers like any other upvalue. A call at
-- the line's end, put in behind its last statement, hands out the names that it has declared itself.
-- The line's own text is not moved: lines and columns of errors are right.
--
-- A scope: name -> {holder = a function with the variable as an upvalue, index, attrib}.

local chunk = {}

local KEEP = "__moonpool_keep"

local OPENING = { ["do"] = true, ["function"] = true, ["if"] = true, ["repeat"] = true }
local CLOSING = { ["end"] = true, ["until"] = true }

-- ---- words ----

-- Where the thing that begins at `at` ends, and what it is: "space", "string", "name" or "other".
local function token_at(text, at)
  local _, last = text:find("^%s+", at)
  if last then return last, "space" end
  local level = text:match("^%-%-%[(=*)%[", at) or text:match("^%[(=*)%[", at)
  if level then
    _, last = text:find("]" .. level .. "]", at, true)
    return last or #text, text:sub(at, at) == "-" and "space" or "string"
  end
  _, last = text:find("^%-%-[^\n]*", at)
  if last then return last, "space" end
  local quote = text:match("^[\"']", at)
  if quote then
    last = at + 1
    while last < #text and text:sub(last, last) ~= quote do
      last = last + (text:sub(last, last) == "\\" and 2 or 1)
    end
    return math.min(last, #text), "string"
  end
  _, last = text:find("^[%a_][%w_]*", at)
  if last then return last, "name" end
  _, last = text:find("^%.?%d[%w%.]*", at)
  if not last then
    _, last = text:find("^%.%.%.?", at)
  end
  if not last then
    _, last = text:find("^::", at)
  end
  return last or at, "other"
end

--- The words of a text: a list of {text, kind, first, last}, without spaces and comments.
function chunk.words(text)
  local words, at = {}, 1
  while at <= #text do
    local last, kind = token_at(text, at)
    if kind ~= "space" then
      words[#words + 1] = { text = text:sub(at, last), kind = kind, first = at, last = last }
    end
    at = last + 1
  end
  return words
end

local function is_field(words, i)
  local before = words[i - 1]
  return before ~= nil and (before.text == "." or before.text == ":")
end

--- Whether word `i` is a variable, and not the name of a field or method.
function chunk.is_variable(words, i)
  return words[i] ~= nil and words[i].kind == "name" and not is_field(words, i)
end

--- Whether `=` stands behind word `i`: it is given a value, or is a key of a table.
function chunk.is_set(words, i)
  local after, second = words[i + 1], words[i + 2]
  return after ~= nil and after.text == "=" and (second == nil or second.text ~= "=")
end

-- The names of `local a <const>, b` whose first name is word `i`, added to a list; `text` gets
-- <const> in the place of <close>.
local function read_names(words, i, found, text)
  repeat
    local name, attrib = words[i], nil
    if name and words[i + 1] and words[i + 1].text == "<" and words[i + 2] then
      attrib = words[i + 2].text
      if attrib == "close" then
        local at = words[i + 2].first
        text = text:sub(1, at - 1) .. "const" .. text:sub(at + #attrib)
      end
      i = i + 3
    end
    if name and name.kind == "name" then
      found[#found + 1] = { name = name.text, attrib = attrib }
    end
    i = i + 1
    local comma = words[i] and words[i].text == ","
    i = i + 1
  until not comma
  return text
end

-- The locals that the text declares in its outermost block: a list of {name, attrib}; the text with
-- its <close> made <const>; and the place behind which all of them stand.
local function declared(text, words)
  local found, depth, place = {}, 0, #words > 0 and words[#words].last or 0
  for i, word in ipairs(words) do
    local is_name = word.kind == "name"
    if is_name and OPENING[word.text] then
      depth = depth + 1
    elseif is_name and CLOSING[word.text] then
      depth = depth - 1
    elseif is_name and depth == 0 and word.text == "local" then
      local follower = words[i + 1]
      if follower and follower.text == "function" then
        read_names(words, i + 2, found, "")
      else
        text = read_names(words, i + 1, found, text)
      end
    elseif is_name and depth == 0 and word.text == "return" then
      place = word.first - 1
    end
  end
  return found, text, place
end

-- Each once, the last one of a name.
local function distinct(found)
  local list, at = {}, {}
  for _, entry in ipairs(found) do
    local i = at[entry.name] or #list + 1
    list[i], at[entry.name] = entry, i
  end
  return list
end

-- ---- compiling ----

local function upvalue_of(f, name)
  local i = 1
  local found = debug.getupvalue(f, i)
  while found and found ~= name do
    i = i + 1
    found = debug.getupvalue(f, i)
  end
  return found and i
end

-- A constant known when the line was compiled has no place of its own.
local function holder_of(value)
  return function()
    return value
  end
end

local function keep_in(scope, names)
  return function(holder)
    local values = table.pack(holder())
    for i, entry in ipairs(names) do
      local index = upvalue_of(holder, entry.name)
      local own = index and holder or holder_of(values[i])
      scope[entry.name] = { holder = own, index = index or 1, attrib = entry.attrib }
    end
  end
end

local function join(f, scope, keep)
  local i = 1
  local name = debug.getupvalue(f, i)
  while name do
    if name == KEEP then
      debug.setupvalue(f, i, keep)
    elseif scope[name] then
      debug.upvaluejoin(f, i, scope[name].holder, scope[name].index)
    end
    i = i + 1
    name = debug.getupvalue(f, i)
  end
end

local function head_of(words, scope)
  local names, seen = {}, {}
  for i, word in ipairs(words) do
    local cell = chunk.is_variable(words, i) and scope[word.text]
    if cell and not seen[word.text] then
      seen[word.text] = true
      names[#names + 1] = word.text .. (cell.attrib and " <const>" or "")
    end
  end
  return names
end

local function list_of(entries)
  local names = {}
  for i, entry in ipairs(entries) do
    names[i] = entry.name
  end
  return table.concat(names, ", ")
end

local function pass(...)
  return ...
end

-- `body` inside of a function that has the names known, and KEEP.
local function load_within(body, known, margin)
  known[#known + 1] = KEEP
  return load(("%slocal %s = ...; return function(...) %s\nend"):format(margin,
    table.concat(known, ", "), body), "=stdin", "t")
end

local function compile(text, line, scope)
  local words = chunk.words(text)
  local found, body, place = declared(text, words)
  local known = head_of(words, scope)
  local margin = ("\n"):rep(line - 1)
  if #found == 0 and #known == 0 then
    return load(margin .. text, "=stdin", "t")
  end
  local names = distinct(found)
  if #names > 0 then
    body = ("%s ;%s(function() return %s end) %s"):format(body:sub(1, place), KEEP, list_of(names),
      body:sub(place + 1))
  end
  local outer, message = load_within(body, known, margin)
  if not outer then
    return nil, message
  end
  local f = outer()
  join(f, scope, keep_in(scope, names))
  return f, nil, names
end

-- What is called by an expression is not to take the line's own place on the stack.
local function compile_expression(text, line, scope)
  local outer = load_within(("return %s(%s\n)"):format(KEEP, text), head_of(chunk.words(text), scope),
    ("\n"):rep(line - 1))
  if not outer then
    return compile("return " .. text, line, scope)
  end
  local f = outer()
  join(f, scope, pass)
  return f
end

local function plain(text, line)
  return load(("\n"):rep(line - 1) .. text, "=stdin", "t")
end

local function is_incomplete(message)
  return message:sub(-5) == "<eof>" or nil
end

--- The function that `text`, whose first line has that number, is: as an expression first, whose
--- values it then returns, or as statements; nil; and a list of {name, attrib} that it declares, or nil.
--- Otherwise nil, a message, and true where more lines may make it right.
function chunk.compile(text, line, scope)
  local expression, forced = text:gsub("^=", "", 1)
  local right, lacking = plain("return " .. expression, line)
  if right and expression:find "%S" then
    return compile_expression(expression, line, scope)
  elseif right then
    return right
  end
  local f, message = plain(text, line)
  if f then
    return compile(text, line, scope)
  elseif forced == 1 or is_incomplete(lacking) then
    message = lacking
  end
  return nil, message, is_incomplete(message)
end

--- The same for a text that a worker is to run: a function that gives a function of no arguments, and
--- what the text is, "expression" or "statements"; nil where it is neither.
function chunk.compile_task(text, line, scope)
  local form = plain("return " .. text, line) and "expression" or plain(text, line) and "statements"
  local whole = form == "expression" and "return function() return %s\nend" or "return function() %s\nend"
  if form then
    return (compile(whole:format(text), line, scope)), form
  end
end

--- The value that a name declared by some line has now.
function chunk.value(scope, name)
  local cell = scope[name]
  if cell then
    local _, value = debug.getupvalue(cell.holder, cell.index)
    return value
  end
end

--- Those of all of them: name -> value.
function chunk.values(scope)
  local values = {}
  for name in pairs(scope) do
    values[name] = chunk.value(scope, name)
  end
  return values
end

--- The value of a variable, as a line would see it.
function chunk.variable(scope, name)
  if scope[name] then
    return chunk.value(scope, name)
  end
  return rawget(_G, name)
end

return chunk
