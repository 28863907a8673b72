-- mp.experiment: a function over combinations of parameters, each so many times, and what comes of it.
--
-- Invariants: rows stand in the order of the space, the repeats of one combination together, whichever
-- ended first; an item's place is all that its random numbers depend on beside the seed; nothing is
-- printed unless standard error is a terminal, or that is asked for.

local core, require = ...

local Pool = require "moonpool.pool"
local board = require "moonpool.board"
local errors = require "moonpool.errors"
local files = require "moonpool.files"
local flat = require "moonpool.flat"
local grid = require "moonpool.grid"
local kinds = require "moonpool.kinds"
local options = require "moonpool.options"
local share = require "moonpool.share"
local summary = require "moonpool.summary"

local experiment = {}

-- ---- what is asked for ----

-- Those that go to the call of the pool as they are.
local OF_CALL = { "seed", "journal", "timeout", "retries", "retry_delay", "on_error", "progress", "duplicate",
  "chunksize" }

local FIELDS = { space = true, run = true, repeats = true, out = true, pool = true, processes = true,
  best = true, by = true, show = true }
for _, name in ipairs(OF_CALL) do
  FIELDS[name] = true
end

local function check_best(given)
  if given.best ~= nil and given.best ~= "min" and given.best ~= "max" then
    errors.argument("experiment", "best", '"min" or "max"', given.best)
  elseif given.by ~= nil and type(given.by) ~= "string" then
    errors.argument("experiment", "by", "the name of a field of the results", given.by)
  elseif given.by ~= nil and given.best == nil then
    errors.raise("argument", 'experiment: by tells what is best; write best = "min" or best = "max" as well')
  end
end

local function check_pool(given)
  if given.pool ~= nil and kinds.of(given.pool) ~= "Pool" then
    errors.argument("experiment", "pool", "a Pool", given.pool)
  elseif given.pool ~= nil and given.processes ~= nil then
    errors.raise("argument", "experiment: processes are those of the pool, where one is given")
  end
end

local function check_fields(given)
  if type(given) ~= "table" then
    errors.argument("experiment", "the argument", "a table, as in {space = {x = {1, 2}}, run = f}", given)
  end
  options.check_names("experiment", given, FIELDS, "field")
  local repeats = given.repeats
  if not share.is_function(given.run) then
    errors.argument("experiment", "run", "a function of (params, repeat)", given.run)
  elseif repeats ~= nil and (math.type(repeats) ~= "integer" or repeats < 1) then
    errors.argument("experiment", "repeats", "a positive integer", repeats)
  elseif given.show ~= nil and type(given.show) ~= "boolean" then
    errors.argument("experiment", "show", "a boolean", given.show)
  end
  check_best(given)
  check_pool(given)
end

local function call_options(given)
  local call = {}
  for _, name in ipairs(OF_CALL) do
    call[name] = given[name]
  end
  call.on_error = call.on_error or "collect"
  return options.of_map("experiment", call)
end

-- ---- the space ----

local function check_list(space, n)
  for i = 1, n do
    if type(space[i]) ~= "table" then
      errors.argument("experiment", ("item %d of the space"):format(i), "a table of parameters", space[i])
    end
  end
  return space, n
end

-- A list of tables of parameters, which may be lazy, and their number.
local function read_space(space)
  local kind = kinds.of(space)
  if kind == "Grid" or kind == "Sample" then
    return space, #space
  elseif type(space) ~= "table" or kind then
    errors.argument("experiment", "space", "a grid, a sample, a table of parameters, or a list of such", space)
  elseif space[1] ~= nil then
    return check_list(space, math.type(space.n) == "integer" and space.n or #space)
  end
  local all = grid.grid(space)
  return all, #all
end

-- The items of the call: for each combination its repeats.
local Items = {}

function Items.__index(items, i)
  local repeats = items.repeats
  return { items.space[(i - 1) // repeats + 1], (i - 1) % repeats + 1 }
end

-- ---- the runs ----

-- What is known so far: rows, by their places, and what the combinations come to whose runs are all
-- done.
local function new_results(space, n, repeats, shown, given)
  return { rows = {}, summary = {}, params = {}, left = {}, done = 0, space = space, n = n, repeats = repeats,
    shown = shown, best_is = given.best, by = given.by }
end

local function finish_combination(results, c)
  local last = c * results.repeats
  local entry = summary.of(results.rows, last - results.repeats + 1, last)
  results.summary[c] = entry
  if results.best_is and summary.is_better(results.best_is, summary.score(entry, results.by),
    results.best and summary.score(results.best, results.by)) then
    results.best = entry
    results.shown:tell_best(entry, results.done)
  end
end

local function take(results, i, value, err)
  local c = (i - 1) // results.repeats + 1
  results.params[c] = results.params[c] or results.space[c]
  local row = { params = results.params[c], ["repeat"] = (i - 1) % results.repeats + 1 }
  if value == nil and errors.is(err) and err.index == i then
    row.error = err
  else
    row.result = value
  end
  results.rows[i] = row
  results.done = results.done + 1
  results.left[c] = (results.left[c] or results.repeats) - 1
  if results.left[c] == 0 then
    finish_combination(results, c)
  end
end

-- To raise the first failure by its place a call must see to the items before it: a map does.
local function run_all(pool, run, items, call, results)
  if call.on_error == "raise" then
    local values = pool:starmap(run, items, call)
    for i = 1, values.n do
      take(results, i, values[i])
    end
    return
  end
  for i, value, err in pool:istarmap_unordered(run, items, call) do
    take(results, i, value, err)
  end
end

-- The best one in the order of the space, whichever was there first.
local function find_best(results)
  local best
  for _, entry in ipairs(results.best_is and results.summary or {}) do
    local score = summary.score(entry, results.by)
    if score and summary.is_better(results.best_is, score, best and summary.score(best, results.by)) then
      best = entry
    end
  end
  return best
end

local function write_out(path, rows)
  local ok, err = pcall(files.save, path, flat.rows(rows, path:match("[^.]*$"):lower()))
  if not ok then
    if errors.is(err) then
      err.results = rows
    end
    errors.throw(err)
  end
end

--- Runs run(params, repeat) for each of a space's combinations (an mp.grid, an mp.sample, a table for
--- mp.grid, or a list of tables), `repeats` times each, in `pool`, or in one of its own of `processes`
--- workers. A list of rows {params =, repeat =, result =}, or `error` in place of the result: a failure
--- stops nothing, unless on_error = "raise". Its field `summary` is a list with what each combination
--- comes to (see summary.of), `best` the entry of the best mean (best = "min" or "max", of the field
--- `by`). `out` is the file where the rows are written in the end. seed, journal, timeout, retries,
--- retry_delay, on_error, progress, duplicate and chunksize are those of a call. `show`: whether
--- standard error is told; without it, where that is a terminal.
function experiment.experiment(given)
  check_fields(given)
  local call = call_options(given)
  local space, n = read_space(given.space)
  local repeats = given.repeats or 1
  if n > math.maxinteger // repeats then
    errors.raise("argument", "experiment: there are more runs than can be counted")
  end
  if given.out ~= nil then
    files.format("experiment", "out", given.out)
    core.write_whole(given.out) -- not to be told at the end of a night
  end
  local own <close> = not given.pool and Pool.new { processes = given.processes } or nil
  local results = new_results(space, n, repeats, board.new(given, n * repeats), given)
  local items = setmetatable({ n = n * repeats, space = space, repeats = repeats }, Items)
  run_all(given.pool or own, given.run, items, call, results)
  local rows = results.rows
  rows.summary, rows.best = results.summary, find_best(results)
  results.shown:tell_end(rows)
  if given.out ~= nil then
    write_out(given.out, rows)
  end
  return rows
end

return experiment
