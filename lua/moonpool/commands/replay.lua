-- moonpool replay FILE INDEX SCRIPT [ARGS]: one item of a journal again, in this process.

local core, require = ...

local errors = require "moonpool.errors"
local replay = require "moonpool.replay"
local show = require "moonpool.show"

local function say(format, ...)
  io.stderr:write("moonpool replay: ", format:format(...), "\n")
end

local function shown(values, from)
  local texts = {}
  for i = from, values.n do
    texts[#texts + 1] = show.line(values[i])
  end
  return table.concat(texts, ", ")
end

local function begun(item)
  say("item %d (%s), attempt %d, seed %d", item.index, shown(item.args, 1), item.attempt, item.seed)
  if not item.recorded then
    say("the journal has no record of it")
  elseif not item.same then
    say("its arguments are not those that were recorded")
  end
  if item.error then
    say("it had failed: %s", item.error.message)
  end
end

-- The script is not to go on behind the item.
local function ended(ok, ...)
  if ok then
    say("it returns %s", shown(table.pack(...), 1))
  else
    local _, traceback = ...
    say("it fails: %s", traceback)
  end
  io.stdout:flush()
  os.exit(ok, true)
end

local function refused(message)
  say("%s", message)
  io.stdout:flush()
  os.exit(false, true)
end

local function usage()
  io.stderr:write("usage: moonpool replay FILE INDEX SCRIPT [ARGS]\n")
  return false
end

local function check_journal(path)
  local journal = core.journal_open(path, false)
  local runs = #core.journal_heads(journal)
  core.journal_close(journal)
  if runs == 0 then
    errors.raise("argument", ("the journal %s has no run"):format(path))
  end
end

return function(mp, path, index, script, ...)
  if path == "-h" or path == "--help" then
    return require "moonpool.commands.help"(mp, "replay")
  end
  index = index and index:find "^%d+$" and math.tointeger(tonumber(index))
  if not script or not index or index < 1 then
    return usage()
  end
  check_journal(path)
  arg = { [0] = script, ... } -- luacheck: globals arg
  local chunk, message = loadfile(script)
  if not chunk then
    io.stderr:write("moonpool: ", message, "\n")
    return false
  end
  replay.ask(path, index, begun, ended, refused)
  chunk(...)
  say("%s made no call that has the journal %s", script, path)
  return false
end
