-- What an experiment shows of itself on standard error: the best parameters so far, and in the end a
-- table of all.

local core, require = ...

local show = require "moonpool.show"
local summary = require "moonpool.summary"

local board = {}

local MOST = 40      -- lines of the table
local WIDEST = 32    -- letters of a value in it
local PAUSE = 0.25   -- seconds between two lines of the best so far
local CLEAR = "\r\27[K" -- takes a bar of progress away

-- ---- words ----

local function word(value)
  if value == nil then
    return ""
  elseif value ~= value then
    return "nan"
  elseif math.type(value) == "float" then
    return ("%.6g"):format(value)
  end
  local text = type(value) == "string" and not value:find "[%c]" and value or show.line(value)
  return #text > WIDEST and text:sub(1, WIDEST - 3) .. "..." or text
end

local function sorted_names(set)
  local names = {}
  for name in pairs(set) do
    names[#names + 1] = name
  end
  return core.sort_strings(names)
end

local function words_of(params)
  local parts = {}
  for _, name in ipairs(sorted_names(params)) do
    parts[#parts + 1] = ("%s = %s"):format(name, word(params[name]))
  end
  return table.concat(parts, ", ")
end

-- ---- the table ----

-- The names of what get(entry) has in any of them, sorted; not of what is no table.
local function union(entries, get)
  local set = {}
  for _, entry in ipairs(entries) do
    local t = get(entry)
    for name in next, type(t) == "table" and t or {} do
      if type(name) == "string" then
        set[name] = true
      end
    end
  end
  return sorted_names(set)
end

local function field_of(which, name)
  return function(entry)
    local t = entry[which]
    if name == nil then
      return type(t) ~= "table" and t or nil
    end
    return type(t) == "table" and t[name] or nil
  end
end

-- Columns of {head, get(entry)}.
local function columns_of(entries)
  local columns = {}
  local function add(head, get)
    columns[#columns + 1] = { head = head, get = get }
  end
  for _, name in ipairs(union(entries, function(entry) return entry.params end)) do
    add(name, function(entry) return entry.params[name] end)
  end
  add("n", field_of "n")
  add("failed", function(entry) return entry.failed > 0 and entry.failed or nil end)
  add("mean", field_of "mean")
  add("sd", field_of "sd")
  for _, name in ipairs(union(entries, function(entry) return entry.mean end)) do
    add(name, field_of("mean", name))
    add(name .. " sd", field_of("sd", name))
  end
  return columns
end

-- The column's words, padded to one width; nil where it is empty.
local function cells_of(column, entries)
  local cells, width, numbers, empty = { column.head }, #column.head, true, true
  for i, entry in ipairs(entries) do
    local value = column.get(entry)
    cells[i + 1] = word(value)
    width = math.max(width, utf8 and utf8.len(cells[i + 1]) or #cells[i + 1])
    numbers = numbers and (value == nil or type(value) == "number")
    empty = empty and value == nil
  end
  return not empty and cells or nil, width, numbers
end

local function pad(text, width, right)
  local space = (" "):rep(width - (utf8 and utf8.len(text) or #text))
  return right and space .. text or text .. space
end

local function lines_of(entries)
  local lines = {}
  for _, column in ipairs(columns_of(entries)) do
    local cells, width, numbers = cells_of(column, entries)
    for i, text in ipairs(cells or {}) do
      lines[i] = (lines[i] and lines[i] .. "  " or "") .. pad(text, width, numbers)
    end
  end
  for i, line in ipairs(lines) do
    lines[i] = line:gsub("%s+$", "")
  end
  return lines
end

-- The best one first, where one is wanted; those alike in their order.
local function ranked(entries, best, by)
  local order, scores, places = {}, {}, {}
  for i, entry in ipairs(entries) do
    order[i], places[entry], scores[entry] = entry, i, summary.score(entry, by)
  end
  if best then
    table.sort(order, function(a, b)
      if scores[a] == scores[b] then
        return places[a] < places[b]
      end
      return summary.is_better(best, scores[a], scores[b])
    end)
  end
  return order
end

local function first_failure(rows)
  for _, row in ipairs(rows) do
    if row.error then
      return row.error.message:match "[^\n]*"
    end
  end
end

--- The text of an experiment's end: how many runs, of which failed, and the summary as a table, the
--- best first where `best` is given.
function board.text(rows, best, by)
  local failed = 0
  for _, entry in ipairs(rows.summary) do
    failed = failed + entry.failed
  end
  local head = ("%d runs of %d combinations"):format(#rows, #rows.summary)
  if failed > 0 then
    head = ("%s, %d failed, the first by: %s"):format(head, failed, first_failure(rows))
  end
  local order = ranked(rows.summary, best, by)
  local shown = table.move(order, 1, math.min(#order, MOST), 1, {})
  local lines = #shown > 0 and lines_of(shown) or {}
  if #order > MOST then
    lines[#lines + 1] = ("... %d more"):format(#order - MOST)
  end
  table.insert(lines, 1, head)
  return table.concat(lines, "\n") .. "\n"
end

-- ---- on standard error ----

local Board = {}
Board.__index = Board

--- One that writes to standard error. It says nothing unless `given.show`, or where that is not said,
--- unless standard error is a terminal and this is no worker.
function board.new(given, total)
  local terminal = core.is_terminal()
  local wanted = given.show
  if wanted == nil then
    wanted = terminal and core.worker() == nil
  end
  return setmetatable({ wanted = wanted, clear = terminal and CLEAR or "", best = given.best, by = given.by,
    total = total, next = 0 }, Board)
end

--- A new best entry, when so many runs are done.
function Board:tell_best(entry, done)
  local now = core.monotonic()
  if self.wanted and now >= self.next then
    self.next = now + PAUSE
    io.stderr:write(("%sbest so far: %s with %s (%d of %d runs)\n"):format(self.clear,
      word(summary.score(entry, self.by)), words_of(entry.params), done, self.total))
  end
end

--- The end.
function Board:tell_end(rows)
  if self.wanted then
    io.stderr:write(self.clear, board.text(rows, self.best, self.by))
  end
end

return board
