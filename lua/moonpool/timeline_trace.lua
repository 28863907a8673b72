-- Trace Event JSON, as Perfetto and chrome://tracing read it: complete events ("X") in
-- microseconds, a thread for each worker, a counter of the items that wait, and the names of all
-- ("M").

local core, require = ...

local data = require "moonpool.timeline_data"

local trace = {}

local AT_ONCE = 1000 -- events written together
local WAITS = 5000   -- values of a counter at most

local string = data.string

local function named(what, pid, tid, name)
  return ('{"name":"%s","ph":"M","pid":%d,"tid":%d,"args":{"name":%s}}'):format(what, pid, tid,
    string(name))
end

-- A trace's numbers are microseconds.
local microseconds

function microseconds(nanoseconds)
  if nanoseconds < 0 then
    return "-" .. microseconds(-nanoseconds)
  end
  return ("%d.%03d"):format(nanoseconds // 1000, nanoseconds % 1000)
end

local function heads(pid, lives)
  local events = { named("process_name", pid, 0, "moonpool") }
  local seen = { [-1] = true }
  for _, life in ipairs(lives) do
    if not seen[life.seat] then
      seen[life.seat] = true
      events[#events + 1] = named("thread_name", pid, life.seat + 1, life.name)
      events[#events + 1] = ('{"name":"thread_sort_index","ph":"M","pid":%d,"tid":%d,'
        .. '"args":{"sort_index":%d}}'):format(pid, life.seat + 1, life.seat + 1)
    end
  end
  return events
end

local function add_deaths(events, pid, lives)
  for _, life in ipairs(lives) do
    if life.died then
      events[#events + 1] = ('{"name":%s,"ph":"i","s":"t","pid":%d,"tid":%d,"ts":%s,'
        .. '"args":{"pid":%d}}'):format(string(life.fate), pid, life.seat + 1,
        microseconds(life.died), life.pid)
    end
  end
end

-- What changes how many wait, in order: {nanoseconds, change}.
local function changes(pool, begun)
  local i, b = 0, 0
  local when, change
  local function step()
    i = i + 1
    when, change = core.record_step(pool.core, i)
  end
  step()
  return function()
    local begin = begun[b + 1]
    if begin and (not when or begin < when) then
      b = b + 1
      return begin, -1
    elseif when then
      local now, by = when, change
      step()
      return now, by
    end
  end
end

-- How many wait, as a counter; so many values at most.
local function add_waits(events, pool, pid, begun)
  local waiting, last, least = 0, nil, (begun[#begun] or 0) / WAITS
  local function add(now)
    events[#events + 1] = ('{"name":"waiting","ph":"C","pid":%d,"tid":0,"ts":%s,'
      .. '"args":{"items":%d}}'):format(pid, microseconds(now), math.max(waiting, 0))
    last = now
  end
  local now
  for when, change in changes(pool, begun) do
    if last and when - last >= least then
      add(now)
    end
    waiting, now, last = waiting + change, when, last or when
  end
  if now then
    add(now)
  end
end

-- What is told of an item: by its number among the runs from 0.
local function item_writer(pool, known, pid, lives)
  local names = core.record_names(pool.core)
  local arguments, failures = data.arguments(pool, known), data.failures(pool)
  local recipes = data.recipes(pool)
  local heading = setmetatable({}, { __index = function(heads_of, call)
    local name, kind = core.record_call(pool.core, call)
    heads_of[call] = ('"name":%s,"cat":"%s"'):format(string(names[name]), data.kinds[kind])
    return heads_of[call]
  end })
  local function text_of(number, call, index)
    local recipe = recipes[call]
    if recipe then
      return tostring(recipe[1] + (index - 1) * recipe[2])
    end
    return arguments[number]
  end
  return function(number, call, index, life, attempt, outcome, began, length)
    local worker, text = lives[life + 1], text_of(number, call, index)
    local more = text and (',"arguments":%s'):format(string(text)) or ""
    if failures[number] then
      more = ('%s,"message":%s'):format(more, string(failures[number]))
    end
    return ('{%s,"ph":"X","pid":%d,"tid":%d,"ts":%s,"dur":%s,"args":{"call":%d,"item":%d,'
      .. '"attempt":%d,"outcome":"%s","pid":%d%s}}'):format(heading[call], pid, worker.seat + 1,
      microseconds(began), microseconds(length), call, index, attempt, data.outcomes[outcome],
      worker.pid, more)
  end
end

-- What was done before anything was recorded: some tasks together.
local function add_spans(events, pid, spans)
  for _, span in ipairs(spans) do
    events[#events + 1] = ('{"name":"tasks","cat":"tasks","ph":"X","pid":%d,"tid":%d,"ts":%s,'
      .. '"dur":%s,"args":{"items":%d,"busy":%s,"pid":%d}}'):format(pid, span.seat + 1,
      microseconds(span.from), microseconds(span.to - span.from), span.items,
      microseconds(span.busy), span.pid)
  end
end

-- The threads of both.
local function workers_of(pool, spans)
  local lives = core.recorded(pool.core) and data.lives(pool) or {}
  local workers = table.move(lives, 1, #lives, 1, {})
  for _, span in ipairs(spans) do
    workers[#workers + 1] = { seat = span.seat, name = ("PoolWorker-%d"):format(span.seat + 1) }
  end
  return workers, lives
end

local function write_items(pool, known, pid, lives, emit)
  local write_item = item_writer(pool, known, pid, lives)
  local events, begun = {}, {}
  core.record_each(pool.core, function(number, ...)
    events[#events + 1] = write_item(number, ...)
    begun[number + 1] = select(6, ...)
    if #events >= AT_ONCE then
      emit(table.concat(events, ",\n") .. ",\n")
      events = {}
    end
  end)
  table.sort(begun)
  add_deaths(events, pid, lives)
  add_waits(events, pool, pid, begun)
  emit(table.concat(events, ",\n"))
end

--- Writes the trace of what the pool has recorded: `emit(text)` gets it piece by piece;
--- `known` is as data.arguments takes it.
function trace.write(pool, known, emit)
  local pid, spans = core.pid(), data.spans(pool)
  local workers, lives = workers_of(pool, spans)
  local events = heads(pid, workers)
  add_spans(events, pid, spans)
  emit '{"displayTimeUnit":"ms","traceEvents":[\n'
  emit(table.concat(events, ",\n"))
  if (core.recorded(pool.core) or 0) > 0 then
    emit ",\n"
    write_items(pool, known, pid, lives, emit)
  end
  emit "\n]}\n"
end

return trace
