-- Errors as a prompt tells them: the message, the traceback down to the line typed, and what was typed.

local trace = {}

local WIDEST = 70 -- of a line typed, as it is shown

-- What stands below the line typed is the prompt itself; and nobody asks how the library is made.
local function cut(text)
  local lines = {}
  for line in (text .. "\n"):gmatch("(.-)\n") do
    if line:find("^\t[^\n]*moonpool[/.]repl[%w_]*") then
      if lines[#lines]:find("^\t%[C%]: in ") then
        lines[#lines] = nil
      end
      break
    end
    if not line:find "^\tmoonpool/[%w_]+%.lua:" then
      lines[#lines + 1] = line
    end
  end
  if lines[#lines] == "\t(...tail calls...)" then
    lines[#lines] = nil
  end
  lines[#lines + 1] = "\t[C]: in ?"
  return table.concat(lines, "\n")
end

-- A line that uses earlier ones' names is a function within a chunk, which nobody is to know.
local function name_chunk(text, first)
  return (text:gsub(("in function <stdin:%d>\n\t%%[C%%]: in %%?$"):format(first),
    "in main chunk\n\t[C]: in ?"))
end

--- The text of an error, in its message handler: `first` is the number of the first line of what is
--- evaluated, `explain(message)` what the host adds.
function trace.text(err, first, explain)
  if type(err) ~= "string" and type(err) ~= "number" then
    local meta = getmetatable(err)
    if type(meta) == "table" and type(meta.__tostring) == "function" then
      return tostring(err)
    end
    err = ("(error object is a %s value)"):format(type(err))
  end
  err = tostring(err):gsub("^moonpool/[%w_]+%.lua:%d+: (interrupted!)$", "%1")
  return name_chunk(cut(debug.traceback(explain(err), 3)), first)
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
