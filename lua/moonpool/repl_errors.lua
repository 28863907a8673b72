-- Errors as a prompt tells them: the message, the traceback down to the line typed, and what was typed.

local _, require = ...

local show = require "moonpool.show"

local trace = {}

local WIDEST = 70 -- of a line typed, as it is shown

-- What the library calls to call others, and what stands in the place of no function.
local BETWEEN = { ["\t[C]: in function 'error'"] = true, ["\t[C]: in function 'pcall'"] = true,
  ["\t[C]: in function 'xpcall'"] = true, ["\t(...tail calls...)"] = true }

-- The same where the place is named by what calls it.
local function is_between(line)
  return BETWEEN[line] or line:find "^\t%[C%]: in %a+ '[%w_.]*during'$" or line:find "^\t%.%.%.\t%(skipping "
end

local HEAD = "stack traceback:"

-- What stands below the line typed is the prompt itself; and nobody asks how the library is made. Of a
-- traceback of nothing else there is nothing to be shown.
local function cut(text)
  local lines = {}
  for line in (text .. "\n"):gmatch("(.-)\n") do
    local own = line:find "^\tmoonpool/[%w_]+%.lua:"
    while own and #lines > 1 and is_between(lines[#lines]) do
      lines[#lines] = nil
    end
    if line:find "^\tmoonpool/repl%.lua:" then
      break
    elseif not own then
      lines[#lines + 1] = line
    end
  end
  while #lines > 1 and (lines[#lines]:find "^\t%[C%]: in " or is_between(lines[#lines])) do
    lines[#lines] = nil
  end
  lines[#lines] = lines[#lines] ~= HEAD and lines[#lines] .. "\n\t[C]: in ?" or nil
  return table.concat(lines, "\n")
end

-- A line that uses earlier ones' names is a function within a chunk, which nobody is to know.
local function name_chunk(text, first)
  return (text:gsub(("in function <stdin:%d>\n\t%%[C%%]: in %%?$"):format(first),
    "in main chunk\n\t[C]: in ?"))
end

-- An interrupt's, where it has hit the library.
local function without_place(err)
  return (err:gsub("^moonpool/[%w_]+%.lua:%d+: (interrupted!)$", "%1"))
end

--- The text of an error, in its message handler: `first` is the number of the first line of what is
--- evaluated, `explain(message)` what the host adds. `shows`: values that are errors are shown, and not
--- only told of as lua does it.
function trace.text(err, first, explain, shows)
  if type(err) ~= "string" and type(err) ~= "number" then
    local meta = getmetatable(err)
    if type(meta) == "table" and type(meta.__tostring) == "function" then
      return tostring(err)
    end
    local ok, text = pcall(show.value, err)
    err = ok and shows and text or ("(error object is a %s value)"):format(type(err))
  end
  return name_chunk(cut(debug.traceback(explain(without_place(tostring(err))), 3)), first)
end

--- The text of an interrupt that hit code of the script's while no line was evaluated: `stack` is the
--- traceback of where it did. Nil where it hit none, but the prompt itself.
function trace.astray(err, stack)
  local text = cut(("%s\n%s"):format(without_place(err), stack))
  return text:find("\n" .. HEAD, 1, true) and text or nil
end

--- The same with the lines typed below the places in them; `typed`: number -> text.
function trace.with_lines(text, typed)
  return (text:gsub("(\n\tstdin:(%d+):[^\n]*)", function(place, number)
    local line = typed[tonumber(number)]
    if not line then
      return place
    end
    line = line:match("^%s*(.-)%s*$")
    if #line > WIDEST then
      line = line:sub(1, WIDEST) .. "..."
    end
    return ("%s\n\t    %s"):format(place, line)
  end))
end

return trace
