-- A grid search, in serial and in parallel.
--
-- The data are chemical analyses of 178 wines (data/wine.csv). Each of eight measurements is a topic
-- of its own: how well can it be predicted from the seven others? A ridge regression answers, once
-- for each of 1,782 combinations of four parameters, by five-fold cross-validation. The search is
-- written once, for any `map`; it then runs with a plain loop and with a pool's map, and both must
-- find the same, to the last bit.
--
-- It takes some 20 seconds on two cores; with the argument --quick, which tries one combination
-- in thirteen, it takes two.

local mp = require "moonpool"

local TOPICS = {
  "alcohol", "malic_acid", "ash", "alcalinity", "phenols", "flavanoids", "color", "proline",
}
local FOLDS = 5

local function read_csv(path)
  local columns, names = {}, {}
  for line in io.lines(path) do
    local j = 0
    for cell in line:gmatch("[^,]+") do
      j = j + 1
      if not names[j] then
        names[j], columns[cell] = cell, {}
      else
        table.insert(columns[names[j]], tonumber(cell))
      end
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

-- 11 penalties, half a decade apart, x 9 powers to which the inputs are raised, x 6 numbers of
-- inputs (those that go best with the topic), x 3 scales = 1,782.
local function make_grid()
  local grid = {}
  for exponent = -4, 1, 0.5 do
    for power = 0.25, 2.25, 0.25 do
      for inputs = 2, 7 do
        for _, scale in ipairs { "plain", "root", "log" } do
          table.insert(grid,
            { penalty = 10 ^ exponent, power = power, inputs = inputs, scale = scale })
        end
      end
    end
  end
  return grid
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
-- Fold f holds the rows f, f + FOLDS, f + 2 FOLDS ...: the wines are sorted by cultivator, so each
-- fold has some of all three.

local function powers_of(column, fold, power)
  local part, n = {}, 0
  for row = fold, #column, FOLDS do
    n = n + 1
    part[n] = column[row] ^ power
  end
  return part
end

local function rescaled(column, fold, forth)
  local part, n = {}, 0
  for row = fold, #column, FOLDS do
    n = n + 1
    part[n] = forth(column[row])
  end
  return part
end

-- The rows of one fold: the columns that a topic is predicted from, and behind them the topic.
local function take_fold(wines, topic, fold, setting)
  local columns = {}
  for _, name in ipairs(TOPICS) do
    if name ~= topic then
      columns[#columns + 1] = powers_of(wines[name], fold, setting.power)
    end
  end
  columns[#columns + 1] = rescaled(wines[topic], fold, SCALES[setting.scale].forth)
  return columns
end

-- The squared error, on the rows of one fold, of a model that was fitted to the other folds.
local function fold_error(columns, truth, fold, model, scale)
  local back, errors = SCALES[scale].back, 0.0
  for i = 1, #columns[1] do
    local z = model.constant
    for j, input in ipairs(model.inputs) do
      z = z + model.weights[j] * columns[input.column][i]
    end
    local miss = back(z) - truth[fold + (i - 1) * FOLDS]
    errors = errors + miss * miss
  end
  return errors
end

-- The mean squared error of predicting a topic, each row by a model that has not seen it.
local function cross_validate(wines, topic, setting)
  local folds, parts, errors = {}, {}, 0.0
  for fold = 1, FOLDS do
    folds[fold] = take_fold(wines, topic, fold, setting)
    parts[fold] = moments(folds[fold])
  end
  for fold = 1, FOLDS do
    local model = fit(all_but(parts, fold), setting)
    errors = errors + fold_error(folds[fold], wines[topic], fold, model, setting.scale)
  end
  return errors / #wines[topic]
end

-- The search ------------------------------------------------------------------------------------

local function search(map, wines, grid)
  local errors = {}
  for t, topic in ipairs(TOPICS) do
    errors[t] = map(function(setting) return cross_validate(wines, topic, setting) end, grid)
  end
  return errors
end

local function serial_map(f, items)
  local results = {}
  for i, item in ipairs(items) do results[i] = f(item) end
  return results
end

local function timed(f, ...)
  local start = mp.monotonic()
  return f(...), mp.monotonic() - start
end

local function same(a, b)
  for t in ipairs(TOPICS) do
    for i = 1, math.max(#a[t], #b[t]) do
      if a[t][i] ~= b[t][i] then return false end
    end
  end
  return true
end

-- What a mean squared error leaves unexplained, the variance of the topic taken as a whole.
local function explained(values, mean_squared_error)
  return 1 - mean_squared_error / covariance(moments { values }, 1, 1)
end

local function print_best(wines, grid, errors)
  print(("%-12s %9s %7s %7s   %-6s %10s"):format(
    "topic", "penalty", "power", "inputs", "scale", "explained"))
  for t, topic in ipairs(TOPICS) do
    local best = 1
    for i, err in ipairs(errors[t]) do
      if err < errors[t][best] then best = i end
    end
    local setting = grid[best]
    print(("%-12s %9.4f %7.2f %7d   %-6s %8.1f %%"):format(topic, setting.penalty,
      setting.power, setting.inputs, setting.scale,
      100 * explained(wines[topic], errors[t][best])))
  end
end

local function every(step, list)
  local kept = {}
  for i = 1, #list, step do kept[#kept + 1] = list[i] end
  return kept
end

local here = arg[0]:match("^.*/") or ""
local wines = read_csv(here .. "data/wine.csv")

local all = make_grid()
local grid = arg[1] == "--quick" and every(13, all) or all
print(("%d topics, %d of %d combinations each, %d-fold cross-validation, %d wines\n"):format(
  #TOPICS, #grid, #all, FOLDS, #wines.alcohol))

local serial, serial_seconds = timed(search, serial_map, wines, grid)

local workers = mp.process_cpu_count()
local pool <close> = mp.Pool(workers)
local function pool_map(f, items) return pool:map(f, items) end
local parallel, parallel_seconds = timed(search, pool_map, wines, grid)

print_best(wines, grid, parallel)
print(("\nserial    %6.2f s"):format(serial_seconds))
print(("parallel  %6.2f s with %d workers, %.2f times as fast"):format(
  parallel_seconds, workers, serial_seconds / parallel_seconds))
print(same(serial, parallel) and "both results are equal" or "THE RESULTS DIFFER")
