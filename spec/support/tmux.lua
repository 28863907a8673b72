-- A program in a window of tmux: keys are sent to it, and what stands there is looked at.
--
--   local window <close> = tmux.start { columns = 80, rows = 24, env = {...}, command = "..." }
--   window:keys("1 + 1", "Enter")       as tmux names them
--   window:sees("> 2")                  waits until that stands somewhere; an error with all, if it never does
local tmux = {}

local Window = {}
Window.__index = Window

local PATIENCE = 30 -- seconds

local function quoted(text)
  return "'" .. tostring(text):gsub("'", "'\\''") .. "'"
end

local function output(command)
  local pipe <close> = assert(io.popen(command .. " 2>&1"))
  return pipe:read("a")
end

--- Starts it in a shell, which says "ended N" behind it.
function tmux.start(options)
  local words = {}
  for name, value in pairs(options.env or {}) do
    words[#words + 1] = name .. "=" .. quoted(value)
  end
  local socket = os.tmpname()
  os.remove(socket)
  local window = setmetatable({ tmux = "tmux -f /dev/null -S " .. socket, socket = socket }, Window)
  local command = ("trap : INT; env -u LUA_INIT -u NO_COLOR %s %s; echo ended $?; exec sleep 1000"):format(
    table.concat(words, " "), options.command)
  window:tell(("new-session -d -x %d -y %d %s"):format(options.columns or 80, options.rows or 24,
    quoted(command)))
  return window
end

function Window:tell(words)
  return output(self.tmux .. " " .. words)
end

--- All lines, those that have scrolled away first, without what is blank at the end of lines.
function Window:text()
  return (self:tell("capture-pane -p -J -S -"):gsub(" +\n", "\n"):gsub("\n+$", "\n"))
end

local function wait_for(self, what, holds)
  local mp = require "moonpool"
  local deadline = mp.monotonic() + PATIENCE
  local text
  repeat
    text = self:text()
    if holds(text) then
      return text
    end
    mp.sleep(0.02)
  until mp.monotonic() > deadline
  error(("never seen: %s\n%s"):format(what, text), 3)
end

--- Waits until that text stands somewhere.
function Window:sees(wanted)
  return wait_for(self, wanted, function(text) return text:find(wanted, 1, true) ~= nil end)
end

--- Waits until the pattern matches all that is there.
function Window:matches(pattern)
  return wait_for(self, pattern, function(text) return text:find(pattern) ~= nil end)
end

--- Sends keys: text, and names as tmux has them.
function Window:keys(...)
  local words = {}
  for i = 1, select("#", ...) do
    words[i] = quoted((select(i, ...)))
  end
  self:tell("send-keys " .. table.concat(words, " "))
end

--- Pastes as a terminal does.
function Window:paste(text)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  self:tell(("load-buffer %s"):format(path))
  self:tell("paste-buffer -p -r")
  os.remove(path)
end

function Window:resize(columns, rows)
  self:tell(("resize-window -x %d -y %d"):format(columns, rows))
end

--- Takes the window away from the program: its terminal hangs up.
function Window:hang_up()
  self:tell("kill-server")
end

function Window:__close()
  self:tell("kill-server")
  os.remove(self.socket)
end

return tmux
