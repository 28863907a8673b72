-- What the page and the trace have in common: the names of what is recorded, what items were given
-- and what they said, and JSON.

local core, require = ...

local show = require "moonpool.show"

local data = {
  outcomes = { [0] = "done", "failed", "timeout", "lost", "cancelled" },
  kinds = { [0] = "apply", "map", "imap", "imap_unordered", "reduce", "everywhere" },
}

local WIDEST = 160      -- bytes of one text
local DESCRIBED = 150000 -- runs of items whose arguments are told, those that were not done apart
local TEXT_BYTES = 4 << 20 -- of these

-- ---- JSON ----

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r" }

local function escape(c)
  return ESCAPES[c] or ("\\u%04x"):format(c:byte())
end

local REPLACEMENT = "\u{FFFD}"

-- The text with what is no UTF-8 replaced.
local function valid(text)
  if utf8.len(text) then
    return text
  end
  local parts, from = {}, 1
  local length, wrong = utf8.len(text, from)
  while not length do
    parts[#parts + 1] = text:sub(from, wrong - 1)
    parts[#parts + 1] = REPLACEMENT
    from = wrong + 1
    length, wrong = utf8.len(text, from)
  end
  parts[#parts + 1] = text:sub(from)
  return table.concat(parts)
end

--- A string of JSON, which may stand in HTML as well.
function data.string(text)
  text = valid(text)
  if text:find '[%c"\\<>&\x7f]' then
    text = text:gsub('[%c"\\<>&\x7f]', escape)
  end
  return '"' .. text .. '"'
end

--- A list of JSON of the list's values, each by `write`.
function data.list(values, write)
  local parts = {}
  for i, value in ipairs(values) do
    parts[i] = write(value)
  end
  return "[" .. table.concat(parts, ",") .. "]"
end

-- ---- texts ----

-- No letter of UTF-8 is cut in two.
local function cut(text)
  if #text <= WIDEST then
    return text
  end
  local last = WIDEST
  while last > 0 and text:byte(last + 1) & 0xC0 == 0x80 do
    last = last - 1
  end
  return text:sub(1, last) .. "..."
end

local function describe(readable, ...)
  if not readable then
    return "..."
  end
  local words = table.pack(...)
  for i = 1, words.n do
    words[i] = show.line(words[i])
  end
  return cut(table.concat(words, ", "))
end

--- {[number of a run from 0] = text of the arguments}: of those that were not done, and of the
--- others as far as they are not too many, and fit into TEXT_BYTES. For what is written together it
--- is found once: `known` is a table of the writer's.
function data.arguments(pool, known)
  if known.arguments then
    return known.arguments
  end
  local texts, left = {}, TEXT_BYTES
  core.record_arguments(pool.core, function(number, outcome, ...)
    if outcome ~= 0 or left > 0 then
      texts[number] = describe(...)
      left = left - #texts[number]
    end
  end, core.recorded(pool.core) <= DESCRIBED)
  known.arguments = texts
  return texts
end

--- {[number of a run from 0] = message}
function data.failures(pool)
  local messages, i = {}, 1
  local number, message = core.record_failure(pool.core, i)
  while number do
    messages[number] = message and cut(message)
    i = i + 1
    number, message = core.record_failure(pool.core, i)
  end
  return messages
end

--- {[number of a call] = {first item, step}} of those whose items are made.
function data.recipes(pool)
  local recipes, i = {}, 1
  local call, first, step = core.record_recipe(pool.core, i)
  while call do
    recipes[call] = { first, step }
    i = i + 1
    call, first, step = core.record_recipe(pool.core, i)
  end
  return recipes
end

local function fate(status)
  if status < 0 then
    return "lost with its nursery"
  elseif status & 0x7f ~= 0 then
    return ("killed by signal %d"):format(status & 0x7f)
  end
  return ("left with exit code %d"):format(status >> 8 & 0xff)
end

--- A list of {number =, name =, pid =, died = nanoseconds or nil, fate =} of the workers that have
--- run anything, the list's first being number 0: whoever is unknown.
function data.lives(pool)
  local lives, number = {}, 0
  local seat, pid, found, status = core.record_life(pool.core, number)
  while seat do
    lives[number + 1] = {
      number = number, seat = number > 0 and seat or -1, pid = pid,
      name = number > 0 and ("PoolWorker-%d"):format(seat + 1) or "unknown",
      died = found > 0 and found or nil, fate = found > 0 and fate(status) or nil,
    }
    number = number + 1
    seat, pid, found, status = core.record_life(pool.core, number)
  end
  return lives
end

--- A list of what workers did before anything was recorded, of each some tasks in a row: {seat =,
--- pid = (0: of several), from =, to =, busy = (nanoseconds), items =}; times in nanoseconds since the
--- origin, which is when the record began, or the first of them where there is none. Then the origin
--- by core.monotonic's clock.
function data.spans(pool)
  local values, spans = pool.spans or core.spans(pool.core), {}
  local count, _, origin = core.recorded(pool.core)
  local last = (count or 0) > 0 and origin or math.maxinteger
  local first = math.maxinteger
  for i = 1, #values, 6 do
    local seat, pid, from, to, busy, items = table.unpack(values, i, i + 5)
    if to <= last then
      spans[#spans + 1] = { seat = seat, pid = pid, from = from, to = to, busy = busy, items = items }
      first = math.min(first, from)
    end
  end
  origin = origin or (#spans > 0 and first) or math.floor(core.monotonic() * 1e9)
  for _, span in ipairs(spans) do
    span.from, span.to = span.from - origin, span.to - origin
  end
  return spans, origin
end

return data
