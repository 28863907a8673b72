-- moonpool journal [--csv | --jsonl] FILE: what stands in a journal.

local core, require = ...

local csv = require "moonpool.csv"
local errors = require "moonpool.errors"
local journal = require "moonpool.journal"
local kinds = require "moonpool.kinds"
local show = require "moonpool.show"

local WIDTH <const> = 100
local MOST_FAILURES <const> = 20

-- ---- writing ----

-- Nobody is to take for all what is a part.
local function put(...)
  local ok, why = io.stdout:write(...)
  if not ok then
    errors.raise("system", "cannot write: " .. why)
  end
end

local function say(text)
  put(text, "\n")
end

-- ---- reading ----

local function note(items, record)
  local item = items[record.item]
  if not item then
    item = { index = record.item, times = 0 }
    items[record.item] = item
  end
  if record.state == nil then
    item.times = item.times + 1
    item.last = record
  end
end

local function in_order(items)
  local indexes, order = {}, {}
  for index in pairs(items) do
    indexes[#indexes + 1] = index
  end
  table.sort(indexes)
  for i, index in ipairs(indexes) do
    order[i] = items[index]
  end
  return order
end

-- The heads, and the last record of each item in the order of the items.
local function read(path)
  local items = {}
  local heads, damaged = journal.read(path, function(record) note(items, record) end)
  return heads, in_order(items), damaged
end

-- The expression of moonpool map, whose items are blocks of lines; nil of a journal that is not its.
local function expression_of(head)
  if head and tostring(head.source):find("^moonpool/lines%.lua:") and type(head.version) == "string" then
    local ok, parts = pcall(core.loads, head.version, 1, false)
    local expression = ok and type(parts) == "table" and parts[1]
    return type(expression) == "string" and expression or nil
  end
end

-- ---- the summary ----

local function duration(seconds)
  if seconds < 1e-3 then
    return ("%.0f us"):format(seconds * 1e6)
  elseif seconds < 1 then
    return ("%.1f ms"):format(seconds * 1e3)
  elseif seconds < 120 then
    return ("%.1f s"):format(seconds)
  elseif seconds < 7200 then
    return ("%d min %d s"):format(seconds // 60, seconds % 60)
  end
  return ("%d h %d min"):format(seconds // 3600, seconds % 3600 // 60)
end

local function date(seconds)
  return os.date("%Y-%m-%d %H:%M:%S", math.tointeger(seconds // 1) or 0)
end

local function line(name, format, ...)
  say(("  %-10s%s"):format(name, format:format(...)))
end

local function times_of(order)
  local times, all, longest = {}, 0, nil
  for _, item in ipairs(order) do
    local record = item.last
    if record and record.result then
      times[#times + 1] = record.seconds
      all = all + record.seconds
      if not longest or record.seconds > longest.seconds then
        longest = record
      end
    end
  end
  table.sort(times)
  return times, all, longest
end

local function print_counts(order, name)
  local done, failed, under_way, again = 0, 0, 0, 0
  for _, item in ipairs(order) do
    if not item.last then
      under_way = under_way + 1
    elseif item.last.result then
      done = done + 1
    else
      failed = failed + 1
    end
    again = again + math.max(item.times - 1, 0)
  end
  line(name .. "s", "%d done, %d failed%s%s", done, failed,
    under_way > 0 and (", %d with a saved state"):format(under_way) or "",
    again > 0 and (", %d recorded again"):format(again) or "")
end

local function runs_of(heads)
  local runs = {}
  for _, head in ipairs(heads) do
    if #runs == 0 or runs[#runs].run ~= head.run then
      runs[#runs + 1] = head
    end
  end
  return runs
end

local function print_runs(runs)
  local functions, changed = {}, 0
  for _, head in ipairs(runs) do
    changed = changed + (functions[head["function"]] and 0 or 1)
    functions[head["function"]] = true
  end
  line("runs", "%d%s", #runs, changed > 1 and (", of %d functions"):format(changed) or "")
  for i, head in ipairs(runs) do
    if i == 1 or i == #runs then
      line(i == 1 and "first" or "last", "%s, pid %s on %s, seed %s", date(head.time), head.pid,
        head.host, head.seed)
    end
  end
end

local function print_times(order, name)
  local times, all, longest = times_of(order)
  if longest then
    line("time", "%s of work; %s %s %s (median), %s the longest (%s %d)", duration(all),
      name == "item" and "an" or "a", name, duration(times[#times // 2 + 1]), duration(longest.seconds), name,
      longest.item)
  end
end

local function cut(text)
  text = text:gsub("%s+", " ")
  return #text > WIDTH and text:sub(1, utf8.offset(text, 0, WIDTH - 3) - 1) .. "..." or text
end

local function print_failures(order, name)
  local n = 0
  for _, item in ipairs(order) do
    local record = item.last
    if record and record.error then
      n = n + 1
      if n == 1 then
        say("failures:")
      end
      if n <= MOST_FAILURES then
        say(("  %s %d, attempt %d, worker %d: %s: %s"):format(name, record.item, record.attempt,
          record.worker, record.error.kind, cut(tostring(record.error.message))))
      end
    end
  end
  if n > MOST_FAILURES then
    say(("  and %d more; --csv or --jsonl gives all"):format(n - MOST_FAILURES))
  end
end

local function summarize(path, heads, order, damaged)
  local runs = runs_of(heads)
  local last = runs[#runs]
  local expression = expression_of(last)
  local name = expression and "block" or "item"
  if expression then
    say(("%s: moonpool map of %s"):format(path, cut(expression)))
  else
    say(last and ("%s: %s of %s"):format(path, last.call, last.source) or path .. ": no run")
  end
  print_counts(order, name)
  print_runs(runs)
  print_times(order, name)
  if damaged > 0 then
    line("damaged", "%d bytes belong to no record", damaged)
  end
  print_failures(order, name)
end

-- ---- tables ----

local function row_of(record)
  return { item = record.item, args = journal.hex(record.args), run = record.run, attempt = record.attempt,
    worker = record.worker, time = record.time, seconds = record.seconds,
    outcome = record.result and "done" or "failed",
    error = record.error and record.error.kind or nil,
    message = record.error and tostring(record.error.message) or nil }
end

-- One value of a cell: tables in their readable form.
local function cell(value)
  return type(value) == "table" and show.line(value) or value
end

local function add_fields(row, values)
  for i = 1, #values == 0 and 0 or #values do
    local value = values[i]
    if type(value) == "table" and #values == 1 then
      for key, field in pairs(value) do
        row["result." .. tostring(key)] = cell(field)
      end
    else
      row[i == 1 and "result" or "result" .. i] = cell(value)
    end
  end
end

local function write_csv(order)
  local rows = {}
  for _, item in ipairs(order) do
    if item.last then
      local row = row_of(item.last)
      add_fields(row, item.last.result or {})
      rows[#rows + 1] = row
    end
  end
  put(csv.write(rows))
end

local function json_line(record)
  local row = row_of(record)
  row.result = record.result
  local ok, text = pcall(core.json_text, row, kinds.of, "record")
  if not ok then -- JSON has no such value
    row.result = show.line(record.result)
    text = core.json_text(row, kinds.of, "record")
  end
  return text
end

local function write_jsonl(order)
  for _, item in ipairs(order) do
    if item.last then
      put(json_line(item.last), "\n")
    end
  end
end

local USAGE = "usage: moonpool journal [--csv | --jsonl] FILE\n"

-- The options and the file of the words; nil where they are not as they should be.
local function read_words(words)
  local form, path
  for _, word in ipairs(words) do
    if word == "--csv" or word == "--jsonl" then
      form = word
    elseif word:find("^%-.") or path then
      return nil
    else
      path = word
    end
  end
  return path, form
end

return function(_, ...)
  local path, form = read_words { ... }
  if ... == "--help" or ... == "-h" then
    put(USAGE)
    return true
  elseif not path then
    io.stderr:write(USAGE)
    return false
  end
  local heads, order, damaged = read(path)
  if form == "--csv" then
    write_csv(order)
  elseif form == "--jsonl" then
    write_jsonl(order)
  else
    summarize(path, heads, order, damaged)
  end
  local ok, why = io.stdout:flush()
  if not ok then
    errors.raise("system", "cannot write: " .. why)
  end
  return true
end
