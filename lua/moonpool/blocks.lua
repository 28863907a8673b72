-- The input of `moonpool map`: files and pipes, in blocks of whole lines.
--
-- Where nothing is recorded a block is as long as some milliseconds of work are, by what the blocks
-- before it took; single lines at the beginning. Where a journal is to know it again its length
-- depends on the bytes before it alone, of which it has a thousandth: what a kill loses is little
-- beside what had been done, however slow lines are.
--
-- Invariants: a block is of one file; the same input is recorded in the same blocks; what is on its
-- way to be written stays bounded, whatever the input's length; a pipe that has little now gets no
-- worker to wait for more.

local core, require = ...

local Iterator = require "moonpool.imap"

local Blocks = {}
Blocks.__index = Blocks

local TARGET <const> = 0.004         -- seconds of work in a block
local MOST <const> = 256 * 1024      -- bytes of a block
local GROWTH <const> = 16            -- of one measured block to the next, at most
local DEPTH <const> = 3              -- blocks a worker has before it, its own one too
local FLYING <const> = 8 << 20       -- bytes a worker on their way
local SHARE <const> = 1000           -- of the bytes before a recorded block it has one part in so many
local MOST_RECORDED <const> = 64 * 1024

--- The input that these files (a list of paths, "-" is the standard input; it alone where the list
--- is empty) are, for so many workers. `recorded`: a journal is to know its blocks again.
--- `refused(path, why, code)` is called for a file that cannot be read; code is the error's number
--- where it cannot be opened. The field call is to be set to the core's call before anything is taken;
--- hungry is true once a pipe had too little, until it is set to false again.
function Blocks.new(paths, workers, recorded, refused)
  return setmetatable({ paths = #paths > 0 and paths or { "-" }, workers = workers,
    recorded = recorded, refused = refused, at = 0, lines = 0, given = 0, read = 0, bytes = 0, come = 0,
    sizes = {}, counts = {}, firsts = {}, flying = 0, want = 1, hungry = false }, Blocks)
end

--- The bytes of all, nil where they are not known beforehand.
function Blocks:total()
  local total = 0
  for _, path in ipairs(self.paths) do
    local left = core.lines_left(path ~= "-" and path or nil)
    if not left then
      return nil
    end
    total = total + left
  end
  return total
end

-- ---- reading ----

-- Whether there is another file.
local function open_next(self)
  self.at = self.at + 1
  local path = self.paths[self.at]
  if not path then
    return false
  end
  local reader, why, code = core.lines_open(path ~= "-" and path or nil)
  self.reader = reader
  if not reader then
    self.refused(path, why, code)
  end
  return true
end

local function leave_file(self)
  core.lines_close(self.reader)
  self.reader = nil
end

-- Whether there is a block now, if a smaller one will do, too; nil where the file cannot be read.
local function fill(self, want, smaller)
  local whole, some = core.lines_fill(self.reader, want)
  if whole == nil then
    self.refused(self.paths[self.at], some)
    return nil
  end
  return whole or some and smaller
end

-- Blocks that no worker is done with.
local function unfinished(self)
  local _, done, failed = core.counts(self.call)
  return self.given - done - failed
end

local function size_wanted(self)
  if self.recorded then
    return math.max(math.min(self.read // SHARE, MOST_RECORDED), 1)
  end
  return self.want
end

-- Whether there is somebody for another block.
local function has_room(self)
  local depth = self.cost and DEPTH or 1
  return self.flying < FLYING * self.workers
    and (self.recorded or unfinished(self) < depth * self.workers)
end

local function give(self, block, count)
  local first = self.lines + 1
  self.given = self.given + 1
  self.sizes[self.given], self.counts[self.given], self.firsts[self.given] = #block, count, first
  self.read = self.read + #block
  self.flying = self.flying + #block
  self.lines = self.lines + count
  return block, first, self.paths[self.at]
end

-- A block, or nil where the file is at its end. Less than a block is taken where a worker has nothing
-- to do, and nothing else is to be had.
local function take(self)
  local want = size_wanted(self)
  local filled = fill(self, want, not self.recorded and unfinished(self) < self.workers)
  if filled == false then
    self.hungry = true
    Iterator.later()
  end
  local block, count = core.lines_cut(self.reader, want)
  if filled and block then
    return give(self, block, count)
  end
  leave_file(self)
end

--- The next block, the number of its first line, and its file; nil at the end. For istarmap.
function Blocks:__call()
  if not has_room(self) then
    Iterator.later()
  end
  while self.reader or open_next(self) do
    if self.reader then
      local block, first, path = take(self)
      if block then
        return block, first, path
      end
    end
  end
  self.over = true
end

--- The descriptor that is to be waited for: nil where there is none.
function Blocks:descriptor()
  return self.hungry and self.reader and core.lines_fd(self.reader) or nil
end

-- ---- what became of it ----

-- Learns what a byte costs: the longer ago it is, the less it counts.
local function learn(self, size, seconds)
  local cost = math.max(seconds, 1e-7) / size
  self.cost = self.cost and (0.7 * self.cost + 0.3 * cost) or cost
  local want = math.min(TARGET / self.cost, MOST, self.want * GROWTH, size * GROWTH)
  self.want = math.max(want // 1 | 0, 1)
end

--- The numbers of the first and the last line of block number i, until it has come back.
function Blocks:range(i)
  return self.firsts[i], self.firsts[i] + self.counts[i] - 1
end

--- Block number i has come back, after so many seconds of work where that is known, but for a rest
--- that is on its way again: so many bytes and lines.
function Blocks:came(i, seconds, rest_bytes, rest_lines)
  local bytes, lines = self.sizes[i] - rest_bytes, self.counts[i] - rest_lines
  self.sizes[i], self.counts[i], self.firsts[i] = nil, nil, nil
  self:rest_came(bytes, lines)
  if seconds and not self.recorded then
    learn(self, bytes, seconds)
  end
end

--- So much of a rest has come back.
function Blocks:rest_came(bytes, lines)
  self.flying = self.flying - bytes
  self.bytes = self.bytes + bytes
  self.come = self.come + lines
end

--- So many bytes of text have to wait, or (less than 0) need no longer.
function Blocks:hold(bytes)
  self.flying = self.flying + bytes
end

return Blocks
