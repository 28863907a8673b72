-- The jobs of a prompt: what was submitted there and goes on while other lines are typed.
--
-- Each asynchronous call is one, numbered from 1. Jobs that run are kept, and of those that are over
-- the last ones. They are found out to be over by the results' own notes (AsyncResult.watchers),
-- whatever their number.

local core, require = ...

local errors = require "moonpool.errors"
local kinds = require "moonpool.kinds"

local jobs = {}

local KEPT = 1000      -- jobs that are over
local NOTICES = 20     -- lines told of them at once, then a number
local LINES = 50       -- printed by a job's tasks that are shown in a second
local ALL_LINES = 500  -- by those of all jobs
local PRINTED = 1 << 20 -- bytes of what a job has printed that are kept

local Job = kinds.class "Job"

-- ---- a job ----

function Job.__index(job, name)
  local own = rawget(Job, name)
  if own ~= nil then
    return own
  end
  local method = job.result[name]
  if type(method) ~= "function" then
    return method
  end
  return function(self, ...)
    return method(self.result, ...)
  end
end

--- running, done, failed or cancelled; and the error.
function Job:state()
  local result = self.result
  if not result.done then
    return "running"
  elseif result.error == nil then
    return "done"
  end
  local kind = errors.is(result.error) and result.error.kind
  return kind == "cancelled" and "cancelled" or "failed", result.error
end

--- "map 1000 items", or the line that has submitted it.
function Job:name()
  if self.text then
    return (self.text:gsub("%s*\n%s*", " "))
  elseif self.what == "apply" then
    return "apply"
  end
  local given = core.counts(self.result.call)
  return ("%s %d item%s"):format(self.what, given, given == 1 and "" or "s")
end

function Job:seconds()
  return (self.ended or core.monotonic()) - self.began
end

local function first_line(value)
  local text = errors.is(value) and tostring(value.message) or tostring(value)
  return (text:match("^[^\n]*"))
end

--- What is said of it when it is over.
function Job:notice()
  local state, err = self:state()
  local _, _, failed = core.counts(self.result.call)
  local text = ("[%d] %s: %s %s %.1f s"):format(self.number, state, self:name(),
    state == "done" and "in" or "after", self:seconds())
  if state == "failed" then
    text = ("%s: %s"):format(text, first_line(err))
  elseif state == "done" and failed > 0 then
    text = ("%s, %d failed"):format(text, failed)
  end
  return text
end

function Job:__tostring()
  local given, done, failed = core.counts(self.result.call)
  return ("[%d] %-9s %d/%d  %.1f s  %s"):format(self.number, self:state(), done + failed, given,
    self:seconds(), self:name())
end

-- ---- what it prints ----

local Printed = kinds.class "Printed"

function Printed:__tostring()
  return table.concat(self, "\n")
end

--- What its tasks have printed, line by line: the last megabyte.
function Job:output()
  local lines = setmetatable({}, Printed)
  local printed = self.printed
  if printed and printed.first > 1 then
    lines[1] = ("... %d lines"):format(printed.first - 1)
  end
  for i = printed and printed.first or 1, printed and printed.last or 0 do
    lines[#lines + 1] = printed[i]
  end
  return lines
end

local function keep_line(job, line)
  local printed = job.printed or { first = 1, last = 0, size = 0 }
  job.printed = printed
  printed.last = printed.last + 1
  printed[printed.last] = line
  printed.size = printed.size + #line + 1
  while printed.size > PRINTED and printed.first < printed.last do
    printed.size = printed.size - #printed[printed.first] - 1
    printed[printed.first] = nil
    printed.first = printed.first + 1
  end
end

-- ---- all of them ----

local List = kinds.class "JobList"

function List:__tostring()
  local lines = {}
  for i, job in ipairs(self) do
    lines[i] = tostring(job)
  end
  return #lines > 0 and table.concat(lines, "\n") or "no jobs"
end

--- The jobs of a new prompt.
function jobs.new()
  return setmetatable({ all = {}, numbers = setmetatable({}, { __mode = "k" }), last = 0, ended = {},
    over = { first = 1 }, printing = {}, withholding = {}, shown = 0, held = 0, second = 0, running = 0 },
    { __index = jobs })
end

--- Notes a call. `line` is the number of the line that is evaluated, nil between lines; `began`: when
--- the call did, if not now.
function jobs:add(what, result, line, began)
  self.last = self.last + 1
  local job = setmetatable({ number = self.last, what = what, result = result,
    began = began or core.monotonic(), line = line, text = self.text }, Job)
  self.text = nil
  self.all[job.number] = job
  self.numbers[result] = job
  self.running = self.running + 1
  if result.done then
    self.over[#self.over + 1] = result
  else
    core.attend(result.call)
    result.watchers = result.watchers or {}
    table.insert(result.watchers, self.over)
  end
end

local function forget_oldest(self)
  if #self.ended > 2 * KEPT then
    for i = 1, KEPT do
      local number = self.ended[i]
      self.all[number] = nil
      rawset(_G, "_" .. number, nil)
    end
    self.ended = table.move(self.ended, KEPT + 1, #self.ended, 1, {})
  end
end

local function keep_value(job)
  local ok, value = pcall(job.result.get, job.result)
  if ok then
    rawset(_G, "_" .. job.number, value)
  end
end

local function finish(self, job)
  job.ended = core.monotonic()
  self.running = self.running - 1
  self.ended[#self.ended + 1] = job.number
  keep_value(job)
  forget_oldest(self)
end

--- The notices of those that have ended since: a list of lines. Who was submitted by line `line` has
--- been waited for there, and is not told of.
function jobs:news(line)
  local lines, more = {}, 0
  local over = self.over
  for i = over.first, #over do
    local job = self.numbers[over[i]]
    over[i] = false
    if job and not job.ended then
      finish(self, job)
      if not (line and job.line == line) then
        if #lines < NOTICES then
          lines[#lines + 1] = job:notice()
        else
          more = more + 1
        end
      end
    end
    over.first = i + 1
  end
  if more > 0 then
    lines[#lines + 1] = ("... %d more jobs are over; jobs() lists them"):format(more)
  end
  return lines
end

--- All that are known, in their order.
function jobs:list()
  local list = setmetatable({}, List)
  for _, job in pairs(self.all) do
    list[#list + 1] = job
  end
  table.sort(list, function(a, b) return a.number < b.number end)
  return list
end

--- Those that go on.
function jobs:going()
  local going = {}
  for _, job in ipairs(self:list()) do
    if not job.result.done then
      going[#going + 1] = job
    end
  end
  return going
end

--- The job of that number; without one the last that runs, or the last.
function jobs:find(name, n)
  if n == nil then
    local going = self:going()
    n = (going[#going] or self:list()[#self:list()] or { number = 1 }).number
  elseif type(n) == "table" and self.all[n.number] == n then
    n = n.number
  elseif math.type(n) ~= "integer" then
    errors.argument(name, "the argument", "a job's number", n)
  end
  local job = self.all[n]
  if not job then
    errors.raise("argument", ("%s: there is no job %d; jobs() lists them"):format(name, n))
  end
  return job
end

-- ---- what they print ----

local nobody = {} -- whose lines are those of no job

-- Whether a line of that job may be shown now.
local function may_show(self, job)
  local second = core.monotonic() // 1
  if second ~= self.second then
    self.second, self.shown, self.printing = second, 0, {}
  end
  local shown = self.printing[job] or 0
  if shown >= LINES or self.shown >= ALL_LINES then
    return false
  end
  self.printing[job], self.shown = shown + 1, self.shown + 1
  return true
end

--- The line as it is to be shown; nil where there are too many of the job in this second. What somebody
--- waits for (`awaited`) is all shown.
function jobs:say(line, result, awaited)
  local job = result and self.numbers[result]
  if job then
    keep_line(job, line)
  elseif awaited then
    return line
  end
  if not may_show(self, job or nobody) then
    self.held = self.held + 1
    self.withholding[job or nobody] = (self.withholding[job or nobody] or 0) + 1
    return nil
  end
  return job and ("[%d] %s"):format(job.number, line) or line
end

--- What is to be said of lines that were not shown, once their second is over: a list of lines.
function jobs:withheld()
  local lines = {}
  if self.held == 0 or core.monotonic() // 1 == self.second then
    return lines
  end
  for job, n in pairs(self.withholding) do
    lines[#lines + 1] = job == nobody and ("... %d more lines"):format(n)
      or ("[%d] ... %d more lines, see job(%d):output()"):format(job.number, n, job.number)
  end
  if #lines > NOTICES then
    lines = { ("... %d more lines of %d jobs, see job(n):output()"):format(self.held, #lines) }
  end
  table.sort(lines)
  self.held, self.withholding = 0, {}
  return lines
end

return jobs
