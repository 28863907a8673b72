-- A grid search, in serial and in parallel, or as a night's run that cannot be lost.
--
-- The data are chemical analyses of 178 wines (data/wine.csv). Each of eight measurements is a topic
-- of its own: how well can it be predicted from the seven others? A ridge regression answers, once
-- for each of 1,782 combinations of four parameters, by five-fold cross-validation; which wine is in
-- which fold is drawn anew each time. The search is written once, for any `map`; it then runs with a
-- plain loop and with a pool's map, and both must find the same, to the last bit: each item has
-- its own random numbers, by the seed and its place.
--
--     09_grid_search.lua                    takes some 20 seconds on two cores
--     09_grid_search.lua --quick            tries one combination in thirteen, in two seconds
--     09_grid_search.lua --journal FILE     with the pool only, with a bar, and what is done in the
--                                           file: kill it, and run it again
--     09_grid_search.lua --timeline FILE    draws what ran where as an HTML page

local mp = require "moonpool"

local TOPICS = {
  "alcohol", "malic_acid", "ash", "alcalinity", "phenols", "flavanoids", "color", "proline",
}
local FOLDS = 5

local function read_columns(path)
  local columns = {}
  for row, wine in ipairs(mp.load(path)) do
    for name, value in pairs(wine) do
      columns[name] = columns[name] or {}
      columns[name][row] = value
    end
  end
  return columns
end

-- The four parameters ---------------------------------------------------------------------------

-- What is predicted is the measurement itself, its root or its logarithm; the error is always
-- taken on the measurement's own scale.
local SCALES = {
  plain = { forth = function(y) return y end, back = function(z) return z end },
  root = { forth = math.sqrt, back = function(z) return math.max(z, 0) ^ 2 end },
  log = { forth = math.log, back = math.exp },
}

-- For each topic 11 penalties, half a decade apart, x 9 powers to which the inputs are raised, x 6
-- numbers of inputs (those that go best with the topic), x 3 scales = 1,782.
local function make_grid()
  local penalties = {}
  for exponent = -4, 1, 0.5 do table.insert(penalties, 10 ^ exponent) end
  return mp.grid { topic = TOPICS, penalty = penalties, power = mp.linspace(0.25, 2.25, 9),
    inputs = mp.range(2, 7), scale = { "plain", "root", "log" } }
end

-- Ridge regression ------------------------------------------------------------------------------
--
-- A list of columns, the last of them the target, is reduced to its moments: the count, the sums and
-- the sums of products. Those of a training set are the sums of its folds' moments, so that each
-- row is gone through once for all folds.

local function dot(a, b)
  local sum = 0.0
  for i = 1, #a do sum = sum + a[i] * b[i] end
  return sum
end

local function moments(columns)
  local sums, products = {}, {}
  for i, column in ipairs(columns) do
    local sum, row = 0.0, {}
    for k = 1, #column do sum = sum + column[k] end
    for j = 1, i do row[j] = dot(column, columns[j]) end
    sums[i], products[i] = sum, row
  end
  return { count = #columns[1], sums = sums, products = products }
end

local function add(total, part)
  total.count = total.count + part.count
  for i, row in ipairs(part.products) do
    local into = total.products[i] or {}
    for j = 1, i do into[j] = (into[j] or 0.0) + row[j] end
    total.products[i] = into
    total.sums[i] = (total.sums[i] or 0.0) + part.sums[i]
  end
end

local function all_but(folds, left_out)
  local total = { count = 0, sums = {}, products = {} }
  for fold, part in ipairs(folds) do
    if fold ~= left_out then add(total, part) end
  end
  return total
end

local function covariance(m, i, j)
  local product = i > j and m.products[i][j] or m.products[j][i]
  return product / m.count - m.sums[i] / m.count * (m.sums[j] / m.count)
end

-- Solves a x = b for a symmetric, positive definite a, by its Cholesky factor.
local function solve(a, b)
  local n, l, x = #b, {}, {}
  for i = 1, n do
    local row, given = {}, a[i]
    l[i] = row
    for j = 1, i do
      local sum, other = given[j], l[j]
      for k = 1, j - 1 do sum = sum - row[k] * other[k] end
      row[j] = i == j and math.sqrt(sum) or sum / other[j]
    end
  end
  for i = 1, n do
    local sum = b[i]
    for k = 1, i - 1 do sum = sum - l[i][k] * x[k] end
    x[i] = sum / l[i][i]
  end
  for i = n, 1, -1 do
    local sum = x[i]
    for k = i + 1, n do sum = sum - l[k][i] * x[k] end
    x[i] = sum / l[i][i]
  end
  return x
end

-- The inputs that go best with the target, each with what brings it to standard units.
local function select_inputs(m, count)
  local target, inputs = #m.sums, {}
  for j = 1, target - 1 do
    local deviation = math.sqrt(covariance(m, j, j))
    inputs[j] = { column = j, mean = m.sums[j] / m.count, deviation = deviation,
      slope = covariance(m, j, target) / deviation }
  end
  table.sort(inputs, function(a, b) return math.abs(a.slope) > math.abs(b.slope) end)
  return table.move(inputs, 1, count, 1, {})
end

-- A line through the chosen inputs: a weight for each of their columns, and a constant.
local function fit(m, setting)
  local inputs = select_inputs(m, setting.inputs)
  local correlations, slopes = {}, {}
  for i, a in ipairs(inputs) do
    local row = {}
    for j = 1, i do
      local b = inputs[j]
      row[j] = covariance(m, a.column, b.column) / (a.deviation * b.deviation)
    end
    row[i] = row[i] + setting.penalty
    correlations[i], slopes[i] = row, a.slope
  end
  local weights = solve(correlations, slopes)
  local constant = m.sums[#m.sums] / m.count
  for i, input in ipairs(inputs) do
    weights[i] = weights[i] / input.deviation
    constant = constant - weights[i] * input.mean
  end
  return { inputs = inputs, weights = weights, constant = constant }
end

-- Cross-validation ------------------------------------------------------------------------------
--
-- The wines are shuffled (Durstenfeld, 1964); fold f holds those at f, f + FOLDS, f + 2 FOLDS ...

local function shuffled(n)
  local order = {}
  for i = 1, n do order[i] = i end
  for i = n, 2, -1 do
    local j = math.random(i)
    order[i], order[j] = order[j], order[i]
  end
  return order
end

local function taken(column, order, fold)
  local part, n = {}, 0
  for i = fold, #order, FOLDS do
    n = n + 1
    part[n] = column[order[i]]
  end
  return part
end

local function mapped(f, part)
  for i = 1, #part do part[i] = f(part[i]) end
  return part
end

-- The rows of one fold: the columns that a topic is predicted from, and behind them the topic.
local function take_fold(wines, order, fold, setting)
  local columns = {}
  local function raised(x) return x ^ setting.power end
  for _, name in ipairs(TOPICS) do
    if name ~= setting.topic then
      columns[#columns + 1] = mapped(raised, taken(wines[name], order, fold))
    end
  end
  columns[#columns + 1] = mapped(SCALES[setting.scale].forth,
    taken(wines[setting.topic], order, fold))
  return columns
end

-- The squared error, on the rows of one fold, of a model that was fitted to the other folds.
local function fold_error(columns, truth, model, scale)
  local back, errors = SCALES[scale].back, 0.0
  for i = 1, #truth do
    local z = model.constant
    for j, input in ipairs(model.inputs) do
      z = z + model.weights[j] * columns[input.column][i]
    end
    local miss = back(z) - truth[i]
    errors = errors + miss * miss
  end
  return errors
end

-- The mean squared error of predicting a topic, each row by a model that has not seen it.
local function cross_validate(wines, setting)
  local truth = wines[setting.topic]
  local order, folds, parts, errors = shuffled(#truth), {}, {}, 0.0
  for fold = 1, FOLDS do
    folds[fold] = take_fold(wines, order, fold, setting)
    parts[fold] = moments(folds[fold])
  end
  for fold = 1, FOLDS do
    local model = fit(all_but(parts, fold), setting)
    errors = errors + fold_error(folds[fold], taken(truth, order, fold), model, setting.scale)
  end
  return errors / #truth
end

-- The search ------------------------------------------------------------------------------------

local SEED = 1782

local function search(map, wines, grid)
  return map(function(setting) return cross_validate(wines, setting) end, grid)
end

local function serial_map(f, items)
  local results = {}
  for i = 1, #items do
    math.randomseed(SEED, i)
    results[i] = f(items[i])
  end
  return results
end

local function timed(f, ...)
  local start = mp.monotonic()
  return f(...), mp.monotonic() - start
end

local function same(a, b)
  for i = 1, math.max(#a, #b) do
    if a[i] ~= b[i] then return false end
  end
  return true
end

-- What a mean squared error leaves unexplained, the variance of the topic taken as a whole.
local function explained(values, mean_squared_error)
  return 1 - mean_squared_error / covariance(moments { values }, 1, 1)
end

local function find_best(grid, errors)
  local best = {}
  for i = 1, #grid do
    local topic = grid[i].topic
    if not best[topic] or errors[i] < errors[best[topic]] then best[topic] = i end
  end
  return best
end

local function print_best(wines, grid, errors)
  print(("%-12s %9s %7s %7s   %-6s %10s"):format(
    "topic", "penalty", "power", "inputs", "scale", "explained"))
  local best = find_best(grid, errors)
  for _, topic in ipairs(TOPICS) do
    local setting = grid[best[topic]]
    print(("%-12s %9.4f %7.2f %7d   %-6s %8.1f %%"):format(topic, setting.penalty,
      setting.power, setting.inputs, setting.scale,
      100 * explained(wines[topic], errors[best[topic]])))
  end
end

-- One combination in `step`, the same ones for each topic.
local function every(step, grid)
  local kept = {}
  for i = 0, #grid - 1 do
    if i // #TOPICS % step == 0 then kept[#kept + 1] = grid[i + 1] end
  end
  return kept
end

-- What the command line says --------------------------------------------------------------------

local function read_options(words)
  local options = {}
  for i, word in ipairs(words) do
    local name = word:match("^%-%-(%a+)$")
    if name == "quick" then
      options.quick = true
    elseif name == "journal" or name == "timeline" then
      options[name] = words[i + 1] or error("--" .. name .. " wants a file", 0)
    end
  end
  return options
end

local options = read_options(arg)
local here = arg[0]:match("^.*/") or ""
local wines = read_columns(here .. "data/wine.csv")

local all = make_grid()
local grid = options.quick and every(13, all) or all
print(("%d topics, %d of %d combinations each, %d-fold cross-validation, %d wines\n"):format(
  #TOPICS, #grid // #TOPICS, #all // #TOPICS, FOLDS, #wines.alcohol))

local serial, serial_seconds
if not options.journal then
  serial, serial_seconds = timed(search, serial_map, wines, grid)
end

local workers = mp.process_cpu_count()
local pool <close> = mp.Pool(workers)
if options.timeline then pool:timeline(options.timeline) end
local function pool_map(f, items)
  return pool:map(f, items, { seed = SEED, journal = options.journal, progress = "grid search" })
end
local parallel, parallel_seconds = timed(search, pool_map, wines, grid)

print_best(wines, grid, parallel)
if serial then
  print(("\nserial    %6.2f s"):format(serial_seconds))
  print(("parallel  %6.2f s with %d workers, %.2f times as fast"):format(
    parallel_seconds, workers, serial_seconds / parallel_seconds))
  print(same(serial, parallel) and "both results are equal" or "THE RESULTS DIFFER")
end
