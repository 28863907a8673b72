-- What comes of the blocks of `moonpool map`, in the order of the lines.
--
-- A worker gives back the rest of a block that takes it too long; and where a block has ended its
-- worker, its lines are taken once more, one by one, so that the others are not lost with one of them.
-- Both go to the workers in pieces, as calls of their own, of which rests may come back again.
--
-- Invariants: text is told in the order of the lines, unless any order will do, and then at once;
-- what waits here for lines before it counts as on its way, so that it stays bounded.

local _, require = ...

local lines = require "moonpool.lines"

local Landing = {}
Landing.__index = Landing

local PIECES <const> = 4 -- of a rest a worker: the last ones are to end at about the same time

--- What comes of `blocks` by the workers of `pool`. `tell(text, failures)` is called with it:
--- failures is nil, or a list of {number of a line, message, number of the last line where it is about
--- several}. `refused(why, code)` is called where a worker could not write what it printed. `how`:
--- {unordered, keep_going}.
function Landing.new(pool, blocks, how, tell, refused)
  return setmetatable({ pool = pool, blocks = blocks, unordered = how.unordered,
    keep_going = how.keep_going, tell = tell, refused = refused, away = 0, landed = {} }, Landing)
end

-- ---- the queue ----

-- A place in the queue, at its end or behind another one.
local function place(self, spot, behind)
  if self.unordered then
    return spot
  elseif behind then
    spot.next, behind.next = behind.next, spot
  elseif self.last then
    self.last.next = spot
  else
    self.head = spot
  end
  self.last = spot.next and self.last or spot
  return spot
end

local function fill(self, spot, text, failures)
  if self.unordered then
    self.tell(text, failures)
  else
    spot.text, spot.failures = text, failures
    self.blocks:hold(#text)
  end
end

local function tell_ready(self)
  local spot = self.head
  while spot and spot.text do
    self.head = spot.next
    self.last = self.head and self.last
    self.blocks:hold(-#spot.text)
    self.tell(spot.text, spot.failures)
    spot = self.head
  end
end

-- ---- pieces ----

local function count_lines(text)
  local _, ends = text:gsub("\n", "")
  return ends + (text:byte(-1) == 10 and 0 or 1)
end

local function send(self, spot)
  local function landed(...)
    self.landed[#self.landed + 1] = table.pack(spot, ...)
  end
  self.away = self.away + 1
  self.pool:apply_async(lines.run, { spot.block, spot.first, spot.file }, { callback = landed,
    error_callback = function(err) landed(nil, err) end })
end

-- Sends lines, the first of which has the number `first`, in pieces of so many bytes and the end of a
-- line; what comes of them has its place behind that spot.
local function scatter(self, behind, text, first, file, size)
  local at = 1
  while at <= #text do
    local stop = text:find("\n", at + size - 1, true) or #text
    local block = text:sub(at, stop)
    local count = count_lines(block)
    behind = place(self, { block = block, first = first, last = first + count - 1, file = file }, behind)
    send(self, behind)
    at, first = stop + 1, first + count
  end
end

-- ---- what came ----

local function is_partly_done(err)
  return err.kind == "task" and type(err.value) == "table" and type(err.value[3]) == "table"
end

local function check_printed(self, remarks)
  if remarks and remarks.unwritten then
    self.refused(table.unpack(remarks.unwritten))
  end
end

-- The lines of that spot have come to nothing.
local function meet_error(self, spot, err)
  if is_partly_done(err) then
    check_printed(self, err.value[3])
    fill(self, spot, err.value[1], err.value[3].failures)
  elseif self.keep_going and spot.first < spot.last then
    fill(self, spot, "")
    local block, first, file = table.unpack(err.args, 1, 3)
    scatter(self, spot, block, first, file, 1)
  else
    fill(self, spot, "", { { spot.first, err.message, spot.last } })
  end
end

local function meet(self, spot, text, seconds, remarks)
  if not text then
    meet_error(self, spot, seconds)
    return
  end
  check_printed(self, remarks)
  fill(self, spot, text, remarks and remarks.failures)
  local rest = remarks and remarks.rest
  if rest then
    scatter(self, spot, rest, remarks.first, remarks.file, #rest // (PIECES * self.pool.processes) + 1)
  end
end

-- The bytes and lines of a rest of lines that end with number `last`.
local function size_of_rest(remarks, last)
  if remarks and remarks.rest then
    return #remarks.rest, last - remarks.first + 1
  end
  return 0, 0
end

--- Block number i has come: what lines.run gives, or nil and an error.
function Landing:block(i, text, seconds, remarks)
  local first, last = self.blocks:range(i)
  self.blocks:came(i, text and seconds, size_of_rest(remarks, last))
  meet(self, place(self, { first = first, last = last }), text, seconds, remarks)
  tell_ready(self)
end

local function piece(self, spot, text, seconds, remarks)
  local bytes, number = size_of_rest(remarks, spot.last)
  self.away = self.away - 1
  self.blocks:rest_came(#spot.block - bytes, spot.last - spot.first + 1 - number)
  spot.block = nil
  meet(self, spot, text, seconds, remarks)
end

--- Looks at the pieces that have come by now: whether there were any, and whether more may come.
function Landing:look()
  local landed = self.landed
  self.landed = {}
  for _, result in ipairs(landed) do
    piece(self, table.unpack(result, 1, result.n))
  end
  tell_ready(self)
  return #landed > 0, self.away > 0
end

return Landing
