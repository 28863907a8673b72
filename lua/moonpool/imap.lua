-- The iterators of imap and its kin: bounded, in input order or as results come.
--
-- Invariants: the input is pulled only while the window has room; an item is given
-- out once; leaving the loop cancels what is left and leaves the pool usable. What the
-- core and the pool know is the stream; the iterator is what the program has of it, so
-- that one that is dropped can be told from one that is in use.

local core, require = ...

local errors = require "moonpool.errors"
local kinds = require "moonpool.kinds"
local later = require "moonpool.later"
local progress = require "moonpool.progress"
local pump = require "moonpool.pump"

local journal = later "moonpool.journal"

local Stream = {}
Stream.__index = Stream

local Iterator = kinds.class "Iterator"
Iterator.__index = Iterator

local LATER = {}

local GLANCES = 32   -- items at most between two looks at the clock while bars are there
local GLANCE = 0.005 -- seconds within which that many may pass

--- A stream of `pool` whose call is set by its maker.
function Iterator.stream(pool)
  return setmetatable({ pool = pool, more = true, done = false }, Stream)
end

--- The iterator of a stream that is complete.
function Iterator.new(stream)
  stream.pool.streams[stream] = true
  return setmetatable({ stream = stream, call = stream.call }, Iterator)
end

-- What the pool's pump calls when the call is over.
function Stream:_finish()
  self.done = true
end

--- What an input of the library's own calls where it has nothing now and is to be asked again.
function Iterator.later()
  error(LATER, 0)
end

local function take_input(self)
  local room = core.room(self.call)
  if room > 0 then
    local ok, more = pcall(core.feed, self.call, room)
    core.flush(self.call)
    if not ok and errors.is_interrupt(more) then
      errors.throw(more)
    elseif not ok and more == LATER then
      return
    elseif not ok then
      self.input_error, more = { more }, false
    end
    if not more then
      self.more = false
      core.seal(self.call)
    end
  end
end

-- Why nothing more comes of a pool that was terminated.
local function raise_end(self)
  if self.pool.broken then
    errors.throw_kept(self.pool.broken)
  end
  errors.raise(core.owns(self.pool.core) and "cancelled" or "closed",
    "imap: the pool was terminated")
end

local function check_usable(self)
  if not self.left and (self.pool.state == "terminated" or not core.owns(self.pool.core)) then
    raise_end(self)
  end
end

-- Whether results are missing that will not come.
local function cut_short(self)
  local given, done, failed = core.counts(self.call)
  return self.more or done + failed < given
end

-- Past the last result: the input's own error, or that the pool was terminated, once.
local function at_end(self)
  if self.pool.state == "terminated" and not self.told and cut_short(self) then
    self.told = true
    raise_end(self)
  end
  local input_error = self.input_error
  self.input_error = nil
  if input_error then
    errors.throw(input_error[1])
  end
end

local function give(self, index, ...)
  if index and select("#", ...) == 2 then
    local _, err = ...
    if errors.is(err) and err.index == index then
      pump.check_fit(self.pool, err)
      if not self.collect or err.kind == "initializer" then
        errors.throw(err)
      end
    end
  end
  return index, ...
end

-- One look: what core.next says after taking in what came.
local function step(self, deadline)
  check_usable(self)
  if self.more then
    take_input(self)
    check_usable(self) -- the input may have ended the pool
  end
  if not pump.turn(self.pool) then
    if deadline and core.monotonic() >= deadline then
      errors.raise("timeout", "next: no result in time")
    end
    pump.pause(self.pool, deadline)
  end
end

local function advance(self, deadline, index, ...)
  if index then
    return give(self, index, ...)
  elseif index == nil then
    return at_end(self)
  end
  step(self, deadline)
  return advance(self, deadline, core.next(self.call))
end

local glances, stride, last_glance = 0, 1, 0

-- Results that are there are given out without taking in others: bars must not stand still meanwhile,
-- nor the clock be read for every item of a fast loop.
local function glance(self)
  local now = core.monotonic()
  stride = now - last_glance < GLANCE and math.min(stride * 2, GLANCES) or 1
  glances, last_glance = 0, now
  if progress.is_due(now) then
    pump.turn(self.pool)
  end
end

-- Behind its end: nothing, but that the pool ended before all was taken, once.
local function leave(self)
  if self.wasted then
    self.wasted = false
    errors.raise("cancelled", "imap: the pool ended before all results were taken")
  end
end

local function next_of(self, timeout)
  if self.left then
    return leave(self)
  end
  if progress.active then
    glance(self)
  end
  if self.more and core.room(self.call) > 0 then
    take_input(self)
  end
  return advance(self, pump.deadline(timeout), core.next(self.call))
end

--- Cancels what is left.
function Stream:close()
  if not self.left then
    self.left = true
    self.pool.streams[self] = nil
    if core.owns(self.pool.core) then
      pump.release(self.pool, self.call)
    end
    if self.journal then
      journal.finish(self.pool, self.journal)
    end
  end
end

--- The same, for the pool, which ends: it is told, if there was something left.
function Stream:cut()
  if not self.left then
    self.wasted = not self.told and (self.more or core.next(self.call) ~= nil)
    self:close()
  end
end

--- Index and values of the next item, nil at the end; a "timeout" error when none came
--- within `timeout` seconds (nothing is consumed by it).
function Iterator:next(timeout)
  errors.check_self(self, Iterator, "next", "iterator")
  return next_of(self.stream, timeout)
end

local function advance_now(self, index, ...)
  if index then
    return give(self, index, ...)
  elseif index == nil then
    return at_end(self)
  end
  return false
end

--- As next, but never waits: false where nothing has come.
function Iterator:try()
  local stream = self.stream
  check_usable(stream)
  if stream.more then
    take_input(stream)
  end
  pump.turn(stream.pool)
  check_usable(stream)
  return advance_now(stream, core.next(stream.call))
end

function Iterator:__call()
  if progress.active then
    glances = glances + 1
    if glances >= stride then
      glance(self.stream)
    end
  end
  local index, value = core.next_plain(self.call)
  if index then
    return index, value
  end
  return next_of(self.stream)
end

--- Cancels what is left. Leaving a loop does this.
function Iterator:close()
  errors.check_self(self, Iterator, "close", "iterator")
  self.stream:close()
end

function Iterator:__close()
  self.stream:close()
end

-- Nobody can take what is left. A collector may come at any place: the pool does the rest.
function Iterator:__gc()
  local stream = self.stream
  if not stream.left then
    stream.pool.dropped = { stream, stream.pool.dropped }
  end
end

function Iterator:__tostring()
  return ("Iterator (%s)"):format(self.stream.left and "closed" or "open")
end

return Iterator
