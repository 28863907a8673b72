-- moonpool top [--once | --json] [PID]: what the pools of running programs do.
--
-- It only reads, and ends by q, by Ctrl-C, and, where it was told of a process, with that. While
-- it draws on a terminal, keys come to it at once and unseen; Ctrl-C is one of them.

local core, require = ...

local errors = require "moonpool.errors"
local inspect = require "moonpool.inspect"
local inspect_text = require "moonpool.inspect_text"
local kinds = require "moonpool.kinds"

local PERIOD <const> = 1     -- seconds between two looks
local FIRST <const> = 0.25   -- and between the first two, which rates need

local function put(...)
  local ok, why = io.stdout:write(...)
  if not ok or not io.stdout:flush() then
    errors.raise("system", "cannot write: " .. (why or "standard output"))
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
  local viewer = inspect.viewer(pid)
  local view, why = viewer:look(true)
  if view and #view.pools > 0 then
    core.nap(core.monotonic() + FIRST)
    view = viewer:look(true) or view
  end
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
  return ("moonpool top  %s  (q ends)"):format(os.date("%H:%M:%S", view.time // 1))
end

-- As much as the terminal shows.
local function screen(view)
  local columns, rows = core.screen_size()
  local room = math.max((rows or 24) - 3, 1)
  local lines, n = lines_of(view, room)
  if n > room then
    lines[room] = ("... and %d more lines"):format(n - room + 1)
  end
  table.insert(lines, 1, "")
  table.insert(lines, 1, head(view))
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

-- True: somebody wants it to end.
local function pause(seconds, keys)
  local deadline = core.monotonic() + seconds
  repeat
    if keys then
      core.sleep_on({ 0 }, deadline)
      local text = core.take_keys()
      if text == false or text and text:find("[qQ\3\4]") then
        return true
      end
    else
      core.nap(deadline)
    end
  until core.monotonic() >= deadline
  return false
end

local function watch(pid, drawn, keys)
  local viewer, seen = inspect.viewer(pid), false
  repeat
    local view, why = viewer:look()
    if not view then
      return complain(seen and ("process %d has ended"):format(pid) or why) or seen
    elseif not seen and lacks_pools(view, pid) then
      return complain(NO_POOL:format(pid))
    end
    local first = not seen and #view.pools > 0
    if not first then
      put(frame(view, drawn))
    end
    seen = true
  until pause(first and FIRST or PERIOD, keys)
  return true
end

local function watch_on_terminal(pid)
  put("\27[2J")
  local keys <close> = core.keys()
  local ok, result = pcall(watch, pid, true, keys)
  put("\r\n")
  if not ok then
    errors.throw(result)
  end
  return result
end

-- ---- the words ----

local function usage()
  io.stderr:write("usage: moonpool top [--once | --json] [PID]\n")
  return false
end

return function(_, ...)
  local pid, how
  for _, word in ipairs { ... } do
    local n = math.tointeger(tonumber(word))
    if word == "--once" or word == "--json" then
      how = how == "--json" and how or word
    elseif n and n > 0 and not pid then
      pid = n
    else
      return usage()
    end
  end
  if how then
    return once(pid, how == "--json")
  elseif core.screen_size() then
    return watch_on_terminal(pid)
  end
  return watch(pid, false)
end
