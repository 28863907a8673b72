-- The prompt: reads lines, runs them, prints what they give, while jobs go on behind it.
--
--   repl_reader   where lines come from          repl_chunk     what they are as functions
--   repl_pools    what goes on meanwhile         repl_jobs      what was submitted
--   repl_words    jobs(), fg(n), help(f) ...     repl_complete  what a tab gives
--   repl_history  what was typed before          repl_errors    what went wrong, and where
--   repl_submit   lines that end in &

local core, require = ...

local behind = require "moonpool.repl_pools"
local chunk = require "moonpool.repl_chunk"
local complete = require "moonpool.repl_complete"
local desk = require "moonpool.desk"
local errors = require "moonpool.errors"
local history = require "moonpool.repl_history"
local jobs = require "moonpool.repl_jobs"
local reader = require "moonpool.repl_reader"
local show = require "moonpool.show"
local submit = require "moonpool.repl_submit"
local trace = require "moonpool.repl_errors"
local words = require "moonpool.repl_words"

local repl = {}

local TWICE = 1      -- seconds between two Ctrl-C that are meant for the jobs
local TYPED = 10000  -- lines that errors can show

local Session = {}
Session.__index = Session

local current

local Told = {}

function Told.__tostring(told)
  return told[1]
end

-- ---- telling ----

function Session:complain(text)
  io.stdout:flush()
  if self.reader.terminal then
    text = trace.with_lines(text, self.typed)
  end
  io.stderr:write(text, "\n")
end

-- An error with all that is to be said of it; in its message handler.
function Session:told(err)
  if errors.is_interrupt(err) then
    self.interrupted = core.monotonic()
  end
  return setmetatable({ interrupt = errors.is_interrupt(err) and err,
    trace.text(err, self.first, self.reader.host.explain, self.reader.terminal) }, Told)
end

-- Calls f(...) so that Ctrl-C interrupts it: true and its results, or false and what is to be told.
function Session:attempt(f, ...)
  local arguments = table.pack(...)
  return self.reader.host.call(function()
    return f(table.unpack(arguments, 1, arguments.n))
  end, function(err)
    return self:told(err)
  end)
end

-- The same, and tells it.
function Session:protect(...)
  local results = table.pack(self:attempt(...))
  if not results[1] then
    self:complain(tostring(results[2]))
  end
  return table.unpack(results, 1, results.n)
end

local function text_of(value, coloured)
  local ok, text = pcall(show.value, value, coloured)
  return ok and text or ("(no text: %s)"):format(text)
end

-- What was to go on behind the line that is edited, and was interrupted: tells where, if that was in a
-- callback or the like. Otherwise it was meant for the line: false.
function Session:tell_astray(told)
  local stack = told.interrupt and self.reader.host.interrupted()
  local text = stack and trace.astray(told.interrupt, stack)
  if not text then
    return false
  end
  self:complain(text)
  return true
end

-- Short values stand side by side, others below one another.
function Session:print(results)
  if results.n == 1 then
    return
  end
  local texts, mark = {}, "\t"
  for i = 2, results.n do
    local job = self.jobs.numbers[results[i]]
    texts[i - 1] = job and tostring(job) or text_of(results[i], self.coloured)
    if texts[i - 1]:find("\n", 1, true) then
      mark = "\n"
    end
  end
  self.reader:begin_line()
  io.stdout:write(table.concat(texts, mark), "\n")
  for i = 2, results.n do
    if results[i] ~= nil then
      rawset(_G, "_", results[i])
      break
    end
  end
end

-- ---- reading ----

local function prompt_of(global, standard)
  local value = rawget(_G, global)
  local ok, text = pcall(tostring, value)
  return value ~= nil and ok and text or standard
end

-- What signals ask for: "interrupt", or nothing.
function Session:heed()
  local name = self.reader.host.signal()
  if name == "resize" then
    self.reader:resize()
  elseif name == "stop" then
    self.reader:suspend()
  elseif name == "continue" then
    self.reader:resume()
  elseif name == "terminate" or name == "quit" then
    self.reader:leave()
    self.reader.host.finish(name)
  end
  return name == "interrupt"
end

-- A line, false at the end of input, nil where Ctrl-C has taken it away.
function Session:edit(prompt)
  local fds = { 0, self.wake }
  local broken = false
  local function protect(...)
    local ok, told = self:attempt(...)
    if not ok and told.interrupt then
      broken = broken or not self:tell_astray(told)
    elseif not ok then
      self:complain(tostring(told))
    end
  end
  self.behind:begin()
  self.reader:begin(prompt)
  self.behind:cover()
  local text
  repeat
    if self:heed() or broken then
      core.uncover()
      self.reader:abandon()
      text = nil
      break
    end
    local ok, err = pcall(self.behind.attend, self.behind, fds, protect)
    if ok then
      text = self.reader:take()
    elseif errors.is_interrupt(err) then -- as a host's own handler raises it
      broken = true
    else
      errors.throw(err)
    end
  until text ~= nil
  self.behind:leave()
  return text
end

-- What was pasted at once comes line by line.
function Session:line(prompt)
  if #self.pasted > 0 then
    return table.remove(self.pasted, 1)
  end
  local text = self:edit(prompt)
  if text and text:find("\n", 1, true) then
    for line in (text:gsub("\n$", "") .. "\n"):gmatch("(.-)\n") do
      self.pasted[#self.pasted + 1] = line
    end
    text = table.remove(self.pasted, 1)
  end
  return text
end

function Session:count(text)
  self.number = self.number + 1
  self.typed[self.number], self.typed[self.number - TYPED] = text, nil
end

function Session:ask(question)
  local answer = self:edit(question .. " (y/N) ")
  return answer == false or answer ~= nil and answer:lower():match "^%s*y" ~= nil
end

-- ---- the text of a line, to its function ----

local function has_global(name)
  return rawget(_G, name) ~= nil
end

function Session:make_pool()
  self.pools[#self.pools + 1] = self.mp.Pool()
  return self.pools[#self.pools]
end

-- `pool` is made when a line first speaks of it.
function Session:want_pool(text)
  if has_global "pool" or self.scope.pool then
    return
  end
  local list = chunk.words(text)
  for i, word in ipairs(list) do
    if word.text == "pool" and chunk.is_variable(list, i) then
      if not (list[i - 1] and list[i - 1].text == "local") and not chunk.is_set(list, i) then
        rawset(_G, "pool", self:make_pool())
      end
      return
    end
  end
end

function Session:compile(text)
  local background = submit.background(text)
  if background then
    local f, message = submit.compile(self, background)
    if f or message then
      return f, message
    end
  end
  self:want_pool(text)
  return chunk.compile(text, self.first, self.scope)
end

-- The function of a line, and of as many more as it takes, with what it declares. Otherwise nil, and
-- "end" (of input), "interrupt", or nothing: it was complained of.
function Session:read()
  local text = self:line(prompt_of("_PROMPT", "> "))
  local lines = {}
  self.first = self.number + 1
  while text do
    self:count(text)
    lines[#lines + 1] = text
    local whole = table.concat(lines, "\n")
    local f, message, more = self:compile(whole)
    if f or not more then
      history.keep(self.reader, whole)
    end
    if f then
      return f, more -- what it declares
    elseif not more then
      return self:complain(message)
    end
    text = self:line(prompt_of("_PROMPT2", ">> "))
    if text == false then
      return self:complain(message)
    end
  end
  history.keep(self.reader, table.concat(lines, "\n"))
  return nil, text == false and "end" or "interrupt"
end

-- ---- <close> ----

local function close(value, err)
  local _ <close> = value
  if err ~= nil then
    error(err, 0)
  end
end

-- Those that a line has declared before it failed end with it, as in any block.
local function opened(f, names)
  local values, level = {}, 2
  local info = debug.getinfo(level, "f")
  while info and info.func ~= f do
    level = level + 1
    info = debug.getinfo(level, "f")
  end
  local i = 1
  local name, value
  if info then
    name, value = debug.getlocal(level, i)
  end
  while name do
    for _, entry in ipairs(names) do
      if entry.attrib == "close" and entry.name == name then
        values[#values + 1] = value
      end
    end
    i = i + 1
    name, value = debug.getlocal(level, i)
  end
  return values
end

function Session:keep_closers(names)
  for _, entry in ipairs(names) do
    local value = entry.attrib == "close" and chunk.value(self.scope, entry.name)
    if value then
      local meta = getmetatable(value)
      if type(meta) == "table" and meta.__close ~= nil then
        self.closers[#self.closers + 1] = value
      else
        self:complain(("stdin:%d: variable '%s' got a non-closable value"):format(self.first, entry.name))
      end
    end
  end
end

-- ---- a line ----

-- Values that a failed line has opened, closed by its error.
local function close_opened(values, err)
  for i = #values, 1, -1 do
    pcall(close, values[i], err)
  end
end

function Session:evaluate(f, names)
  local values, failure = {}, nil
  self.evaluated = self.first
  local results = table.pack(self:attempt(function()
    return self:run(f, names, function(list, err)
      values, failure = list, err
    end)
  end))
  if results[1] then
    self:keep_closers(names or {})
    self:protect(self.print, self, results)
  else
    self.reader:begin_line()
    self:complain(tostring(results[2]))
    close_opened(values, failure)
  end
  self.evaluated, self.jobs.text = nil, nil
  self:let_go()
  self.behind:say(self.jobs:news(self.first))
end

-- A call that was waited for until Ctrl-C goes on as a job, if it is none.
function Session:let_go()
  local held = self.held
  self.held = nil
  if held and not held[3].done and held[1].state == "open" then
    if not self.jobs.numbers[held[3]] then
      self.jobs:add(held[2], held[3], nil, held[4])
    end
    local n = self.jobs.numbers[held[3]].number
    self.behind:say { ("[%d] goes on: %s; fg(%d) waits for it, cancel(%d) stops it"):format(n,
      self.jobs:find("job", n):name(), n, n) }
  end
end

-- Where it has something to close, the stack is looked at while it stands.
function Session:run(f, names, failed)
  local closes = false
  for _, entry in ipairs(names or {}) do
    closes = closes or entry.attrib == "close"
  end
  if not closes then
    return f()
  end
  local results = table.pack(xpcall(f, function(err)
    failed(opened(f, names), err)
    return self:told(err)
  end))
  if not results[1] then
    error(results[2], 0)
  end
  return table.unpack(results, 2, results.n)
end

-- Ctrl-C at the line: the second one within a second is meant for the jobs.
function Session:break_off()
  local now = core.monotonic()
  local twice = self.interrupted and now - self.interrupted < TWICE
  self.interrupted = now
  self.pasted = {}
  if not twice or self.jobs.running == 0 then
    return
  end
  self.interrupted = nil
  if self:ask(("Cancel %s?"):format(self:count_jobs())) then
    for _, job in ipairs(self.jobs:going()) do
      self:protect(job.result.cancel, job.result)
    end
    self.behind:say(self.jobs:news())
  end
end

function Session:count_jobs()
  local n = self.jobs.running
  return n == 1 and "1 running job" or ("%d running jobs"):format(n)
end

-- Behind lines that nobody types nobody can be asked: the jobs come to their end.
function Session:may_end()
  if not self.reader.terminal then
    self:protect(words.given.wait)
  end
  self.behind:say(self.jobs:news())
  return self.jobs.running == 0 or not self.reader.terminal
    or self:ask(("Cancel %s and end?"):format(self:count_jobs()))
end

function Session:converse()
  local over = false
  while not over do
    local f, what = self:read()
    if f then
      self:evaluate(f, what)
    elseif what == "end" then
      over = self:may_end()
    elseif what == "interrupt" then
      self:break_off()
    end
  end
end

-- ---- beginning and end ----

local function wants_colour(r)
  return r.terminal and os.getenv "NO_COLOR" == nil and not r.dumb
end

-- A task's line; `result`: the call's.
local function hear(session)
  return function(line, _, _, result)
    local text = session.jobs:say(line, result, session.evaluated)
    if text then
      session.behind:say { text }
    end
  end
end

function Session:open()
  self.wake = self.reader.host.watch()
  current = self
  words.attach(self)
  self.uninstall = words.install()
  if not has_global "mp" then
    rawset(_G, "mp", self.mp)
  end
  desk.open(function(pool, what, result, waited, began)
    if desk.is_here() and waited then
      self.held = { pool, what, result, began or core.monotonic() }
    elseif desk.is_here() then
      self.jobs:add(what, result, self.evaluated, began or nil)
    end
  end, hear(self))
  if self.reader.edits then
    self.reader.line.set_completer(function(text, start)
      return complete.words(self.scope, text, start)
    end)
    history.load(self.reader)
  end
end

-- Work that nobody waits for ends here; what was opened is closed, the last first.
function Session:close()
  behind.terminate()
  for i = #self.closers, 1, -1 do
    self:protect(close, self.closers[i])
  end
  for _, pool in ipairs(self.pools) do
    if pool.state ~= "joined" then
      self:protect(close, pool)
    end
    if rawget(_G, "pool") == pool then
      rawset(_G, "pool", nil)
    end
  end
  desk.open(nil, nil)
  self.uninstall()
  words.attach(nil)
  current = nil
end

--- The prompt of this process, until its input ends.
function repl.run(mp)
  if current then
    errors.raise("state", "repl: this is a prompt already")
  end
  local r = reader.open()
  local list = jobs.new()
  local session = setmetatable({ mp = mp, reader = r, jobs = list, behind = behind.new(list, r), scope = {},
    closers = {}, pools = {}, typed = {}, number = 0, first = 1, pasted = {}, coloured = wants_colour(r) }, Session)
  session:open()
  local ok, err = pcall(session.converse, session)
  r:leave()
  session:close()
  r.host.unwatch()
  if not ok then
    errors.throw(err)
  end
end

return repl
