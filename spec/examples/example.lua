-- Runs an example as a user would, in a process of its own, and gives what it said.
local example = {}

local function take(path)
  local file = assert(io.open(path))
  local text = file:read("a")
  file:close()
  os.remove(path)
  return text
end

function example.path(name)
  return "examples/" .. name .. ".lua"
end

-- { code = its exit code, output = its standard output, errors = its standard error }
function example.run(name, arguments)
  local output, errors = os.tmpname(), os.tmpname()
  local command = ("'%s' %s %s >%s 2>%s"):format(os.getenv("MOONPOOL") or "moonpool",
    example.path(name), arguments or "", output, errors)
  local _, _, code = os.execute(command)
  return { code = code, output = take(output), errors = take(errors) }
end

-- What an example that succeeds says; an error, with all that it said, if it does not.
function example.output(name, arguments)
  local result = example.run(name, arguments)
  if result.code ~= 0 or result.errors ~= "" then
    error(("%s ended with %s\n%s%s"):format(name, result.code, result.output, result.errors), 2)
  end
  return result.output
end

function example.lines(name, arguments)
  local lines = {}
  for line in example.output(name, arguments):gmatch("[^\n]*") do lines[#lines + 1] = line end
  if lines[#lines] == "" then lines[#lines] = nil end
  return lines
end

-- The number of the line in an example's source that holds this text.
function example.line_of(name, text)
  local number = 0
  for line in io.lines(example.path(name)) do
    number = number + 1
    if line:find(text, 1, true) then return number end
  end
  error("no line of " .. name .. " holds " .. text, 2)
end

return example
