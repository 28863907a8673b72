-- moonpool map [OPTIONS] EXPR [FILE...]: the lines of files through an expression, in parallel.
--
-- This process reads blocks of lines (blocks.lua), which workers evaluate (lines.lua), and writes
-- what they give, in order (landing.lua).
--
-- Invariants: text is written in the order of the lines unless told otherwise, up to the first line
-- that failed unless told otherwise; what there is is written before anything is waited for.

local core, require = ...

local Blocks = require "moonpool.blocks"
local errors = require "moonpool.errors"
local gauge = require "moonpool.gauge"
local Landing = require "moonpool.landing"
local lines = require "moonpool.lines"

local USAGE <const> = "usage: moonpool map [-F sep] [-j n] [-l mod] [-e stat] [-u] [-k] [--json]\n"
  .. "         [--progress] [--resume file] EXPR [FILE...]; moonpool help map says more\n"

local LABEL <const> = 200 -- bytes of the expression that others see
local ENOENT <const>, EPIPE <const>, SIGPIPE <const>, SIGINT <const> = 2, 32, 13, 2

-- ---- the command line ----

local SWITCHES = { u = "unordered", k = "keep_going", h = "help" }
local VALUED = { F = "separator", j = "processes", l = "-l", e = "-e" }
local LONG = { json = "json", progress = "progress", help = "help" }

local function misuse(format, ...)
  error({ usage = format:format(...) }, 0)
end

local function set_value(given, letter, value)
  local name = VALUED[letter]
  if name == "processes" then
    value = value:find "^%d+$" and math.tointeger(tonumber(value))
    if not value or value < 1 then
      misuse "-j needs a positive integer"
    end
  elseif name == "separator" and (value == "" or not pcall(string.find, "", value)) and #value ~= 1 then
    misuse "-F needs a character or a Lua pattern"
  elseif name:sub(1, 1) == "-" then
    table.insert(given.before, { name, value })
    return
  end
  given[name] = value
end

-- A word of letters, of which the last one may have a value behind it or as the next word; the
-- number of words that it takes.
local function read_letters(given, words, at)
  local word = words[at]
  for i = 2, #word do
    local letter = word:sub(i, i)
    if VALUED[letter] then
      local attached = i < #word
      local value = attached and word:sub(i + 1) or words[at + 1]
      if not value then
        misuse("-%s needs a value", letter)
      end
      set_value(given, letter, value)
      return attached and 1 or 2
    elseif not SWITCHES[letter] then
      misuse("unknown option -%s", letter)
    end
    given[SWITCHES[letter]] = true
  end
  return 1
end

local function read_long(given, words, at)
  local name, value = words[at]:match "^%-%-([^=]*)=?(.*)$"
  if name == "resume" then
    local attached = words[at]:find("=", 1, true)
    given.resume = attached and value or words[at + 1]
    if not given.resume or given.resume == "" then
      misuse "--resume needs a path"
    end
    return attached and 1 or 2
  elseif not LONG[name] or words[at] ~= "--" .. name then
    misuse("unknown option %s", words[at])
  end
  given[LONG[name]] = true
  return 1
end

local function read_words(words)
  local given, at = { before = {} }, 1
  while words[at] and words[at]:find "^%-." and words[at] ~= "--" do
    at = at + (words[at]:sub(2, 2) == "-" and read_long or read_letters)(given, words, at)
  end
  at = words[at] == "--" and at + 1 or at
  given.expression = words[at]
  given.paths = table.move(words, at + 1, #words, 1, {})
  return given
end

local function check(given)
  if not given.expression or not given.expression:find "%S" then
    misuse "an expression is needed"
  elseif given.json and given.separator then
    misuse "-F separates fields, which lines of --json have none of"
  end
  local f, why = lines.compile(given.expression)
  if not f then
    error({ message = why }, 0)
  end
  for _, step in ipairs(given.before) do
    local ok, mistake = load(step[1] == "-e" and step[2] or "", "=(command line)")
    if not ok then
      error({ message = mistake }, 0)
    end
  end
end

-- ---- messages ----

local function say(format, ...)
  io.stderr:write("moonpool map: ", format:format(...), "\n")
end

-- Ends the run; without a message where it has been told.
local function give_up(message)
  error({ message = message }, 0)
end

-- ---- output ----

local WRITE <const> = 64 * 1024 -- bytes that are collected before they are written

local function refuse(why, code)
  if code == EPIPE then -- as if it were not ignored
    core.end_by(SIGPIPE)
  end
  give_up("cannot write: " .. why)
end

local function check_written(ok, why, code)
  if not ok then
    refuse(why, code)
  end
end

local function flush(run)
  if run.held > 0 then
    local text = table.concat(run.texts)
    run.texts, run.held = {}, 0
    if core.screen_size() then -- where bars may be in the way
      check_written(io.stdout:write(text))
      check_written(io.stdout:flush())
    else
      check_written(core.lines_put(text))
    end
  end
end

local function put(run, text)
  if text ~= "" then
    run.texts[#run.texts + 1] = text
    run.held = run.held + #text
    if run.held >= WRITE then
      flush(run)
    end
  end
end

-- ---- results ----

local function fail(run, format, ...)
  flush(run)
  say(format, ...)
  run.failures = run.failures + 1
  if not run.given.keep_going then
    give_up()
  end
end

-- What Landing tells.
local function put_result(run, text, failures)
  put(run, text)
  for _, failure in ipairs(failures or {}) do
    local first, message, last = table.unpack(failure, 1, 3)
    fail(run, "%s: %s", (last or first) == first and ("line %d"):format(first)
      or ("lines %d to %d"):format(first, last), message)
  end
end

-- ---- the run ----

-- Takes what the iterator's try gives. Whether something had come, and whether more may come.
local function take(run, i, ...)
  if i then
    run.landing:block(i, ...)
  end
  return i ~= false, i ~= nil
end

-- The same of what has come by now, the input being asked for more.
local function look(run)
  run.blocks.hungry = false -- it need not be asked
  local came, more = take(run, run.iterator:try())
  local pieces_came, pieces_more = run.landing:look()
  return came and more or pieces_came, more or pieces_more
end

-- Sleeps until there is something to do. One looks again behind asking for the pool's descriptor.
local function rest(run)
  flush(run)
  local descriptor = run.pool:fileno()
  local came, more = look(run)
  if more and not came then
    core.sleep_on({ descriptor, run.blocks:descriptor() }, run.gauge and run.gauge:deadline())
  end
  return more
end

-- A journal's results are those of the same text, and of the same of these.
local function journal_of(given)
  local parts = { given.expression, given.separator or false, given.json or false }
  for _, before in ipairs(given.before) do
    parts[#parts + 1] = before
  end
  return { path = given.resume, version = core.dumps(parts, false) }
end

local function explain_journal(given, err)
  if errors.is(err) and err.kind == "state" and err.changed then
    give_up(("%s is the journal of another expression, or of other options"):format(given.resume))
  end
  errors.throw(err)
end

-- Of the pool's forms the one that these options ask for: lines.lua's results, one after another.
local function begin(pool, given, blocks)
  local form = given.unordered and pool.istarmap_unordered or pool.istarmap
  local work = given.resume and lines.run_whole or lines.run
  core.label(work, core.fit(given.expression, LABEL))
  local ok, iterator = pcall(form, pool, work, function() return blocks() end,
    { on_error = "collect", journal = given.resume and journal_of(given) })
  if not ok then
    explain_journal(given, iterator)
  end
  blocks.call = iterator.call
  return iterator
end

local function take_all(run)
  local more = true
  while more do
    local came
    came, more = look(run)
    if more and not came then
      more = rest(run)
    end
    if run.gauge then
      run.gauge:look(run.blocks, run.failures)
    end
  end
end

local function open_pool(mp, given)
  return mp.Pool { processes = given.processes, initializer = lines.prepare, initargs = { {
    expression = given.expression, separator = given.separator, json = given.json,
    keep_going = given.keep_going, before = given.before } } }
end

local function refuse_file(run, path, why, code)
  local message = ("cannot read %s: %s%s"):format(path == "-" and "standard input" or path, why,
    code == ENOENT and path:find "^%-" and " (options stand before the expression)" or "")
  if not run.given.keep_going then
    give_up(message)
  end
  fail(run, "%s", message)
end

local function run_with(mp, given)
  local run = { given = given, texts = {}, held = 0, failures = 0 }
  local pool <close> = open_pool(mp, given)
  run.pool = pool
  run.blocks = Blocks.new(given.paths, pool.processes, given.resume ~= nil, function(path, why, code)
    refuse_file(run, path, why, code)
  end)
  run.landing = Landing.new(pool, run.blocks, given, function(text, failures)
    put_result(run, text, failures)
  end, refuse)
  local iterator <close> = begin(pool, given, run.blocks)
  run.iterator = iterator
  local measured <close> = given.progress and gauge.new(run.blocks:total()) or nil
  run.gauge = measured
  local ok, err = pcall(take_all, run)
  if not errors.is_interrupt(err) then
    flush(run)
  end
  if not ok then
    error(err, 0)
  end
  return run.failures == 0
end

local function main(mp, words)
  local given = read_words(words)
  if given.help then
    return require "moonpool.commands.help"(mp, "map")
  end
  check(given)
  return run_with(mp, given)
end

return function(mp, ...)
  local ok, err = pcall(main, mp, { ... })
  if ok then
    return err
  elseif errors.is_interrupt(err) then
    core.end_by(SIGINT)
  elseif type(err) ~= "table" then
    error(err, 0)
  elseif err.usage then
    say("%s", err.usage)
    io.stderr:write(USAGE)
  elseif err.message then
    say("%s", err.message)
  end
  return false
end
