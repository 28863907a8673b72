-- What a bar looks like: from numbers to one line of text.
--
-- Invariants: pure functions; no line is wider than it may be, nor holds anything that would move
-- the cursor. A bar's numbers: {title, done, total (1 or more) or nil, rate or nil (items a second),
-- seconds (since its beginning), left or nil (seconds), failed, retried, busy, over}.

local core = ...

local bars = {}

local MOST, LEAST = 40, 6 -- columns of the bar itself

local MINUTE, HOUR, DAY = 60, 3600, 86400

--- A number of seconds: 0:07, 12:34, 1:02:03, 4d 05h.
function bars.time(seconds)
  if not seconds or seconds >= 1000 * DAY then
    return "-:--"
  end
  local s = math.floor(seconds + 0.5)
  if s >= 4 * DAY then
    return ("%dd %02dh"):format(s // DAY, s % DAY // HOUR)
  elseif s >= HOUR then
    return ("%d:%02d:%02d"):format(s // HOUR, s % HOUR // MINUTE, s % MINUTE)
  end
  return ("%d:%02d"):format(s // MINUTE, s % MINUTE)
end

local function scaled(n)
  for _, unit in ipairs { { 1e9, "G" }, { 1e6, "M" }, { 1e4, "k" } } do
    if n >= unit[1] then
      n = n / (unit[2] == "k" and 1e3 or unit[1])
      return (n >= 100 and "%.0f%s" or "%.1f%s"):format(n, unit[2])
    end
  end
  return (n >= 100 and "%.0f" or "%.1f"):format(n)
end

--- A number of items a second: 3.5/h, 12.1/min, 4.0/s, 250/s, 31.4k/s.
function bars.rate(rate)
  if not rate or rate <= 0 then
    return "-/s"
  elseif rate * MINUTE < 1 then
    return scaled(rate * HOUR) .. "/h"
  elseif rate < 1 then
    return scaled(rate * MINUTE) .. "/min"
  end
  return scaled(rate) .. "/s"
end

local function share(numbers)
  return math.min(numbers.done / numbers.total, 1)
end

local EIGHTHS = { "▏", "▎", "▍", "▌", "▋", "▊", "▉" }

local function picture(part, columns, utf8)
  if not utf8 then
    local full = math.floor(part * columns)
    local head = full < columns and full > 0 and ">" or ""
    return "[" .. ("="):rep(full - #head) .. head .. (" "):rep(columns - full) .. "]"
  end
  local eighths = math.floor(part * columns * 8)
  local text = ("█"):rep(eighths // 8) .. (EIGHTHS[eighths % 8] or "")
  return "|" .. text .. (" "):rep(columns - (eighths + 7) // 8) .. "|"
end

local function percent(numbers)
  return ("%3d%%"):format(math.floor(share(numbers) * 100))
end

local function counted(n, word)
  return n > 0 and ("%d %s"):format(n, word) or nil
end

local function count(numbers)
  local done = math.floor(numbers.done)
  return numbers.total and ("%d/%d"):format(done, numbers.total) or ("%d done"):format(done)
end

local function time(numbers)
  if numbers.over then
    local cut = numbers.total and numbers.done < numbers.total
    local seconds = numbers.seconds
    return (cut and "after " or "in ") .. (seconds < 9.95 and ("%.1fs"):format(seconds) or bars.time(seconds))
  end
  return numbers.total and bars.time(numbers.left) .. " left" or bars.time(numbers.seconds)
end

-- In the order in which they stand; those of the lowest rank are there in the narrowest line.
local function pieces(numbers)
  local known = numbers.total ~= nil
  return {
    { rank = 2, text = numbers.title, gap = 0, fit = true },
    { rank = 1, text = known and percent(numbers) or nil, gap = 1 },
    { rank = 6, text = known and ("x"):rep(LEAST + 2) or nil, gap = 1, bar = true },
    { rank = 3, text = count(numbers), gap = 1 },
    { rank = 7, text = bars.rate(numbers.rate), gap = 2 },
    { rank = 4, text = time(numbers), gap = 2 },
    { rank = 5, text = counted(numbers.failed, "failed"), gap = 2 },
    { rank = 8, text = counted(numbers.retried, "retried"), gap = 2 },
    { rank = 9, text = not numbers.over and counted(numbers.busy, "busy") or nil, gap = 2 },
  }
end

-- What of them has room; and the room that is left.
local function choose(all, columns)
  local by_rank, room = {}, columns
  for _, piece in ipairs(all) do
    by_rank[piece.rank] = piece
  end
  for rank = 1, #all do
    local piece = by_rank[rank]
    if piece.fit and piece.text then
      piece.text = core.fit(piece.text, math.max(columns // 3, math.min(columns - 5, 10)))
    end
    local width = piece.text and piece.text ~= "" and core.columns(piece.text) + piece.gap
    piece.chosen = width and width <= room or false
    room = piece.chosen and room - width or room
  end
  return room
end

--- The line of a bar in a terminal of so many columns, the last of which stays free. `utf8`: blocks
--- may be used.
function bars.line(numbers, columns, utf8)
  local all, text = pieces(numbers), ""
  local room = choose(all, columns - 1)
  for _, piece in ipairs(all) do
    if piece.chosen then
      local shown = piece.bar and picture(share(numbers), math.min(LEAST + room, MOST), utf8)
        or piece.text
      text = text .. (text ~= "" and (" "):rep(piece.gap) or "") .. shown
    end
  end
  return (core.fit(text, columns - 1))
end

--- The same as a line for a file or a log.
function bars.report(numbers)
  local words = { count(numbers) .. (numbers.total and (" (%s)"):format(percent(numbers):match "%S+") or ""),
    bars.rate(numbers.rate), time(numbers), counted(numbers.failed, "failed") }
  words[#words + 1] = counted(numbers.retried, "retried")
  return ("%s: %s"):format(numbers.title or "moonpool", table.concat(words, ", "))
end

return bars
