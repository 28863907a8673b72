-- Where a prompt's lines come from: a line edited on the terminal, which the program brings along
-- (src/cli/line.c), or plain lines of standard input, in any host.
--
-- Both are polled, so that whoever asks for a line may do other things until it is there. What is to
-- appear above it is printed between `hide` and `show`.

local core = ...

local STDIN = 0

local reader = {}

local Edited, Plain = {}, {}
Edited.__index, Plain.__index = Edited, Plain

-- ---- edited lines ----

--- What is printed from now on begins a line: as many spaces as there are columns end on the next one
--- where something stands in front of them.
function Edited.begin_line()
  io.stdout:write((" "):rep((core.terminal_size())), "\r\27[K")
end

-- What was printed before keeps its line. Lines of the prompt above the last one are text like any other,
-- for they are not drawn again with it. Where the terminal is the shell's, it comes with it.
function Edited:begin(prompt)
  local above, last = prompt:match "^(.*\n)([^\n]*)$"
  if self.line.is_in_front() then
    self.begin_line()
    io.stdout:write(above or "")
    io.stdout:flush()
  end
  self.line.begin(last or prompt)
end

--- A line, false at the end of input, or nil: nothing so far.
function Edited:take()
  while core.readable(STDIN) and not self.line.is_away() do
    local text = self.line.feed()
    if text ~= nil then
      return text
    end
  end
end

function Edited:hide()
  self.line.hide()
end

function Edited:show()
  self.line.show()
end

--- What takes the line away, and what shows it again: for others, who write while it is waited for.
function Edited:strokes()
  return self.line.strokes()
end

function Edited:resize()
  self.line.resize()
end

function Edited:suspend()
  self.line.suspend()
end

--- Whether the terminal is not this program's now; and whether that is to be asked again soon.
function Edited:is_away()
  return self.line.is_away()
end

--- The same as it was found last.
function Edited:is_left()
  return self.line.is_left()
end

function Edited:resume()
  self.line.resume()
end

function Edited:leave()
  self.line.leave()
end

function Edited:abandon()
  self.line.abandon()
end

function Edited:remember(text)
  self.line.remember(text)
end

-- ---- plain lines ----

function Plain:begin(prompt)
  self.prompt = prompt
  io.stdout:write(prompt)
  io.stdout:flush()
end

function Plain.take()
  if core.readable(STDIN) then
    local text = io.stdin:read("l")
    if text == nil then
      io.stdout:write("\n")
    end
    return text or false
  end
end

function Plain.hide()
  io.stdout:write("\n")
end

function Plain:show()
  self:begin(self.prompt)
end

function Plain:suspend()
  self.host.suspend()
end

function Plain.abandon()
  io.stdout:write("\n")
end

function Plain.begin_line() end
function Plain.resize() end
function Plain.resume() end
function Plain.leave() end
function Plain.remember() end

-- ---- the host's side ----

-- Where no program has brought it along: calls that only the host can interrupt, no signals.
local function bare()
  return {
    call = xpcall,
    explain = function(message) return message end,
    watch = function() end,
    unwatch = function() end,
    interrupted = function() end,
    signal = function() end,
    is_terminal = function() return core.is_terminal() end,
  }
end

--- A reader: methods begin_line, begin(prompt), take() (a line, false at the end, nil while there is
--- none), hide, show, resize, suspend, resume, leave, abandon, remember(text); fields host (what the
--- program has brought along), edits (whether lines are edited), terminal, and dumb (one that knows
--- text only).
function reader.open()
  local host = debug.getregistry()["moonpool.prompt"] or bare()
  local terminal, kind = host.is_terminal(), os.getenv "TERM"
  local dumb = not kind or kind == "" or kind == "dumb"
  if terminal and host.begin and not dumb then
    return setmetatable({ host = host, line = host, edits = true, terminal = true }, Edited)
  end
  io.stdin:setvbuf("no")
  return setmetatable({ host = host, edits = false, terminal = terminal, dumb = dumb }, Plain)
end

return reader
