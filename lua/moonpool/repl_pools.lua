-- What goes on behind a prompt while a line is waited for: results are taken in, callbacks run, bars
-- move, and what there is to say appears above the line. So does what other processes write there: while
-- this one sleeps, they know how the line is taken away and put back (shm/board).

local core, require = ...

local progress = require "moonpool.progress"
local pump = require "moonpool.pump"

local behind = {}
behind.__index = behind

local PAUSE = 0.03    -- seconds between two times that the line is taken away
local BUDGET = 0.02   -- for what has come, at a time
local LOOK = 0.5      -- between two looks at what tells nobody
local AWAY = 0.1      -- and at who has the terminal
local STDIN = 0

--- For a prompt with these jobs and that reader.
function behind.new(list, reader)
  return setmetatable({ jobs = list, reader = reader, next = 0, look = 0, bars = "", rows = 0 }, behind)
end

-- The pools of this process that are not gone.
local function pools()
  local list = {}
  for pool in pairs(pump.pools) do
    if pool.state ~= "joined" and core.owns(pool.core) then
      list[#list + 1] = pool
    end
  end
  return list
end

local function descriptors(list)
  local fds = {}
  for i, pool in ipairs(list) do
    fds[i] = core.fileno(pool.core)
    core.rest(pool.core)
  end
  return fds
end

local function some_is_readable(fds)
  for _, fd in ipairs(fds) do
    if core.readable(fd) then
      return true
    end
  end
  return false
end

-- ---- above the line ----

-- What takes the bars away, and what shows them.
local function bar_strokes(self)
  if self.rows == 0 then
    return "", ""
  end
  return ("\27[%dA\r\27[J"):format(self.rows), self.bars .. "\n"
end

--- Takes the line and the bars away; what is printed then stays above them.
function behind:hide()
  self.reader:hide()
  io.stdout:write((bar_strokes(self)))
end

function behind:show()
  io.stdout:write(select(2, bar_strokes(self)))
  io.stdout:flush()
  self.reader:show()
end

local function without(fds, one)
  local others = {}
  for _, fd in ipairs(fds) do
    others[#others + 1] = fd ~= one and fd or nil
  end
  return others
end

--- What others write from now on stands above the line, until it is touched here again.
function behind:cover()
  local wipe, draw
  if self.reader.edits then
    wipe, draw = self.reader:strokes()
  end
  if wipe then
    local wipe_bars, draw_bars = bar_strokes(self)
    core.cover(wipe .. wipe_bars, draw_bars .. draw)
  end
end

function behind:sleep(fds, deadline)
  local away, soon
  if self.reader.edits then
    away, soon = self.reader:is_away()
  end
  if soon then
    deadline = math.min(deadline or math.huge, core.monotonic() + AWAY)
  end
  if away then -- what is typed there is none of our business
    fds = without(fds, STDIN)
  end
  self:cover()
  core.sleep_on(fds, deadline)
  core.uncover()
end

-- Plain lines are not touched before there is something to say.
function behind:make_way()
  if self.turning and not self.hidden then
    self.hidden = true
    self:hide()
  end
end

--- Prints lines, above the one that is edited.
function behind:say(lines)
  if #lines > 0 then
    self:make_way()
  end
  for _, line in ipairs(lines) do
    io.stdout:write(line, "\n")
  end
  io.stdout:flush()
end

-- In the place of core.draw_bars.
local function painter(self)
  return function(above, lines, rows)
    if self:is_left() then
      return false
    elseif above ~= "" then
      self:make_way()
      io.stdout:write(above)
    end
    if self.reader.edits then
      self.bars, self.rows = lines, rows
    end
    return true
  end
end

-- Whether the terminal is the shell's: bars wait then.
function behind:is_left()
  return self.reader.edits and self.reader:is_left()
end

--- A line is about to be edited, or no longer.
function behind:begin()
  self.bars, self.rows = "", 0
  progress.paint(painter(self))
end

function behind.leave()
  progress.paint(nil)
end

-- ---- turning ----

local function turn_all(list)
  local over = core.monotonic() + BUDGET
  local happened
  repeat
    happened = nil
    for _, pool in ipairs(list) do
      happened = pump.turn(pool) or happened
    end
  until not happened or core.monotonic() >= over
end

function behind:turn(list, protect)
  core.uncover()
  self.turning, self.hidden = true, false
  if self.reader.edits then
    self:make_way()
  end
  protect(turn_all, list)
  self:say(self.jobs:news())
  self:say(self.jobs:withheld())
  self.turning = false
  if self.hidden then
    self:show()
  end
  local now = core.monotonic()
  self.next, self.look = now + PAUSE, now + LOOK
end

local function has_journal(list)
  for _, pool in ipairs(list) do
    if pool.journals and next(pool.journals) then
      return true
    end
  end
  return false
end

function behind:has_bars()
  return progress.active and self.reader.edits
end

-- Whether it is time for something, though no descriptor says so.
function behind:is_due(list, now)
  return self.jobs.over[self.jobs.over.first] ~= nil or self:has_bars() and progress.is_due(now)
    or now >= self.look and (self.jobs.held > 0 or has_journal(list))
end

--- Does what there is to do, by protect(f, ...), which reports errors, and sleeps until there is
--- something more, or one of the descriptors is readable.
function behind:attend(fds, protect)
  local now = core.monotonic()
  local deadline = self.next
  if self:is_left() then
    self.bars, self.rows = "", 0
  end
  if now >= self.next then
    local list = pools()
    local calling = descriptors(list)
    if self:is_due(list, now) or some_is_readable(calling) then
      return self:turn(list, protect)
    end
    table.move(fds, 1, #fds, #calling + 1, calling)
    fds = calling
    deadline = self:has_bars() and progress.deadline(nil) or nil
    if self.jobs.held > 0 or has_journal(list) then
      deadline = math.min(deadline or math.huge, self.look)
    end
  end
  self:sleep(fds, deadline)
end

--- Terminates the pools with work.
function behind.terminate()
  for _, pool in ipairs(pools()) do
    if core.outstanding(pool.core) > 0 then
      pool:terminate()
    end
  end
end

return behind
