-- The lines typed in earlier sessions, and in this one: in a file of the user's state directory.

local core = ...

local history = {}

local MOST = 1 << 18  -- bytes of the file
local LINES = 2000    -- of it that a session begins with

local function path()
  local state, home = os.getenv "XDG_STATE_HOME", os.getenv "HOME"
  if state and state:sub(1, 1) == "/" then
    return state .. "/moonpool/history"
  end
  return home and home ~= "" and home .. "/.local/state/moonpool/history"
end

--- Gives the reader what is there.
function history.load(reader)
  local file = path() and io.open(path(), "r")
  if not file then
    return
  end
  local lines = {}
  for line in file:lines() do
    lines[#lines + 1] = line
  end
  file:close()
  for i = math.max(#lines - LINES + 1, 1), #lines do
    reader:remember(lines[i])
  end
end

--- Adds a line, where lines are edited. What cannot be kept is forgotten with the session.
function history.keep(reader, line)
  if not reader.edits or not line:find "%S" then
    return
  end
  reader:remember(line)
  if path() and core.pid() then
    reader.host.keep(path(), line .. "\n", MOST)
  end
end

return history
