-- moonpool top [--once | --json] [PID]: what the pools of running programs do.
--
-- It only reads, and ends by q, by Ctrl-C, and, where it was told of a process, with that. While
-- it draws on a terminal, keys come to it at once and unseen, and signals are only noted: whatever
-- ends or stops it, the terminal is given back as it was.

local core, require = ...

local errors = require "moonpool.errors"
local inspect = require "moonpool.inspect"
local inspect_text = require "moonpool.inspect_text"
local kinds = require "moonpool.kinds"

local PERIOD <const> = 1     -- seconds between two looks
local SIGINT <const> = 2
local FIRST <const> = 0.25   -- and between the first two, which rates need

local function put(...)
  local ok, why = io.stdout:write(...)
  if ok then
    ok, why = io.stdout:flush()
  end
  if not ok then
    errors.raise("system", "cannot write: " .. why)
  end
end

local function complain(...)
  io.stderr:write("moonpool top: ", ..., "\n")
  return false
end

local NOTHING <const> = "no program of this user has a pool"
local NO_POOL <const> = "process %d has no pool"

local function lacks_pools(view, pid)
  return pid and #view.pools == 0 and #view.problems == 0
end

-- ---- once ----

local function lines_of(view, most)
  local lines, n = inspect_text.lines(view, most)
  if n == 0 then
    lines[1], n = NOTHING, 1
  end
  return lines, n
end

local function once(pid, json)
  local view, why = inspect.viewer(pid):look(true)
  if not view or lacks_pools(view, pid) then
    return complain(why or NO_POOL:format(pid))
  elseif json then
    put(core.json_text(inspect_text.table(view), kinds.of, "top"), "\n")
  else
    put(table.concat(lines_of(view), "\n"), "\n")
  end
  return true
end

-- ---- again and again ----

local function head(view)
  return ("moonpool top  %s"):format(os.date("%H:%M:%S", view.time // 1))
end

-- The pools with busy workers first, otherwise as they were.
local function put_busy_first(pools)
  local order = {}
  for _, busy in ipairs { true, false } do
    for _, pool in ipairs(pools) do
      order[#order + 1] = (pool.counts.busy > 0) == busy and pool or nil
    end
  end
  return order
end

-- As much as the terminal shows.
local function screen(view)
  local columns, rows = core.screen_size()
  local room = math.max((rows or 24) - 3, 1)
  local lines, n = lines_of(view, room)
  if n > room then
    view.pools = put_busy_first(view.pools)
    lines = lines_of(view, room)
    lines[room] = ("... and %d more lines"):format(n - room + 1)
  end
  table.insert(lines, 1, "")
  table.insert(lines, 1, head(view) .. "  (q ends)")
  for i, line in ipairs(lines) do
    lines[i] = core.fit(line, columns or 80) .. "\27[K"
  end
  return "\27[H" .. table.concat(lines, "\r\n") .. "\27[J"
end

local function frame(view, drawn)
  if drawn then
    return screen(view)
  end
  return head(view) .. "\n" .. table.concat(lines_of(view), "\n") .. "\n\n"
end

local Terminal = {}
Terminal.__index = Terminal

local function open_terminal()
  local signals = debug.getregistry()["moonpool.prompt"] -- which the program has put there
  put("\27[2J")
  return setmetatable({ signals = signals, wake = signals.watch(), keys = core.keys() }, Terminal)
end

function Terminal:leave()
  if self.keys then
    core.leave_keys(self.keys)
  end
  put("\r\n")
end

function Terminal:__close()
  self:leave()
  self.signals.unwatch()
end

-- Whether somebody wants it to end, and whether it is to be drawn now.
function Terminal:heed()
  local name = self.signals.signal()
  if name == "terminate" or name == "quit" then
    self:leave()
    self.signals.finish(name)
  elseif name == "stop" then
    self:leave()
    self.signals.suspend()
  elseif name == "continue" then
    self.keys = core.keys()
  end
  local text = self.keys and core.take_keys()
  return name == "interrupt" or text == false or text and text:find "[qQ\4]" ~= nil, name ~= nil
end

-- True: somebody wants it to end.
local function pause(seconds, terminal)
  local deadline, over, now = core.monotonic() + seconds, false, false
  repeat
    if terminal then
      core.sleep_on({ terminal.wake, terminal.keys and 0 or nil }, deadline)
      over, now = terminal:heed()
    else
      core.nap(deadline)
    end
  until over or now or core.monotonic() >= deadline
  return over
end

-- Whether it is well, and what there is to be told in the end.
local function watch(pid, terminal)
  local viewer, seen = inspect.viewer(pid), false
  repeat
    local view, why = viewer:look()
    if not view then
      return seen, seen and ("process %d has ended"):format(pid) or why
    elseif not seen and lacks_pools(view, pid) then
      return false, NO_POOL:format(pid)
    end
    local first = not seen and #view.pools > 0
    if not first then
      put(frame(view, terminal))
    end
    seen = true
  until pause(first and FIRST or PERIOD, terminal)
  return true
end

local function watch_on_terminal(pid)
  local terminal <close> = open_terminal()
  return watch(pid, terminal)
end

local function follow(pid)
  local ok, well, message = pcall(core.screen_size() and watch_on_terminal or watch, pid)
  if not ok and errors.is_interrupt(well) then
    core.end_by(SIGINT)
  elseif not ok then
    errors.throw(well)
  elseif message then
    complain(message)
  end
  return well
end

-- ---- the words ----

local function usage()
  io.stderr:write("usage: moonpool top [--once | --json] [PID]\n")
  return false
end

return function(mp, ...)
  local pid, how
  for _, word in ipairs { ... } do
    local n = word:find "^%d+$" and math.tointeger(tonumber(word))
    if word == "-h" or word == "--help" then
      return require "moonpool.commands.help"(mp, "top")
    elseif word == "--once" or word == "--json" then
      how = how == "--json" and how or word
    elseif n and n > 0 and not pid then
      pid = n
    else
      return usage()
    end
  end
  if how then
    return once(pid, how == "--json")
  end
  return follow(pid)
end
