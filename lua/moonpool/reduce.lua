-- pairmap and reduce: calls whose results are put together in another way than a list.

local core, require = ...

local errors = require "moonpool.errors"
local options = require "moonpool.options"
local share = require "moonpool.share"

local reduce = {}

-- ---- pairmap ----

-- In an order that is the same in every process, as far as keys have one: by it go random numbers,
-- and a journal.
local function sorted_pairs(t)
  local keys, items = core.sorted_keys(t)
  for _, key in ipairs(items) do
    keys[#keys + 1] = key
  end
  for i, key in ipairs(keys) do
    items[i] = { key, rawget(t, key), n = 2 }
  end
  return keys, items
end

local function collect_pairs(t)
  local meta = debug.getmetatable(t)
  if type(meta) ~= "table" or rawget(meta, "__pairs") == nil then
    return sorted_pairs(t)
  end
  local keys, items = {}, {}
  for key, value in pairs(t) do
    keys[#keys + 1] = key
    items[#items + 1] = { key, value, n = 2 }
  end
  return keys, items
end

-- What stands in the list `by_index` under its items' keys.
local function by_key(keys, by_index)
  local t = {}
  for i, value in pairs(by_index) do
    if math.type(i) == "integer" then
      t[keys[i]] = value
    end
  end
  return t
end

local function pairs_failed(keys, err)
  if errors.is(err) and err.index then
    err.key = keys[err.index]
  end
  if errors.is(err) and err.results then
    err.results = by_key(keys, err.results)
  end
  errors.throw(err)
end

-- ---- reduce ----

-- What workers run where they may combine: each run of items ends in one value, in a table
-- of its own since it may be nil.
local function combiner(f, combine, pack)
  local sum
  return function(first, last, ...)
    local value
    if pack then
      value = pack(f(...))
    else
      value = f(...)
    end
    if not first then
      value = combine(sum, value)
    end
    if last then
      sum = nil
      return { value }
    end
    sum = value
  end
end

-- The results of runs are the combiner's own.
local function without_pack(given)
  local copy = {}
  for name, value in pairs(given) do
    copy[name] = value
  end
  copy.pack = nil
  return copy
end

-- Runs of items are lost with their worker, and an item in the midst of one cannot run
-- again: only where a failure ends the call anyhow, and where no item's result is wanted.
local function may_combine(pool, given)
  return (given.retries or pool.retries or 0) == 0 and not given.duplicate and not given.journal
    and (given.on_error or pool.on_error) ~= "collect"
end

-- Both say in `at.index` which item's value is being combined.

local function fold_runs(combine, runs, at)
  local ends = {}
  for i in pairs(runs) do
    if math.type(i) == "integer" then
      ends[#ends + 1] = i
    end
  end
  table.sort(ends)
  local sum
  for k, i in ipairs(ends) do
    if k == 1 then
      sum = runs[i][1]
    else
      at.index = i
      sum = combine(sum, runs[i][1])
    end
  end
  return sum
end

local function fold_items(combine, values, at)
  local sum, begun
  for i = 1, values.n do
    if values.errors and values.errors[i] then
      goto continue
    elseif begun then
      at.index = i
      sum = combine(sum, values[i])
    else
      sum, begun = values[i], true
    end
    ::continue::
  end
  return sum
end

local function trace(err)
  return { err, debug.traceback(nil, 2) }
end

-- What combine raises here is told as in a worker: who combines what is the engine's affair.
local function folded(fold, combine, values)
  local at = {}
  local ok, sum = xpcall(fold, trace, combine, values, at)
  if ok then
    return sum
  elseif errors.is_interrupt(sum[1]) then
    errors.throw(sum[1])
  end
  errors.raise("task", tostring(sum[1]),
    { value = sum[1], traceback = sum[2], index = at.index, pid = core.pid() })
end

local function reduced(combine, result, in_runs)
  local ok, values = pcall(result.get, result)
  if not ok then
    if errors.is(values) and values.kind ~= "system" then
      values.results = nil
    end
    errors.throw(values)
  elseif in_runs then
    return folded(fold_runs, combine, values)
  end
  return folded(fold_items, combine, values), values.errors
end

--- Gives Pool its methods. `inner`: check_open(pool, name), check_function(name, f) and
--- submit(pool, name, f, source, star, options, prepare), which returns an AsyncResult.
function reduce.install(Pool, inner)
  --- {[k] = f(k, v)} over pairs(t). Under "collect" its fields errors and failed, which
  --- pairs does not show, tell what failed, by key; an error raised has the field key.
  function Pool:pairmap(f, t, given)
    inner.check_open(self, "pairmap")
    if type(t) ~= "table" then
      errors.argument("pairmap", "the second argument", "a table", t)
    end
    local chosen = options.of_map("pairmap", given)
    local keys, items = collect_pairs(t)
    local result = inner.submit(self, "pairmap", f, items, true, chosen)
    local ok, values = pcall(result.get, result)
    if not ok then
      pairs_failed(keys, values)
    end
    local found = by_key(keys, values)
    if values.errors then
      setmetatable(found,
        { __index = { errors = by_key(keys, values.errors), failed = values.failed } })
    end
    return found
  end

  --- Combines f's results two by two, in the order of the items; nil for no items. `combine`
  --- is associative; workers combine what they run in a row, the host the rest. Under
  --- "collect" the failures by index are a second value.
  function Pool:reduce(f, combine, source, given)
    inner.check_open(self, "reduce")
    inner.check_function("reduce", f)
    if not share.is_function(combine) then
      errors.argument("reduce", "the second argument", "a function of two values", combine)
    end
    local chosen = options.of_map("reduce", given)
    if not may_combine(self, chosen) then
      return reduced(combine, inner.submit(self, "reduce", f, source, false, chosen), false)
    end
    local runner = combiner(f, combine, chosen.pack and table.pack)
    return reduced(combine, inner.submit(self, "reduce", runner, source, false,
      without_pack(chosen), core.in_runs), true)
  end
end

return reduce
