-- The bar of `moonpool map`: lines, and what part of the input's bytes they are.
--
-- Where standard error is no terminal there is a line now and then in its place.

local core, require = ...

local bars = require "moonpool.bars"

local gauge = {}

local Gauge = {}
Gauge.__index = Gauge

local LOOK <const>, REPORT <const> = 0.1, 10 -- seconds between two bars, and two lines
local PATIENCE <const> = 100                 -- milliseconds that a terminal has for the last one

--- A bar for an input of so many bytes, nil where that is not known. To be closed.
function gauge.new(total)
  local now = core.monotonic()
  local terminal = core.is_terminal()
  return setmetatable({ total = total, began = now, terminal = terminal,
    every = terminal and LOOK or REPORT, next = now + (terminal and LOOK or REPORT) }, Gauge)
end

--- When the next look is due.
function Gauge:deadline()
  return self.next
end

-- The number of all lines is estimated by the length of those that have come.
local function numbers_of(self, over)
  local blocks, seconds = self.blocks, core.monotonic() - self.began
  local numbers = { title = "map", done = blocks.come, failed = self.failures, retried = 0, busy = 0,
    seconds = seconds, over = over, rate = seconds > 0 and blocks.come / seconds or nil }
  if self.total and blocks.come > 0 then
    local all = over and blocks.bytes >= self.total and blocks.come
      or blocks.come * self.total // blocks.bytes
    numbers.total = math.max(all, blocks.come)
    numbers.left = (numbers.total - blocks.come) / numbers.rate
  end
  return numbers
end

local function draw(numbers, over)
  local columns = core.terminal_size()
  local line = bars.line(numbers, columns, core.speaks_utf8())
  if over then
    core.draw_bars(line .. "\n", "", 0, columns, PATIENCE)
  else
    core.draw_bars("", line, 1, columns, 0)
  end
end

local function show(self, over)
  local numbers = numbers_of(self, over)
  if self.terminal then
    draw(numbers, over)
  else
    core.say(bars.report(numbers) .. "\n")
  end
end

--- Behind blocks that have come: shows them where it is time.
function Gauge:look(blocks, failures)
  self.blocks, self.failures = blocks, failures
  local now = core.monotonic()
  if now >= self.next then
    self.next = now + self.every
    show(self, false)
  end
end

--- The last of it, which stays.
function Gauge:__close()
  if self.blocks then
    show(self, true)
  end
  if self.terminal then
    core.stop_bars()
  end
end

return gauge
