-- What was typed in earlier sessions, and in this one: in a file of the user's state directory, a line
-- each; what took several lines has a mark between them.

local history = {}

local MOST = 1 << 18  -- bytes of the file
local LINES = 2000    -- of it that a session begins with
local BREAK = "\30"   -- between lines that belong together

local function path()
  local state, home = os.getenv "XDG_STATE_HOME", os.getenv "HOME"
  if state and state:sub(1, 1) == "/" then
    return state .. "/moonpool/history"
  end
  return home and home ~= "" and home .. "/.local/state/moonpool/history"
end

--- Gives the reader what is there. Where no file can be, it is said once.
function history.load(reader)
  local place = path()
  local text, obstacle
  if place then
    text, obstacle = reader.host.recall(place, MOST)
  end
  if obstacle then
    warn("moonpool: no history is kept in ", place, ": ", obstacle)
  end
  local lines = {}
  for line in (text or ""):gmatch "[^\n]+" do
    lines[#lines + 1] = line
  end
  for i = math.max(#lines - LINES + 1, 1), #lines do
    reader:remember((lines[i]:gsub(BREAK, "\n")))
  end
end

--- Adds what was typed, where lines are edited. What cannot be kept is forgotten with the session.
function history.keep(reader, text)
  if not reader.edits or not text:find "%S" then
    return
  end
  reader:remember(text)
  if path() then
    reader.host.keep(path(), text:gsub("\n", BREAK) .. "\n", MOST)
  end
end

return history
